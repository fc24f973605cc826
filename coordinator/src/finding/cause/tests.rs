use pvelens_proto::agent::v1 as wire;

use super::*;
use crate::{
    check::testing::{Scene, outages::edit},
    finding::lifecycle::Lifecycle,
    metric::Metric,
    view::{GuestStatus, NodeStatus, StorageStatus},
};

fn findings(scene: &Scene) -> Vec<Finding> {
    Lifecycle::default().update(&scene.input(), &scene.run_all())
}

fn find<'a>(findings: &'a [Finding], check: &str) -> &'a Finding {
    findings
        .iter()
        .find(|finding| finding.check == check)
        .unwrap()
}

fn position(findings: &[Finding], check: &str) -> usize {
    findings
        .iter()
        .position(|finding| finding.check == check)
        .unwrap()
}

#[test]
fn the_edges_form_no_cycle_and_name_checks() {
    for edge in EDGES {
        assert!(check::find(edge.cause).is_some(), "{}", edge.cause);
        assert!(check::find(edge.effect).is_some(), "{}", edge.effect);
    }
    // Taking away checks that nothing explains must end with none.
    let mut left: Vec<&edge::Edge> = EDGES.iter().collect();
    while !left.is_empty() {
        let before = left.len();
        let effects: Vec<&str> = left.iter().map(|edge| edge.effect).collect();
        left.retain(|edge| effects.contains(&edge.cause));
        assert!(left.len() < before, "a cycle: {left:?}");
    }
}

#[test]
fn a_missing_member_explains_the_fragile_quorum() {
    let mut scene = Scene::healthy();
    scene.node(2).status = NodeStatus::Offline;
    for report in &mut scene.view.clusters[0].memberships {
        report.offline = vec![report.online.pop().unwrap()];
    }
    scene.view.clusters[0].memberships.pop();
    let findings = findings(&scene);
    let offline = find(&findings, "cluster.node.offline");
    let fragile = find(&findings, "cluster.quorum.fragile");
    assert_eq!(fragile.caused_by, [offline.fingerprint.as_str()]);
    assert_eq!(offline.cause_of, [fragile.fingerprint.as_str()]);
    assert!(
        position(&findings, "cluster.node.offline") < position(&findings, "cluster.quorum.fragile")
    );
}

#[test]
fn a_dead_storage_explains_the_guests_on_it_only() {
    let mut scene = Scene::healthy();
    for on in &mut scene.view.storages[1].nodes {
        on.status = StorageStatus::Inactive;
    }
    scene.view.guests[0].status = GuestStatus::Other("io-error".into());
    let all = findings(&scene);
    let storage = find(&all, "storage.pool.inactive");
    assert_eq!(
        find(&all, "guest.state.io_error").caused_by,
        [storage.fingerprint.as_str()]
    );
    scene.settings(0).volumes[0].storage = "local".to_owned();
    let all = findings(&scene);
    assert!(find(&all, "guest.state.io_error").caused_by.is_empty());
}

#[test]
fn memory_explains_swapping_and_stalls_on_its_own_node() {
    let scene = Scene::healthy()
        .with(0, Metric::MemoryAvailableRatio, 0.02)
        .with(0, Metric::SwappedInPagesPerSecond, 900.0)
        .with(0, Metric::MemoryPressureSomeRatio, 0.2)
        .with(1, Metric::MemoryPressureSomeRatio, 0.2);
    let all = findings(&scene);
    let of = |check: &str, subject: &str| {
        all.iter()
            .find(|finding| finding.check == check && finding.subject == subject)
            .unwrap()
    };
    let low = of("node.mem.available_low", "node/pve1");
    let swap = of("node.mem.swap_thrashing", "node/pve1");
    assert_eq!(swap.caused_by, [low.fingerprint.as_str()]);
    assert_eq!(of("node.mem.pressure", "node/pve1").caused_by.len(), 2);
    assert!(of("node.mem.pressure", "node/pve2").caused_by.is_empty());
    assert!(position(&all, "node.mem.available_low") < position(&all, "node.mem.swap_thrashing"));
    let on_first: Vec<&str> = all
        .iter()
        .filter(|finding| finding.subject == "node/pve1")
        .map(|finding| finding.check.as_str())
        .collect();
    assert_eq!(
        on_first,
        [
            "node.mem.available_low",
            "node.mem.swap_thrashing",
            "node.mem.pressure"
        ]
    );
}

