//! Counters that begin anew, nodes that boot and guests that move leave no spike.

use std::collections::BTreeSet;

use proptest::prelude::*;
use pvelens::{
    metric::Metric,
    store::{
        block::SeriesKey,
        query::{self, Span},
        tier::Tier,
    },
};
use pvelens_proto::{
    agent::v1::{
        Cursor, DescribeResponse, Disk, Disks, GuestKind, Network, NetworkInterface, NodeUpdate,
        PveGuestStatus, PveNodeStatus, PveStatus, Sample, sample::Payload,
    },
    timestamp_from_millis,
};
use tempfile::TempDir;

use crate::{at, keeping};

const NODES: [&str; 2] = ["pve1", "pve2"];
/// No counter ever grows by more in a second.
const MOST_PER_SECOND: u64 = 1_000_000;
/// How precisely rates are kept.
const PRECISION: f64 = 1.0 / 16_384.0;
const RATES: &[Metric] = &[
    Metric::ReadBytesPerSecond,
    Metric::WriteBytesPerSecond,
    Metric::ReceivedBytesPerSecond,
    Metric::TransmittedBytesPerSecond,
    Metric::ReadsPerSecond,
    Metric::WritesPerSecond,
    Metric::NetworkErrorsPerSecond,
];

/// What happens before a sample is taken.
#[derive(Debug, Clone, Copy)]
enum Event {
    Nothing,
    /// No sample comes.
    Missed,
    /// The guest's counters begin anew, in the same process: a card was plugged again.
    Reset,
    /// The guest is started anew.
    Restart,
    /// The guest goes on in a new process on the other node, whose counters begin anew.
    Move,
    /// As a move, with what it had counted: they may be handed over.
    MoveWithCounters,
    /// The node of this number boots: its counters begin anew, its agent too.
    Boot(usize),
    /// The agent of this node begins anew, and says again what it said last.
    Again(usize),
}

#[derive(Debug, Clone, Copy)]
struct Step {
    event: Event,
    seconds: i64,
    /// Of the most, in 1/256.
    rate: u64,
    /// What is counted already when counters begin anew, of what there was.
    after_reset: u64,
}

fn step() -> impl Strategy<Value = Step> {
    let event = prop_oneof![
        8 => Just(Event::Nothing),
        1 => Just(Event::Missed),
        2 => Just(Event::Reset),
        2 => Just(Event::Restart),
        2 => Just(Event::Move),
        1 => Just(Event::MoveWithCounters),
        1 => (0..2_usize).prop_map(Event::Boot),
        1 => (0..2_usize).prop_map(Event::Again),
    ];
    (event, 1..25_i64, 0..=256_u64, 0..=256_u64).prop_map(|(event, seconds, rate, after_reset)| {
        Step {
            event,
            seconds,
            rate,
            after_reset,
        }
    })
}

/// The world, as it really is.
struct World {
    second: i64,
    /// Of the guest: the node that it is on, its process, its start and its counter.
    on: usize,
    pid: u32,
    started: i64,
    counter: u64,
    nodes: [Node; 2],
}

#[derive(Default)]
struct Node {
    counter: u64,
    boots: u32,
    sequence: u64,
}

impl World {
    fn pass(&mut self, step: Step) {
        let grown = MOST_PER_SECOND * step.rate / 256 * step.seconds.unsigned_abs();
        self.second += step.seconds;
        self.counter += grown;
        for node in &mut self.nodes {
            node.counter += grown;
        }
        // What was counted since it began anew is less than in the whole step.
        let anew = grown * step.after_reset / 256;
        match step.event {
            Event::Nothing | Event::Missed | Event::Again(_) => {}
            Event::Reset => self.counter = anew,
            Event::Restart => {
                (self.counter, self.pid, self.started) = (anew, self.pid + 1, self.second);
            }
            Event::Move => {
                (self.on, self.counter) = (1 - self.on, anew);
                (self.pid, self.started) = (self.pid + 1, self.second);
            }
            Event::MoveWithCounters => {
                (self.on, self.pid) = (1 - self.on, self.pid + 1);
            }
            Event::Boot(number) => {
                let node = &mut self.nodes[number];
                (node.counter, node.boots, node.sequence) = (anew, node.boots + 1, 0);
                if self.on == number {
                    (self.counter, self.pid, self.started) = (anew, self.pid + 1, self.second);
                }
            }
        }
    }

    fn epoch(&self, number: usize) -> String {
        self.nodes[number].boots.to_string()
    }

    fn agent(&self, number: usize) -> DescribeResponse {
        DescribeResponse {
            agent_version: "0.1.0".to_owned(),
            node_name: NODES[number].to_owned(),
            cluster_id: "c0ffee".to_owned(),
            is_pve_node: true,
            epoch: self.epoch(number),
            ..DescribeResponse::default()
        }
    }

