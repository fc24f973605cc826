use jiff::SignedDuration;

use super::*;
use crate::{
    answer::metrics::fixture::Kept,
    intent::{What, tests::said},
    view::fixture,
};

#[test]
fn statements_outlive_the_coordinator_and_leave_a_record() {
    let kept = Kept::new();
    let store = &*kept.store;
    let now = fixture::at();
    let intents = Intents::default();
    let refused = intents.make(None, said(What::Maintenance, &["*"], 1), now);
    assert!(matches!(refused, Err(IntentError::NoStore)));
    let soon = intents.make(Some(store), said(What::Maintenance, &["node/pve1"], 1), now);
    let (soon, twice) = (
        soon.unwrap(),
        intents
            .make(Some(store), said(What::Maintenance, &["node/pve1"], 1), now)
            .unwrap(),
    );
    let late = said(
        What::Suppressed {
            check: "storage.pool.space".to_owned(),
            fingerprint: String::new(),
        },
        &["storage/nas"],
        99,
    );
    let late = intents.make(Some(store), late, now).unwrap();
    assert!(soon.id.len() == 8 && soon.id != twice.id && soon.id != late.id);

    let again = Intents::default();
    again.restore(store).unwrap();
    assert_eq!(again.all().statements.len(), 3);
    let by = ("berta (uid 1001)", "not needed");
    again.withdraw(Some(store), &twice.id, by, now).unwrap();
    let missing = again.withdraw(Some(store), &twice.id, by, now);
    assert!(matches!(missing, Err(IntentError::NotFound(_))));
    // What has ended has no effect, and is let go of in time.
    let later = now + SignedDuration::from_hours(2);
    assert!(!soon.is_in_effect(later));
    again.end(store, later);
    let again = Intents::default();
    again.restore(store).unwrap();
    let left = again.all().statements;
    assert_eq!(left.len(), 1);
    assert_eq!(left[0], late);
    let events = again.events(store, 10).unwrap();
    let told: Vec<(Became, &str)> = events
        .iter()
        .map(|(_, event)| (event.what, event.by.as_str()))
        .collect();
    assert_eq!(
        told,
        [
            (Became::Ended, ""),
            (Became::Withdrawn, "berta (uid 1001)"),
            (Became::Made, "anna (uid 1000)"),
            (Became::Made, "anna (uid 1000)"),
            (Became::Made, "anna (uid 1000)"),
        ]
    );
    assert_eq!(events[1].1.why, "not needed");
}

#[test]
fn what_stands_in_the_file_is_taken_out_there() {
    let intents = Intents::default();
    let text =
        "[[storages.rotated]]\nstorage = 'usb'\nevery_days = 7\nauthor = 'a'\nreason = 'r'\n";
    intents.declare(Declared::parse(text).unwrap());
    let refused = intents.withdraw(None, "file.storages.rotated.1", ("a", ""), fixture::at());
    assert!(matches!(refused, Err(IntentError::Declared(_))));
    intents.declare(Declared::default());
    assert!(intents.all().statements.is_empty());
}
