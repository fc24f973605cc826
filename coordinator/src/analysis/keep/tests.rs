use std::sync::Arc;

use super::*;
use crate::{
    answer::{
        metrics::fixture::Kept,
        tests::{current, open},
    },
    check::Params,
    coordinator::Coordinator,
    finding::{Finding, Severity},
    view::{CoverageLevel, fixture},
    windows::Windows,
};

/// The hand-made cluster so many seconds later, with all agents still reporting.
fn later(seconds: i64, findings: &[Finding]) -> Current {
    let mut current = current();
    current.view.at += SignedDuration::from_secs(seconds);
    for node in &mut current.view.nodes {
        let now = current.view.at;
        if let Some(agent) = &mut node.agent {
            agent.last_update_at = now;
        }
        if let Some(broadcast) = &mut node.broadcast {
            broadcast.at = now;
        }
    }
    current.findings = findings.to_vec();
    current
}

fn critical() -> Vec<Finding> {
    vec![open(
        "storage.pool.space",
        "storage/nas",
        Severity::Critical,
    )]
}

fn nothing(_: &ClusterId) -> Option<Vec<NewRecord>> {
    Some(Vec::new())
}

/// State and state before of what was written down.
fn states(records: &[NewRecord]) -> Vec<(String, String)> {
    let read = |record: &NewRecord| Header::read(&record.body).unwrap();
    let headers = records.iter().map(read);
    headers.map(|header| (header.state, header.was)).collect()
}

/// Goes through a span in steps of a minute, as the store is written.
fn run(
    keep: &mut Keep,
    minutes: std::ops::Range<i64>,
    findings: impl Fn(i64) -> Vec<Finding>,
) -> Vec<NewRecord> {
    minutes
        .flat_map(|minute| keep.note(&later(minute * 60, &findings(minute)), true, nothing))
        .collect()
}

#[test]
fn nothing_is_kept_while_a_cluster_is_being_read_first() {
    let mut keep = Keep::default();
    assert!(keep.note(&Current::default(), true, nothing).is_empty());
    assert!(keep.note(&later(0, &[]), true, nothing).is_empty());
    assert!(keep.note(&later(119, &[]), true, nothing).is_empty());
    // Checks wait for what they look back at, but not for ever.
    assert!(keep.note(&later(599, &[]), false, nothing).is_empty());
    assert_eq!(keep.note(&later(600, &[]), false, nothing).len(), 1);
    let mut keep = Keep::default();
    keep.note(&later(0, &[]), true, nothing);
    let first = keep.note(&later(120, &[]), true, nothing);
    assert_eq!(states(&first), [("healthy".to_owned(), String::new())]);
    assert_eq!(
        (first[0].kind, &*first[0].cluster, &*first[0].subject),
        (RecordKind::Analysis, "c0ffee", "cluster")
    );
}

#[test]
fn a_day_without_a_change_has_one_report() {
    let mut keep = Keep::default();
    let kept = run(&mut keep, 0..3 * 24 * 60, |_| Vec::new());
    let minutes: Vec<i64> = kept
        .iter()
        .map(|record| record.at.duration_since(fixture::at()).as_mins())
        .collect();
    assert_eq!(minutes, [2, 2 + 1440, 2 + 2880]);
}

#[test]
fn a_change_is_kept_at_once_and_what_flaps_after_a_pause() {
    let mut keep = Keep::default();
    let from = |minute, begin| match minute >= begin {
        true => critical(),
        false => Vec::new(),
    };
    let kept = run(&mut keep, 0..60, |minute| from(minute, 30));
    assert_eq!(
        states(&kept)[1],
        ("critical".to_owned(), "healthy".to_owned())
    );
    let minute = kept[1].at.duration_since(fixture::at()).as_mins();
    assert_eq!((kept.len(), minute), (2, 30));

    let flapping = |minute: i64| match minute % 2 {
        0 => critical(),
        _ => Vec::new(),
    };
    let kept = run(&mut keep, 60..60 + 24 * 60, flapping);
    let pauses = kept
        .windows(2)
        .map(|two| two[1].at.duration_since(two[0].at));
    assert!(pauses.min().unwrap() >= PAUSE);
    // A dozen at the short pause, then one in an hour.
    assert!((24..=40).contains(&kept.len()), "{}", kept.len());
}

