use pvelens_proto::agent::v1::{self as wire, CorosyncConfig, sample::Payload};

use super::*;
use crate::{
    live::fixture::*,
    view::{CoverageLevel, NodeStatus, StorageOnNode, StorageStatus},
};

mod authority;
mod guest;
mod order;

const BOTH: &[(&str, bool)] = &[("pve1", true), ("pve2", true)];
const ALL: &[(&str, bool)] = &[("pve1", true), ("pve2", true), ("pve3", true)];

fn view(live: &Live, second: i64) -> View {
    build(live, at(second))
}

fn statuses(view: &View) -> Vec<NodeStatus> {
    view.nodes.iter().map(|node| node.status).collect()
}

fn only_storage_node(view: &View, name: &str, node: usize) -> StorageOnNode {
    let storage = view.storages.iter().find(|storage| &*storage.name == name);
    storage.unwrap().nodes[node]
}

#[test]
fn nothing_heard_is_an_empty_view() {
    let view = view(&Live::default(), 7);
    assert_eq!((view.at, view.clusters.len()), (at(7), 0));
}

#[test]
fn the_majority_of_quorate_members_says_who_is_online() {
    let mut live = Live::default();
    let gone = [("pve1", true), ("pve2", true), ("pve3", false)];
    for node in ["pve1", "pve2"] {
        Feed::new("c", node).send(&mut live, 0, vec![members(node, true, &gone)]);
    }
    // Cut off, it still shows everyone online.
    Feed::new("c", "pve3").send(&mut live, 0, vec![members("pve3", false, ALL)]);
    let view = view(&live, 1);
    use NodeStatus::{Offline, Online};
    assert_eq!(statuses(&view), [Online, Online, Offline]);
    let words = &view.clusters[0].memberships;
    assert_eq!(words.len(), 3);
    assert_eq!(words[0].offline, [NodeIndex(2)]);
    assert_eq!(words[2].quorate, Some(false));
    assert_eq!(words[2].online.len(), 3);
}

#[test]
fn a_node_without_quorum_vouches_for_nobody_but_itself() {
    let mut live = Live::default();
    Feed::new("c", "pve1").send(&mut live, 0, vec![members("pve1", false, ALL)]);
    let view = view(&live, 1);
    use NodeStatus::{Online, Unknown};
    assert_eq!(statuses(&view), [Online, Unknown, Unknown]);
}

#[test]
fn old_words_count_for_nobody() {
    let mut live = Live::default();
    Feed::new("c", "pve1").send(&mut live, 0, vec![members("pve1", true, BOTH)]);
    use NodeStatus::{Online, Unknown};
    assert_eq!(statuses(&view(&live, 119)), [Online, Online]);
    assert_eq!(statuses(&view(&live, 121)), [Unknown, Unknown]);
    // The facts stay, with their age.
    let late = view(&live, 7200);
    assert_eq!(late.nodes[0].facts.members.as_ref().unwrap().at, at(0));
    assert_eq!(late.nodes[0].coverage, CoverageLevel::Full);
}

#[test]
fn as_many_for_as_against_is_decided_by_the_nodes_own_sign_of_life() {
    let mut live = Live::default();
    let gone = [("pve1", true), ("pve2", true), ("pve3", false)];
    Feed::new("c", "pve1").send(&mut live, 0, vec![members("pve1", true, &gone)]);
    Feed::new("c", "pve2").send(&mut live, 0, vec![members("pve2", true, ALL)]);
    assert_eq!(view(&live, 1).nodes[2].status, NodeStatus::Unknown);
    Feed::new("c", "pve3").send(&mut live, 1, vec![cpu(1.0, 1.0)]);
    assert_eq!(view(&live, 1).nodes[2].status, NodeStatus::Online);
}

#[test]
fn a_minority_keeps_showing_what_it_has_and_gives_way_to_the_quorate_part() {
    let mut live = Live::default();
    let mut minority = Feed::new("c", "pve1");
    let mut majority = Feed::new("c", "pve2");
    majority.send(
        &mut live,
        0,
        vec![
            members("pve2", true, BOTH),
            guest_list(&[(100, "pve1"), (101, "pve2")]),
        ],
    );
    // Read later, but frozen since its quorum was lost.
    minority.send(
        &mut live,
        30,
        vec![members("pve1", false, BOTH), guest_list(&[(100, "pve1")])],
    );
    let shared = view(&live, 31);
    assert_eq!(shared.guests.len(), 2);
    assert_eq!(shared.clusters[0].guest_list_at, Some(at(0)));
    // Nobody quorate is heard any more: its list is the newest there is.
    let alone = view(&live, 500);
    assert_eq!(alone.guests.len(), 1);
    assert_eq!(alone.clusters[0].guest_list_at, Some(at(30)));
}

