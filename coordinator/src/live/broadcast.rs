//! What nodes broadcast about themselves, as the members received it.
//!
//! Every member delivers the figures of the whole cluster. They are merged into
//! one table per cluster, newest computation first: keeping every member's copy
//! would make memory grow with the square of the cluster.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{Timestamp as WireTime, agent::v1 as wire};

use super::{
    clock::plausible,
    keys::{Keys, Moment, Recorder},
};
use crate::{history::ObjectKey, metric::Metric, view::Name};

/// How far another node's clock may be ahead before its figures are refused:
/// they would stay the newest for that long.
const AHEAD: SignedDuration = SignedDuration::from_mins(10);
/// pmxcfs itself forgets a broadcast after five minutes.
const KEPT: SignedDuration = SignedDuration::from_hours(1);
/// What may be known at one time: somewhat more than there can be.
const NODES: usize = 512;
const GUESTS: usize = 60_000;
const STORAGES_PER_NODE: usize = 2_000;

/// Something broadcast, and when it was computed and received.
#[derive(Debug)]
pub(crate) struct Broadcast<T> {
    pub(crate) value: T,
    /// By the clock of the node that computed it.
    pub(crate) computed: Timestamp,
    pub(crate) received: Timestamp,
}

/// Newest broadcasts of one cluster.
#[derive(Debug, Default)]
pub(crate) struct Broadcasts {
    pub(crate) nodes: BTreeMap<Name, Broadcast<wire::BroadcastNode>>,
    pub(crate) guests: HashMap<u32, Broadcast<wire::BroadcastGuest>>,
    /// By node, then storage.
    pub(crate) storages: BTreeMap<Name, BTreeMap<Name, Broadcast<wire::BroadcastStorage>>>,
}

/// Where the figures of nodes without an agent are recorded.
pub(super) struct Series<'a, F> {
    /// Whether a node's own agent records them better.
    pub(super) covered: F,
    pub(super) keys: &'a mut Keys,
    pub(super) recorder: &'a mut Recorder,
}

impl Broadcasts {
    /// Takes what is newer than what is known.
    pub(super) fn merge<F: Fn(&str) -> bool>(
        &mut self,
        delivered: wire::ClusterBroadcast,
        received: Timestamp,
        mut series: Series<'_, F>,
    ) {
        for node in delivered.nodes {
            let computed = node.computed_at;
            let Some(newer) = newer_by_name(&mut self.nodes, NODES, &node.name, computed, received)
            else {
                continue;
            };
            series.node(&newer.0, &node, newer.1);
            self.nodes
                .insert(newer.0, broadcast(node, newer.1, received));
        }
        for storage in delivered.storages {
            let computed = storage.computed_at;
            if !self.storages.contains_key(storage.node.as_str()) {
                if self.storages.len() >= NODES {
                    continue;
                }
                self.storages
                    .insert(storage.node.as_str().into(), BTreeMap::new());
            }
            let Some(of_node) = self.storages.get_mut(storage.node.as_str()) else {
                continue;
            };
            let Some(newer) = newer_by_name(
                of_node,
                STORAGES_PER_NODE,
                &storage.name,
                computed,
                received,
            ) else {
                continue;
            };
            series.storage(&storage, newer.1);
            of_node.insert(newer.0, broadcast(storage, newer.1, received));
        }
        for guest in delivered.guests {
            let Some(computed) = usable(guest.computed_at, received) else {
                continue;
            };
            let full = self.guests.len() >= GUESTS;
            match self.guests.get_mut(&guest.vmid) {
                Some(known) if known.computed < computed => {
                    *known = broadcast(guest, computed, received);
                }
                Some(known) => known.seen_again(computed, received),
                None if !full => {
                    self.guests
                        .insert(guest.vmid, broadcast(guest, computed, received));
                }
                None => {}
            }
        }
    }

