use std::time::Duration;

use jiff::SignedDuration;
use pvelens_proto::agent::v1::{
    self as wire, FailureKind, NoData, NodeUpdate, Sample, SourceFailure, sample::Payload,
};

use super::fixture::*;
use super::*;
use crate::{
    metric::Metric,
    view::{self, View},
};

mod identity;
mod jump;

const TEN_MINUTES: Duration = Duration::from_secs(600);

fn view(live: &Live, second: i64) -> View {
    view::build(live, at(second))
}

/// Last value of a series of the first node.
fn latest(live: &Live, metric: Metric, part: &str, second: i64) -> Option<f64> {
    let key = view(live, second).nodes[0].key;
    let window = live
        .history()
        .window_of_part(key, metric, part, at(second), TEN_MINUTES);
    window.latest()
}

#[test]
fn an_update_counts_once() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let update = feed.update(vec![sample(0, cpu(1.0, 9.0))]);
    let append =
        |live: &mut Live, update: &NodeUpdate| live.append(&feed.described, update.clone(), at(0));
    assert_eq!(append(&mut live, &update), Appended::Accepted);
    assert_eq!(append(&mut live, &update), Appended::Duplicate);
    assert_eq!(live.agents()[0].updates_total, 1);
    assert_eq!(live.cursor(&feed.described), update.cursor);
}

#[test]
fn a_new_epoch_starts_over_and_the_old_one_stays_closed() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    feed.send(&mut live, 0, vec![cpu(1.0, 9.0)]);
    feed.send(&mut live, 10, vec![cpu(2.0, 18.0)]);
    let mut old = feed.clone();
    feed.restart("2");
    assert_eq!(live.cursor(&feed.described), None);
    assert_eq!(
        feed.send(&mut live, 20, vec![cpu(3.0, 27.0)]),
        Appended::Accepted
    );
    assert_eq!(
        live.cursor(&feed.described).map(|cursor| cursor.sequence),
        Some(1)
    );
    // Counters of two epochs are not compared: the machine may have rebooted.
    assert_eq!(view(&live, 20).nodes[0].rates, None);
    // What the old epoch had delivered is still known.
    old.restart("c/pve1/1");
    assert_eq!(
        old.send(&mut live, 20, vec![cpu(0.0, 0.0)]),
        Appended::Duplicate
    );
    let cpu_fact = view(&live, 20).nodes[0].facts.cpu.clone().unwrap();
    assert_eq!(cpu_fact.value.user_seconds_total, 3.0);
}

#[test]
fn two_agents_under_one_name_are_named() {
    let mut live = Live::default();
    let mut first = Feed::new("c", "pve1");
    let mut second = Feed::new("c", "pve1");
    second.restart("other");
    first.send(&mut live, 0, vec![cpu(1.0, 9.0)]);
    second.send(&mut live, 5, vec![cpu(1.0, 9.0)]);
    assert!(view(&live, 5).nodes[0].failures.is_empty());
    assert_eq!(
        first.send(&mut live, 10, vec![cpu(2.0, 18.0)]),
        Appended::Accepted
    );
    let failures = &view(&live, 10).nodes[0].failures;
    assert!(failures[0].detail.starts_with("two agents"));
    assert!(view(&live, 2_000).nodes[0].failures.is_empty());
}

#[test]
fn unchanged_refreshes_the_value_it_speaks_of_and_no_other() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    feed.send(&mut live, 0, vec![guest_list(&[(100, "pve1")])]);
    let update = feed.update(vec![unchanged("guest_list", 600, 1)]);
    live.append(&feed.described, update, at(600));
    assert_eq!(view(&live, 600).clusters[0].guest_list_at, Some(at(600)));
    // The payload of update 7 never arrived.
    let update = feed.update(vec![unchanged("guest_list", 900, 7)]);
    live.append(&feed.described, update, at(900));
    assert_eq!(view(&live, 900).clusters[0].guest_list_at, Some(at(600)));
}

