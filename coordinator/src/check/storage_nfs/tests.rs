use pvelens_proto::agent::v1::FailureKind;

use super::*;
use crate::check::testing::{Scene, outages::edit};

const ID: &str = "storage.nfs.hang";
const NODE: &str = "node/pve1";

fn set(scene: &mut Scene, state: NetworkMountState) -> &mut NetworkMount {
    let mount = &mut edit(&mut scene.node(0).facts.network_mounts).mounts[0];
    mount.set_state(state);
    mount
}

#[test]
fn a_mount_that_does_not_answer_hangs() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(ID, NODE), "pass");
    set(&mut scene, NetworkMountState::Hanging);
    assert_eq!(scene.judge(ID, NODE), "critical /mnt/pve/nas");
    assert_eq!(scene.judge(ID, "node/pve2"), "pass");
    insta::assert_snapshot!(scene.summary(ID), @"NFS server 10.0.9.1 does not answer pve1: whatever touches /mnt/pve/nas hangs, and so do the disks of 1 guest.");
}

#[test]
fn a_mount_that_was_not_asked_is_unknown_with_the_reason() {
    let mut scene = Scene::healthy();
    set(&mut scene, NetworkMountState::NotAsked);
    assert_eq!(scene.judge(ID, NODE), "unknown");
    scene.fail(
        0,
        "network_mounts",
        "probe cluster: mount_liveness",
        FailureKind::NotFound,
    );
    let said = "probe cluster: mount_liveness: so the test says".to_owned();
    let verdicts = scene.run(ID).verdicts;
    let why = crate::check::Outcome::Unknown(Unknown::Failed(said));
    assert_eq!(verdicts[0].outcome, why);
    set(&mut scene, NetworkMountState::Failed);
    assert_eq!(scene.judge(ID, NODE), "unknown");
}

#[test]
fn other_file_systems_and_other_places_are_not_judged() {
    let mut scene = Scene::healthy();
    set(&mut scene, NetworkMountState::Hanging).filesystem_type = "cifs".to_owned();
    assert_eq!(scene.judge(ID, NODE), "not applicable");
    let mount = set(&mut scene, NetworkMountState::NotAsked);
    mount.filesystem_type = "nfs".to_owned();
    mount.mount_point = "/srv/own".to_owned();
    assert_eq!(scene.judge(ID, NODE), "not applicable");
}

#[test]
fn a_node_that_mounts_nothing_says_so() {
    let mut scene = Scene::healthy();
    let at = scene.at;
    scene.node(0).facts.network_mounts = None;
    assert_eq!(scene.judge(ID, NODE), "unknown");
    scene.node(0).nothing.push(crate::view::Nothing {
        collector: COLLECTOR.into(),
        reason: "no network file system is mounted".into(),
        at,
    });
    assert_eq!(scene.judge(ID, NODE), "not applicable");
}