#[test]
fn a_cause_does_not_come_after_its_consequence() {
    let mut scene = Scene::healthy();
    scene.view.guests[0].status = GuestStatus::Other("io-error".into());
    let mut lifecycle = Lifecycle::default();
    lifecycle.update(&scene.input(), &scene.run_all());
    for on in &mut scene.view.storages[1].nodes {
        on.status = StorageStatus::Inactive;
    }
    let later = scene
        .at
        .checked_add(SignedDuration::from_secs(120))
        .unwrap();
    let input = check::Input {
        at: later,
        ..scene.input()
    };
    let all = lifecycle.update(&input, &check::run_all(&input));
    assert!(find(&all, "guest.state.io_error").caused_by.is_empty());
}

/// Checks that a finding is a consequence of.
fn causes<'a>(all: &'a [Finding], check: &str) -> Vec<&'a str> {
    let by = &find(all, check).caused_by;
    all.iter()
        .filter(|finding| by.contains(&finding.fingerprint))
        .map(|finding| finding.check.as_str())
        .collect()
}

#[test]
fn a_silent_server_explains_the_storage_that_is_mounted_from_it() {
    let mut scene = Scene::healthy();
    let mounts = edit(&mut scene.node(0).facts.network_mounts);
    mounts.mounts[0].set_state(wire::NetworkMountState::Hanging);
    for on in &mut scene.view.storages[1].nodes {
        on.status = StorageStatus::Inactive;
    }
    let all = findings(&scene);
    assert_eq!(causes(&all, "storage.pool.inactive"), ["storage.nfs.hang"]);
    scene.storage(1).path.clear();
    let all = findings(&scene);
    assert_eq!(causes(&all, "storage.pool.inactive"), ["storage.nfs.hang"]);
    scene.storage(1).path = "/mnt/pve/other".to_owned();
    let all = findings(&scene);
    assert!(causes(&all, "storage.pool.inactive").is_empty());
}

#[test]
fn a_full_pool_explains_that_it_stopped_and_not_that_another_did() {
    let mut scene = Scene::healthy();
    let volumes = &mut edit(&mut scene.node(0).facts.lvm).logical_volumes;
    volumes[0].data_ratio = Some(1.0);
    volumes[0].set_health(wire::LogicalVolumeHealth::OutOfDataSpace);
    let all = findings(&scene);
    let full = "storage.lvmthin.data_full";
    assert_eq!(causes(&all, "storage.lvmthin.needs_check"), [full]);
    let volumes = &mut edit(&mut scene.node(0).facts.lvm).logical_volumes;
    volumes[0].set_health(wire::LogicalVolumeHealth::Good);
    volumes[1].set_health(wire::LogicalVolumeHealth::Failed);
    let all = findings(&scene);
    assert!(causes(&all, "storage.lvmthin.needs_check").is_empty());
}

#[test]
fn a_port_without_link_explains_the_links_of_its_own_node() {
    let mut scene = Scene::healthy();
    let state = edit(&mut scene.node(0).facts.corosync_state);
    state.peers[0].links[1].is_connected = false;
    scene.interfaces(2)[0].carrier = Some(false);
    let all = findings(&scene);
    assert!(causes(&all, "cluster.corosync.link_down").is_empty());
    scene.interfaces(0)[0].carrier = Some(false);
    let all = findings(&scene);
    let by = causes(&all, "cluster.corosync.link_down");
    assert_eq!(by, ["node.net.link_down"]);
}

#[test]
fn lost_quorum_explains_managers_that_are_silent() {
    let mut scene = Scene::healthy();
    let old = pvelens_proto::timestamp_from_millis(scene.at.as_millisecond() - 90_000);
    scene.ha(|_, state| {
        state.local_managers[0].written_at = Some(old);
        state.services[0].state = "error".to_owned();
    });
    for report in &mut scene.view.clusters[0].memberships {
        report.quorate = Some(false);
    }
    let all = findings(&scene);
    let quorum = "cluster.quorum.lost";
    assert_eq!(causes(&all, "ha.lrm.stale"), [quorum]);
    assert_eq!(causes(&all, "ha.service.error"), [quorum, "ha.lrm.stale"]);
}