#[test]
fn counters_that_stand_still_are_a_rate_of_zero() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let disks = |reads| {
        Payload::Disks(wire::Disks {
            disks: vec![wire::Disk {
                name: "sda".to_owned(),
                reads_total: reads,
                ..wire::Disk::default()
            }],
        })
    };
    feed.send(&mut live, 0, vec![disks(10)]);
    feed.send(&mut live, 10, vec![disks(510)]);
    let reads = |second, live: &Live| {
        let rates = view(live, second).nodes[0].rates.clone().unwrap();
        rates.value.disks[0].unwrap().reads_per_second
    };
    assert_eq!(reads(10, &live), 50.0);
    let update = feed.update(vec![unchanged("disk", 20, 2)]);
    live.append(&feed.described, update, at(20));
    assert_eq!(reads(20, &live), 0.0);
}

#[test]
fn repeated_content_counts_only_where_it_is_newer() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let baseline = |feed: &mut Feed| NodeUpdate {
        baseline: true,
        ..feed.update(vec![sample(-500, guest_list(&[(100, "pve1")]))])
    };
    let first = baseline(&mut feed);
    assert_eq!(
        live.append(&feed.described, first.clone(), at(0)),
        Appended::Accepted
    );
    assert_eq!(
        live.append(&feed.described, first, at(0)),
        Appended::Duplicate
    );
    // It is no place to resume from: the ring is still to come.
    assert_eq!(live.cursor(&feed.described), None);
    feed.send(
        &mut live,
        5,
        vec![guest_list(&[(100, "pve1"), (101, "pve1")])],
    );
    let late = baseline(&mut feed);
    assert_eq!(
        live.append(&feed.described, late, at(6)),
        Appended::Duplicate
    );
    assert_eq!(view(&live, 6).guests.len(), 2);
}

#[test]
fn nothing_to_collect_removes_the_fact() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    feed.send(&mut live, 0, vec![cpu(1.0, 9.0)]);
    let none = Payload::NoData(NoData {
        reason: "gone".to_owned(),
    });
    let update = feed.update(vec![named("cpu", 10, Some(none))]);
    live.append(&feed.described, update, at(10));
    let view = view(&live, 10);
    assert!(view.nodes[0].facts.cpu.is_none());
    assert!(view.nodes[0].failures.is_empty());
}

#[test]
fn a_failure_leaves_the_last_value_to_age() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    feed.send(&mut live, 0, vec![cpu(1.0, 9.0)]);
    let failed = Sample {
        failures: vec![SourceFailure {
            path: "/proc/stat".to_owned(),
            kind: FailureKind::TimedOut.into(),
            detail: "x".repeat(100_000),
        }],
        ..named("cpu", 10, None)
    };
    let update = feed.update(vec![failed]);
    live.append(&feed.described, update, at(10));
    let view = view(&live, 10);
    let node = &view.nodes[0];
    assert_eq!(node.facts.cpu.as_ref().unwrap().at, at(0));
    assert_eq!(node.failures[0].kind, FailureKind::TimedOut);
    assert_eq!(node.failures[0].at, at(10));
    assert!(node.failures[0].detail.len() <= 512);
    // The next good sample ends the failure.
    feed.send(&mut live, 20, vec![cpu(2.0, 18.0)]);
    assert!(super::tests::view(&live, 20).nodes[0].failures.is_empty());
}

#[test]
fn a_sample_from_the_future_or_without_a_time_is_never_fresher_than_its_receipt() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let ahead = feed.update(vec![sample(80_000_000, cpu(1.0, 9.0))]);
    live.append(&feed.described, ahead, at(0));
    let timeless = Sample {
        observed_at: None,
        ..sample(0, standalone("pve1"))
    };
    let update = feed.update(vec![timeless]);
    live.append(&feed.described, update, at(0));
    let node = &view(&live, 1).nodes[0];
    assert!(node.facts.cpu.as_ref().unwrap().at <= at(0));
    let age = at(0).duration_since(node.facts.members.as_ref().unwrap().at);
    assert!(age > SignedDuration::from_hours(24));
    assert_eq!(node.failures[0].kind, FailureKind::Malformed);
}

#[test]
fn the_clock_of_a_node_is_measured_and_corrected() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    live.heartbeat(&feed.described, at(90), at(0));
    let update = feed.update(vec![sample(95, cpu(1.0, 9.0))]);
    live.append(&feed.described, update, at(6));
    assert_eq!(live.agents()[0].clock_offset_seconds, Some(90.0));
    let view = view(&live, 6);
    assert_eq!(view.nodes[0].facts.cpu.as_ref().unwrap().at, at(5));
}

