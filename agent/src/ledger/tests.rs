//! What stands in the book after runs that end in every way.

use std::{
    path::Path,
    sync::atomic::{AtomicI64, Ordering},
};

use pvelens_proto::agent::v1::{FailureKind, FailureReport, Load, SourceFailure};

use super::*;
use crate::host::Clock;

const START: i64 = 1_795_349_000_000;

struct Book {
    ledger: Ledger,
    clock: Arc<AtomicI64>,
}

impl Book {
    fn new() -> Self {
        let clock = Arc::new(AtomicI64::new(START));
        let host = Host::open(Path::new("/")).unwrap();
        let host = Arc::new(host.with_clock(Clock::Fixed(Arc::clone(&clock))));
        let spool = Arc::new(Spool::new("e".to_owned()));
        Self {
            ledger: Ledger::new(host, spool, Vec::new()),
            clock,
        }
    }

    /// A tick, so many seconds after the start and by a clock that shows as many.
    fn tick(&self, seconds: u64, wall: i64) {
        self.clock.store(START + wall * 1000, Ordering::Release);
        self.ledger.ticked(Duration::from_secs(seconds), 0);
    }

    /// A run of `load` that names these failures.
    fn run(&self, seconds: u64, failures: &[(&str, FailureKind)], payload: bool) {
        self.ledger.began("load", Duration::from_secs(seconds));
        self.ledger.ended(&Sample {
            collector: "load".to_owned(),
            observed_at: Some(self.ledger.wall_clock()),
            duration_microseconds: 100 + u32::try_from(seconds).unwrap(),
            read_bytes: 7,
            failures: failures
                .iter()
                .map(|(path, kind)| SourceFailure {
                    path: (*path).to_owned(),
                    kind: (*kind).into(),
                    detail: "why".to_owned(),
                })
                .collect(),
            payload: payload.then(|| Payload::Load(Load::default())),
            ..Sample::default()
        });
    }

    fn load(&self) -> CollectorReport {
        let mut collectors = self.ledger.report().collectors.into_iter();
        collectors.find(|one| one.name == "load").unwrap()
    }

    fn failures(&self) -> Vec<FailureReport> {
        self.ledger.report().failures
    }
}

#[test]
fn a_collector_is_counted_by_how_its_runs_ended() {
    let book = Book::new();
    assert_eq!(book.load().payload_age_seconds, None);
    book.tick(10, 10);
    book.run(10, &[], true);
    book.run(20, &[("/a", FailureKind::Malformed)], true);
    book.run(30, &[("", FailureKind::TimedOut)], false);
    book.run(40, &[("", FailureKind::InProgress)], false);
    book.tick(50, 50);
    let load = book.load();
    assert_eq!(
        (
            load.runs_total,
            load.partial_runs_total,
            load.failed_runs_total,
            load.refused_runs_total
        ),
        (3, 1, 1, 1)
    );
    assert_eq!(load.read_bytes_total, 21);
    // Of the run that timed out; the refused one took no time.
    assert_eq!(load.last_duration_microseconds, 130);
    assert_eq!(load.last_failures, 1);
    let age = load.payload_age_seconds.unwrap();
    assert!((30.0..40.0).contains(&age), "{age}");
    let at = |time: Option<Timestamp>| pvelens_proto::timestamp_to_millis(&time.unwrap());
    // The clock of the test stood still meanwhile.
    assert_eq!(at(load.last_success_at), START + 10_000);
}

#[test]
fn a_clock_that_was_set_is_counted_and_makes_nothing_old_or_fresh() {
    let book = Book::new();
    book.tick(10, 10);
    book.run(10, &[], true);
    book.tick(20, 20 + 3 * 86_400);
    book.tick(30, 30 + 3 * 86_400 + 1);
    book.tick(40, 40);
    let report = book.ledger.report();
    let sampling = report.sampling.unwrap();
    assert_eq!(
        (
            sampling.clock_jumps_forward_total,
            sampling.clock_jumps_back_total
        ),
        (1, 1)
    );
    let jump = sampling.last_clock_jump_seconds.unwrap();
    assert!((jump + 3.0 * 86_400.0 + 1.0).abs() < 0.01, "{jump}");
    let age = book.load().payload_age_seconds.unwrap();
    assert!((30.0..40.0).contains(&age), "{age}");
}

