//! Clocks that jump: of a node, and of the coordinator.

use super::*;

/// A node that sends a counter of a hundred requests a second every ten seconds
/// of true time, by clocks that are off by so many seconds.
struct Sender {
    live: Live,
    feed: Feed,
    sent: u64,
}

impl Sender {
    fn new() -> Self {
        let mut sender = Self {
            live: Live::default(),
            feed: Feed::new("c", "pve1"),
            sent: 0,
        };
        sender.live.heartbeat(&sender.feed.described, at(0), at(0));
        sender
    }

    fn run(&mut self, seconds: std::ops::Range<i64>, node_off: i64, off: i64) {
        for second in seconds.step_by(10) {
            let disks = Payload::Disks(wire::Disks {
                disks: vec![wire::Disk {
                    name: "sda".to_owned(),
                    reads_total: u64::try_from(second * 100).unwrap(),
                    ..wire::Disk::default()
                }],
            });
            let memory = Payload::Memory(wire::Memory {
                total_bytes: 100,
                available_bytes: 50,
                ..wire::Memory::default()
            });
            let there = second + node_off;
            let samples = vec![sample(there, disks), sample(there, memory)];
            let update = self.feed.update(samples);
            let appended = self
                .live
                .append(&self.feed.described, update, at(second + off));
            assert_eq!(appended, Appended::Accepted);
            self.sent += 1;
            let view = view(&self.live, second + off);
            let node = &view.nodes[0];
            let age = view
                .at
                .duration_since(node.facts.memory.as_ref().unwrap().at);
            assert!(age.as_secs() <= 1, "{second}: {age}");
            assert_eq!(node.agent.as_ref().unwrap().last_update_at, view.at);
            let rates = node.rates.as_ref().and_then(|rates| rates.value.disks[0]);
            if let Some(rates) = rates {
                assert!((0.0..=100.1).contains(&rates.reads_per_second), "{rates:?}");
            }
        }
    }

    fn offset(&self) -> i64 {
        let agents = self.live.agents();
        #[expect(clippy::cast_possible_truncation, reason = "whole seconds")]
        let offset = agents[0].clock_offset_seconds.unwrap() as i64;
        offset
    }

    fn finish(&self, second: i64) {
        let agent = &self.live.agents()[0];
        assert_eq!(agent.updates_total, self.sent);
        assert_eq!(agent.kept_updates[0].ranges, [(1, self.sent)]);
        // What is recorded now is found where a check looks for it.
        let share = latest(&self.live, Metric::MemoryAvailableRatio, "", second);
        assert_eq!(share, Some(0.5));
    }
}

#[test]
fn a_node_whose_clock_is_set_back_an_hour_loses_nothing() {
    let mut sender = Sender::new();
    sender.run(0..600, 0, 0);
    sender.run(600..1200, -3600, 0);
    assert_eq!(sender.offset(), -3600);
    sender.run(1200..1800, 0, 0);
    assert_eq!(sender.offset(), 0);
    sender.finish(1800);
}

#[test]
fn a_node_whose_clock_runs_a_day_ahead_and_is_set_right_loses_nothing() {
    let mut sender = Sender::new();
    sender.run(0..600, 0, 0);
    sender.run(600..1200, 86_400, 0);
    assert_eq!(sender.offset(), 86_400);
    sender.run(1200..1800, 0, 0);
    assert_eq!(sender.offset(), 0);
    sender.finish(1800);
}

#[test]
fn a_coordinator_whose_own_clock_jumps_loses_nothing() {
    for jump in [86_400, 3600, -3600, -86_400] {
        let mut sender = Sender::new();
        sender.run(0..600, 0, 0);
        sender.run(600..1200, 0, jump);
        // All nodes seem to be off by as much.
        assert_eq!(sender.offset(), -jump);
        sender.finish(1190 + jump);
        sender.run(1200..2400, 0, 0);
        assert_eq!(sender.offset(), 0);
        sender.finish(2390);
    }
}
