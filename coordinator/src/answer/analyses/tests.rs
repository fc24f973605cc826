use std::sync::Arc;

use super::*;
use crate::{
    answer::{
        self,
        events::EventsFilter,
        metrics::fixture::Kept,
        tests::{current, open},
    },
    check::Params,
    chronicle::{EventKind, Level},
    coordinator::Coordinator,
    finding::{Finding, Severity},
    render::{Format, Render, Style},
    view::fixture::at,
    windows::Windows,
};

/// Minutes after the instant of the hand-made view.
fn minutes(minutes: i64) -> Timestamp {
    at() + SignedDuration::from_mins(minutes)
}

/// A coordinator that saw a storage fill up and be emptied within two hours.
pub(crate) fn two_hours(kept: &Kept) -> Arc<Coordinator> {
    let coordinator = Arc::new(Coordinator::new(Params::default()));
    coordinator.keep_in(Arc::clone(&kept.store), at()).unwrap();
    coordinator.set_windows(Windows::read_at(at()));
    let of = |severity| vec![open("storage.pool.space", "storage/nas", severity)];
    let steps: [(i64, Vec<Finding>); 5] = [
        (-120, Vec::new()),
        (-115, Vec::new()),
        (-90, of(Severity::Warning)),
        (-60, of(Severity::Critical)),
        (-30, Vec::new()),
    ];
    for (minute, findings) in steps {
        let mut current = current();
        current.view.at = minutes(minute);
        current.findings = findings;
        coordinator.publish(current);
        coordinator.write_down(minutes(minute)).unwrap();
    }
    coordinator.publish(current());
    coordinator
}

fn answer_of(coordinator: &Arc<Coordinator>, filter: &AnalysesFilter) -> Analyses {
    analyses(&current(), &Past::of(coordinator), filter, at()).unwrap()
}

fn then(coordinator: &Arc<Coordinator>, minute: i64) -> Result<Report, PastError> {
    let which = Which::At {
        cluster: String::new(),
        at: minutes(minute),
    };
    kept_report(&current(), &Past::of(coordinator), &which, at())
}

#[test]
fn states_are_listed_and_read_as_of_any_time() {
    let kept = Kept::new();
    let coordinator = two_hours(&kept);
    let all = answer_of(&coordinator, &AnalysesFilter::default()).analyses;
    let told: Vec<(HealthState, Option<HealthState>, u32, u32)> = all
        .iter()
        .map(|one| (one.state, one.state_before, one.critical, one.warning))
        .collect();
    use HealthState::{Critical, Healthy, Warning};
    assert_eq!(
        told,
        [
            (Healthy, Some(Critical), 0, 0),
            (Critical, Some(Warning), 1, 0),
            (Warning, Some(Healthy), 0, 1),
            (Healthy, None, 0, 0),
        ]
    );
    let state = |minute| then(&coordinator, minute).unwrap().state;
    assert_eq!(state(-91), Healthy);
    assert_eq!(state(-90), Warning);
    assert_eq!(state(-60), Critical);
    assert_eq!(state(-31), Critical);
    assert_eq!(state(0), Healthy);
    // A time to come is now.
    let report = then(&coordinator, 1_000_000).unwrap();
    let asked = report.kept.unwrap();
    assert_eq!((asked.asked_at, asked.is_outdated), (at(), false));
    let by_id = Which::Id(all[1].id.clone());
    let report = kept_report(&current(), &Past::of(&coordinator), &by_id, at());
    assert_eq!(report.unwrap().at, minutes(-60));

    let some = AnalysesFilter {
        from: Some(minutes(-100)),
        until: Some(minutes(-30)),
        limit: 1,
        kind: Some(AnalysisKind::ClusterHealth),
        cluster: "lab".to_owned(),
    };
    let some = answer_of(&coordinator, &some);
    assert!(some.older_left_out);
    assert_eq!(some.analyses[0].at, minutes(-60));
}

#[test]
fn what_waits_for_the_store_is_read_too() {
    let kept = Kept::new();
    let coordinator = two_hours(&kept);
    let mut record = {
        let query = crate::store::row::RecordQuery {
            kind: RecordKind::Analysis,
            from: None,
            until: None,
            cluster: None,
            subject: None,
            before: None,
            limit: 1,
        };
        let rows = kept.store.read(|reader| reader.records(&query)).unwrap();
        rows.into_iter().next().unwrap().record
    };
    record.at = minutes(-10);
    record.key.push_str(" waits");
    record.body = b"{\"kind\":\"x\"".to_vec();
    coordinator.chronicle().add_records(vec![record]);
    let all = answer_of(&coordinator, &AnalysesFilter::default()).analyses;
    assert_eq!(all.len(), 5);
    // It is damaged, which is seen and not left out.
    assert_eq!(
        (all[0].state, &*all[0].headline, &*all[0].kind),
        (HealthState::Unknown, UNREADABLE, "")
    );
    assert_eq!(then(&coordinator, 0).unwrap().state, HealthState::Unknown);
    assert_eq!(then(&coordinator, -11).unwrap().state, HealthState::Healthy);
}

