use std::collections::BTreeMap;

use proptest::prelude::*;
use pvelens_proto::agent::v1::{self as wire, DescribeResponse, sample::Payload};

use super::*;
use crate::{
    live::{AgentRecord, Appended, Live, fixture::*},
    view,
};

const EPOCHS: [&str; 3] = ["a", "b", "c"];

/// An update of an epoch; its samples are of `second`.
fn update(epoch: &str, sequence: u64, second: i64, payloads: Vec<Payload>) -> NodeUpdate {
    let samples = payloads.into_iter().map(|payload| sample(second, payload));
    NodeUpdate {
        cursor: Some(Cursor {
            epoch: epoch.to_owned(),
            sequence,
        }),
        samples: samples.collect(),
        ..NodeUpdate::default()
    }
}

fn disks(reads: u64) -> Payload {
    Payload::Disks(wire::Disks {
        disks: vec![wire::Disk {
            name: "sda".to_owned(),
            reads_total: reads,
            ..wire::Disk::default()
        }],
    })
}

fn described(epoch: &str) -> DescribeResponse {
    DescribeResponse {
        epoch: epoch.to_owned(),
        ..Feed::new("c", "pve1").described
    }
}

fn agent(live: &Live) -> AgentRecord {
    live.agents().remove(0)
}

/// Sends an update that holds a counter of a hundred requests a second.
fn send(live: &mut Live, epoch: &str, sequence: u64, second: i64) -> Appended {
    deliver(live, epoch, sequence, second, second)
}

fn deliver(live: &mut Live, epoch: &str, sequence: u64, second: i64, received: i64) -> Appended {
    let reads = u64::try_from(second).unwrap() * 100;
    let update = update(epoch, sequence, second, vec![disks(reads)]);
    live.append(&described(epoch), update, at(received))
}

fn reads_per_second(live: &Live, second: i64) -> Option<f64> {
    let view = view::build(live, at(second));
    let rates = view.nodes[0].rates.clone()?;
    let disk = *rates.value.disks.first()?;
    disk.map(|disk| disk.reads_per_second)
}

#[test]
fn an_update_that_was_overtaken_is_kept() {
    let mut live = Live::default();
    for (sequence, second) in [(1, 10), (3, 30), (2, 20), (3, 30), (4, 40), (2, 20)] {
        send(&mut live, "a", sequence, second);
    }
    let agent = agent(&live);
    assert_eq!(agent.kept_updates[0].ranges, [(1, 4)]);
    assert_eq!((agent.updates_total, agent.repeated_updates_total), (4, 2));
    // What came late is not the newest, and no counter runs backwards.
    assert_eq!(reads_per_second(&live, 40), Some(100.0));
}

#[test]
fn what_a_newer_update_calls_unchanged_is_taken_when_it_comes_late() {
    let described = described("a");
    let mut live = Live::default();
    let mut append = |update: NodeUpdate, second| live.append(&described, update, at(second));
    append(update("a", 1, 0, vec![guest_list(&[(100, "pve1")])]), 0);
    let unchanged = NodeUpdate {
        samples: vec![unchanged("guest_list", 20, 2)],
        ..update("a", 3, 20, Vec::new())
    };
    append(unchanged, 20);
    let both = guest_list(&[(100, "pve1"), (101, "pve1")]);
    append(update("a", 2, 10, vec![both]), 21);
    let view = view::build(&live, at(21));
    assert_eq!(view.guests.len(), 2);
    assert_eq!(view.clusters[0].guest_list_at, Some(at(20)));
}

#[test]
fn an_epoch_that_comes_back_counts_what_was_never_kept() {
    let mut live = Live::default();
    for (sequence, second) in [(1, 10), (2, 20), (5, 50)] {
        send(&mut live, "a", sequence, second);
    }
    send(&mut live, "b", 1, 60);
    assert_eq!(send(&mut live, "a", 3, 30), Appended::Accepted);
    assert_eq!(send(&mut live, "a", 2, 20), Appended::Duplicate);
    let agent = agent(&live);
    let kept: Vec<_> = agent
        .kept_updates
        .iter()
        .map(|kept| (kept.epoch.as_str(), kept.ranges.as_slice()))
        .collect();
    assert_eq!(kept, [("b", &[(1, 1)][..]), ("a", &[(1, 3), (5, 5)][..])]);
    // The last words of an agent that was restarted are no second agent.
    assert_eq!(agent.identity_problem, "");
    let cursor = live.cursor(&described("a")).unwrap();
    assert_eq!((cursor.epoch.as_str(), cursor.sequence), ("a", 5));
}

#[test]
fn counters_of_two_agents_are_not_compared() {
    let mut live = Live::default();
    for round in 0..6_i64 {
        let (epoch, reads) = [("a", 1_000_000), ("b", 5)][usize::try_from(round % 2).unwrap()];
        let second = round * 10;
        let sequence = u64::try_from(round / 2).unwrap() + 1;
        let update = update(epoch, sequence, second, vec![disks(reads)]);
        live.append(&described(epoch), update, at(second));
        assert_eq!(reads_per_second(&live, second), None);
    }
}

#[test]
fn an_epoch_goes_on_when_the_one_after_it_has_ended() {
    let mut live = Live::default();
    send(&mut live, "a", 1, 0);
    send(&mut live, "b", 1, 10);
    for sequence in 2..20 {
        send(
            &mut live,
            "a",
            sequence,
            10 * i64::try_from(sequence).unwrap(),
        );
    }
    // It is the present one again: also when its clock is set back.
    let late = update("a", 20, 100, vec![disks(7)]);
    live.append(&described("a"), late, at(210));
    let view = view::build(&live, at(210));
    let disks = view.nodes[0].facts.disks.as_ref().unwrap();
    assert_eq!(disks.value.disks[0].reads_total, 7);
    assert_eq!(agent(&live).kept_updates[0].epoch, "a");
}

