//! Which findings are consequences of others.
//!
//! Edges are those of the catalogue of methods, between checks, valid when the
//! objects are connected and the cause did not start after its consequence.
//! They form no cycle. A consequence stays a finding.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};

use super::Finding;
use crate::{
    check::{self, Timing},
    view::{ClusterIndex, GuestIndex, NodeIndex, StorageIndex, Subject, View},
};

/// One check explains another.
#[derive(Debug, Clone, Copy)]
struct Edge {
    cause: &'static str,
    effect: &'static str,
}

const fn edge(cause: &'static str, effect: &'static str) -> Edge {
    Edge { cause, effect }
}

/// Low memory makes a node swap, swapping makes work wait, and both end in
/// killed processes: each link also holds where one in between is not found.
const EDGES: &[Edge] = &[
    edge("cluster.node.offline", "cluster.agent.stale_report"),
    edge("cluster.node.offline", "cluster.quorum.fragile"),
    edge("cluster.node.offline", "cluster.quorum.lost"),
    edge("cluster.node.offline", "storage.pool.inactive"),
    edge(
        "cluster.node.offline",
        "storage.pool.inactive_on_some_nodes",
    ),
    edge("cluster.node.offline", "guest.state.io_error"),
    edge("storage.pool.inactive", "guest.state.io_error"),
    edge("storage.pool.inactive", "node.pvestatd.stale"),
    edge(
        "storage.pool.inactive_on_some_nodes",
        "guest.state.io_error",
    ),
    edge("storage.pool.space", "guest.state.io_error"),
    edge("storage.pool.space", "node.pvestatd.stale"),
    edge("node.rootfs.space", "guest.state.io_error"),
    edge("node.rootfs.space", "node.pvestatd.stale"),
    edge("storage.dir.not_mountpoint", "node.rootfs.space"),
    edge("node.fs.readonly_or_errors", "guest.state.io_error"),
    edge("node.fs.readonly_or_errors", "storage.pool.inactive"),
    edge("node.mem.overcommit", "node.mem.available_low"),
    edge("node.mem.overcommit", "node.mem.swap_thrashing"),
    edge("node.mem.overcommit", "node.mem.pressure"),
    edge("node.mem.overcommit", "node.mem.oom_kill"),
    edge("node.mem.available_low", "node.mem.swap_thrashing"),
    edge("node.mem.available_low", "node.mem.pressure"),
    edge("node.mem.available_low", "node.mem.oom_kill"),
    edge("node.mem.swap_thrashing", "node.mem.pressure"),
    edge("node.mem.pressure", "node.mem.oom_kill"),
    edge("node.mem.pressure", "node.cpu.iowait_high"),
    edge("node.mem.swap_thrashing", "node.cpu.iowait_high"),
    edge("node.disk.latency_high", "node.cpu.iowait_high"),
    edge("node.disk.latency_high", "guest.state.io_error"),
];

/// Where an object is in the graph: everything a consequence may hang on.
#[derive(Debug, Default)]
struct Reach {
    cluster: bool,
    nodes: Vec<NodeIndex>,
    storages: Vec<Subject>,
}

