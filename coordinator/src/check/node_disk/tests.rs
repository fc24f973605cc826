use pvelens_proto::agent::v1::{Disk, DiskKind};

use crate::{check::testing::Scene, history::ObjectKey, metric::Metric::*};

const ID: &str = "node.disk.latency_high";
const NODE: &str = "node/pve1";

fn disk(name: &str, kind: DiskKind, rotational: bool, latency: f64) -> Scene {
    let mut scene = Scene::healthy();
    let disks = scene.node(0).facts.disks.as_mut().unwrap();
    std::sync::Arc::make_mut(&mut disks.value).disks = vec![Disk {
        name: name.to_owned(),
        kind: kind.into(),
        rotational: Some(rotational),
        ..Disk::default()
    }];
    scene.record(ObjectKey(0), DiskLatencySeconds, name, 20, latency);
    scene
}

#[test]
fn each_kind_of_disk_has_its_own_level() {
    for (name, kind, rotational, latency, expected) in [
        ("nvme0n1", DiskKind::Drive, false, 0.002, "pass"),
        ("nvme0n1", DiskKind::Drive, false, 0.005, "recovering"),
        ("nvme0n1", DiskKind::Drive, false, 0.006, "warning nvme0n1"),
        ("nvme0n1", DiskKind::Drive, false, 0.021, "critical nvme0n1"),
        ("sda", DiskKind::Drive, false, 0.020, "recovering"),
        ("sda", DiskKind::Drive, false, 0.021, "warning sda"),
        ("sda", DiskKind::Drive, true, 0.030, "pass"),
        ("sda", DiskKind::Drive, true, 0.061, "warning sda"),
        ("rbd0", DiskKind::Network, false, 0.051, "warning rbd0"),
        ("dm-0", DiskKind::DeviceMapper, false, 9.0, "pass"),
    ] {
        let scene = disk(name, kind, rotational, latency);
        assert_eq!(scene.judge(ID, NODE), expected, "{name} {latency}");
    }
}

#[test]
fn an_idle_disk_passes_and_an_unmeasured_node_is_unknown() {
    let scene = Scene::healthy();
    assert_eq!(scene.judge(ID, NODE), "pass");
    let scene = scene.with(0, CpuRatio, f64::NAN);
    assert_eq!(scene.judge(ID, NODE), "unknown");
    let mut scene = Scene::healthy();
    scene.node(0).facts.disks = None;
    assert_eq!(scene.judge(ID, NODE), "unknown");
}

#[test]
fn a_short_burst_is_not_slow() {
    let mut scene = disk("sda", DiskKind::Drive, false, 0.001);
    scene.record(ObjectKey(0), DiskLatencySeconds, "sda", 3, 0.9);
    assert_ne!(scene.judge(ID, NODE), "pass");
    let mut scene = Scene::healthy();
    scene.record(ObjectKey(0), DiskLatencySeconds, "sda", 3, 0.9);
    assert_eq!(scene.judge(ID, NODE), "recovering");
}
