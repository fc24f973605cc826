use pvelens_proto::agent::v1 as wire;

use crate::{
    check::testing::Scene,
    view::{ClusterIndex, Membership, NodeIndex},
};

const LOST: &str = "cluster.quorum.lost";
const FRAGILE: &str = "cluster.quorum.fragile";
const TWO: &str = "cluster.quorum.two_node_no_qdevice";
const EVEN: &str = "cluster.quorum.even_votes_no_qdevice";

/// What a member sees: who is online of three.
fn sees(scene: &Scene, reporter: u32, quorate: bool, online: &[u32]) -> Membership {
    let (online, offline) = (0..3)
        .map(NodeIndex)
        .partition(|node| online.contains(&node.0));
    Membership {
        reporter: NodeIndex(reporter),
        at: scene.at,
        quorate: Some(quorate),
        online,
        offline,
    }
}

fn reports(reports: &[(u32, bool, &[u32])]) -> Scene {
    let mut scene = Scene::healthy();
    scene.view.clusters[0].memberships = reports
        .iter()
        .map(|(reporter, quorate, online)| sees(&scene, *reporter, *quorate, online))
        .collect();
    scene
}

#[test]
fn one_member_without_quorum_is_enough() {
    assert_eq!(Scene::healthy().judge(LOST, "cluster"), "pass");
    let scene = reports(&[(0, true, &[0, 1]), (1, true, &[0, 1]), (2, false, &[2])]);
    assert_eq!(scene.judge(LOST, "cluster"), "critical");
    assert_eq!(
        scene.summary(LOST),
        "pve3 has no quorum, with pve1 and pve2 out of sight."
    );
}

#[test]
fn a_member_outside_the_window_is_left_out() {
    let mut scene = reports(&[(0, true, &[0, 1]), (2, false, &[2])]);
    scene.view.clusters[0].memberships[1].at = scene.minutes_ago(1);
    assert_eq!(scene.judge(LOST, "cluster"), "pass");
}

#[test]
fn quorum_is_unknown_without_a_recent_word() {
    let mut scene = Scene::healthy();
    for report in &mut scene.view.clusters[0].memberships {
        report.at = scene
            .at
            .checked_sub(jiff::SignedDuration::from_mins(4))
            .unwrap();
    }
    assert_eq!(scene.judge(LOST, "cluster"), "unknown");
    assert_eq!(scene.judge(FRAGILE, "cluster"), "unknown");
    scene.view.clusters[0].memberships.clear();
    assert_eq!(scene.judge(LOST, "cluster"), "unknown");
}

#[test]
fn a_node_that_stands_alone_has_no_votes() {
    let mut scene = Scene::healthy();
    scene.view.clusters[0].standalone = true;
    for id in [LOST, FRAGILE, TWO, EVEN] {
        assert_eq!(scene.judge(id, "cluster"), "not applicable", "{id}");
    }
}

#[test]
fn two_of_three_are_one_failure_from_the_end() {
    assert_eq!(Scene::healthy().judge(FRAGILE, "cluster"), "pass");
    let scene = reports(&[(0, true, &[0, 1]), (1, true, &[0, 1])]);
    assert_eq!(scene.judge(FRAGILE, "cluster"), "critical");
    assert_eq!(
        scene.summary(FRAGILE),
        "Without pve3, the cluster stops when pve1 fails too (2 of 3 votes are needed)."
    );
    let lost = reports(&[(0, false, &[0])]);
    assert_eq!(lost.judge(FRAGILE, "cluster"), "not applicable");
}

#[test]
fn a_heavy_voter_is_fragile_by_design() {
    let mut scene = Scene::healthy();
    scene.corosync().nodes[0].quorum_votes = 3;
    assert_eq!(scene.judge(FRAGILE, "cluster"), "warning");
    let result = scene.run(FRAGILE);
    let crate::check::Outcome::Fail(failure) = &result.verdicts[0].outcome else {
        panic!("{result:?}");
    };
    assert_eq!(failure.lane, Some(crate::finding::Lane::Posture));
}

#[test]
fn two_nodes_need_a_third_vote() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(TWO, "cluster"), "pass");
    scene.corosync().nodes.pop();
    assert_eq!(scene.judge(TWO, "cluster"), "warning");
    assert_eq!(scene.judge(FRAGILE, "cluster"), "not applicable");
    assert_eq!(scene.judge(EVEN, "cluster"), "pass");
    scene.corosync().quorum_device = Some(wire::QuorumDevice {
        votes: 1,
        ..wire::QuorumDevice::default()
    });
    assert_eq!(scene.judge(TWO, "cluster"), "pass");
    assert_eq!(scene.judge(FRAGILE, "cluster"), "pass");
}

#[test]
fn an_even_sum_of_four_or_more_votes_is_found() {
    let mut scene = Scene::healthy();
    scene.corosync().nodes[0].quorum_votes = 2;
    assert_eq!(scene.judge(EVEN, "cluster"), "warning");
    scene.corosync().nodes[0].quorum_votes = 3;
    assert_eq!(scene.judge(EVEN, "cluster"), "pass");
}

#[test]
fn configuration_may_be_a_quarter_of_an_hour_old() {
    let mut scene = Scene::healthy();
    scene.view.clusters[0].corosync.as_mut().unwrap().at = scene.minutes_ago(15);
    assert_eq!(scene.judge(EVEN, "cluster"), "pass");
    scene.view.clusters[0].corosync.as_mut().unwrap().at = scene.minutes_ago(16);
    for id in [TWO, EVEN, FRAGILE] {
        assert_eq!(scene.judge(id, "cluster"), "unknown");
    }
    assert_eq!(scene.view.cluster(ClusterIndex(0)).nodes.len(), 3);
}
