//! What the agent knows of its own work: how each collector does, what it costs,
//! what was dropped.
//!
//! The sampler writes it, the service reads it. Ages are counted by the sampler's
//! time, which nobody sets: a clock that jumps is a fact in here, and makes no
//! collector look fresh or old. Everything is bounded, so that an agent on a node
//! that breaks in ever new ways stays as small as it was.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use pvelens_proto::{
    Timestamp,
    agent::v1::{
        CollectorReport, ReaderReport, Sample, SamplingReport, SelfReport, sample::Payload,
    },
    timestamp_from_millis,
};

use crate::{
    collector::{COLLECTORS, Runner},
    host::Host,
    spool::Spool,
};

mod clock;
mod failures;
mod process;
mod record;

use clock::ClockWatch;
use failures::Failures;
pub(crate) use process::PATHS;
use process::Process;
use record::Record;

/// The name of its samples in the stream.
pub const NAME: &str = "self_report";
/// How often it goes into the stream.
pub const INTERVAL: Duration = Duration::from_secs(60);
/// Ticks are late by some milliseconds.
const TOLERANCE: Duration = Duration::from_secs(1);

/// The book of one agent.
#[derive(Debug)]
pub struct Ledger {
    host: Arc<Host>,
    spool: Arc<Spool>,
    /// In the order of [`COLLECTORS`]; empty where collectors run on the caller's
    /// thread and cannot be left behind.
    runners: Vec<Arc<Runner>>,
    process: Process,
    readers: Readers,
    book: Mutex<Book>,
}

#[derive(Debug)]
struct Book {
    /// Time of the newest tick, and when that was.
    now: Duration,
    ticked: Instant,
    ticks: u64,
    skipped_ticks: u64,
    skipped_rounds: u64,
    clock: ClockWatch,
    /// In the order of [`COLLECTORS`].
    records: Vec<Record>,
    failures: Failures,
    /// When it last went into the stream.
    reported: Duration,
}

/// Who follows the stream; counted by the streams themselves.
#[derive(Debug, Default)]
pub(crate) struct Readers {
    pub(crate) open: AtomicU32,
    pub(crate) begun: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) overtaken: AtomicU64,
    pub(crate) missed_updates: AtomicU64,
}

/// How much a report says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// Only what the samples do not say themselves.
    Stream,
    Everything,
}

impl Ledger {
    /// An empty one, of an agent whose collectors these runners run.
    #[must_use]
    pub fn new(host: Arc<Host>, spool: Arc<Spool>, runners: Vec<Arc<Runner>>) -> Self {
        Self {
            host,
            spool,
            runners,
            process: Process::new(),
            readers: Readers::default(),
            book: Mutex::new(Book {
                now: Duration::ZERO,
                ticked: Instant::now(),
                ticks: 0,
                skipped_ticks: 0,
                skipped_rounds: 0,
                clock: ClockWatch::default(),
                records: COLLECTORS.iter().map(|_| Record::default()).collect(),
                failures: Failures::default(),
                // The first after a minute: at the start there is nothing to tell.
                reported: Duration::ZERO,
            }),
        }
    }

    /// Everything it knows.
    #[must_use]
    pub fn report(&self) -> SelfReport {
        self.reported(Extent::Everything)
    }

    /// The sample for the stream, once a minute.
    pub(crate) fn sample(&self, now: Duration) -> Option<Sample> {
        {
            let mut book = self.book();
            let since = now.saturating_sub(book.reported);
            if since.saturating_add(TOLERANCE) < INTERVAL {
                return None;
            }
            book.reported = now;
        }
        let observed_at = Some(self.wall_clock());
        let begun = Instant::now();
        let report = self.reported(Extent::Stream);
        Some(Sample {
            collector: NAME.to_owned(),
            observed_at,
            duration_microseconds: u32::try_from(begun.elapsed().as_micros()).unwrap_or(u32::MAX),
            interval_seconds: u32::try_from(INTERVAL.as_secs()).unwrap_or(u32::MAX),
            payload: Some(Payload::SelfReport(report)),
            ..Sample::default()
        })
    }