#[test]
fn a_second_agent_is_named_with_where_it_is() {
    let mut live = Live::default();
    for (epoch, address) in [("a", "192.0.2.1"), ("b", "192.0.2.2")] {
        live.connected(&described(epoch), address, at(0));
    }
    send(&mut live, "a", 1, 0);
    send(&mut live, "b", 1, 5);
    send(&mut live, "a", 2, 10);
    let problem = agent(&live).identity_problem;
    assert_eq!(
        problem,
        "two agents deliver under the name of this node, at 192.0.2.1 and 192.0.2.2"
    );
    let view = view::build(&live, at(10));
    let doubled = view.nodes[0].agent.as_ref().unwrap().doubled.clone();
    let doubled = doubled.unwrap();
    assert_eq!(doubled.epochs, ["b".into(), "a".into()]);
    assert_eq!(doubled.since, at(10));
}

#[test]
fn a_live_copy_with_the_same_epoch_is_noticed() {
    let mut live = Live::default();
    for sequence in 1..5 {
        let second = i64::try_from(sequence).unwrap() * 10;
        send(&mut live, "a", sequence, second);
        assert_eq!(agent(&live).identity_problem, "");
        assert_eq!(send(&mut live, "a", sequence, second), Appended::Duplicate);
    }
    assert_eq!(agent(&live).identity_problem, "");
    send(&mut live, "a", 4, 43);
    assert!(agent(&live).identity_problem.starts_with("two agents"));
}

#[test]
fn updates_that_the_agent_dropped_count_once() {
    let mut live = Live::default();
    send(&mut live, "a", 1, 10);
    let baseline = NodeUpdate {
        baseline: true,
        skipped_updates: 48,
        ..update("a", 49, 400, vec![disks(1)])
    };
    for _ in 0..3 {
        live.append(&described("a"), baseline.clone(), at(500));
    }
    send(&mut live, "a", 50, 500);
    live.append(&described("a"), baseline, at(510));
    let agent = agent(&live);
    assert_eq!(agent.skipped_updates_total, 48);
    assert_eq!(agent.kept_updates[0].ranges, [(1, 1), (50, 50)]);
}

#[test]
fn what_a_link_finds_is_shown_also_of_an_agent_that_never_spoke() {
    let mut live = Live::default();
    let problem = "two links show its certificate";
    live.identity_problem("c", "pve1", Some(problem.to_owned()), at(0));
    assert_eq!(agent(&live).identity_problem, problem);
    send(&mut live, "a", 1, 10);
    assert_eq!(live.agents().len(), 1);
    assert_eq!(agent(&live).identity_problem, problem);
    live.identity_problem("c", "pve1", None, at(20));
    assert_eq!(agent(&live).identity_problem, "");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_update_counts_once_in_any_order(
        lengths in prop::collection::vec(1_u64..20, 3),
        lost in prop::collection::btree_set((0_usize..3, 1_u64..20), 0..8),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 60..120),
        order in any::<u64>(),
    ) {
        // One agent that was restarted twice; some updates it dropped itself.
        let mut log = Vec::new();
        let mut second = 0;
        for (epoch, length) in lengths.iter().enumerate() {
            for sequence in 1..=*length {
                second += 10;
                if !lost.contains(&(epoch, sequence)) {
                    log.push((EPOCHS[epoch], sequence, second));
                }
            }
        }
        prop_assume!(!log.is_empty());
        let mut in_order = Live::default();
        for (epoch, sequence, second) in &log {
            send(&mut in_order, epoch, *sequence, *second);
        }
        // Any of them again and again, then all of them in a jumbled order.
        let mut jumbled = log.clone();
        jumbled.sort_by_key(|(_, _, second)| {
            let second = u64::try_from(*second).unwrap();
            (second ^ order).wrapping_mul(0x9e37_79b9_7f4a_7c15)
        });
        let again = shuffle.iter().map(|index| *index.get(&log));
        let mut live = Live::default();
        let mut accepted: BTreeMap<(&str, u64), u32> = BTreeMap::new();
        for (epoch, sequence, observed) in again.chain(jumbled) {
            if deliver(&mut live, epoch, sequence, observed, second) == Appended::Accepted {
                *accepted.entry((epoch, sequence)).or_default() += 1;
            }
        }
        prop_assert!(accepted.values().all(|times| *times == 1));
        prop_assert_eq!(accepted.len(), log.len());
        let (jumbled, expected) = (agent(&live), agent(&in_order));
        prop_assert_eq!(jumbled.updates_total, u64::try_from(log.len()).unwrap());
        let by_epoch = |agent: &AgentRecord| {
            let kept = agent.kept_updates.iter();
            kept.map(|kept| (kept.epoch.clone(), kept.ranges.clone())).collect::<BTreeMap<_, _>>()
        };
        prop_assert_eq!(by_epoch(&jumbled), by_epoch(&expected));
        // The newest sample is the same, and no rate was made of two epochs or backwards.
        let newest = |live: &Live| {
            let view = view::build(live, at(second + 1));
            let disks = view.nodes[0].facts.disks.clone().unwrap();
            (disks.at, disks.value.disks[0].reads_total)
        };
        prop_assert_eq!(newest(&live), newest(&in_order));
        if let Some(rate) = reads_per_second(&live, second + 1) {
            prop_assert!((rate - 100.0).abs() < 1e-6, "{}", rate);
        }
    }
}