#[test]
fn nodes_without_an_agent_are_known_from_the_others() {
    let mut live = Live::default();
    let corosync = Payload::CorosyncConfig(CorosyncConfig {
        cluster_name: "lab".to_owned(),
        nodes: vec![wire::CorosyncNode {
            name: "pve4".to_owned(),
            node_id: 4,
            addresses: vec![wire::RingAddress {
                link_number: 0,
                address: "192.0.2.44".to_owned(),
            }],
            ..wire::CorosyncNode::default()
        }],
        ..CorosyncConfig::default()
    });
    let told = broadcast(0, &["pve2"], &[]);
    Feed::new("c", "pve1").send(
        &mut live,
        0,
        vec![
            members("pve1", true, ALL),
            corosync,
            Payload::ClusterBroadcast(told),
        ],
    );
    let view = view(&live, 1);
    let coverage: Vec<_> = view.nodes.iter().map(|node| node.coverage).collect();
    use CoverageLevel::{Basic, Full, None};
    assert_eq!(coverage, [Full, Basic, Basic, None]);
    assert_eq!(
        view.nodes[1].broadcast.as_ref().unwrap().value.cpu_ratio,
        Some(0.25)
    );
    assert!(view.nodes[1].agent.is_none());
    assert_eq!(&*view.nodes[1].ip_address, "192.0.2.2");
    assert_eq!(
        (view.nodes[3].node_id, &*view.nodes[3].ip_address),
        (Some(4), "192.0.2.44")
    );
    let cluster = &view.clusters[0];
    assert_eq!((&*cluster.name, cluster.standalone), ("lab", false));
    assert_eq!(cluster.subscribed, Some(false));
}

#[test]
fn a_single_node_stands_alone_and_a_plain_machine_is_a_cluster_of_its_own() {
    let mut live = Live::default();
    Feed::new("c", "pve1").send(&mut live, 0, vec![standalone("pve1"), storages(&[])]);
    Feed::new("", "backup").send(&mut live, 0, vec![cpu(1.0, 1.0)]);
    let view = view(&live, 1);
    let names: Vec<_> = view.clusters.iter().map(|c| (&*c.id, &*c.name)).collect();
    assert_eq!(names, [("c", "pve1"), ("host:backup", "backup")]);
    assert!(view.clusters.iter().all(|cluster| cluster.standalone));
    assert_eq!(view.clusters[0].memberships[0].quorate, None);
    assert_eq!(view.clusters[0].memberships[0].online, [NodeIndex(0)]);
    assert_eq!(statuses(&view), [NodeStatus::Online, NodeStatus::Online]);
    assert!(!view.nodes[1].agent.as_ref().unwrap().is_pve_node);
    // Only Proxmox VE has the implied storage.
    assert_eq!(view.storages.len(), 1);
}

#[test]
fn clusters_with_the_same_names_do_not_mix() {
    let mut live = Live::default();
    for cluster in ["b", "a"] {
        let mut feed = Feed::new(cluster, "pve1");
        let list = guest_list(&[(100, "pve1")]);
        let configs = guest_configs(&[(100, "pve1", cluster)]);
        feed.send(
            &mut live,
            0,
            vec![members("pve1", true, BOTH), list, configs],
        );
    }
    let view = view(&live, 1);
    assert_eq!(view.nodes.len(), 4);
    let guests: Vec<_> = view
        .guests
        .iter()
        .map(|g| (g.cluster.0, &*g.name, g.node.0))
        .collect();
    assert_eq!(guests, [(0, "a", 0), (1, "b", 2)]);
    assert_eq!(view.clusters[1].nodes, 2..4);
    assert_eq!(view.clusters[1].guests, 1..2);
}

