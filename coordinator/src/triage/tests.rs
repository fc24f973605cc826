//! The page holds its limits whatever it is given.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;

use super::{
    Event, Source, State, Triage, Trouble,
    onset::Since,
    render::{LINES, text},
    words,
};
use crate::{check::CHECKS, finding::Severity};

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_600_000 + seconds).unwrap()
}

fn trouble() -> impl Strategy<Value = Trouble> {
    let check = prop_oneof![
        (0..CHECKS.len()).prop_map(|index| CHECKS[index].id.to_owned()),
        any::<String>(),
    ];
    let severity = prop_oneof![Just(Severity::Critical), Just(Severity::Warning)];
    let since = prop_oneof![
        Just(Since::default()),
        (-1_000_000..1_000_i64).prop_map(|seconds| Since::at(at(seconds))),
    ];
    (
        check,
        severity,
        any::<String>(),
        ".{0,400}",
        since,
        ".{0,300}",
    )
        .prop_map(|(check, severity, subject, what, since, impact)| Trouble {
            check,
            severity,
            subject,
            what,
            since,
            impact,
        })
}

fn lines() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(prop_oneof![any::<String>(), ".{0,300}"], 0..12)
}

fn page() -> impl Strategy<Value = Triage> {
    let event = (-900_000..0_i64, any::<String>());
    let event = event.prop_map(|(seconds, what)| Event {
        at: at(seconds),
        what,
    });
    let state = prop_oneof![Just(State::Fine), Just(State::Unknown), Just(State::Broken)];
    (
        any::<String>(),
        state,
        prop::collection::vec(trouble(), 0..12),
        prop::collection::vec(event, 0..12),
        (lines(), lines(), lines(), lines()),
    )
        .prop_map(|(node, state, troubles, timeline, lists)| Triage {
            node,
            at: at(0),
            state,
            source: Source::Agent {
                history_seconds: 3600,
            },
            troubles,
            timeline,
            still_works: lists.0,
            do_not: lists.1,
            look_next: lists.2,
            not_seen: lists.3,
            findings: Vec::new(),
        })
}

proptest! {
    #[test]
    fn the_page_has_its_limits_and_nothing_reaches_the_terminal(triage in page()) {
        let shown = text(&triage, false);
        prop_assert!(!shown.is_empty() && shown.ends_with('\n'));
        prop_assert!(shown.lines().count() <= LINES, "{shown}");
        for line in shown.lines() {
            prop_assert!(words::columns(line) <= words::COLUMNS, "{line}");
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
        }
        // Colours are ours, and carry nothing.
        let colored = text(&triage, true);
        prop_assert_eq!(plain(&colored), shown);
    }

    #[test]
    fn the_first_words_are_the_worst_trouble(mut triage in page()) {
        super::advice::sort(&mut triage.troubles);
        let shown = text(&triage, false);
        let worst = triage.troubles.iter().map(|trouble| trouble.severity).max();
        let begins = match worst {
            Some(Severity::Critical) => "BROKEN",
            Some(_) => "WARNING",
            None if triage.state == State::Unknown => "UNKNOWN",
            None => "FINE",
        };
        prop_assert!(shown.starts_with(begins), "{shown}");
    }
}

fn plain(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\x1b') {
        plain.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    plain + rest
}

#[test]
fn times_of_other_days_have_their_date() {
    let now = at(0);
    assert_eq!(words::time(now, now), "09:46:40");
    let earlier = now - SignedDuration::from_hours(30);
    assert_eq!(words::time(earlier, now), "Nov 24 03:46");
    assert_eq!(
        words::time_and_age(at(-75), now),
        "09:45:25 UTC (1 min ago)"
    );
}

#[test]
fn a_list_names_the_first_and_counts_the_rest() {
    let names: Vec<String> = ["a", "b", "c"]
        .iter()
        .map(|name| (*name).to_owned())
        .collect();
    assert_eq!(words::list(&names, 3), "a, b and c");
    assert_eq!(words::list(&names, 2), "a, b and 1 more");
    assert_eq!(words::list(&names[..1], 2), "a");
    assert_eq!(words::list(&[], 2), "");
}
