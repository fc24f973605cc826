//! Questions about clusters, nodes, storages and agents.

use std::collections::HashMap;

use super::{Agents, AnswerError, ClusterStatus, Node, Nodes, Storages, finding::is_open, select};
use crate::{
    coordinator::Current,
    finding::{Lane, Severity},
    inventory::{
        coverage, detail,
        summary::{self, FindingCounts},
    },
};

/// # Errors
/// When the cluster is not known.
pub fn cluster_status(current: &Current, cluster: &str) -> Result<ClusterStatus, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?;
    let counts = finding_counts(current);
    Ok(ClusterStatus {
        clusters: clusters
            .iter()
            .map(|index| {
                let counts = counts.get(&*view.cluster(*index).id);
                summary::cluster(
                    view,
                    &current.params,
                    *index,
                    counts.copied().unwrap_or_default(),
                )
            })
            .collect(),
        coverage: coverage::with_checks(
            coverage::of_clusters(view, &clusters),
            &current.not_assessed,
        ),
    })
}

/// Open health findings by cluster id.
fn finding_counts(current: &Current) -> HashMap<&str, FindingCounts> {
    let mut counts: HashMap<&str, FindingCounts> = HashMap::new();
    let open = current
        .findings
        .iter()
        .filter(|finding| is_open(finding) && finding.lane == Lane::Health);
    for finding in open {
        let counts = counts.entry(&finding.cluster).or_default();
        match finding.severity {
            Severity::Critical => counts.critical += 1,
            Severity::Warning => counts.warning += 1,
            Severity::Info => {}
        }
    }
    counts
}

/// # Errors
/// When the cluster is not known.
pub fn nodes(current: &Current, cluster: &str) -> Result<Nodes, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?;
    Ok(Nodes {
        nodes: clusters
            .iter()
            .flat_map(|cluster| view.nodes_of(view.cluster(*cluster)))
            .map(|(_, node)| summary::node(view, node))
            .collect(),
        coverage: coverage::of_clusters(view, &clusters),
    })
}

/// # Errors
/// When cluster or node are not known, or the name is ambiguous.
pub fn node(current: &Current, cluster: &str, node: &str) -> Result<Node, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?;
    let index = select::node(view, &clusters, node)?;
    let node = view.node(index);
    Ok(Node {
        node: summary::node(view, node),
        detail: detail::node(node),
        coverage: coverage::of_node(view, index),
    })
}

/// # Errors
/// When the cluster is not known.
pub fn storages(current: &Current, cluster: &str) -> Result<Storages, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?;
    Ok(Storages {
        storages: clusters
            .iter()
            .flat_map(|cluster| view.storages_of(view.cluster(*cluster)))
            .map(|(_, storage)| summary::storage(view, storage))
            .collect(),
        coverage: coverage::of_clusters(view, &clusters),
    })
}

/// The agents and what they deliver.
#[must_use]
pub fn agents(current: &Current) -> Agents {
    Agents {
        agents: current.agents.iter().map(summary::agent).collect(),
    }
}
