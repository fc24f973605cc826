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

mod edge;

use edge::EDGES;

/// Where an object is in the graph: everything a consequence may hang on.
#[derive(Debug, Default)]
struct Reach {
    cluster: bool,
    nodes: Vec<NodeIndex>,
    /// Nodes that use a shared storage: what ails one of them is no cause, but for
    /// edges that look closer.
    users: Vec<NodeIndex>,
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
                let users = if edge.via.looks_closer() {
                    reach.users.as_slice()
                } else {
                    &[]
                };
                let nodes = reach.nodes.iter().chain(users);
                let whole = Subject::Cluster(subject.cluster(view));
                let objects = nodes
                    .map(|node| Subject::Node(*node))
                    .chain(reach.storages.iter().copied())
                    .chain([whole]);
                for object in objects {
                    found.extend(causes.get(&(edge.cause, object)).into_iter().flatten());
                }
            }
            found.retain(|cause| {
                let cause = &findings[*cause];
                edge.via.connects(view, cause, finding, &reach.storages)
            });
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
                users: view.storage(index).nodes.iter().map(|on| on.node).collect(),
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
            nodes: vec![guest.node],
            storages,
            ..Self::default()
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