#[test]
fn connections_are_shown_as_they_are() {
    let mut live = Live::default();
    let feed = Feed::new("c", "pve1");
    live.disconnected("/run/a.sock", "connection refused");
    assert_eq!(live.agents()[0].last_error, "connection refused");
    assert_eq!(live.agents()[0].node, "");
    live.connected(&feed.described, "/run/a.sock", at(1));
    let agents = live.agents();
    assert_eq!((agents.len(), agents[0].connected), (1, true));
    assert_eq!(agents[0].last_error, "");
    live.disconnected("/run/a.sock", "reset");
    let agent = &live.agents()[0];
    assert_eq!(
        (agent.connected, agent.last_error.as_str()),
        (false, "reset")
    );
    // The node was renamed: the same socket, another agent.
    live.connected(&feed.described, "/run/a.sock", at(3));
    let renamed = Feed::new("c", "pve2");
    live.connected(&renamed.described, "/run/a.sock", at(4));
    let connected: Vec<bool> = live.agents().iter().map(|agent| agent.connected).collect();
    assert_eq!(connected, [false, true]);
}

#[test]
fn an_agent_with_a_socket_and_a_link_is_connected_while_it_has_one() {
    let mut live = Live::default();
    let feed = Feed::new("c", "pve1");
    live.connected(&feed.described, "/run/a.sock", at(0));
    live.connected(&feed.described, "192.0.2.1:40000", at(1));
    assert_eq!(live.agents()[0].address, "192.0.2.1:40000");
    live.disconnected("192.0.2.1:40000", "reset");
    let agent = &live.agents()[0];
    assert!(agent.connected && agent.last_error.is_empty());
    assert_eq!(agent.address, "/run/a.sock");
    live.disconnected("/run/a.sock", "closed");
    let agent = &live.agents()[0];
    assert!(!agent.connected);
    assert_eq!(agent.last_error, "closed");
}

fn places(live: &Live) -> Vec<(String, String, bool)> {
    let agents = live.agents().into_iter();
    agents
        .map(|agent| (agent.cluster, agent.node, agent.is_pve_node))
        .collect()
}

#[test]
fn a_node_without_its_cluster_file_system_stays_in_its_cluster() {
    let mut live = Live::default();
    let known = Feed::new("c", "pve1");
    live.connected(&known.described, "/run/a.sock", at(0));
    let lost = Feed::new("", "pve1");
    live.connected(&lost.described, "/run/a.sock", at(1));
    assert_eq!(places(&live), [("c".to_owned(), "pve1".to_owned(), true)]);
    assert!(live.agents()[0].connected);

    // Of two clusters that have such a node, neither is meant for certain.
    let namesake = Feed::new("d", "pve1");
    live.connected(&namesake.described, "/run/b.sock", at(2));
    live.connected(&lost.described, "/run/a.sock", at(3));
    assert!(places(&live).contains(&("host:pve1".to_owned(), "pve1".to_owned(), false)));
}

#[test]
fn a_machine_that_turns_out_to_be_a_node_is_one_machine() {
    let mut live = Live::default();
    let host = Feed::new("", "pve1");
    let other = Feed::new("", "backup");
    live.connected(&other.described, "/run/b.sock", at(0));
    live.connected(&host.described, "/run/a.sock", at(0));
    assert_eq!(live.agents().len(), 2);
    let node = Feed::new("c", "pve1");
    live.connected(&node.described, "/run/a.sock", at(1));
    let clusters: Vec<String> = live
        .agents()
        .into_iter()
        .map(|agent| agent.cluster)
        .collect();
    assert_eq!(clusters, ["c", "host:backup"]);
}

