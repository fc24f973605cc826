use crate::{
    check::testing::Scene,
    view::{StorageStatus, StorageStatus::*},
};

const INACTIVE: &str = "storage.pool.inactive";
const SOME: &str = "storage.pool.inactive_on_some_nodes";
const LOCAL: usize = 0;
const NAS: usize = 1;

fn states(storage: usize, states: [StorageStatus; 3]) -> Scene {
    let mut scene = Scene::healthy();
    for (on, state) in scene.view.storages[storage].nodes.iter_mut().zip(states) {
        on.status = state;
    }
    scene
}

#[test]
fn a_shared_storage_is_one_thing() {
    for (seen, inactive, some) in [
        ([Active, Active, Active], "pass", "pass"),
        ([Active, Inactive, Active], "pass", "warning"),
        ([Inactive, Inactive, Inactive], "critical", "not applicable"),
        ([Inactive, Unknown, Unknown], "critical", "not applicable"),
        ([Active, Unknown, Active], "pass", "unknown"),
        ([Unknown, Unknown, Unknown], "unknown", "unknown"),
    ] {
        let scene = states(NAS, seen);
        assert_eq!(scene.judge(INACTIVE, "storage/nas"), inactive, "{seen:?}");
        assert_eq!(scene.judge(SOME, "storage/nas"), some, "{seen:?}");
    }
}

#[test]
fn what_is_not_known_is_said() {
    let scene = states(NAS, [Inactive, Unknown, Inactive]);
    assert_eq!(
        scene.summary(INACTIVE),
        "Storage nas cannot be used on pve1 and pve3; nothing is known of pve2."
    );
}

#[test]
fn media_are_no_outage_and_a_disabled_storage_is_meant_to_be_off() {
    let mut scene = states(NAS, [Inactive; 3]);
    scene.storage(NAS).content = vec!["iso".to_owned(), "vztmpl".to_owned()];
    assert_eq!(scene.judge(INACTIVE, "storage/nas"), "warning");
    scene.storage(NAS).disabled = true;
    assert_eq!(scene.judge(INACTIVE, "storage/nas"), "not applicable");
    assert_eq!(scene.judge(SOME, "storage/nas"), "not applicable");
}

#[test]
fn a_local_storage_in_use_is_an_outage_of_its_node() {
    let mut scene = states(LOCAL, [Inactive, Active, Inactive]);
    scene.settings(0).volumes[0].storage = "local".to_owned();
    assert_eq!(scene.judge(INACTIVE, "storage/local@pve1"), "critical");
    assert_eq!(scene.judge(INACTIVE, "storage/local@pve2"), "pass");
    // Nothing uses it on pve3: perhaps it was never made there.
    assert_eq!(
        scene.judge(INACTIVE, "storage/local@pve3"),
        "not applicable"
    );
    assert_eq!(scene.judge(SOME, "storage/local"), "warning");
    scene.storage(LOCAL).storage_type = "zfspool".to_owned();
    assert_eq!(scene.judge(SOME, "storage/local"), "info");
}

#[test]
fn a_silent_or_missing_node_says_nothing() {
    let mut scene = states(NAS, [Active, Inactive, Active]);
    scene.silence(1, 9);
    assert_eq!(scene.judge(SOME, "storage/nas"), "unknown");
    let mut scene = states(NAS, [Active, Inactive, Active]);
    scene.node(1).status = crate::view::NodeStatus::Offline;
    assert_eq!(scene.judge(SOME, "storage/nas"), "unknown");
    let mut scene = states(LOCAL, [Active; 3]);
    let old = scene.minutes_ago(4);
    scene.view.storages[LOCAL].nodes[0].at = Some(old);
    assert_eq!(scene.judge(INACTIVE, "storage/local@pve1"), "unknown");
    scene.view.storages[LOCAL].nodes.truncate(1);
    assert_eq!(scene.judge(SOME, "storage/local"), "not applicable");
}