    /// Forgets what pmxcfs has long forgotten.
    pub(super) fn sweep(&mut self, now: Timestamp) {
        self.nodes.retain(|_, node| kept(node, now));
        self.guests.retain(|_, guest| kept(guest, now));
        self.storages.retain(|_, storages| {
            storages.retain(|_, storage| kept(storage, now));
            !storages.is_empty()
        });
    }
}

impl<F: Fn(&str) -> bool> Series<'_, F> {
    fn node(&mut self, name: &Name, node: &wire::BroadcastNode, at: Timestamp) {
        if (self.covered)(name) {
            return;
        }
        let key = self.keys.touch_node(name, self.recorder, at);
        let available = node.memory_available_bytes.or_else(|| {
            node.memory_total_bytes?
                .checked_sub(node.memory_used_bytes?)
        });
        self.record(key, Metric::CpuRatio, at, node.cpu_ratio);
        self.record(key, Metric::IowaitRatio, at, node.iowait_ratio);
        self.record(key, Metric::Load1, at, node.load1);
        self.record(
            key,
            Metric::MemoryTotalBytes,
            at,
            wide(node.memory_total_bytes),
        );
        self.record(key, Metric::SwapUsedBytes, at, wide(node.swap_used_bytes));
        self.record(key, Metric::MemoryAvailableBytes, at, wide(available));
        self.record(
            key,
            Metric::MemoryAvailableRatio,
            at,
            super::series::ratio(available, node.memory_total_bytes),
        );
    }

    fn storage(&mut self, storage: &wire::BroadcastStorage, at: Timestamp) {
        if (self.covered)(&storage.node) {
            return;
        }
        let node: Name = storage.node.as_str().into();
        let key = self
            .keys
            .touch_storage(&node, &storage.name, self.recorder, at);
        let used = super::series::ratio(storage.used_bytes, storage.total_bytes);
        self.record(key, Metric::UsedRatio, at, used);
        self.record(key, Metric::UsedBytes, at, wide(storage.used_bytes));
        self.record(key, Metric::TotalBytes, at, wide(storage.total_bytes));
    }

    fn record(&mut self, key: ObjectKey, metric: Metric, at: Timestamp, value: Option<f64>) {
        // Whose clock computed it is not known to be right or wrong.
        let moment = Moment {
            at,
            is_corrected: false,
        };
        self.recorder.record(key, metric, moment, value);
    }
}

fn wide(bytes: Option<u64>) -> Option<f64> {
    bytes.map(|bytes| bytes as f64)
}

/// The name to keep it under and its time, when it is newer than what is known.
fn newer_by_name<T>(
    known: &mut BTreeMap<Name, Broadcast<T>>,
    limit: usize,
    name: &str,
    computed: Option<WireTime>,
    received: Timestamp,
) -> Option<(Name, Timestamp)> {
    let computed = usable(computed, received)?;
    match known.get_mut(name) {
        Some(newest) if newest.computed < computed => Some((name.into(), computed)),
        Some(newest) => {
            newest.seen_again(computed, received);
            None
        }
        None => (known.len() < limit).then(|| (name.into(), computed)),
    }
}

impl<T> Broadcast<T> {
    /// The same figures from another member: the time of receipt is that of the
    /// first member, whichever came first here.
    fn seen_again(&mut self, computed: Timestamp, received: Timestamp) {
        if self.computed == computed {
            self.received = self.received.min(received);
        }
    }
}

fn broadcast<T>(value: T, computed: Timestamp, received: Timestamp) -> Broadcast<T> {
    Broadcast {
        value,
        computed,
        received,
    }
}

fn usable(computed: Option<WireTime>, received: Timestamp) -> Option<Timestamp> {
    plausible(computed.as_ref()).filter(|computed| computed.duration_since(received) <= AHEAD)
}

fn kept<T>(known: &Broadcast<T>, now: Timestamp) -> bool {
    // What was received much later is of before the clock was set back.
    (-AHEAD..KEPT).contains(&now.duration_since(known.received))
}
