use crate::check::testing::{Scene, outages::edit};

const VOTES: &str = "ha.quorum_too_small";
const WATCHDOG: &str = "ha.watchdog";
const TWO_NODE: &str = "cluster.quorum.two_node_no_qdevice";

#[test]
fn two_votes_are_too_few_with_high_availability_only() {
    let mut scene = Scene::healthy();
    scene.corosync().nodes.pop();
    assert_eq!(scene.judge(VOTES, "cluster"), "not applicable");
    assert_eq!(scene.judge(TWO_NODE, "cluster"), "warning");
    scene.ha(|_, _| ());
    assert_eq!(scene.judge(VOTES, "cluster"), "critical");
    assert_eq!(scene.judge(TWO_NODE, "cluster"), "pass");
    insta::assert_snapshot!(scene.summary(VOTES), @"High availability cares for 2 guests with 2 votes: when one node fails, the rest cannot act.");
    scene.corosync().quorum_device = Some(pvelens_proto::agent::v1::QuorumDevice {
        votes: 1,
        ..Default::default()
    });
    assert_eq!(scene.judge(VOTES, "cluster"), "pass");
}

#[test]
fn unknown_use_of_high_availability_leaves_the_finding_of_two_nodes() {
    let mut scene = Scene::healthy();
    scene.corosync().nodes.pop();
    for node in &mut scene.view.nodes {
        node.facts.ha_config = None;
    }
    assert_eq!(scene.judge(VOTES, "cluster"), "unknown");
    assert_eq!(scene.judge(TWO_NODE, "cluster"), "warning");
}

#[test]
fn the_watchdog_must_run_where_high_availability_is_used() {
    let stop = |scene: &mut Scene| {
        let units = edit(&mut scene.node(0).facts.units);
        units.units[1].active_state = "failed".to_owned();
    };
    let mut scene = Scene::healthy();
    stop(&mut scene);
    assert_eq!(scene.judge(WATCHDOG, "node/pve1"), "not applicable");
    scene.ha(|_, _| ());
    assert_eq!(scene.judge(WATCHDOG, "node/pve1"), "critical");
    assert_eq!(scene.judge(WATCHDOG, "node/pve2"), "pass");
    insta::assert_snapshot!(scene.summary(WATCHDOG), @"watchdog-mux.service does not run on pve1 (failed): nothing would restart the node when it loses its lock.");
    edit(&mut scene.node(1).facts.units).units.pop();
    assert_eq!(scene.judge(WATCHDOG, "node/pve2"), "unknown");
}
