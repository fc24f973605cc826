use super::*;
use crate::{
    check::testing::Scene,
    finding::lifecycle::Lifecycle,
    history::Metric,
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