    /// A tick of the sampling loop, by its own time.
    pub(crate) fn ticked(&self, now: Duration, skipped: u64) {
        let wall = self.host.now();
        let mut book = self.book();
        book.clock.look(now, wall);
        book.now = now;
        book.ticked = Instant::now();
        book.ticks = book.ticks.saturating_add(1);
        book.skipped_ticks = book.skipped_ticks.saturating_add(skipped);
    }

    /// Collectors that were not started, since they had not ended.
    pub(crate) fn round_skipped(&self) {
        let mut book = self.book();
        book.skipped_rounds = book.skipped_rounds.saturating_add(1);
    }

    /// A run of a collector begins.
    pub(crate) fn began(&self, name: &str, now: Duration) {
        let wall = self.host.now();
        if let Some(record) = self.book().record(name) {
            record.began(now, wall);
        }
    }

    /// A run of a collector gave this sample.
    pub(crate) fn ended(&self, sample: &Sample) {
        let mut book = self.book();
        let Some(record) = book.record(&sample.collector) else {
            return;
        };
        record.ended(sample);
        book.failures.note(sample);
    }

    pub(crate) fn readers(&self) -> &Readers {
        &self.readers
    }

    fn reported(&self, extent: Extent) -> SelfReport {
        // Before the lock: these look at the kernel and at the spool.
        let process = self.process.report();
        let spool = self.spool.report();
        let reported_at = Some(self.wall_clock());
        let book = self.book();
        let since_tick = book.ticked.elapsed();
        let now = book.now.saturating_add(since_tick);
        let all: Vec<CollectorReport> = COLLECTORS
            .iter()
            .zip(&book.records)
            .enumerate()
            .map(|(index, (collector, record))| {
                let runner = self.runners.get(index);
                let under_way = runner.is_some_and(|runner| runner.is_under_way());
                let deadline =
                    runner.map_or(collector.deadline, |runner| runner.collector().deadline);
                record.report(collector, now, under_way.then_some(deadline))
            })
            .collect();
        let sampling = SamplingReport {
            ticks_total: book.ticks,
            last_tick_age_seconds: since_tick.as_secs_f64(),
            skipped_ticks_total: book.skipped_ticks,
            skipped_rounds_total: book.skipped_rounds,
            clock_jumps_forward_total: book.clock.forward,
            clock_jumps_back_total: book.clock.back,
            last_clock_jump_seconds: book.clock.last.map(|(seconds, _)| seconds),
            last_clock_jump_at: book.clock.last.map(|(_, at)| timestamp(at)),
            hung_collectors: count(all.iter().filter(|one| one.is_hung)),
            failing_collectors: count(all.iter().filter(|one| one.last_failures > 0)),
            collectors: count(all.iter()),
        };
        let is_listed = |one: &CollectorReport| {
            extent == Extent::Everything || one.is_hung || one.last_failures > 0
        };
        SelfReport {
            reported_at,
            process: Some(process),
            sampling: Some(sampling),
            spool: Some(spool),
            readers: Some(self.readers.report()),
            collectors: all.into_iter().filter(is_listed).collect(),
            failures: match extent {
                Extent::Everything => book.failures.list(),
                Extent::Stream => Vec::new(),
            },
            forgotten_failures_total: book.failures.forgotten(),
        }
    }

    fn wall_clock(&self) -> Timestamp {
        timestamp(self.host.now())
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // No code under the lock panics half-way through a change.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn record(&mut self, name: &str) -> Option<&mut Record> {
        let index = COLLECTORS
            .iter()
            .position(|collector| collector.name == name)?;
        self.records.get_mut(index)
    }
}

impl Readers {
    fn report(&self) -> ReaderReport {
        ReaderReport {
            streams: self.open.load(Ordering::Acquire),
            streams_total: self.begun.load(Ordering::Acquire),
            refused_streams_total: self.refused.load(Ordering::Acquire),
            overtaken_readers_total: self.overtaken.load(Ordering::Acquire),
            missed_updates_total: self.missed_updates.load(Ordering::Acquire),
        }
    }
}

fn timestamp(at: jiff::Timestamp) -> Timestamp {
    timestamp_from_millis(at.as_millisecond())
}

fn count<T>(items: impl Iterator<Item = T>) -> u32 {
    u32::try_from(items.count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests;
