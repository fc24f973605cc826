use pvelens_proto::agent::v1::{HostDevice, HostDeviceKind, InterfaceKind};

use crate::check::testing::{Scene, interface};

const ID: &str = "network.bridge.missing_on_node";

#[test]
fn every_member_needs_the_bridges_of_all_guests() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(ID, "node/pve3"), "pass");
    scene.settings(0).nics[0].bridge = "vmbr1".to_owned();
    assert_eq!(scene.judge(ID, "node/pve3"), "warning vmbr1");
    assert_eq!(
        scene.summary(ID),
        "pve1 has no bridge vmbr1; VM 100 (web) cannot run there."
    );
    // Whatever bears the name will do.
    scene
        .interfaces(2)
        .push(interface("vmbr1", InterfaceKind::Other, ""));
    assert_eq!(scene.judge(ID, "node/pve3"), "pass");
}

#[test]
fn a_guest_bound_to_its_node_needs_nothing_elsewhere() {
    let mut scene = Scene::healthy();
    scene.settings(0).nics[0].bridge = "vmbr1".to_owned();
    scene.settings(0).host_devices = vec![HostDevice {
        kind: HostDeviceKind::Pci.into(),
        host: "0000:01:00.0".to_owned(),
        ..HostDevice::default()
    }];
    assert_eq!(scene.judge(ID, "node/pve3"), "pass");
}

#[test]
fn a_node_that_cannot_be_seen_is_unknown() {
    let mut scene = Scene::healthy();
    scene.node(2).agent = None;
    assert_eq!(scene.judge(ID, "node/pve3"), "unknown");
    scene.view.clusters[0].guest_configs_at = None;
    assert_eq!(scene.judge(ID, "node/pve1"), "unknown");
    scene.view.clusters[0].nodes = 0..1;
    assert_eq!(scene.judge(ID, "node/pve1"), "not applicable");
}
