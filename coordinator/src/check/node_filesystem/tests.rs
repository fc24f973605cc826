use pvelens_proto::agent::v1::{Filesystem, FilesystemState};

use super::*;
use crate::{check::testing::Scene, windows::Windows};

const SPACE_ID: &str = "node.rootfs.space";
const READ_ONLY_ID: &str = "node.fs.readonly_or_errors";
const NODE: &str = "node/pve1";
const GIB: u64 = 1 << 30;

fn mount(point: &str, total: u64, free: u64) -> Filesystem {
    Filesystem {
        mount_point: point.to_owned(),
        source: "/dev/sdb1".to_owned(),
        filesystem_type: "ext4".to_owned(),
        state: FilesystemState::Measured.into(),
        total_bytes: Some(total),
        used_bytes: Some(total - free),
        available_bytes: Some(free),
        ..Filesystem::default()
    }
}

fn root(total_gib: u64, free_gib: f64) -> Scene {
    let mut scene = Scene::healthy();
    let root = &mut scene.mounts(0)[0];
    root.total_bytes = Some(total_gib * GIB);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "small"
    )]
    let free = (free_gib * GIB as f64) as u64;
    root.available_bytes = Some(free);
    scene
}

#[test]
fn space_must_be_short_in_share_and_bytes() {
    for (total, free, expected) in [
        (100, 18.0, "pass"),
        (100, 15.0, "recovering"),
        (100, 14.9, "warning /"),
        (100, 5.0, "warning /"),
        (100, 4.9, "critical /"),
        // A tenth of a large one is plenty in bytes; a twentieth never is.
        (1000, 90.0, "pass"),
        (1000, 60.0, "recovering"),
        (1000, 20.0, "critical /"),
        // Two gigabytes are the end of a small one.
        (20, 2.0, "warning /"),
        (20, 1.9, "critical /"),
        (8, 2.5, "pass"),
    ] {
        assert_eq!(
            root(total, free).judge(SPACE_ID, NODE),
            expected,
            "{total} {free}"
        );
    }
}

#[test]
fn a_small_boot_file_system_is_judged_by_share() {
    let mut scene = Scene::healthy();
    scene.mounts(0).push(mount("/boot", GIB, GIB / 2));
    assert_eq!(scene.judge(SPACE_ID, NODE), "pass");
    scene.mounts(0).pop();
    scene.mounts(0).push(mount("/boot", GIB, GIB / 25));
    assert_eq!(scene.judge(SPACE_ID, NODE), "critical /boot");
}

#[test]
fn zfs_read_only_and_data_file_systems_are_not_the_systems() {
    let mut scene = root(100, 1.0);
    scene.mounts(0)[0].filesystem_type = "zfs".to_owned();
    assert_eq!(scene.judge(SPACE_ID, NODE), "not applicable");
    let mut scene = Scene::healthy();
    scene.mounts(0).push(mount("/mnt/data", 100 * GIB, 0));
    assert_eq!(scene.judge(SPACE_ID, NODE), "pass");
}

#[test]
fn sizes_must_be_known_and_recent() {
    let mut scene = Scene::healthy();
    scene.mounts(0)[0].available_bytes = None;
    assert_eq!(scene.judge(SPACE_ID, NODE), "unknown");
    let mut scene = root(100, 1.0);
    scene.node(0).facts.filesystems.as_mut().unwrap().at = scene
        .at
        .checked_sub(jiff::SignedDuration::from_mins(4))
        .unwrap();
    assert_eq!(scene.judge(SPACE_ID, NODE), "unknown");
    assert_eq!(scene.judge(READ_ONLY_ID, NODE), "unknown");
}

#[test]
fn a_collector_that_failed_is_named() {
    let mut scene = Scene::healthy();
    scene.node(0).facts.filesystems = None;
    scene.node(0).failures = vec![crate::view::CollectorFailure {
        collector: "filesystem".into(),
        path: "/proc/1/mountinfo".to_owned(),
        kind: pvelens_proto::agent::v1::FailureKind::PermissionDenied,
        detail: "permission denied".to_owned(),
        at: scene.at,
    }];
    let result = scene.run(SPACE_ID);
    assert_eq!(
        result.verdicts[0].outcome,
        crate::check::Outcome::Unknown(Unknown::Failed(
            "/proc/1/mountinfo: permission denied".to_owned()
        ))
    );
}

#[test]
fn a_read_only_root_is_found() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(READ_ONLY_ID, NODE), "pass");
    scene.mounts(0)[0].read_only = true;
    assert_eq!(scene.judge(READ_ONLY_ID, NODE), "critical /");
}

#[test]
fn a_read_only_mount_counts_when_a_storage_writes_there() {
    let mut scene = Scene::healthy();
    let read_only = Filesystem {
        read_only: true,
        ..mount("/mnt/data", 9 * GIB, GIB)
    };
    scene.mounts(0).push(read_only);
    assert_eq!(scene.judge(READ_ONLY_ID, NODE), "pass");
    scene.storage(0).path = "/mnt/data/vm".to_owned();
    assert_eq!(scene.judge(READ_ONLY_ID, NODE), "critical /mnt/data");
    scene.storage(0).content = vec!["iso".to_owned()];
    assert_eq!(scene.judge(READ_ONLY_ID, NODE), "pass");
}

#[test]
fn paths_are_compared_by_whole_names() {
    assert!(is_below("/mnt/a", "/mnt/a"));
    assert!(is_below("/mnt/a/b", "/mnt/a"));
    assert!(!is_below("/mnt/ab", "/mnt/a"));
    assert!(is_below("/mnt/ab", "/"));
}

/// The root file system grows by 1/1024 in each step: a day of them is 288 GiB.
fn growing(free_gib: f64, steps: u16) -> Scene {
    let mut scene = root(1024, free_gib);
    scene.windows = Windows::read_at(scene.at);
    let node = scene.view.nodes[0].key;
    let level = |step| (step, f64::from(step) / 1024.0);
    scene.course(node, "/", (72 - steps..72).map(level));
    scene
}

#[test]
fn what_will_be_full_within_a_day_is_found() {
    for (free, expected) in [
        (287.0, "warning /"),
        (288.0, "recovering"),
        (345.0, "recovering"),
        (346.0, "pass"),
        // What is short now is one finding.
        (40.0, "critical /"),
    ] {
        let scene = growing(free, 72);
        assert_eq!(scene.judge(SPACE_ID, NODE), expected, "{free}");
    }
    insta::assert_snapshot!(growing(100.0, 72).summary(SPACE_ID), @"File system / of pve1 will be full in 8 h if it goes on as in the last 6 hours: 100.0 GiB are left (9.8 %).");
}

#[test]
fn too_little_of_the_hours_before_is_unknown_where_it_matters() {
    for (free, expected) in [
        (287.0, "unknown"),
        (441.0, "pass"),
        (40.0, "critical /, unknown"),
    ] {
        let mut scene = growing(free, 40);
        if free < 50.0 {
            scene.mounts(0).push(mount("/var", 1024 * GIB, 100 * GIB));
        }
        assert_eq!(scene.judge(SPACE_ID, NODE), expected, "{free}");
    }
    // Without a store it is as short as it is.
    let mut scene = growing(287.0, 72);
    scene.windows = Windows::default();
    assert_eq!(scene.judge(SPACE_ID, NODE), "pass");
}
