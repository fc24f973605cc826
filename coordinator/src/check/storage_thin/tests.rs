use pvelens_proto::agent::v1::{self as wire, FailureKind};

use super::*;
use crate::{
    check::testing::{Scene, outages::edit},
    history::ObjectKey,
    view::{ClusterIndex, Nothing},
    windows::Windows,
};

const DATA: &str = "storage.lvmthin.data_full";
const METADATA: &str = "storage.lvmthin.metadata_full";
const CHECK: &str = "storage.lvmthin.needs_check";
const NODE: &str = "node/pve1";

fn pool(scene: &mut Scene) -> &mut wire::LogicalVolume {
    &mut edit(&mut scene.node(0).facts.lvm).logical_volumes[0]
}

fn filled(data: f64, metadata: f64) -> Scene {
    let mut scene = Scene::healthy();
    let pool = pool(&mut scene);
    pool.data_ratio = Some(data);
    pool.thin_pool.as_mut().unwrap().metadata_ratio = Some(metadata);
    scene
}

#[test]
fn data_has_two_levels_and_one_that_clears() {
    for (used, verdict) in [
        (0.74, "pass"),
        (0.76, "recovering"),
        (0.80, "recovering"),
        (0.81, "warning pve/data"),
        (0.90, "warning pve/data"),
        (0.91, "critical pve/data"),
        (1.0, "critical pve/data"),
    ] {
        assert_eq!(filled(used, 0.1).judge(DATA, NODE), verdict, "{used}");
    }
    insta::assert_snapshot!(filled(0.93, 0.1).summary(DATA), @"Thin pool pve/data of pve1 is 93 % full.");
    insta::assert_snapshot!(filled(1.0, 0.1).summary(DATA), @"Thin pool pve/data of pve1 is full: its guests get write errors.");
}

#[test]
fn metadata_has_levels_of_its_own() {
    for (used, verdict) in [
        (0.64, "pass"),
        (0.66, "recovering"),
        (0.71, "warning pve/data"),
        (0.86, "critical pve/data"),
    ] {
        assert_eq!(filled(0.1, used).judge(METADATA, NODE), verdict, "{used}");
    }
    insta::assert_snapshot!(filled(0.1, 0.9).summary(METADATA), @"The metadata of thin pool pve/data of pve1 is 90 % full.");
}

#[test]
fn a_warning_must_hold_and_a_critical_fill_must_not() {
    let hold = |used| {
        let verdicts = filled(used, 0.1).run(DATA).verdicts;
        verdicts
            .into_iter()
            .find_map(|verdict| match verdict.outcome {
                crate::check::Outcome::Fail(failure) => failure.hold,
                _ => None,
            })
    };
    assert_eq!(hold(0.85), Some(Duration::from_secs(300)));
    assert_eq!(hold(0.95), Some(Duration::ZERO));
}

#[test]
fn every_flag_of_the_kernel_and_of_lvm_is_a_pool_that_stopped() {
    let changes: [fn(&mut wire::LogicalVolume); 8] = [
        |pool| pool.set_state(LogicalVolumeState::CheckNeeded),
        |pool| pool.set_health(Health::Failed),
        |pool| pool.set_health(Health::MetadataReadOnly),
        |pool| pool.set_health(Health::OutOfDataSpace),
        |pool| status(pool).needs_check = true,
        |pool| status(pool).set_mode(ThinPoolMode::ReadOnly),
        |pool| status(pool).set_mode(ThinPoolMode::OutOfDataSpace),
        |pool| status(pool).set_mode(ThinPoolMode::Failed),
    ];
    assert_eq!(Scene::healthy().judge(CHECK, NODE), "pass");
    for (number, change) in changes.into_iter().enumerate() {
        let mut scene = Scene::healthy();
        change(pool(&mut scene));
        assert_eq!(scene.judge(CHECK, NODE), "critical pve/data", "{number}");
    }
}

fn status(pool: &mut wire::LogicalVolume) -> &mut wire::ThinPoolStatus {
    pool.thin_pool.as_mut().unwrap().status.as_mut().unwrap()
}

