//! The live loop: every ten seconds it starts what is due and waits for none of
//! it.
//!
//! The fast collectors of one tick run side by side and make one update. Those
//! that read the cluster file system run one after the other: first the small
//! status files, then, as a group of its own, the sweep over the configuration.
//! All others run alone. A group that is not done by the next tick is left to
//! finish, and that tick is missed: a sweep that hangs delays neither quorum nor
//! figures.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pvelens_proto::agent::v1::{CollectionClass, Sample, SourceFailure};
use tokio::{
    sync::{Semaphore, watch},
    task::{AbortHandle, JoinError, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Sampler, schedule::Schedule};
use crate::{
    collector::{COLLECTORS, Collector, FAST, Runner},
    host::Host,
    ledger::Ledger,
    recorder::Recorder,
    spool::Spool,
};

/// Time for the status files of one tick: three deadlines, and some.
const STATUS_WAIT: Duration = Duration::from_secs(7);
/// Fast collectors that read at the same time.
const SIDE_BY_SIDE: usize = 4;

/// The live loop in single steps, for whoever has a time of its own: each step
/// is what [`Sampler::run`] does every ten seconds.
#[derive(Debug)]
pub struct Rounds {
    live: Arc<Live>,
    ticks: watch::Sender<u64>,
    tasks: JoinSet<()>,
    running: HashMap<Group, AbortHandle>,
    last: Option<Duration>,
}

#[derive(Debug)]
struct Live {
    host: Arc<Host>,
    spool: Arc<Spool>,
    recorder: Option<Arc<Recorder>>,
    schedule: Mutex<Schedule>,
    /// What each collector failed with last, so that only changes are logged.
    failing: Mutex<HashMap<String, String>>,
    runners: Vec<Arc<Runner>>,
    ledger: Arc<Ledger>,
    /// The tick whose status files have been read.
    polled: watch::Sender<Duration>,
}

/// The groups of one class that run without each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    Fast,
    /// Status files of the cluster.
    Status,
    /// Configuration, when it changed.
    Sweep,
    Single(usize),
}

pub(super) async fn run(sampler: Sampler, shutdown: CancellationToken) {
    let mut rounds = Rounds::of(sampler);
    let started = Instant::now();
    let mut ticks = interval(FAST);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        rounds.begin(started.elapsed());
    }
    rounds.tasks.shutdown().await;
}

impl Rounds {
    pub(super) fn of(sampler: Sampler) -> Self {
        Self {
            live: Arc::new(Live {
                host: sampler.host,
                spool: sampler.spool,
                recorder: sampler.recorder,
                schedule: Mutex::new(sampler.schedule),
                failing: Mutex::default(),
                runners: sampler.runners,
                ledger: sampler.ledger,
                polled: watch::Sender::new(Duration::ZERO),
            }),
            ticks: sampler.ticks,
            tasks: JoinSet::new(),
            running: HashMap::new(),
            last: None,
        }
    }

    /// Starts what is due at a time since the start, and waits for none of it.
    /// Call it in a runtime.
    pub fn begin(&mut self, now: Duration) {
        while let Some(ended) = self.tasks.try_join_next() {
            complain(ended);
        }
        let since = self.last.replace(now).map(|last| now.saturating_sub(last));
        let beats = since.map_or(1, |since| {
            // Half a beat early or late is no beat more or less.
            since.saturating_add(FAST / 2).as_secs() / FAST.as_secs()
        });
        self.live.ledger.ticked(now, beats.saturating_sub(1));
        for group in groups() {
            if self
                .running
                .get(&group)
                .is_none_or(AbortHandle::is_finished)
            {
                let round = Arc::clone(&self.live).round(group, now);
                self.running.insert(group, self.tasks.spawn(round));
            } else {
                self.live.ledger.round_skipped();
            }
        }
        if let Some(sample) = self.live.ledger.sample(now) {
            self.live.spool.append(vec![sample]);
        }
        self.ticks
            .send_modify(|ticks| *ticks = ticks.wrapping_add(1));
    }

