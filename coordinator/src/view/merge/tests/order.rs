//! What the order and repetition of deliveries must not change.

use proptest::prelude::*;
use pvelens_proto::agent::v1::{
    self as wire, Cursor, DescribeResponse, NodeUpdate, Sample, sample::Payload,
};

use super::*;
use crate::history::ObjectKey;

const NODES: [&str; 3] = ["pve1", "pve2", "pve3"];

/// An update with its sender and its time of receipt.
type Delivery = (DescribeResponse, NodeUpdate, i64);

/// What one agent says in one round, chosen by the bits of `choice`.
fn payloads(node: usize, second: i64, choice: u8) -> Vec<Payload> {
    let name = NODES[node];
    let bit = |bit: u8| choice & (1 << bit) != 0;
    let owner = NODES[usize::from(choice) % 3];
    let list = [(100, owner), (101, "pve2")];
    let mut all = vec![cpu(second as f64 / 2.0, second as f64)];
    if bit(0) {
        let seen = [("pve1", true), ("pve2", bit(1)), ("pve3", bit(2))];
        all.push(members(name, bit(3), &seen));
    }
    if bit(4) {
        all.push(guest_list(&list));
        all.push(guest_configs(&[(100, owner, "a"), (101, "pve2", "b")]));
    }
    if bit(5) {
        let mut status = pve_status(second, &[(100, "running"), (101, "paused")]);
        status.storages = vec![storage_status(second, "nas", bit(1))];
        all.push(Payload::PveStatus(status));
    }
    if bit(6) {
        all.push(runtimes(vec![
            runtime(100, 5, second as f64),
            runtime(101, 5, 0.0),
        ]));
        all.push(storages(&["nas"]));
    }
    if bit(7) {
        // All members hear the same broadcasts, at different times; the clocks
        // that wrote them are ahead.
        let mut told = broadcast(second + 3, &NODES, &[100, 101]);
        told.storages = vec![broadcast_storage(second + 3, "pve3", "nas")];
        all.push(Payload::ClusterBroadcast(told));
    }
    all
}

/// Rounds of three agents: one byte of choices per agent and round.
fn streams(rounds: &[[u8; 3]]) -> Vec<Vec<Delivery>> {
    (0..3)
        .map(|node| {
            let mut feed = Feed::new("c", NODES[node]);
            let received_after = [1, 0, 2];
            let rounds = (0..).zip(rounds);
            rounds
                .map(|(round, choices)| {
                    let second = round * 10;
                    let samples = payloads(node, second, choices[node]);
                    let samples = samples.into_iter().map(|p| sample(second, p)).collect();
                    let update = feed.update(samples);
                    (
                        feed.described.clone(),
                        update,
                        second + received_after[node],
                    )
                })
                .collect()
        })
        .collect()
}

fn deliver(live: &mut Live, delivery: &Delivery) {
    let (described, update, second) = delivery;
    live.append(described, update.clone(), at(*second));
}

/// The view in words, without the keys of series: those are given out in order
/// of arrival and mean nothing outside.
fn shown(live: &Live, second: i64) -> String {
    let mut view = view(live, second);
    let none = ObjectKey(0);
    view.nodes.iter_mut().for_each(|node| node.key = none);
    view.guests.iter_mut().for_each(|guest| guest.key = none);
    let storages = view.storages.iter_mut();
    storages
        .flat_map(|storage| &mut storage.nodes)
        .for_each(|node| node.key = none);
    format!("{view:#?}")
}

