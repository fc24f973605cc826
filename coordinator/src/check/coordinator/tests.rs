use crate::{
    check::testing::Scene,
    port::{Refused, Tried},
    store::{Condition, Replaced, StoreError},
    view::NodeStatus,
};

const HEARTBEAT: &str = "observability.coordinator_heartbeat";
const STALE: &str = "cluster.agent.stale_report";

fn silent(minutes: [i64; 3]) -> Scene {
    let mut scene = Scene::healthy();
    for (node, minutes) in minutes.into_iter().enumerate() {
        scene.silence(node, minutes);
        scene.node(node).status = NodeStatus::Unknown;
    }
    scene
}

#[test]
fn all_agents_silent_at_once_is_the_coordinators_own_trouble() {
    let scene = silent([5, 5, 4]);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "critical");
    let summary = scene.summary(HEARTBEAT);
    assert!(summary.starts_with("This coordinator lost all 3 agents at once: its own network"));
    for node in ["node/pve1", "node/pve2", "node/pve3"] {
        assert_eq!(scene.judge(STALE, node), "unknown");
    }
}

#[test]
fn agents_that_fall_silent_one_after_the_other_are_judged_each() {
    let scene = silent([9, 7, 4]);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "pass");
    assert_eq!(scene.judge(STALE, "node/pve1"), "warning");
}

#[test]
fn one_that_was_silent_before_does_not_hide_it_and_one_that_speaks_does() {
    let mut scene = silent([5, 5, 5]);
    scene.silence(2, 0);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "pass");
    assert_eq!(scene.judge(STALE, "node/pve1"), "warning");
    // With two agents there is nothing to compare.
    scene.node(2).agent = None;
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "not applicable");
}

#[test]
fn clocks_that_all_differ_from_the_coordinators_show_that_its_own_is_wrong() {
    for (offsets, expected) in [
        ([86_400.0, 86_400.5, 86_399.0], "warning clock, pass"),
        ([-90.0, -91.0, -90.0], "warning clock, pass"),
        ([90.0, 90.0, 0.0], "pass"),
        ([3.0, 3.0, 3.0], "pass"),
    ] {
        let mut scene = Scene::healthy();
        for (node, offset) in offsets.into_iter().enumerate() {
            scene
                .node(node)
                .agent
                .as_mut()
                .unwrap()
                .clock_offset_seconds = Some(offset);
        }
        assert_eq!(scene.judge(HEARTBEAT, "cluster"), expected, "{offsets:?}");
    }
}

#[test]
fn whoever_was_refused_is_told_by_what_they_tried_also_beside_few_agents() {
    let mut scene = Scene::healthy();
    let refused = |tried, times, why: &str| Refused {
        tried,
        times,
        first_at: scene.at,
        last_at: scene.at,
        peer: (tried != Tried::Noise).then(|| [192, 0, 2, 7].into()),
        why: why.to_owned(),
    };
    scene.refused = vec![
        refused(Tried::Token, 2, "the token \u{1b}[31mwas used already"),
        refused(Tried::Revoked, 1, "it was revoked"),
        refused(Tried::Noise, 90, "they came too often"),
    ];
    let judged = scene.judge(HEARTBEAT, "cluster");
    assert_eq!(judged, "warning token, warning revoked, info noise, pass");
    let summary = scene.summary(HEARTBEAT);
    assert!(
        summary.ends_with(
            "nobody in: 2 times, last from 192.0.2.7: the token \u{fffd}[31mwas used already."
        ),
        "{summary}"
    );
    scene.node(1).agent = None;
    scene.node(2).agent = None;
    assert!(
        scene
            .judge(HEARTBEAT, "cluster")
            .starts_with("warning token")
    );
}

#[test]
fn a_store_that_takes_nothing_is_told_once_it_is_no_moment() {
    let mut scene = Scene::healthy();
    let failing = |error: StoreError, minutes: i64| Condition {
        failing: Some((error, scene.at - jiff::SignedDuration::from_mins(minutes))),
        lost_values: 7,
        ..Condition::default()
    };
    let (moment, full) = (failing(StoreError::Full, 1), failing(StoreError::Full, 3));
    scene.store = Some(moment);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "pass");
    scene.store = Some(full);
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "warning store, pass");
    let summary = scene.summary(HEARTBEAT);
    assert!(
        summary.starts_with("The disk of the coordinator's store is full since ")
            && summary.ends_with("7 values are lost so far."),
        "{summary}"
    );
}

#[test]
fn the_gap_of_a_damaged_store_is_named() {
    let mut scene = Scene::healthy();
    let (before, at) = (
        scene.at - jiff::SignedDuration::from_hours(5),
        scene.at - jiff::SignedDuration::from_hours(1),
    );
    scene.store = Some(Condition {
        replaced: Some(Replaced {
            at,
            set_aside: "/var/lib/pvelens/pvelens.db.damaged".into(),
            why: "malformed \u{1b}[31m".to_owned(),
            backup: Some(("/var/lib/pvelens/backups/a.db".into(), before)),
        }),
        ..Condition::default()
    });
    assert_eq!(
        scene.judge(HEARTBEAT, "cluster"),
        "warning store damaged, pass"
    );
    let summary = scene.summary(HEARTBEAT);
    let gap = format!(
        "what was kept from {} to {} is missing.",
        before.strftime("%Y-%m-%d %H:%M"),
        at.strftime("%Y-%m-%d %H:%M UTC")
    );
    assert!(summary.ends_with(&gap), "{summary}");
}

#[test]
fn values_that_went_before_their_time_are_told() {
    let mut scene = Scene::healthy();
    scene.store = Some(Condition {
        shortened_to: Some(scene.at),
        ..Condition::default()
    });
    assert_eq!(scene.judge(HEARTBEAT, "cluster"), "info store short, pass");
}