#[test]
fn storages_are_expanded_to_the_nodes_that_may_use_them() {
    let mut live = Live::default();
    let Payload::StorageConfig(mut config) = storages(&["nas", "off", "only2"]) else {
        unreachable!()
    };
    config.storages[1].disabled = true;
    config.storages[2].nodes = vec!["pve2".to_owned()];
    let mut status = pve_status(0, &[]);
    status.storages = vec![
        storage_status(0, "nas", false),
        storage_status(0, "local", true),
    ];
    let mut told = broadcast(0, &["pve2"], &[]);
    told.storages = vec![
        broadcast_storage(0, "pve2", "local"),
        broadcast_storage(0, "pve2", "only2"),
    ];
    Feed::new("c", "pve1").send(
        &mut live,
        0,
        vec![
            members("pve1", true, BOTH),
            Payload::StorageConfig(config),
            Payload::PveStatus(status),
            Payload::ClusterBroadcast(told),
        ],
    );
    let view = view(&live, 1);
    let names: Vec<_> = view
        .storages
        .iter()
        .map(|s| (&*s.name, s.nodes.len()))
        .collect();
    assert_eq!(names, [("local", 2), ("nas", 2), ("off", 2), ("only2", 1)]);
    // An inactive storage has no size, not a size of zero.
    let inactive = only_storage_node(&view, "nas", 0);
    assert_eq!(
        (inactive.status, inactive.total_bytes),
        (StorageStatus::Inactive, None)
    );
    // Missing among the fresh broadcasts of its node.
    assert_eq!(
        only_storage_node(&view, "nas", 1).status,
        StorageStatus::Inactive
    );
    assert_eq!(
        only_storage_node(&view, "off", 1).status,
        StorageStatus::Disabled
    );
    let local = only_storage_node(&view, "local", 0);
    assert_eq!(
        (local.status, local.used_bytes),
        (StorageStatus::Active, Some(40))
    );
    assert_eq!(only_storage_node(&view, "only2", 0).used_bytes, Some(70));
    let later = super::tests::view(&live, 900);
    assert_eq!(
        only_storage_node(&later, "local", 0).status,
        StorageStatus::Unknown
    );
    assert_eq!(only_storage_node(&later, "local", 0).used_bytes, Some(40));
}

#[test]
fn guests_in_the_directory_of_a_removed_node_keep_it_known() {
    let mut live = Live::default();
    let payloads = vec![
        standalone("pve1"),
        guest_list(&[(100, "old")]),
        storages(&["nas"]),
    ];
    Feed::new("c", "pve1").send(&mut live, 0, payloads);
    let view = view(&live, 1);
    assert_eq!(&*view.nodes[0].name, "old");
    assert_eq!(view.nodes[0].coverage, CoverageLevel::None);
    assert_eq!(view.nodes[0].status, NodeStatus::Unknown);
    assert_eq!(view.guests[0].node, NodeIndex(0));
    assert_eq!(view.storages[0].nodes.len(), 1);
}

#[test]
fn facts_from_after_the_view_are_left_out() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    feed.send(&mut live, 100, vec![cpu(1.0, 1.0)]);
    assert!(view(&live, 96).nodes[0].facts.cpu.is_some());
    assert!(view(&live, 90).nodes[0].facts.cpu.is_none());
}

#[test]
fn what_does_not_exist_is_told_until_it_does() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let reason = "no LVM volume group".to_owned();
    let none = Payload::NoData(wire::NoData { reason });
    let mut say = |live: &mut Live, second, payload| {
        let update = feed.update(vec![named("lvm", second, Some(payload))]);
        live.append(&feed.described, update, at(second));
    };
    say(&mut live, 10, Payload::Lvm(wire::Lvm::default()));
    say(&mut live, 20, none);
    let seen = view(&live, 20);
    assert!(seen.nodes[0].facts.lvm.is_none());
    let [nothing] = seen.nodes[0].nothing.as_slice() else {
        panic!("{:?}", seen.nodes[0].nothing);
    };
    assert_eq!(
        (&*nothing.collector, &*nothing.reason),
        ("lvm", "no LVM volume group")
    );
    assert_eq!(nothing.at, at(20));
    say(&mut live, 30, Payload::Lvm(wire::Lvm::default()));
    let seen = view(&live, 30);
    assert!(seen.nodes[0].nothing.is_empty());
    assert_eq!(seen.nodes[0].facts.lvm.as_ref().unwrap().at, at(30));
}