#[test]
fn what_the_tool_does_not_say_is_unknown() {
    let mut scene = Scene::healthy();
    let pool = pool(&mut scene);
    (pool.data_ratio, pool.thin_pool) = (None, None);
    pool.set_health(Health::Unspecified);
    for check in [DATA, METADATA, CHECK] {
        assert_eq!(scene.judge(check, NODE), "unknown", "{check}");
    }
    edit(&mut scene.node(0).facts.lvm).logical_volumes.clear();
    assert_eq!(scene.judge(DATA, NODE), "not applicable");
    scene.fail(0, "lvm", "probe disk: lvs", FailureKind::TimedOut);
    assert_eq!(scene.judge(DATA, NODE), "unknown");
}

#[test]
fn without_lvm_there_is_no_pool_unless_a_storage_needs_one() {
    let mut scene = Scene::healthy();
    let at = scene.at;
    scene.node(0).facts.lvm = None;
    assert_eq!(scene.judge(DATA, NODE), "unknown");
    scene.node(0).nothing.push(Nothing {
        collector: "lvm".into(),
        reason: "no LVM volume group".into(),
        at,
    });
    assert_eq!(scene.judge(DATA, NODE), "not applicable");
    scene.storage(0).storage_type = "lvmthin".to_owned();
    assert_eq!(scene.judge(DATA, NODE), "unknown");
    let subject = scene.view.find_subject(ClusterIndex(0), NODE).unwrap();
    let results = scene.run(DATA);
    let why = Unknown::Failed("no LVM volume group".to_owned());
    assert_eq!(
        results.of(subject)[0].outcome,
        crate::check::Outcome::Unknown(why)
    );
}

/// A pool that a storage shows, growing by 1/1024 in each step.
fn growing(used: f64, steps: u16) -> Scene {
    let mut scene = filled(used, 0.1);
    let storage = local_pool(&mut scene);
    scene.windows = Windows::read_at(scene.at);
    let level = |step| (step, f64::from(step) / 1024.0);
    scene.course(storage, "", (72 - steps..72).map(level));
    scene
}

/// Makes a storage of the first node the pool.
fn local_pool(scene: &mut Scene) -> ObjectKey {
    let index = scene.view.storages.iter().position(|storage| {
        !storage.entry.shared && storage.nodes.iter().any(|on| on.node == NodeIndex(0))
    });
    let index = index.unwrap();
    let entry = scene.storage(index);
    entry.storage_type = "lvmthin".to_owned();
    entry.target = "pve/data".to_owned();
    let nodes = &scene.view.storages[index].nodes;
    let on = nodes.iter().find(|on| on.node == NodeIndex(0));
    on.unwrap().key
}

#[test]
fn a_pool_that_will_be_full_within_a_day_is_found() {
    for (free, verdict) in [
        (0.281, "warning pve/data"),
        (0.28125, "recovering"),
        (0.339, "pass"),
        (0.19, "warning pve/data"),
        (0.09, "critical pve/data"),
    ] {
        assert_eq!(growing(1.0 - free, 72).judge(DATA, NODE), verdict, "{free}");
    }
    insta::assert_snapshot!(growing(0.75, 72).summary(DATA), @"Thin pool pve/data of pve1 will be full in 21 h if it goes on as in the last 6 hours: it is 75 % full.");
}

#[test]
fn too_little_of_the_hours_before_is_unknown_where_a_storage_shows_the_pool() {
    assert_eq!(growing(0.7, 40).judge(DATA, NODE), "unknown");
    assert_eq!(growing(0.5, 40).judge(DATA, NODE), "pass");
    assert_eq!(growing(0.81, 40).judge(DATA, NODE), "warning pve/data");
    // Nothing measures a pool that no storage shows.
    let mut scene = growing(0.7, 40);
    for storage in 0..scene.view.storages.len() {
        scene.storage(storage).target.clear();
    }
    assert_eq!(scene.judge(DATA, NODE), "pass");
}
