//! What a scope covers: clusters, and which findings and nodes are inside.

use std::collections::HashSet;

use super::Scope;
use crate::{
    answer::{AnswerError, guest::has_tag, select},
    coordinator::Current,
    finding::Finding,
    inventory::{Coverage, coverage},
    untrusted::name,
    view::{ClusterIndex, Node, NodeIndex, View},
};

/// A scope with its names looked up.
#[derive(Debug)]
pub(super) struct Selected<'c> {
    pub(super) current: &'c Current,
    pub(super) clusters: Vec<ClusterIndex>,
    /// Ids of the clusters.
    ids: HashSet<&'c str>,
    part: Part,
}

/// The part of the clusters that is asked about.
#[derive(Debug)]
enum Part {
    All,
    Node {
        index: NodeIndex,
        /// `@pve1`, the end of subjects that are a storage on it.
        suffix: String,
        /// The node itself and the guests on it.
        subjects: HashSet<String>,
    },
    Guests {
        /// The node, when it is one guest.
        node: Option<NodeIndex>,
        label: String,
        /// Cluster and subject.
        subjects: HashSet<(ClusterIndex, String)>,
    },
}

impl<'c> Selected<'c> {
    pub(super) fn new(current: &'c Current, scope: &Scope) -> Result<Self, AnswerError> {
        let view = &current.view;
        let mut clusters = select::clusters(view, &scope.cluster)?;
        let part = match (
            scope.node.is_empty(),
            scope.guest.is_empty(),
            scope.tag.is_empty(),
        ) {
            (true, true, true) => Part::All,
            (false, true, true) => {
                let index = select::node(view, &clusters, &scope.node)?;
                clusters = vec![view.node(index).cluster];
                node(view, index)
            }
            (true, false, true) => {
                let index = select::guest(view, &clusters, &scope.guest)?;
                let guest = view.guest(index);
                clusters = vec![guest.cluster];
                Part::Guests {
                    node: Some(guest.node),
                    label: format!("guest {}", guest.vmid),
                    subjects: [(guest.cluster, format!("guest/{}", guest.vmid))].into(),
                }
            }
            (true, true, false) => tagged(view, &clusters, &scope.tag)?,
            _ => {
                return Err(AnswerError::Invalid(
                    "a report is about one of node, guest and tag; give only one".to_owned(),
                ));
            }
        };
        Ok(Self {
            current,
            ids: clusters
                .iter()
                .map(|index| &*view.cluster(*index).id)
                .collect(),
            clusters,
            part,
        })
    }

    pub(super) fn view(&self) -> &'c View {
        &self.current.view
    }

    pub(super) fn is_everything(&self) -> bool {
        matches!(self.part, Part::All)
    }

    pub(super) fn covers(&self, finding: &Finding) -> bool {
        if !self.ids.contains(&*finding.cluster) {
            return false;
        }
        match &self.part {
            Part::All => true,
            Part::Node {
                suffix, subjects, ..
            } => subjects.contains(&finding.subject) || finding.subject.ends_with(suffix),
            Part::Guests { subjects, .. } => self
                .view()
                .find_cluster(&finding.cluster)
                .is_some_and(|cluster| subjects.contains(&(cluster, finding.subject.clone()))),
        }
    }

    /// Nodes that are inside, or that hold what is.
    pub(super) fn nodes(&self) -> Vec<&'c Node> {
        let view = self.view();
        match &self.part {
            Part::Node { index, .. }
            | Part::Guests {
                node: Some(index), ..
            } => vec![view.node(*index)],
            Part::All | Part::Guests { node: None, .. } => self
                .clusters
                .iter()
                .flat_map(|cluster| view.nodes_of(view.cluster(*cluster)))
                .map(|(_, node)| node)
                .collect(),
        }
    }

    pub(super) fn coverage(&self) -> Coverage {
        let view = self.view();
        let coverage = match &self.part {
            Part::Node { index, .. }
            | Part::Guests {
                node: Some(index), ..
            } => coverage::of_node(view, *index),
            Part::All | Part::Guests { node: None, .. } => {
                coverage::of_clusters(view, &self.clusters)
            }
        };
        coverage::with_checks(coverage, &self.current.not_assessed)
    }

    /// Whether the label speaks of more than one.
    pub(super) fn is_several(&self) -> bool {
        match &self.part {
            Part::All => self.clusters.len() > 1,
            Part::Node { .. } => false,
            Part::Guests { node, .. } => node.is_none(),
        }
    }

    /// `lab`, `3 clusters`, `node pve1`, `guest 101`, `guests tagged web`.
    pub(super) fn label(&self) -> String {
        let view = self.view();
        match (&self.part, self.clusters.as_slice()) {
            (Part::Node { index, .. }, _) => format!("node {}", name(&view.node(*index).name)),
            (Part::Guests { label, .. }, _) => label.clone(),
            (Part::All, [cluster]) => name(&view.cluster(*cluster).name).into_owned(),
            (Part::All, []) => "the datacenter".to_owned(),
            (Part::All, clusters) => format!("{} clusters", clusters.len()),
        }
    }
}

fn node(view: &View, index: NodeIndex) -> Part {
    let node = view.node(index);
    let cluster = view.cluster(node.cluster);
    let mut subjects: HashSet<String> = view
        .guests_of(cluster)
        .filter(|(_, guest)| guest.node == index)
        .map(|(_, guest)| format!("guest/{}", guest.vmid))
        .collect();
    subjects.insert(format!("node/{}", node.name));
    Part::Node {
        index,
        suffix: format!("@{}", node.name),
        subjects,
    }
}

fn tagged(view: &View, clusters: &[ClusterIndex], tag: &str) -> Result<Part, AnswerError> {
    let subjects: HashSet<(ClusterIndex, String)> = clusters
        .iter()
        .flat_map(|cluster| view.guests_of(view.cluster(*cluster)))
        .filter(|(_, guest)| has_tag(guest, tag))
        .map(|(_, guest)| (guest.cluster, format!("guest/{}", guest.vmid)))
        .collect();
    if subjects.is_empty() {
        return Err(AnswerError::NotFound(format!(
            "no guest has the tag {:?}",
            name(tag)
        )));
    }
    Ok(Part::Guests {
        node: None,
        label: format!("guests tagged {}", name(tag)),
        subjects,
    })
}
