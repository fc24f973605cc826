use crate::{
    check::{Outcome, testing::Scene},
    view::GuestStatus,
};

const ID: &str = "guest.state.io_error";
const VM: &str = "guest/100";

fn state(state: &str) -> Scene {
    let mut scene = Scene::healthy();
    scene.view.guests[0].status = GuestStatus::Other(state.into());
    scene
}

#[test]
fn states_that_need_a_person_are_found() {
    for (word, expected) in [
        ("io-error", "critical"),
        ("internal-error", "critical"),
        ("guest-panicked", "critical"),
        ("paused", "warning"),
        ("prelaunch", "pass"),
    ] {
        assert_eq!(state(word).judge(ID, VM), expected, "{word}");
    }
    assert_eq!(Scene::healthy().judge(ID, VM), "pass");
    assert_eq!(Scene::healthy().judge(ID, "guest/101"), "not applicable");
}

#[test]
fn a_pause_must_last_half_an_hour() {
    let result = state("paused").run(ID);
    let Outcome::Fail(failure) = &result.verdicts[0].outcome else {
        panic!("{result:?}");
    };
    assert_eq!(failure.hold, Some(std::time::Duration::from_secs(1800)));
}

#[test]
fn an_operation_that_holds_the_guest_explains_it() {
    let mut scene = state("paused");
    scene.settings(0).lock = "backup".to_owned();
    assert_eq!(scene.judge(ID, VM), "not applicable");
}

#[test]
fn the_state_must_be_known_and_recent() {
    let mut scene = state("io-error");
    scene.view.guests[0].figures.at = Some(scene.minutes_ago(4));
    assert_eq!(scene.judge(ID, VM), "unknown");
    scene.view.guests[0].figures.at = Some(scene.at);
    scene.view.guests[0].status = GuestStatus::Unknown;
    assert_eq!(scene.judge(ID, VM), "unknown");
    scene.view.guests[0].status = GuestStatus::Stopped;
    assert_eq!(scene.judge(ID, VM), "not applicable");
    scene.view.guests[0].figures.at = None;
    assert_eq!(scene.judge(ID, VM), "not applicable");
    scene.view.guests[0].template = true;
    assert_eq!(scene.judge(ID, VM), "not applicable");
}
