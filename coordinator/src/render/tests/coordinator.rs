//! What operators and administrators are shown.

use jiff::SignedDuration;

use super::*;
use crate::{
    answer::{Access, Recheck, recheck, recheck_scope},
    finding::lifecycle::recheck::{Outcome, Rechecked},
    grpc::Role,
    log::{Level, LevelState},
    view::fixture,
};

/// One finding per outcome, and many that fail.
fn rechecked(failing: usize) -> Recheck {
    let current = broken();
    let outcomes = [
        Outcome::Resolved,
        Outcome::Recovering,
        Outcome::Event,
        Outcome::NotReadSince,
        Outcome::Unknown,
    ];
    let told: Vec<Rechecked> = outcomes
        .into_iter()
        .chain(std::iter::repeat_n(Outcome::Failing, failing))
        .zip(current.findings.iter().cycle())
        .map(|(outcome, finding)| Rechecked {
            outcome,
            finding: finding.clone(),
        })
        .collect();
    let scope = recheck_scope(&current, "", None, "").unwrap();
    recheck(&current, &scope, &told)
}

#[test]
fn a_recheck_says_what_is_over_and_why_the_rest_is_not() {
    insta::assert_snapshot!("recheck", both_forms(&rechecked(1)));
}

#[test]
fn a_recheck_of_everything_stays_readable() {
    let answer = rechecked(5000);
    assert_eq!(
        (answer.resolved, answer.failing, answer.undecided),
        (1, 5000, 4)
    );
    assert_eq!(answer.findings.len(), 200);
    let text = text_at(&answer, 100);
    assert!(text.lines().count() < 100, "{text}");
    assert!(text.contains("5000 still fail"), "{text}");
}

#[test]
fn access_and_log_level_look_like_this() {
    let access = Access {
        role: Role::Operator,
        methods: vec!["pvelens.v1.FindingService/Recheck".to_owned()],
        version: "1.2.3".to_owned(),
        started_at: fixture::at(),
    };
    insta::assert_snapshot!("access", both_forms(&access));
    let state = LevelState {
        level: Level::Debug,
        configured: Level::Info,
        reverts_at: Some(fixture::at() + SignedDuration::from_mins(10)),
    };
    insta::assert_snapshot!("log_level", both_forms(&state));
}