    /// Waits until all that was begun has ended, or was given up at its deadline.
    pub async fn end(&mut self) {
        while let Some(ended) = self.tasks.join_next().await {
            complain(ended);
        }
    }
}

/// Collectors are caught, so an error is a fault of the loop itself.
fn complain(ended: Result<(), JoinError>) {
    if let Err(error) = ended {
        warn!(%error, "a round of sampling was lost");
    }
}

fn groups() -> impl Iterator<Item = Group> {
    let singles = (0..COLLECTORS.len()).filter(|index| {
        COLLECTORS
            .get(*index)
            .is_some_and(|collector| group_of(collector, *index) == Group::Single(*index))
    });
    [Group::Fast, Group::Status, Group::Sweep]
        .into_iter()
        .chain(singles.map(Group::Single))
}

fn group_of(collector: &Collector, index: usize) -> Group {
    match collector.class {
        CollectionClass::Fast => Group::Fast,
        CollectionClass::Config if collector.runs_on_change() => Group::Sweep,
        CollectionClass::Config => Group::Status,
        _ => Group::Single(index),
    }
}

impl Live {
    /// Runs what is due of one group, and keeps the result as one update.
    async fn round(self: Arc<Self>, group: Group, now: Duration) {
        let members = self
            .runners
            .iter()
            .enumerate()
            .filter(|(index, runner)| group_of(runner.collector(), *index) == group)
            .map(|(_, runner)| Arc::clone(runner));
        if group == Group::Sweep {
            // The counters of this tick decide what is due. Late ones are not
            // waited for: then the interval decides.
            let mut polled = self.polled.subscribe();
            timeout(STATUS_WAIT, polled.wait_for(|tick| *tick >= now))
                .await
                .ok();
        }
        let samples = if group == Group::Fast {
            self.side_by_side(members, now).await
        } else {
            self.in_turn(members, now).await
        };
        if group == Group::Status {
            self.polled.send_replace(now);
        }
        if samples.is_empty() {
            return;
        }
        let update = self.spool.append(samples);
        if let Some(recorder) = &self.recorder {
            recorder.observe(&update, now, self.host.now());
        }
    }

    async fn in_turn(
        &self,
        members: impl Iterator<Item = Arc<Runner>>,
        now: Duration,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        for runner in members {
            if self.schedule().starts(runner.collector(), now) {
                samples.push(self.sampled(&runner, now).await);
            }
        }
        samples
    }

    async fn side_by_side(
        self: &Arc<Self>,
        members: impl Iterator<Item = Arc<Runner>>,
        now: Duration,
    ) -> Vec<Sample> {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let mut tasks = JoinSet::new();
        for runner in members {
            if self.schedule().starts(runner.collector(), now) {
                let (live, places) = (Arc::clone(self), Arc::clone(&places));
                tasks.spawn(async move {
                    // Never closed; without a place it would run all the same.
                    let _place = places.acquire().await;
                    live.sampled(&runner, now).await
                });
            }
        }
        tasks.join_all().await
    }

    async fn sampled(&self, runner: &Runner, now: Duration) -> Sample {
        self.ledger.began(runner.collector().name, now);
        let sample = runner.run(&self.host).await;
        self.ledger.ended(&sample);
        self.schedule().ended(runner.collector(), &sample);
        self.log(&sample);
        sample
    }

    /// Logs a failure when it begins, changes and ends.
    fn log(&self, sample: &Sample) {
        let text = describe(&sample.failures);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = failing.remove(&sample.collector);
        match (text, before) {
            (None, None) => {}
            (None, Some(_)) => info!(collector = sample.collector, "collects again"),
            (Some(text), before) => {
                if before.as_ref() != Some(&text) {
                    warn!(
                        collector = sample.collector,
                        failures = sample.failures.len(),
                        first = text,
                        "collection failed"
                    );
                }
                failing.insert(sample.collector.clone(), text);
            }
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first failure in words.
fn describe(failures: &[SourceFailure]) -> Option<String> {
    failures.first().map(|failure| {
        if failure.path.is_empty() {
            failure.detail.clone()
        } else {
            format!("{}: {}", failure.path, failure.detail)
        }
    })
}
