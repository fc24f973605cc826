use super::*;
use crate::check::testing::{Scene, outages::edit};

const ID: &str = "cluster.corosync.link_down";

/// What `reporter` says of a link to the member with this number.
fn hears(scene: &mut Scene, reporter: usize, id: u32, link: u32, works: bool) {
    let state = edit(&mut scene.node(reporter).facts.corosync_state);
    for peer in state.peers.iter_mut().filter(|peer| peer.node_id == id) {
        for known in peer
            .links
            .iter_mut()
            .filter(|known| known.link_number == link)
        {
            known.is_connected = works;
        }
    }
}

fn judge(scene: &Scene) -> String {
    scene.judge(ID, "cluster")
}

#[test]
fn one_side_that_hears_nothing_is_enough_and_the_other_link_is_named() {
    let mut scene = Scene::healthy();
    assert_eq!(judge(&scene), "pass");
    hears(&mut scene, 0, 3, 1, false);
    assert_eq!(judge(&scene), "warning 1");
    insta::assert_snapshot!(scene.summary(ID), @"Link 1 of the cluster network is down between pve1 and pve3: another link carries the cluster until it fails too.");
}

#[test]
fn the_last_link_of_a_pair_is_critical_on_each_of_its_links() {
    let mut scene = Scene::healthy();
    for link in 0..2 {
        hears(&mut scene, 0, 3, link, false);
    }
    hears(&mut scene, 1, 3, 1, false);
    assert_eq!(judge(&scene), "critical 0, critical 1");
    insta::assert_snapshot!(scene.summary(ID), @"Link 0 of the cluster network is down between pve1 and pve3: no other link is left between pve1 and pve3.");
}

#[test]
fn a_node_that_all_others_miss_is_named_once() {
    let mut scene = Scene::healthy();
    hears(&mut scene, 0, 2, 1, false);
    hears(&mut scene, 2, 2, 1, false);
    insta::assert_snapshot!(scene.summary(ID), @"Link 1 of the cluster network is down between pve2 and each of pve1 and pve3: another link carries the cluster until it fails too.");
    hears(&mut scene, 0, 3, 1, false);
    insta::assert_snapshot!(scene.summary(ID), @"Link 1 of the cluster network is down between pve1, pve2 and pve3: another link carries the cluster until it fails too.");
}

#[test]
fn links_of_a_member_that_is_down_are_not_judged() {
    let mut scene = Scene::healthy();
    for reporter in 0..2 {
        for link in 0..2 {
            hears(&mut scene, reporter, 3, link, false);
        }
    }
    scene.node(2).status = NodeStatus::Offline;
    assert_eq!(judge(&scene), "pass");
    scene.node(1).status = NodeStatus::Offline;
    assert_eq!(judge(&scene), "not applicable");
    // Nobody says whether it runs.
    scene.node(1).status = NodeStatus::Unknown;
    assert_eq!(judge(&scene), "unknown");
}

#[test]
fn links_that_are_not_configured_or_not_enabled_are_not_judged() {
    let mut scene = Scene::healthy();
    hears(&mut scene, 0, 3, 1, false);
    for node in &mut scene.corosync().nodes {
        node.addresses.truncate(1);
    }
    assert_eq!(judge(&scene), "pass");
    let mut scene = Scene::healthy();
    let state = edit(&mut scene.node(0).facts.corosync_state);
    state.peers[0].links[1].is_enabled = false;
    state.peers[0].links[1].is_connected = false;
    assert_eq!(judge(&scene), "pass");
}

#[test]
fn one_silent_member_is_seen_by_the_others_and_two_are_not() {
    let mut scene = Scene::healthy();
    scene.silence(2, 5);
    assert_eq!(judge(&scene), "pass");
    scene.node(1).facts.corosync_state = None;
    assert_eq!(judge(&scene), "unknown");
}

#[test]
fn other_lists_stand_in_for_the_list_of_peers() {
    let mut scene = Scene::healthy();
    let state = edit(&mut scene.node(0).facts.corosync_state);
    state.peers.clear();
    state.local_links = vec![wire::CorosyncLinkStatus {
        link_number: 1,
        node_id: 2,
        state: CorosyncLinkState::Disconnected.into(),
    }];
    assert_eq!(judge(&scene), "warning 1");
    let state = edit(&mut scene.node(0).facts.corosync_state);
    state.local_links.clear();
    state.link_counters = vec![wire::CorosyncLinkCounters {
        link_number: 0,
        node_id: 2,
        is_connected: Some(false),
        ..wire::CorosyncLinkCounters::default()
    }];
    assert_eq!(judge(&scene), "warning 0");
}

#[test]
fn evidence_says_who_missed_whom_and_on_which_addresses() {
    let mut scene = Scene::healthy();
    hears(&mut scene, 0, 3, 1, false);
    let verdicts = scene.run(ID).verdicts;
    let Outcome::Fail(failure) = &verdicts[0].outcome else {
        panic!("{verdicts:?}");
    };
    let seen = &failure.evidence[0];
    assert_eq!(
        (seen.name.as_str(), seen.node.as_str()),
        ("link 1 to pve3", "pve1")
    );
    assert_eq!(seen.value, "disconnected (10.1.0.1 to 10.1.0.3)".into());
}
