use crate::check::{
    Outcome,
    testing::{Scene, outages::edit},
};

const ID: &str = "ha.service.error";

fn scene(state: &str) -> Scene {
    let mut scene = Scene::healthy();
    scene.ha(|_, all| all.services[0].state = state.to_owned());
    scene
}

fn hold_seconds(scene: &Scene) -> Option<u64> {
    let verdicts = scene.run(ID).verdicts;
    verdicts.iter().find_map(|verdict| match &verdict.outcome {
        Outcome::Fail(failure) => Some(failure.hold.map_or(0, |hold| hold.as_secs())),
        _ => None,
    })
}

#[test]
fn a_guest_in_error_is_reported_at_once_and_others_are_not() {
    let scene = scene("error");
    assert_eq!(scene.judge(ID, "guest/100"), "critical");
    assert_eq!(scene.judge(ID, "guest/101"), "pass");
    assert_eq!(hold_seconds(&scene), Some(0));
    insta::assert_snapshot!(scene.summary(ID), @"High availability has given up VM 100 (web) on pve1: it is in the state error and is not touched any more.");
}

#[test]
fn recovery_and_fencing_may_take_five_minutes_and_a_freeze_fifteen() {
    for (state, severity, hold) in [
        ("recovery", "critical", 300),
        ("fence", "critical", 300),
        ("freeze", "warning", 900),
    ] {
        let scene = scene(state);
        assert_eq!(scene.judge(ID, "guest/100"), severity);
        assert_eq!(hold_seconds(&scene), Some(hold), "{state}");
    }
    for state in ["started", "stopped", "migrate", "request_stop"] {
        assert_eq!(scene(state).judge(ID, "guest/100"), "pass", "{state}");
    }
}

#[test]
fn a_freeze_while_the_node_restarts_is_meant() {
    let mut scene = Scene::healthy();
    scene.ha(|_, all| {
        all.services[0].state = "freeze".to_owned();
        all.local_managers[0].mode = "restart".to_owned();
    });
    assert_eq!(scene.judge(ID, "guest/100"), "not applicable");
    let mut scene = self::scene("freeze");
    let booted = pvelens_proto::timestamp_from_millis(scene.at.as_millisecond() - 300_000);
    edit(&mut scene.node(0).facts.cpu).boot_time = Some(booted);
    assert_eq!(scene.judge(ID, "guest/100"), "not applicable");
}

#[test]
fn what_a_silent_master_wrote_proves_nothing_good() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(ID, "guest/100"), "not applicable");
    let old = pvelens_proto::timestamp_from_millis(scene.at.as_millisecond() - 300_000);
    scene.ha(|_, all| {
        all.master_at = Some(old);
        all.services[1].state = "error".to_owned();
    });
    assert_eq!(scene.judge(ID, "guest/100"), "unknown");
    assert_eq!(scene.judge(ID, "guest/101"), "critical");
}
