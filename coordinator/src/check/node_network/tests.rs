use pvelens_proto::agent::v1::InterfaceKind::{Bond, Physical};

use crate::check::testing::{Scene, interface};

const ID: &str = "node.net.link_down";
const NODE: &str = "node/pve1";

#[test]
fn the_only_port_of_a_bridge_is_critical() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(ID, NODE), "pass");
    scene.interfaces(0)[0].carrier = Some(false);
    assert_eq!(scene.judge(ID, NODE), "critical eno1");
    let mut spare = interface("eno2", Physical, "vmbr0");
    spare.carrier = Some(true);
    scene.interfaces(0).push(spare);
    assert_eq!(scene.judge(ID, NODE), "warning eno1");
}

#[test]
fn one_slave_of_a_bond_is_a_warning() {
    let mut scene = Scene::healthy();
    let mut slave = interface("eno2", Physical, "bond0");
    slave.carrier = Some(false);
    scene.interfaces(0).extend([
        slave,
        interface("eno3", Physical, "bond0"),
        interface("bond0", Bond, "vmbr0"),
    ]);
    assert_eq!(scene.judge(ID, NODE), "warning eno2");
}

#[test]
fn unused_disabled_and_undecided_ports_are_left_alone() {
    let mut scene = Scene::healthy();
    let mut unused = interface("eno2", Physical, "");
    unused.carrier = Some(false);
    let mut disabled = interface("eno3", Physical, "vmbr0");
    (disabled.carrier, disabled.enabled) = (Some(false), false);
    let mut silent = interface("eno4", Physical, "vmbr0");
    silent.carrier = None;
    scene.interfaces(0).extend([unused, disabled, silent]);
    assert_eq!(scene.judge(ID, NODE), "pass");
}

#[test]
fn a_port_that_never_had_a_link_is_built_so() {
    let mut scene = Scene::healthy();
    let port = &mut scene.interfaces(0)[0];
    (port.carrier, port.carrier_changes_total) = (Some(false), 1);
    assert_eq!(scene.judge(ID, NODE), "info eno1");
    scene.node(0).facts.interfaces = None;
    assert_eq!(scene.judge(ID, NODE), "unknown");
}