fn rounds() -> impl Strategy<Value = Vec<[u8; 3]>> {
    prop::collection::vec(any::<[u8; 3]>(), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_order_of_agents_does_not_matter(rounds in rounds(), turns in prop::collection::vec(0_usize..3, 0..20)) {
        let streams = streams(&rounds);
        let mut one_by_one = Live::default();
        streams.iter().flatten().for_each(|delivery| deliver(&mut one_by_one, delivery));
        let mut mixed = Live::default();
        let mut next = [0; 3];
        for agent in turns.into_iter().chain((0..3).cycle().take(3 * rounds.len())) {
            if let Some(delivery) = streams[agent].get(next[agent]) {
                deliver(&mut mixed, delivery);
                next[agent] += 1;
            }
        }
        prop_assert_eq!(shown(&one_by_one, 60), shown(&mixed, 60));
    }

    #[test]
    fn delivering_again_changes_nothing(rounds in rounds(), from in 0_usize..6) {
        let streams = streams(&rounds);
        let mut live = Live::default();
        streams.iter().flatten().for_each(|delivery| deliver(&mut live, delivery));
        let (before, series) = (shown(&live, 60), live.history().series_count());
        for stream in &streams {
            stream.iter().skip(from).for_each(|delivery| deliver(&mut live, delivery));
        }
        prop_assert_eq!(before, shown(&live, 60));
        prop_assert_eq!(series, live.history().series_count());
    }

    #[test]
    fn a_stream_cut_anywhere_and_resumed_gives_the_same(rounds in rounds(), cut in 0_usize..6) {
        let streams = streams(&rounds);
        let mut whole = Live::default();
        streams.iter().flatten().for_each(|delivery| deliver(&mut whole, delivery));
        let mut resumed = Live::default();
        for stream in &streams {
            stream.iter().take(cut).for_each(|delivery| deliver(&mut resumed, delivery));
            let kept = resumed.cursor(&stream[0].0).map_or(0, |cursor| cursor.sequence);
            let rest = stream.iter().filter(|(_, update, _)| {
                update.cursor.as_ref().is_some_and(|cursor| cursor.sequence > kept)
            });
            rest.for_each(|delivery| deliver(&mut resumed, delivery));
        }
        prop_assert_eq!(shown(&whole, 60), shown(&resumed, 60));
    }

    #[test]
    fn hostile_updates_harm_nobody(updates in prop::collection::vec(hostile(), 0..24)) {
        let mut live = Live::default();
        Feed::new("c", "pve1").send(&mut live, 0, vec![members("pve1", true, BOTH)]);
        let mut seconds = 0_i64;
        for (described, update, received) in updates {
            seconds = seconds.wrapping_add(received);
            live.append(&described, update, at(received));
            live.heartbeat(&described, at(received.wrapping_mul(7)), at(received));
        }
        for second in [-1_000_000, 0, 1, 1_000_000] {
            let view = view(&live, second);
            prop_assert!(view.guests.iter().all(|guest| guest.node.get() < view.nodes.len()));
            prop_assert!(view.nodes.is_sorted_by_key(|node| (node.cluster, node.name.clone())));
            prop_assert!(view.guests.is_sorted_by_key(|guest| (guest.cluster, guest.vmid)));
        }
        prop_assert!(live.agents().iter().any(|agent| agent.node == "pve1"));
    }
}

fn hostile() -> impl Strategy<Value = Delivery> {
    let identity = (
        prop::sample::select(vec!["c", "d", "", "\u{202e}x"]),
        prop::sample::select(vec!["pve1", "pve2", "", "../../etc"]),
    );
    let described = identity.prop_map(|(cluster, node)| DescribeResponse {
        cluster_id: cluster.to_owned(),
        node_name: node.to_owned(),
        ..DescribeResponse::default()
    });
    let cursor = prop::option::of(
        ("[ab]?", any::<u64>()).prop_map(|(epoch, sequence)| Cursor { epoch, sequence }),
    );
    let update = (
        cursor,
        prop::collection::vec(hostile_sample(), 0..4),
        any::<bool>(),
        any::<u64>(),
    )
        .prop_map(|(cursor, samples, baseline, skipped_updates)| NodeUpdate {
            cursor,
            samples,
            baseline,
            skipped_updates,
        });
    (described, update, -1_000_000_i64..1_000_000)
}

fn hostile_sample() -> impl Strategy<Value = Sample> {
    let time = prop::option::of((
        prop_oneof![any::<i64>(), 1_795_599_990_i64..1_795_600_100],
        any::<i32>(),
    ));
    let collector = prop::sample::select(vec!["cpu", "disk", "guest_list", "pve_status", ""]);
    (collector, time, prop::option::of(hostile_payload())).prop_map(|(collector, time, payload)| {
        Sample {
            collector: collector.to_owned(),
            observed_at: time.map(|(seconds, nanos)| pvelens_proto::Timestamp { seconds, nanos }),
            payload,
            ..Sample::default()
        }
    })
}

fn hostile_payload() -> impl Strategy<Value = Payload> {
    let node = prop::sample::select(vec!["pve1", "pve2", "nobody", ""]);
    let vmid = prop_oneof![Just(0), Just(100), any::<u32>()];
    let float = prop_oneof![
        Just(f64::NAN),
        Just(f64::INFINITY),
        Just(-1.0),
        any::<f64>()
    ];
    (
        0_u8..10,
        node,
        prop::collection::vec(vmid, 0..6),
        float,
        any::<u64>(),
        any::<i32>(),
    )
        .prop_map(|(which, node, vmids, float, count, kind)| match which {
            0 => cpu(float, float),
            1 => guest_list(&vmids.iter().map(|vmid| (*vmid, node)).collect::<Vec<_>>()),
            2 => guest_configs(
                &vmids
                    .iter()
                    .map(|vmid| (*vmid, node, "x"))
                    .collect::<Vec<_>>(),
            ),
            3 => Payload::PveStatus(wire::PveStatus {
                guests: vmids
                    .iter()
                    .map(|vmid| wire::PveGuestStatus {
                        vmid: *vmid,
                        kind,
                        status: "running".to_owned(),
                        uptime_seconds: Some(float),
                        cpu_ratio: Some(float),
                        memory_used_bytes: Some(count),
                        memory_maximum_bytes: Some(0),
                        received_bytes_total: Some(count),
                        ..wire::PveGuestStatus::default()
                    })
                    .collect(),
                storages: vec![
                    storage_status(0, node, true),
                    storage_status(9, node, false),
                ],
                ..wire::PveStatus::default()
            }),
            4 => runtimes(
                vmids
                    .iter()
                    .map(|vmid| wire::GuestRuntime {
                        kind,
                        memory_file_bytes: Some(count),
                        memory_current_bytes: Some(0),
                        ..runtime(*vmid, count, float)
                    })
                    .collect(),
            ),
            5 => members(
                node,
                count % 2 == 0,
                &[(node, true), ("", false), (node, false)],
            ),
            6 => Payload::ClusterBroadcast(broadcast(i64::from(kind), &[node, "", node], &vmids)),
            7 => Payload::Unchanged(wire::Unchanged {
                since_sequence: count,
            }),
            8 => Payload::NoData(wire::NoData::default()),
            _ => Payload::Disks(wire::Disks {
                disks: vmids
                    .iter()
                    .map(|name| wire::Disk {
                        name: name.to_string(),
                        reads_total: count,
                        read_seconds_total: float,
                        ..wire::Disk::default()
                    })
                    .collect(),
            }),
        })
}