/// Sets `caused_by` and `cause_of` of every finding.
pub(super) fn link(view: &View, findings: &mut [Finding]) {
    let subjects: Vec<Option<Subject>> = findings
        .iter()
        .map(|finding| {
            let cluster = view.find_cluster(&finding.cluster)?;
            view.find_subject(cluster, &finding.subject)
        })
        .collect();
    let mut causes: HashMap<(&'static str, Subject), Vec<usize>> = HashMap::new();
    // Causes by the cluster too, for consequences of a whole cluster.
    let mut in_cluster: HashMap<(&'static str, ClusterIndex), Vec<usize>> = HashMap::new();
    for (position, finding) in findings.iter().enumerate() {
        let cause = EDGES.iter().find(|edge| edge.cause == finding.check);
        let (Some(cause), Some(subject)) = (cause, subjects[position]) else {
            continue;
        };
        causes
            .entry((cause.cause, subject))
            .or_default()
            .push(position);
        in_cluster
            .entry((cause.cause, subject.cluster(view)))
            .or_default()
            .push(position);
    }
    let mut links: Vec<(usize, usize)> = Vec::new();
    for (effect, finding) in findings.iter().enumerate() {
        let Some(subject) = subjects[effect] else {
            continue;
        };
        let mut edges = EDGES
            .iter()
            .filter(|edge| edge.effect == finding.check)
            .peekable();
        if edges.peek().is_none() {
            continue;
        }
        let reach = Reach::of(view, subject, &finding.check);
        for edge in edges {
            let mut found: Vec<usize> = Vec::new();
            if reach.cluster {
                let cluster = subject.cluster(view);
                found.extend(in_cluster.get(&(edge.cause, cluster)).into_iter().flatten());
            } else {
                let nodes = reach.nodes.iter().map(|node| Subject::Node(*node));
                for object in nodes.chain(reach.storages.iter().copied()) {
                    found.extend(causes.get(&(edge.cause, object)).into_iter().flatten());
                }
            }
            found.sort_unstable();
            found.dedup();
            links.extend(
                found
                    .into_iter()
                    .filter(|cause| *cause != effect && in_time(&findings[*cause], finding))
                    .map(|cause| (cause, effect)),
            );
        }
    }
    for finding in findings.iter_mut() {
        finding.caused_by.clear();
        finding.cause_of.clear();
    }
    for (cause, effect) in links {
        let of = findings[effect].fingerprint.clone();
        let by = findings[cause].fingerprint.clone();
        findings[effect].caused_by.push(by);
        findings[cause].cause_of.push(of);
    }
    for finding in findings.iter_mut() {
        finding.caused_by.sort_unstable();
        finding.cause_of.sort_unstable();
    }
}

impl Reach {
    /// What a finding about this subject may be a consequence of.
    fn of(view: &View, subject: Subject, check: &str) -> Self {
        match subject {
            Subject::Cluster(_) => Self {
                cluster: true,
                ..Self::default()
            },
            Subject::Node(node) => Self {
                nodes: vec![node],
                storages: on_node(view, node),
                ..Self::default()
            },
            Subject::Storage(index) => Self {
                nodes: if check == "storage.pool.inactive_on_some_nodes" {
                    view.storage(index).nodes.iter().map(|on| on.node).collect()
                } else {
                    servers(view, index)
                },
                storages: vec![subject],
                ..Self::default()
            },
            Subject::StorageOnNode(_, node) => Self {
                nodes: vec![node],
                storages: vec![subject],
                ..Self::default()
            },
            Subject::Guest(guest) => Self::of_guest(view, guest),
        }
    }

    /// The guest's node, and the storages of its volumes there.
    fn of_guest(view: &View, index: GuestIndex) -> Self {
        let guest = view.guest(index);
        let volumes = guest
            .config
            .iter()
            .filter_map(|config| config.settings.as_ref())
            .flat_map(|settings| &settings.volumes);
        let mut storages: Vec<Subject> = volumes
            .filter_map(|volume| view.find_storage(guest.cluster, &volume.storage))
            .flat_map(|storage| {
                [
                    Subject::Storage(storage),
                    Subject::StorageOnNode(storage, guest.node),
                ]
            })
            .collect();
        storages.sort_unstable();
        storages.dedup();
        Self {
            cluster: false,
            nodes: vec![guest.node],
            storages,
        }
    }
}

/// Members of the cluster that serve a shared storage themselves.
fn servers(view: &View, index: StorageIndex) -> Vec<NodeIndex> {
    let storage = view.storage(index);
    let server = storage.entry.server.as_str();
    if server.is_empty() {
        return Vec::new();
    }
    view.nodes_of(view.cluster(storage.cluster))
        .filter(|(_, node)| *node.name == *server || *node.ip_address == *server)
        .map(|(index, _)| index)
        .collect()
}

/// Storages a node may use.
fn on_node(view: &View, node: NodeIndex) -> Vec<Subject> {
    let cluster = view.cluster(view.node(node).cluster);
    view.storages_of(cluster)
        .filter(|(_, storage)| {
            storage
                .nodes
                .binary_search_by_key(&node, |on| on.node)
                .is_ok()
        })
        .flat_map(|(index, _)| [Subject::Storage(index), Subject::StorageOnNode(index, node)])
        .collect()
}

/// Two steps of measuring.
const STEPS: SignedDuration = SignedDuration::from_secs(60);
/// What the longest window of a metric check delays its finding by.
const WINDOW: SignedDuration = SignedDuration::from_secs(15 * 60);

/// Whether the cause started no later than the consequence.
fn in_time(cause: &Finding, effect: &Finding) -> bool {
    let delay = match check::find(&cause.check).map(|check| check.timing) {
        Some(Timing::T2 { .. }) => WINDOW,
        // Configuration was so before it was first seen.
        Some(Timing::T0 { .. }) => SignedDuration::MAX,
        _ => STEPS,
    };
    let latest = effect
        .first_seen
        .checked_add(delay)
        .unwrap_or(Timestamp::MAX);
    cause.first_seen <= latest
}

#[cfg(test)]
mod tests;
