use pvelens_proto::agent::v1 as wire;

use crate::{check::testing::Scene, view::GuestStatus};

const ID: &str = "node.mem.overcommit";
const NODE: &str = "node/pve1";
const GIB: u64 = 1 << 30;

/// A node of 64 GiB with one VM of so many GiB.
fn vm(gib: u64, balloon: Option<u64>) -> Scene {
    let mut scene = Scene::healthy();
    let settings = scene.settings(0);
    settings.memory_bytes = Some(gib * GIB);
    settings.balloon_bytes = balloon.map(|gib| gib * GIB);
    scene
}

#[test]
fn the_sum_of_maxima_is_compared_with_the_node() {
    // 2 GiB of reserve and 2 % of overhead are added.
    for (gib, balloon, expected) in [
        (60, Some(8), "pass"),
        (61, Some(8), "info"),
        (73, Some(8), "info"),
        (74, Some(8), "warning"),
        (61, None, "critical"),
        (61, Some(0), "critical"),
        (60, None, "pass"),
    ] {
        assert_eq!(
            vm(gib, balloon).judge(ID, NODE),
            expected,
            "{gib} {balloon:?}"
        );
    }
}

#[test]
fn a_device_passed_through_pins_all_memory() {
    let mut scene = vm(62, Some(8));
    scene.settings(0).host_devices = vec![wire::HostDevice {
        kind: wire::HostDeviceKind::Pci.into(),
        ..wire::HostDevice::default()
    }];
    assert_eq!(scene.judge(ID, NODE), "critical");
}

#[test]
fn only_the_floor_of_the_zfs_cache_counts() {
    let mut scene = vm(50, None);
    let memory = scene.node(0).facts.memory.as_mut().unwrap();
    let arc = wire::ZfsArc {
        size_bytes: 30 * GIB,
        min_bytes: 2 * GIB,
        max_bytes: 32 * GIB,
        ..wire::ZfsArc::default()
    };
    std::sync::Arc::make_mut(&mut memory.value).arc = Some(arc);
    assert_eq!(scene.judge(ID, NODE), "pass");
    let memory = scene.node(0).facts.memory.as_mut().unwrap();
    std::sync::Arc::make_mut(&mut memory.value)
        .arc
        .as_mut()
        .unwrap()
        .min_bytes = 20 * GIB;
    assert_eq!(scene.judge(ID, NODE), "critical");
}

#[test]
fn stopped_guests_and_templates_need_nothing() {
    let mut scene = vm(200, None);
    scene.view.guests[0].status = GuestStatus::Stopped;
    assert_eq!(scene.judge(ID, NODE), "pass");
    scene.view.guests[0].status = GuestStatus::Running;
    scene.view.guests[0].template = true;
    assert_eq!(scene.judge(ID, NODE), "pass");
}

#[test]
fn a_guest_that_may_run_keeps_the_node_from_passing() {
    let mut scene = vm(10, None);
    scene.view.guests[0].status = GuestStatus::Unknown;
    assert_eq!(scene.judge(ID, NODE), "unknown");
    let mut scene = vm(10, None);
    scene.view.guests[0].config = None;
    assert_eq!(scene.judge(ID, NODE), "unknown");
    let mut scene = vm(10, None);
    scene.node(0).facts.memory = None;
    assert_eq!(scene.judge(ID, NODE), "unknown");
    scene.node(0).agent.as_mut().unwrap().is_pve_node = false;
    assert_eq!(scene.judge(ID, NODE), "not applicable");
}