    fn update(&self, number: usize) -> NodeUpdate {
        let counter = self.nodes[number].counter;
        let now = Some(timestamp_from_millis(at(self.second).as_millisecond()));
        let interface = NetworkInterface {
            name: "eno1".to_owned(),
            received_bytes_total: counter,
            transmitted_bytes_total: counter,
            ..NetworkInterface::default()
        };
        let disk = Disk {
            name: "sda".to_owned(),
            reads_total: counter,
            writes_total: counter,
            read_bytes_total: counter,
            written_bytes_total: counter,
            ..Disk::default()
        };
        let guest = PveGuestStatus {
            computed_at: now,
            vmid: 100,
            kind: GuestKind::Qemu.into(),
            status: "running".to_owned(),
            uptime_seconds: Some(seconds(self.second - self.started)),
            pid: Some(self.pid),
            received_bytes_total: Some(self.counter),
            transmitted_bytes_total: Some(self.counter),
            read_bytes_total: Some(self.counter),
            written_bytes_total: Some(self.counter),
            ..PveGuestStatus::default()
        };
        let status = PveStatus {
            node: Some(PveNodeStatus {
                computed_at: now,
                ..PveNodeStatus::default()
            }),
            guests: if self.on == number {
                vec![guest]
            } else {
                Vec::new()
            },
            storages: Vec::new(),
        };
        let payloads = [
            (
                "network",
                Payload::Network(Network {
                    interfaces: vec![interface],
                }),
            ),
            ("disk", Payload::Disks(Disks { disks: vec![disk] })),
            ("pve_status", Payload::PveStatus(status)),
        ];
        let samples = payloads.map(|(collector, payload)| Sample {
            collector: collector.to_owned(),
            observed_at: now,
            interval_seconds: 10,
            payload: Some(payload),
            ..Sample::default()
        });
        NodeUpdate {
            cursor: Some(Cursor {
                epoch: self.epoch(number),
                sequence: self.nodes[number].sequence,
            }),
            samples: samples.to_vec(),
            ..NodeUpdate::default()
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "some hours")]
fn seconds(seconds: i64) -> f64 {
    seconds as f64
}

/// Every rate that is kept of what happens, and how many there are.
fn kept_rates(steps: &[Step]) -> Vec<(Metric, f64)> {
    let directory = TempDir::new().unwrap();
    let (coordinator, store) = keeping(directory.path(), at(0));
    let mut world = World {
        second: 0,
        on: 0,
        pid: 1,
        started: -100_000,
        counter: 1 << 50,
        nodes: <[Node; 2]>::default(),
    };
    for step in steps {
        world.pass(*step);
        if matches!(step.event, Event::Missed) {
            continue;
        }
        for number in 0..NODES.len() {
            let is_again = matches!(step.event, Event::Again(again) if again == number);
            world.nodes[number].sequence += u64::from(!is_again);
            let (agent, update) = (world.agent(number), world.update(number));
            coordinator.live().append(&agent, update, at(world.second));
        }
    }
    coordinator.write_down(at(world.second)).unwrap();
    let mut rates = Vec::new();
    store
        .read(|reader| {
            let rows = reader.series(None)?;
            let keys: BTreeSet<SeriesKey> = rows
                .iter()
                .filter(|row| RATES.iter().any(|rate| rate.number() == row.metric))
                .map(|row| SeriesKey {
                    metric: row.metric,
                    series: row.id,
                })
                .collect();
            let span = Span {
                from: at(0),
                until: at(world.second + 1),
                tier: Tier::Raw,
            };
            for (key, values) in query::values(reader, &keys, &span)?.series {
                let metric = Metric::numbered(key.metric).unwrap();
                rates.extend(values.buckets.iter().map(|value| (metric, value.last)));
            }
            Ok(())
        })
        .unwrap();
    rates
}

#[expect(clippy::cast_precision_loss, reason = "it is small")]
const MOST: f64 = MOST_PER_SECOND as f64 * (1.0 + PRECISION);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_rate_is_negative_or_above_what_was(steps in prop::collection::vec(step(), 2..60)) {
        for (metric, rate) in kept_rates(&steps) {
            prop_assert!((0.0..=MOST).contains(&rate), "{metric:?}: {rate}");
        }
    }
}

#[test]
fn rates_are_kept_at_all() {
    let step = Step {
        event: Event::Nothing,
        seconds: 10,
        rate: 128,
        after_reset: 0,
    };
    let rates = kept_rates(&[step; 10]);
    // Nine of four figures of the guest, and of six of the two nodes.
    assert!(rates.len() >= 9 * (4 + 2 * 6), "{}", rates.len());
    let is_right = |metric: &Metric, rate: f64| {
        *metric == Metric::NetworkErrorsPerSecond || (rate / 500_000.0 - 1.0).abs() < PRECISION
    };
    assert!(rates.iter().all(|(metric, rate)| is_right(metric, *rate)));
}