#[test]
fn a_failure_stays_in_the_history_when_it_goes_and_is_the_same_when_it_returns() {
    let book = Book::new();
    let broken = [("/a", FailureKind::Malformed)];
    book.run(10, &broken, true);
    book.run(20, &broken, true);
    book.run(30, &[], true);
    let gone = book.failures();
    assert_eq!(gone.len(), 1);
    assert_eq!(
        (gone[0].runs, gone[0].returns, gone[0].is_current),
        (2, 0, false)
    );
    book.run(40, &broken, true);
    book.run(
        50,
        &[("/a", FailureKind::NotUtf8), ("/a", FailureKind::NotUtf8)],
        true,
    );
    let failures = book.failures();
    let seen: Vec<_> = failures
        .iter()
        .map(|it| {
            (
                it.failure.as_ref().unwrap().kind(),
                it.runs,
                it.returns,
                it.is_current,
            )
        })
        .collect();
    assert_eq!(
        seen,
        [
            (FailureKind::NotUtf8, 1, 0, true),
            (FailureKind::Malformed, 3, 1, false)
        ]
    );
}

#[test]
fn a_run_that_hangs_says_nothing_of_other_failures() {
    let book = Book::new();
    book.run(10, &[("/a", FailureKind::Malformed)], true);
    book.run(20, &[("/b", FailureKind::TimedOut)], false);
    book.run(30, &[("/b", FailureKind::InProgress)], false);
    let current: Vec<_> = book
        .failures()
        .into_iter()
        .filter(|it| it.is_current)
        .map(|it| it.failure.unwrap())
        .map(|failure| (failure.path.clone(), failure.kind()))
        .collect();
    assert_eq!(
        current,
        [
            ("/b".to_owned(), FailureKind::InProgress),
            ("/a".to_owned(), FailureKind::Malformed)
        ]
    );
    book.run(40, &[], true);
    assert!(book.failures().iter().all(|it| !it.is_current));
}

#[test]
fn the_history_is_bounded_and_keeps_what_lasts() {
    let book = Book::new();
    book.run(10, &[("/lasts", FailureKind::Malformed)], true);
    for number in 0..1000 {
        let path = format!("/{number}");
        let both = [
            ("/lasts", FailureKind::Malformed),
            (path.as_str(), FailureKind::Malformed),
        ];
        book.run(20 + number, &both, true);
    }
    let report = book.ledger.report();
    assert_eq!(report.failures.len(), 256);
    assert_eq!(report.forgotten_failures_total, 1001 - 256);
    let paths: Vec<_> = report
        .failures
        .iter()
        .map(|it| it.failure.as_ref().unwrap().path.as_str())
        .collect();
    assert!(paths.contains(&"/lasts") && paths.contains(&"/999") && !paths.contains(&"/0"));
}

#[test]
fn the_stream_gets_it_once_a_minute_and_only_what_is_wrong() {
    let book = Book::new();
    let at = |seconds| book.ledger.sample(Duration::from_secs(seconds));
    assert_eq!(at(0), None);
    assert_eq!(at(50), None);
    book.run(55, &[("/a", FailureKind::Malformed)], true);
    let sample = at(60).unwrap();
    assert_eq!(
        (sample.collector.as_str(), sample.interval_seconds),
        (NAME, 60)
    );
    let Some(Payload::SelfReport(report)) = sample.payload else {
        panic!("{sample:?}");
    };
    let names: Vec<_> = report
        .collectors
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["load"]);
    assert_eq!(report.failures, []);
    assert_eq!(report.sampling.unwrap().failing_collectors, 1);
    assert_eq!(at(70), None);
    assert!(at(119).is_some());
}

#[test]
fn the_process_knows_what_it_costs() {
    let process = Book::new().ledger.report().process.unwrap();
    assert!(process.resident_bytes > 1 << 20, "{process:?}");
    assert!(process.resident_max_bytes >= process.resident_bytes / 2);
    assert!(process.threads >= 1);
    assert!(process.cpu_seconds_total > 0.0);
}
