use pvelens_proto::timestamp_from_millis;

use super::*;
use crate::check::testing::{Scene, outages::edit};

const MASTER: &str = "ha.master.none";
const LRM: &str = "ha.lrm.stale";

fn ago(seconds: i64) -> pvelens_proto::Timestamp {
    timestamp_from_millis(crate::view::fixture::at().as_millisecond() - seconds * 1000)
}

#[test]
fn without_resources_or_a_cluster_there_is_nothing_to_judge() {
    let mut scene = Scene::healthy();
    assert_eq!(scene.judge(MASTER, "cluster"), "not applicable");
    assert_eq!(scene.judge(LRM, "node/pve1"), "not applicable");
    scene.ha(|config, state| {
        for resource in &mut config.resources {
            resource.state = "ignored".to_owned();
        }
        state.master_node.clear();
    });
    assert_eq!(scene.judge(MASTER, "cluster"), "not applicable");
    scene.ha(|_, state| state.master_node.clear());
    scene.view.clusters[0].standalone = true;
    assert_eq!(scene.judge(MASTER, "cluster"), "not applicable");
}

#[test]
fn no_master_and_a_silent_one_are_the_same_failure() {
    let mut scene = Scene::healthy();
    scene.ha(|_, _| ());
    assert_eq!(scene.judge(MASTER, "cluster"), "pass");
    scene.ha(|_, state| state.master_node.clear());
    assert_eq!(scene.judge(MASTER, "cluster"), "critical");
    scene.ha(|_, state| state.master_at = Some(ago(60)));
    assert_eq!(scene.judge(MASTER, "cluster"), "pass");
    scene.ha(|_, state| state.master_at = Some(ago(61)));
    assert_eq!(scene.judge(MASTER, "cluster"), "critical");
    insta::assert_snapshot!(scene.summary(MASTER), @"The master of high availability, pve1, has said nothing for 1 min: failed guests are not recovered.");
    // The clock of the master is behind by half a minute.
    scene.node(0).agent.as_mut().unwrap().clock_offset_seconds = Some(-30.0);
    assert_eq!(scene.judge(MASTER, "cluster"), "pass");
    scene.ha(|_, state| state.master_at = None);
    assert_eq!(scene.judge(MASTER, "cluster"), "unknown");
}

#[test]
fn without_quorum_the_master_is_not_at_fault() {
    let mut scene = Scene::healthy();
    scene.ha(|_, state| state.master_node.clear());
    for report in &mut scene.view.clusters[0].memberships {
        report.quorate = Some(false);
    }
    assert_eq!(scene.judge(MASTER, "cluster"), "not applicable");
}

#[test]
fn a_status_file_that_could_not_be_read_is_no_missing_master() {
    let mut scene = Scene::healthy();
    scene.ha(|_, _| ());
    let kind = wire::FailureKind::Truncated;
    // The others still read it.
    edit(&mut scene.node(0).facts.ha_state).master_node.clear();
    scene.fail(0, "ha_state", MANAGER, kind);
    assert_eq!(scene.judge(MASTER, "cluster"), "pass");
    for node in 1..3 {
        scene.fail(node, "ha_state", MANAGER, kind);
    }
    assert_eq!(scene.judge(MASTER, "cluster"), "unknown");
    let verdicts = scene.run(MASTER).verdicts;
    let said = "/etc/pve/ha/manager_status: so the test says".to_owned();
    assert_eq!(verdicts[0].outcome, Outcome::Unknown(Unknown::Failed(said)));
}

#[test]
fn the_word_of_a_member_with_quorum_counts_though_it_is_older() {
    let mut scene = Scene::healthy();
    scene.ha(|_, _| ());
    edit(&mut scene.node(2).facts.ha_state).master_node.clear();
    scene.view.clusters[0].memberships[2].quorate = Some(false);
    for node in 0..2 {
        let at = scene.minutes_ago(1);
        scene.node(node).facts.ha_state.as_mut().unwrap().at = at;
        edit(&mut scene.node(node).facts.ha_state).master_at = Some(ago(65));
    }
    assert_eq!(scene.judge(MASTER, "cluster"), "pass");
}

#[test]
fn disarmed_on_purpose_is_worth_a_line_only() {
    let mut scene = Scene::healthy();
    scene.ha(|_, state| {
        state.master_node.clear();
        state.disarm = Some(wire::HaDisarm::default());
    });
    assert_eq!(scene.judge(MASTER, "cluster"), "info");
}

#[test]
fn a_manager_that_wrote_nothing_for_half_a_minute_is_stale() {
    let mut scene = Scene::healthy();
    scene.ha(|_, state| state.local_managers[1].written_at = Some(ago(30)));
    assert_eq!(scene.judge(LRM, "node/pve2"), "pass");
    scene.ha(|_, state| state.local_managers[1].written_at = Some(ago(45)));
    assert_eq!(scene.judge(LRM, "node/pve2"), "critical");
    assert_eq!(scene.judge(LRM, "node/pve1"), "pass");
    insta::assert_snapshot!(scene.summary(LRM), @"The HA manager of pve2 has been silent for 45 s: the node with 1 HA guest is restarted when it cannot renew its lock for 60 s.");
    // Its clock is behind.
    scene.node(1).agent.as_mut().unwrap().clock_offset_seconds = Some(-40.0);
    assert_eq!(scene.judge(LRM, "node/pve2"), "pass");
}

#[test]
fn a_lost_lock_is_worse_than_silence_and_an_idle_manager_threatens_nobody() {
    let mut scene = Scene::healthy();
    scene.ha(|_, state| state.local_managers[0].state = "lost_agent_lock".to_owned());
    assert_eq!(scene.judge(LRM, "node/pve1"), "critical");
    insta::assert_snapshot!(scene.summary(LRM), @"The HA manager of pve1 has lost its lock: the node with 1 HA guest will be restarted.");
    scene.ha(|_, state| state.local_managers[2].written_at = Some(ago(600)));
    assert_eq!(scene.judge(LRM, "node/pve3"), "critical");
    insta::assert_snapshot!(scene.summary(LRM), @"The HA manager of pve3 has been silent for 10 min: guests of a failed node cannot start here.");
}

#[test]
fn a_node_that_is_down_or_starts_is_no_stale_manager() {
    let mut scene = Scene::healthy();
    scene.ha(|_, state| {
        state.local_managers[1].written_at = Some(ago(120));
        state.local_managers.remove(2);
    });
    assert_eq!(scene.judge(LRM, "node/pve3"), "unknown");
    let booted = ago(60);
    edit(&mut scene.node(1).facts.cpu).boot_time = Some(booted);
    assert_eq!(scene.judge(LRM, "node/pve2"), "unknown");
    scene.node(1).status = NodeStatus::Offline;
    assert_eq!(scene.judge(LRM, "node/pve2"), "not applicable");
}

#[test]
fn peers_see_that_the_manager_of_a_silent_node_is_stale_and_not_that_all_is_well() {
    let mut scene = Scene::healthy();
    scene.ha(|_, _| ());
    scene.silence(1, 5);
    assert_eq!(scene.judge(LRM, "node/pve2"), "unknown");
    scene.ha(|_, state| state.local_managers[1].written_at = Some(ago(300)));
    assert_eq!(scene.judge(LRM, "node/pve2"), "critical");
    // A member without an agent is judged by its peers alone.
    scene.node(1).agent = None;
    scene.ha(|_, _| ());
    assert_eq!(scene.judge(LRM, "node/pve2"), "pass");
}