#[test]
fn figures_alone_are_no_change_and_what_is_seen_of_a_node_is() {
    let mut keep = Keep::default();
    let mut findings = critical();
    run(&mut keep, 0..10, |_| findings.clone());
    findings[0].summary = "storage/nas is 98 % full.".to_owned();
    assert!(run(&mut keep, 20..30, |_| findings.clone()).is_empty());
    let mut blind = later(1800, &findings);
    blind.view.nodes[2].coverage = CoverageLevel::None;
    assert_eq!(keep.note(&blind, true, nothing).len(), 1);
    // The same finding, worse, and another one of the same check.
    findings[0].severity = Severity::Warning;
    assert_eq!(run(&mut keep, 40..50, |_| findings.clone()).len(), 1);
    findings.push(open("storage.pool.space", "storage/usb", Severity::Warning));
    assert_eq!(run(&mut keep, 60..70, |_| findings.clone()).len(), 1);
}

#[test]
fn a_store_that_cannot_be_read_is_asked_again() {
    let mut keep = Keep::default();
    keep.note(&later(0, &[]), true, nothing);
    assert!(keep.note(&later(200, &[]), true, |_| None).is_empty());
    assert_eq!(keep.note(&later(260, &[]), true, nothing).len(), 1);
}

#[test]
fn a_clock_that_is_set_back_stops_nothing() {
    let mut keep = Keep::default();
    assert_eq!(run(&mut keep, 0..10, |_| Vec::new()).len(), 1);
    let back = keep.note(&later(-30 * 86_400, &critical()), true, nothing);
    assert_eq!(back.len(), 1);
}

/// A coordinator that goes on with a store.
fn started(kept: &Kept) -> Coordinator {
    let coordinator = Coordinator::new(Params::default());
    let store = Arc::clone(&kept.store);
    coordinator.keep_in(store, fixture::at()).unwrap();
    coordinator.set_windows(Windows::read_at(fixture::at()));
    coordinator
}

/// What the store has, the newest first.
fn stored(kept: &Kept) -> Vec<NewRecord> {
    newest(&kept.store, &"c0ffee".into()).unwrap()
}

fn runs(coordinator: &Coordinator, minutes: std::ops::Range<i64>, findings: &[Finding]) {
    for minute in minutes {
        let current = later(minute * 60, findings);
        let now = current.view.at;
        coordinator.publish(current);
        coordinator.write_down(now).unwrap();
    }
}

#[test]
fn a_restart_goes_on_without_a_duplicate() {
    // A store of before there were analyses has none.
    let kept = Kept::lab();
    assert!(stored(&kept).is_empty());
    let coordinator = started(&kept);
    runs(&coordinator, 0..60, &critical());
    assert_eq!(stored(&kept).len(), 1);
    let coordinator = started(&kept);
    runs(&coordinator, 60..120, &critical());
    assert_eq!(stored(&kept).len(), 1);
    runs(&coordinator, 120..125, &[]);
    let coordinator = started(&kept);
    runs(&coordinator, 125..130, &[]);
    assert_eq!(
        states(&stored(&kept)),
        [
            ("healthy".to_owned(), "critical".to_owned()),
            ("critical".to_owned(), String::new())
        ]
    );
}

#[test]
fn after_a_record_that_cannot_be_read_the_next_one_is_complete() {
    let kept = Kept::new();
    let coordinator = started(&kept);
    runs(&coordinator, 0..5, &[]);
    let mut damaged = stored(&kept).remove(0);
    damaged.at += SignedDuration::from_secs(1);
    damaged.key.push('x');
    damaged.body.truncate(40);
    coordinator.chronicle().add_records(vec![damaged]);
    coordinator.write_down(fixture::at()).unwrap();
    let coordinator = started(&kept);
    runs(&coordinator, 10..20, &[]);
    let all = stored(&kept);
    assert_eq!(all.len(), 3);
    assert_eq!(
        states(&all[..1]),
        [("healthy".to_owned(), String::new())],
        "the state before is not known"
    );
}

#[test]
fn records_of_long_ago_are_let_go() {
    let kept = Kept::new();
    runs(&started(&kept), 0..5, &[]);
    let after = |days: i64| fixture::at() + SignedDuration::from_hours(24 * days);
    kept.store.maintain(after(399)).unwrap();
    assert_eq!(stored(&kept).len(), 1);
    kept.store.maintain(after(402)).unwrap();
    assert!(stored(&kept).is_empty());
}
