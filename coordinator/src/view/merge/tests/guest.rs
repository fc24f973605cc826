//! Guests: where they are, what they do, whose figures count.

use super::*;
use crate::view::{Guest, GuestStatus, MemorySource};

fn only_guest(live: &Live, second: i64) -> Guest {
    let view = view(live, second);
    assert_eq!(view.guests.len(), 1);
    view.guests[0].clone()
}

#[test]
fn qemu_has_the_word_on_a_guests_state() {
    let mut live = Live::default();
    let list = guest_list(&[
        (1, "pve1"),
        (2, "pve1"),
        (3, "pve1"),
        (4, "pve1"),
        (5, "pve1"),
    ]);
    let states = [(1, "running"), (2, "io-error"), (3, "stopped"), (4, "")];
    let status = Payload::PveStatus(pve_status(0, &states));
    Feed::new("c", "pve1").send(&mut live, 0, vec![standalone("pve1"), list, status]);
    let states = |second| -> Vec<_> {
        let view = view(&live, second);
        view.guests
            .iter()
            .map(|guest| guest.status.clone())
            .collect()
    };
    use GuestStatus::{Other, Running, Stopped, Unknown};
    assert_eq!(
        states(1),
        [Running, Other("io-error".into()), Stopped, Running, Unknown]
    );
    // Nobody says anything recent.
    assert!(states(600).iter().all(|status| *status == Unknown));
    let node = &view(&live, 1).nodes[0];
    assert_eq!((node.guests_running, node.guests_total), (2, 5));
}

#[test]
fn without_pvestatd_the_kernel_and_the_broadcast_say_whether_it_runs() {
    let mut live = Live::default();
    let list = guest_list(&[(1, "pve1"), (2, "pve1"), (3, "pve2")]);
    let mut told = broadcast(0, &["pve1", "pve2"], &[1, 2, 3]);
    told.guests[0].status = "paused".to_owned();
    Feed::new("c", "pve1").send(
        &mut live,
        0,
        vec![
            members("pve1", true, BOTH),
            list,
            runtimes(vec![runtime(1, 5, 1.0)]),
            Payload::ClusterBroadcast(told),
        ],
    );
    let view = view(&live, 1);
    assert_eq!(view.guests[0].status, GuestStatus::Other("paused".into()));
    // No process on the node that owns it, whatever was broadcast before.
    assert_eq!(view.guests[1].status, GuestStatus::Stopped);
    assert_eq!(view.guests[2].status, GuestStatus::Running);
    assert_eq!(
        view.guests[2].figures.memory_source,
        Some(MemorySource::Broadcast)
    );
    assert_eq!(view.guests[0].figures.memory_host_bytes, Some(3 << 30));
}

#[test]
fn memory_names_its_source() {
    let mut live = Live::default();
    let list = guest_list(&[(1, "pve1"), (2, "pve1")]);
    let mut status = pve_status(0, &[(1, "running"), (2, "running")]);
    status.guests[0].balloon = Some(wire::BalloonStatus {
        guest_free_bytes: Some(1),
        ..wire::BalloonStatus::default()
    });
    Feed::new("c", "pve1").send(&mut live, 0, vec![list, Payload::PveStatus(status)]);
    let view = view(&live, 1);
    assert_eq!(
        view.guests[0].figures.memory_source,
        Some(MemorySource::Balloon)
    );
    assert_eq!(
        view.guests[1].figures.memory_source,
        Some(MemorySource::Host)
    );
    // PVE writes zero for what it does not look at.
    assert_eq!(view.guests[0].figures.disk_used_bytes, None);
}

