use crate::{
    check::testing::Scene, history::ObjectKey, metric::Metric::UsedRatio, view::StorageStatus,
};

const ID: &str = "storage.pool.space";
/// Series of the storages on pve1.
const NAS: u32 = 20;
const LOCAL: u32 = 30;

fn used(scene: &mut Scene, storage: usize, share: f64) {
    for on in &mut scene.view.storages[storage].nodes {
        on.total_bytes = Some(1_000_000);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "small"
        )]
        let used = (share * 1e6) as u64;
        on.used_bytes = Some(used);
    }
}

/// Gives the storage `local` of the first node a file system of its own.
fn mount_local(scene: &mut Scene) {
    let mut own = scene.mounts(0)[0].clone();
    "/mnt/data".clone_into(&mut own.mount_point);
    scene.mounts(0).push(own);
    "/mnt/data".clone_into(&mut scene.storage(0).path);
}

#[test]
fn a_storage_is_nearly_full_after_ten_minutes() {
    for (share, expected) in [
        (0.79, "pass"),
        (0.80, "recovering"),
        (0.85, "recovering"),
        (0.86, "warning"),
        (0.95, "warning"),
        (0.96, "critical"),
    ] {
        let mut scene = Scene::healthy();
        for key in NAS..NAS + 3 {
            scene.set(key, UsedRatio, share, 32);
        }
        used(&mut scene, 1, share);
        mount_local(&mut scene);
        assert_eq!(scene.judge(ID, "storage/nas"), expected, "{share}");
        assert_eq!(scene.judge(ID, "storage/local@pve1"), "pass");
    }
}

#[test]
fn filling_up_for_a_moment_is_no_warning() {
    let mut scene = Scene::healthy();
    mount_local(&mut scene);
    scene.record(ObjectKey(LOCAL), UsedRatio, "", 3, 0.99);
    used(&mut scene, 0, 0.9);
    assert_eq!(scene.judge(ID, "storage/local@pve1"), "recovering");
    used(&mut scene, 0, 0.96);
    assert_eq!(scene.judge(ID, "storage/local@pve1"), "critical");
}

#[test]
fn a_directory_on_a_system_file_system_is_judged_with_its_node() {
    let mut scene = Scene::healthy();
    used(&mut scene, 0, 0.99);
    assert_eq!(scene.judge(ID, "storage/local@pve1"), "not applicable");
    // Unless the node's own check does not look at it.
    scene.mounts(0)[0].read_only = true;
    assert_eq!(scene.judge(ID, "storage/local@pve1"), "critical");
}

#[test]
fn one_covered_node_is_enough_for_a_shared_storage() {
    let mut scene = Scene::healthy();
    scene.set(NAS, UsedRatio, f64::NAN, 1);
    assert_eq!(scene.judge(ID, "storage/nas"), "pass");
    scene.set(NAS + 1, UsedRatio, f64::NAN, 1);
    scene.set(NAS + 2, UsedRatio, f64::NAN, 1);
    assert_eq!(scene.judge(ID, "storage/nas"), "unknown");
}

#[test]
fn sizes_must_be_known() {
    let mut scene = Scene::healthy();
    for on in &mut scene.view.storages[1].nodes {
        on.status = StorageStatus::Unknown;
    }
    assert_eq!(scene.judge(ID, "storage/nas"), "unknown");
    for on in &mut scene.view.storages[1].nodes {
        on.status = StorageStatus::Active;
        on.total_bytes = None;
    }
    assert_eq!(scene.judge(ID, "storage/nas"), "not applicable");
    scene.storage(0).disabled = true;
    assert_eq!(scene.judge(ID, "storage/local@pve1"), "not applicable");
}

#[test]
fn two_entries_of_one_backing_store_are_one_finding() {
    let mut scene = Scene::healthy();
    let mut alias = scene.view.storages[1].clone();
    alias.name = "nas2".into();
    scene.view.storages.push(alias);
    scene.view.clusters[0].storages = 0..3;
    for storage in [1, 2] {
        scene.storage(storage).server = "10.0.0.9".to_owned();
        scene.storage(storage).target = "/export".to_owned();
    }
    assert_eq!(scene.judge(ID, "storage/nas"), "pass");
    assert_eq!(scene.judge(ID, "storage/nas2"), "not applicable");
    scene.storage(2).target = "/other".to_owned();
    assert_eq!(scene.judge(ID, "storage/nas2"), "pass");
}