#[test]
fn without_a_report_of_that_time_there_is_a_reason() {
    let kept = Kept::new();
    let coordinator = two_hours(&kept);
    let error = then(&coordinator, -116).unwrap_err();
    assert!(matches!(error, PastError::NothingKept(_)), "{error}");
    assert!(
        error.to_string().contains("there are later ones"),
        "{error}"
    );
    let empty = Arc::new(Coordinator::new(Params::default()));
    assert_eq!(then(&empty, 0).unwrap_err(), PastError::NoStore);
    let new = Kept::new();
    empty.keep_in(Arc::clone(&new.store), at()).unwrap();
    let error = then(&empty, 0).unwrap_err().to_string();
    assert!(error.contains("after the start"), "{error}");
    for id in ["", "c0ffee", "/5", "c0ffee/x", "c0ffee/99999999999999999"] {
        let which = Which::Id(id.to_owned());
        let error = kept_report(&current(), &Past::of(&coordinator), &which, at());
        assert!(
            matches!(
                error,
                Err(PastError::Answer(AnswerError::Invalid(_)) | PastError::NothingKept(_))
            ),
            "{id}: {error:?}"
        );
    }
    let too_many = AnalysesFilter {
        limit: 501,
        ..AnalysesFilter::default()
    };
    assert!(analyses(&current(), &Past::of(&coordinator), &too_many, at()).is_err());
    // Of a time long after the last one nothing is known.
    let which = Which::At {
        cluster: String::new(),
        at: minutes(30 * 60),
    };
    let late = kept_report(&current(), &Past::of(&coordinator), &which, minutes(9999));
    assert!(late.unwrap().kept.unwrap().is_outdated);
}

#[test]
fn a_change_of_state_is_an_event() {
    let kept = Kept::new();
    let coordinator = two_hours(&kept);
    let ask = |minimum_level| {
        let filter = EventsFilter {
            cluster: String::new(),
            subjects: vec!["cluster".to_owned()],
            kinds: vec![EventKind::Health],
            minimum_level,
            from: None,
            until: None,
            limit: 0,
        };
        let events = answer::events(&current(), &Past::of(&coordinator), &filter, at());
        events.unwrap().events
    };
    let told: Vec<(Level, String)> = ask(Level::Info)
        .into_iter()
        .map(|event| (event.level, event.text))
        .collect();
    insta::assert_debug_snapshot!(told);
    assert_eq!(ask(Level::Error).len(), 1);
    // Of everything that happened it is a part.
    let all = EventsFilter {
        cluster: String::new(),
        subjects: Vec::new(),
        kinds: Vec::new(),
        minimum_level: Level::Info,
        from: None,
        until: None,
        limit: 0,
    };
    let all = answer::events(&current(), &Past::of(&coordinator), &all, at());
    let events = all.unwrap().events.into_iter();
    assert_eq!(
        events
            .filter(|event| event.kind == EventKind::Health)
            .count(),
        3
    );
}

#[test]
fn the_past_is_shown_as_such() {
    let kept = Kept::new();
    let coordinator = two_hours(&kept);
    let style = Style {
        format: Format::Text,
        width: Some(80),
        color: false,
    };
    let all = answer_of(&coordinator, &AnalysesFilter::default());
    insta::assert_snapshot!("history", all.text(&style));
    insta::assert_snapshot!("history_markdown", all.markdown());
    let mut report = then(&coordinator, -45).unwrap();
    report.duration_milliseconds = 1;
    let text = report.text(&style);
    assert!(
        text.lines().all(|line| line.chars().count() <= 80),
        "{text}"
    );
    insta::assert_snapshot!("kept", text);
    insta::assert_snapshot!("kept_markdown", report.markdown());
    let asked = report.kept.as_mut().unwrap();
    asked.is_outdated = true;
    asked.asked_at = minutes(3 * 24 * 60);
    asked.notes = vec!["1 of 2 findings cannot be read".to_owned()];
    insta::assert_snapshot!("kept_outdated", report.text(&style));
    let damaged = kept::report(minutes(-60), b"", report.kept.unwrap());
    insta::assert_snapshot!("kept_damaged", damaged.text(&style));
}