#[test]
fn a_guest_that_moved_between_samples_has_no_rate_across_the_move() {
    let mut live = Live::default();
    let mut source = Feed::new("c", "pve1");
    let mut target = Feed::new("c", "pve2");
    let word = |node| members(node, true, BOTH);
    let here = |seconds| runtimes(vec![runtime(100, 5, seconds)]);
    let first = guest_list(&[(100, "pve1")]);
    source.send(&mut live, 0, vec![word("pve1"), first, here(10.0)]);
    source.send(&mut live, 10, vec![here(15.0)]);
    assert_eq!(
        only_guest(&live, 10).rates.unwrap().value.cpu_cores,
        Some(0.5)
    );
    // Both run a process now; the one whose directory holds the file counts.
    let moved = guest_list(&[(100, "pve2")]);
    target.send(&mut live, 20, vec![word("pve2"), moved, here(900.0)]);
    let guest = only_guest(&live, 20);
    assert_eq!(guest.node, NodeIndex(1));
    assert_eq!(guest.rates, None);
    assert_eq!(guest.status, GuestStatus::Running);
    target.send(&mut live, 30, vec![here(901.0)]);
    assert_eq!(
        only_guest(&live, 30).rates.unwrap().value.cpu_cores,
        Some(0.1)
    );
}

#[test]
fn a_guest_restarted_between_samples_has_no_rate_across_the_restart() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let list = guest_list(&[(100, "pve1")]);
    feed.send(
        &mut live,
        0,
        vec![list, runtimes(vec![runtime(100, 5, 10.0)])],
    );
    feed.send(&mut live, 10, vec![runtimes(vec![runtime(100, 999, 11.0)])]);
    assert_eq!(only_guest(&live, 10).rates, None);
    feed.send(&mut live, 20, vec![runtimes(vec![runtime(100, 999, 21.0)])]);
    assert_eq!(
        only_guest(&live, 20).rates.unwrap().value.cpu_cores,
        Some(1.0)
    );
}

#[test]
fn both_forms_of_one_guests_broadcast_are_one_guest() {
    let mut live = Live::default();
    // PVE 8 and 9 write the same guest under two keys while it moves between
    // them; the newest computation is the one that holds.
    let mut told = broadcast(5, &["pve1"], &[100, 100]);
    told.guests[0].computed_at = Some(wire_at(0));
    told.guests[0].memory_host_bytes = Some(99);
    told.guests[1].memory_used_bytes = Some(8);
    let payloads = vec![
        members("pve2", true, BOTH),
        guest_list(&[(100, "pve1")]),
        Payload::ClusterBroadcast(told),
    ];
    Feed::new("c", "pve2").send(&mut live, 6, payloads);
    let figures = only_guest(&live, 6).figures;
    assert_eq!(figures.at, Some(at(5)));
    assert_eq!(figures.memory_used_bytes, Some(8));
    assert_eq!(figures.memory_host_bytes, None);
}

#[test]
fn a_stale_agent_gives_way_to_what_its_node_broadcasts() {
    let mut live = Live::default();
    let list = guest_list(&[(100, "pve1")]);
    let status = Payload::PveStatus(pve_status(0, &[(100, "running")]));
    Feed::new("c", "pve1").send(
        &mut live,
        0,
        vec![members("pve1", true, BOTH), list, status],
    );
    let told = Payload::ClusterBroadcast(broadcast(300, &["pve1"], &[100]));
    Feed::new("c", "pve2").send(&mut live, 300, vec![members("pve2", true, BOTH), told]);
    let figures = only_guest(&live, 301).figures;
    assert_eq!(figures.at, Some(at(300)));
    assert_eq!(figures.memory_source, Some(MemorySource::Broadcast));
    let view = view(&live, 301);
    assert_eq!(view.nodes[0].agent.as_ref().unwrap().last_update_at, at(0));
    assert_eq!(view.nodes[0].status, NodeStatus::Online);
}

#[test]
fn configurations_are_shared_between_members_and_with_the_view() {
    let mut live = Live::default();
    let configs = || guest_configs(&[(100, "pve1", "web")]);
    for node in ["pve1", "pve2"] {
        let word = members(node, true, BOTH);
        let list = guest_list(&[(100, "pve1")]);
        Feed::new("c", node).send(&mut live, 0, vec![word, list, configs()]);
    }
    let held = |node: &str| {
        let agent = &live.clusters()["c"].agents[node];
        Arc::clone(&agent.facts.guest_configs.as_ref().unwrap().value[0].config)
    };
    let guest = only_guest(&live, 1);
    assert!(Arc::ptr_eq(&held("pve1"), &held("pve2")));
    assert!(Arc::ptr_eq(&held("pve1"), guest.config.as_ref().unwrap()));
    assert_eq!(&*guest.name, "web");
}
