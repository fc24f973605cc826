use crate::{check::testing::Scene, view::NodeStatus};

const OFFLINE: &str = "cluster.node.offline";
const STALE: &str = "cluster.agent.stale_report";
const SKEW: &str = "cluster.nodes.clock_skew";

#[test]
fn an_offline_member_is_found_and_its_guests_are_counted() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(OFFLINE, "node/pve1"), "pass");
    scene.node(0).status = NodeStatus::Offline;
    assert_eq!(scene.judge(OFFLINE, "node/pve1"), "critical");
    assert_eq!(scene.judge(OFFLINE, "node/pve2"), "pass");
    assert_eq!(
        scene.summary(OFFLINE),
        "pve1 is offline, and with it 1 guest configured there."
    );
    scene.node(0).status = NodeStatus::Unknown;
    assert_eq!(scene.judge(OFFLINE, "node/pve1"), "unknown");
}

#[test]
fn membership_needs_a_recent_word_and_a_cluster() {
    let mut scene = Scene::healthy();
    scene.node(0).status = NodeStatus::Offline;
    let old = scene.minutes_ago(4);
    for report in &mut scene.view.clusters[0].memberships {
        report.at = old;
    }
    assert_eq!(scene.judge(OFFLINE, "node/pve1"), "unknown");
    scene.view.clusters[0].standalone = true;
    assert_eq!(scene.judge(OFFLINE, "node/pve1"), "not applicable");
}

#[test]
fn an_agent_is_silent_after_three_minutes() {
    let mut scene = Scene::healthy();
    scene.silence(0, 3);
    assert_eq!(scene.judge(STALE, "node/pve1"), "pass");
    scene.silence(0, 4);
    assert_eq!(scene.judge(STALE, "node/pve1"), "warning");
    assert_eq!(
        scene.summary(STALE),
        "The agent of pve1 is silent although the node is up."
    );
    scene.node(0).status = NodeStatus::Unknown;
    assert_eq!(scene.judge(STALE, "node/pve1"), "warning");
}

#[test]
fn the_missing_node_and_the_missing_agent_are_not_a_silent_agent() {
    let mut scene = Scene::healthy();
    scene.silence(0, 9);
    scene.node(0).status = NodeStatus::Offline;
    assert_eq!(scene.judge(STALE, "node/pve1"), "not applicable");
    scene.node(0).agent = None;
    assert_eq!(scene.judge(STALE, "node/pve1"), "not applicable");
}

#[test]
fn clocks_are_compared_pairwise() {
    for (offset, expected) in [
        (0.12, "pass"),
        (0.125, "recovering"),
        (0.25, "recovering"),
        (0.26, "warning"),
        (2.0, "warning"),
        (2.1, "critical"),
    ] {
        let mut scene = Scene::healthy();
        scene.node(1).agent.as_mut().unwrap().clock_offset_seconds = Some(offset);
        assert_eq!(scene.judge(SKEW, "cluster"), expected, "{offset}");
    }
    let mut scene = Scene::healthy();
    // Each within the limit of the coordinator's clock, not of each other.
    scene.node(0).agent.as_mut().unwrap().clock_offset_seconds = Some(0.2);
    scene.node(1).agent.as_mut().unwrap().clock_offset_seconds = Some(-0.2);
    assert_eq!(scene.judge(SKEW, "cluster"), "warning");
    assert_eq!(
        scene.summary(SKEW),
        "The clock of pve1 is 400 ms ahead of the clock of pve2."
    );
}

#[test]
fn one_clock_cannot_be_compared() {
    let mut scene = Scene::healthy();
    scene.silence(1, 9);
    scene.node(2).agent.as_mut().unwrap().clock_offset_seconds = None;
    assert_eq!(scene.judge(SKEW, "cluster"), "unknown");
    scene.view.clusters[0].standalone = true;
    assert_eq!(scene.judge(SKEW, "cluster"), "not applicable");
}

#[test]
fn two_agents_with_one_identity_are_found_with_what_to_do() {
    let mut scene = Scene::healthy();
    let at = scene.at;
    scene.node(1).agent.as_mut().unwrap().doubled = Some(crate::view::Doubled {
        since: at,
        at,
        epochs: ["a".into(), "b".into()],
        addresses: vec!["192.0.2.1".into(), "192.0.2.2".into()],
    });
    assert_eq!(scene.judge(STALE, "node/pve2"), "warning identity");
    assert_eq!(scene.judge(STALE, "node/pve1"), "pass");
    assert_eq!(
        scene.summary(STALE),
        "Two agents deliver under the name of pve2: one is a copy."
    );
    let mut lifecycle = crate::finding::lifecycle::Lifecycle::default();
    let findings = lifecycle.update(&scene.input(), &scene.run_all());
    let finding = &findings[0];
    assert_eq!(finding.title, "The identity of an agent is in doubt");
    assert!(finding.remediation.fix.contains("pvelens agents revoke"));
    let shown: Vec<String> = finding
        .evidence
        .iter()
        .map(|seen| format!("{:?}", seen.value))
        .collect();
    for value in ["a", "b", "192.0.2.1", "192.0.2.2"] {
        assert!(shown.iter().any(|shown| shown.contains(value)), "{shown:?}");
    }
}

#[test]
fn what_the_link_finds_wrong_with_an_identity_is_a_finding() {
    let mut scene = Scene::healthy();
    let at = scene.at;
    scene.node(0).agent.as_mut().unwrap().identity_problem =
        Some(("two links show its certificate".into(), at));
    assert_eq!(scene.judge(STALE, "node/pve1"), "warning identity");
    assert_eq!(
        scene.summary(STALE),
        "The identity of the agent of pve1 is in doubt: two links show its certificate."
    );
}