#[test]
fn series_hold_what_checks_judge_and_nothing_twice() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let memory = Payload::Memory(wire::Memory {
        total_bytes: 100,
        available_bytes: 20,
        arc: Some(wire::ZfsArc {
            size_bytes: 35,
            min_bytes: 5,
            max_bytes: 50,
            ..wire::ZfsArc::default()
        }),
        ..wire::Memory::default()
    });
    let root = Payload::Filesystems(wire::Filesystems {
        filesystems: vec![wire::Filesystem {
            mount_point: "/".to_owned(),
            state: wire::FilesystemState::Measured.into(),
            total_bytes: Some(100),
            used_bytes: Some(30),
            ..wire::Filesystem::default()
        }],
    });
    let disk = |requests, seconds| {
        Payload::Disks(wire::Disks {
            disks: vec![wire::Disk {
                name: "sda".to_owned(),
                writes_total: requests,
                write_seconds_total: seconds,
                ..wire::Disk::default()
            }],
        })
    };
    feed.send(&mut live, 0, vec![cpu(0.0, 0.0), disk(0, 0.0)]);
    feed.send(
        &mut live,
        10,
        vec![cpu(4.0, 6.0), disk(200, 4.0), memory, root],
    );
    // Too few requests to say anything about the disk.
    feed.send(&mut live, 20, vec![cpu(8.0, 12.0), disk(205, 9.0)]);
    let close = |value: Option<f64>, expected: f64| (value.unwrap() - expected).abs() < 1e-6;
    assert!(close(latest(&live, Metric::CpuRatio, "", 20), 0.4));
    assert!(close(
        latest(&live, Metric::MemoryAvailableRatio, "", 20),
        0.5
    ));
    assert!(close(
        latest(&live, Metric::DiskLatencySeconds, "sda", 20),
        0.02
    ));
    assert!(close(latest(&live, Metric::UsedRatio, "/", 20), 0.3));
}

#[test]
fn guests_are_recorded_once_per_computation() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let list = guest_list(&[(100, "pve1")]);
    let mut status = pve_status(0, &[(100, "running")]);
    feed.send(&mut live, 1, vec![list, Payload::PveStatus(status.clone())]);
    // The same computation, read again.
    status.guests[0].cpu_ratio = Some(0.9);
    feed.send(&mut live, 11, vec![Payload::PveStatus(status)]);
    let view = view(&live, 11);
    let window = |metric| {
        live.history()
            .window(view.guests[0].key, metric, at(11), TEN_MINUTES)
    };
    assert_eq!(window(Metric::CpuRatio).latest(), Some(0.5));
    // No balloon: the figure is the host's and says nothing about need.
    assert_eq!(window(Metric::MemoryUsedRatio).latest(), None);
}

#[test]
fn a_node_without_an_agent_has_series_from_what_it_broadcasts() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve2");
    for second in [0, 10, 10] {
        let told = broadcast(second, &["pve1"], &[]);
        let known = members("pve2", true, &[("pve1", true), ("pve2", true)]);
        feed.send(
            &mut live,
            second,
            vec![known, Payload::ClusterBroadcast(told)],
        );
    }
    assert_eq!(latest(&live, Metric::CpuRatio, "", 12), Some(0.25));
    let share = latest(&live, Metric::MemoryAvailableRatio, "", 12).unwrap();
    assert!((share - 0.4).abs() < 1e-6);
}

#[test]
fn oversized_and_impossible_payloads_are_refused_visibly() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    feed.send(&mut live, 0, vec![cpu(1.0, 9.0)]);
    let guests = (0..60_000).map(|vmid| (vmid, "pve1")).collect::<Vec<_>>();
    feed.send(&mut live, 10, vec![cpu(f64::NAN, 9.0), guest_list(&guests)]);
    let view = view(&live, 10);
    assert_eq!(view.nodes[0].facts.cpu.as_ref().unwrap().at, at(0));
    assert_eq!(view.guests.len(), 0);
    assert_eq!(view.nodes[0].failures.len(), 2);
}

#[test]
fn what_is_not_heard_of_any_more_is_forgotten() {
    let mut live = Live::default();
    let mut feed = Feed::new("c", "pve1");
    let status = Payload::PveStatus(pve_status(0, &[(100, "running")]));
    let told = Payload::ClusterBroadcast(broadcast(0, &["pve9"], &[100]));
    feed.send(&mut live, 0, vec![status, told]);
    assert!(live.history().series_count() > 0);
    feed.send(&mut live, 8_000, vec![guest_list(&[(100, "pve1")])]);
    assert_eq!(live.history().series_count(), 0);
    assert_eq!(live.clusters["c"].keys.guests().count(), 0);
    assert!(live.clusters["c"].broadcasts.guests.is_empty());
}
