//! Finding what a caller names, and saying what there is when it is not found.

use super::AnswerError;
use crate::{
    untrusted::name,
    view::{Cluster, ClusterIndex, GuestIndex, Node, NodeIndex, View},
};

/// A shorter prefix of a cluster id is more likely a mistyped name.
const PREFIX: usize = 4;
/// Candidates that an error lists.
const LISTED: usize = 10;
/// Characters of a cluster id that tell clusters apart for people.
const SHORT_ID: usize = 12;

/// The clusters a selector names; empty = all.
pub(crate) fn clusters(view: &View, selector: &str) -> Result<Vec<ClusterIndex>, AnswerError> {
    let selector = selector.trim();
    if selector.is_empty() {
        return Ok(view.clusters().map(|(index, _)| index).collect());
    }
    if let Some(index) = view.find_cluster(selector) {
        return Ok(vec![index]);
    }
    let matching = |wanted: &dyn Fn(&Cluster) -> bool| -> Vec<ClusterIndex> {
        let found = view.clusters().filter(|(_, cluster)| wanted(cluster));
        found.map(|(index, _)| index).collect()
    };
    let mut found = matching(&|cluster| is_name(selector, &cluster.name));
    if found.is_empty() && selector.len() >= PREFIX {
        found = matching(&|cluster| cluster.id.starts_with(selector));
    }
    match found.len() {
        1 => Ok(found),
        0 if view.clusters.is_empty() => Err(AnswerError::NotFound(format!(
            "no cluster {:?}: no agent has reported yet",
            name(selector)
        ))),
        0 => Err(AnswerError::NotFound(format!(
            "no cluster {:?}; there is {}. Give a name, an id or the first {PREFIX} or more \
             characters of an id",
            name(selector),
            list(view.clusters.iter().map(cluster_label))
        ))),
        _ => Err(AnswerError::Ambiguous(format!(
            "{:?} names {} clusters: {}. Give the id",
            name(selector),
            found.len(),
            list(
                found
                    .iter()
                    .map(|index| cluster_label(view.cluster(*index)))
            )
        ))),
    }
}

/// The one node of this name in the selected clusters.
pub(crate) fn node(
    view: &View,
    clusters: &[ClusterIndex],
    wanted: &str,
) -> Result<NodeIndex, AnswerError> {
    let found = nodes(view, clusters, wanted)?;
    match found.as_slice() {
        [index] => Ok(*index),
        _ => Err(AnswerError::Ambiguous(format!(
            "node {:?} is in {} clusters: {}. Name the cluster too",
            name(wanted),
            found.len(),
            list(
                found
                    .iter()
                    .map(|index| cluster_label(view.cluster(view.node(*index).cluster)))
            )
        ))),
    }
}

/// The nodes of this name, one per cluster at most, but at least one.
pub(crate) fn nodes(
    view: &View,
    clusters: &[ClusterIndex],
    wanted: &str,
) -> Result<Vec<NodeIndex>, AnswerError> {
    let wanted = wanted.trim();
    let wanted = wanted.strip_prefix("node/").unwrap_or(wanted);
    if wanted.is_empty() {
        return Err(AnswerError::Invalid("name a node".to_owned()));
    }
    let found: Vec<NodeIndex> = clusters
        .iter()
        .filter_map(|cluster| view.find_node(*cluster, wanted))
        .collect();
    if !found.is_empty() {
        return Ok(found);
    }
    let members = || {
        let members = clusters
            .iter()
            .flat_map(|cluster| view.nodes_of(view.cluster(*cluster)));
        members.map(|(_, node)| node)
    };
    // What resembles it comes first, so that it is listed at any size.
    let resembles = |node: &Node| node.name.contains(wanted) || wanted.contains(&*node.name);
    let names = members()
        .filter(|node| resembles(node))
        .chain(members().filter(|node| !resembles(node)));
    Err(AnswerError::NotFound(format!(
        "no node {:?}; there is {}",
        name(wanted),
        list(names.map(|node| name(&node.name).into_owned()))
    )))
}

/// The one guest with this VMID or exact name in the selected clusters.
pub(crate) fn guest(
    view: &View,
    clusters: &[ClusterIndex],
    wanted: &str,
) -> Result<GuestIndex, AnswerError> {
    let wanted = wanted.trim();
    let wanted = wanted.strip_prefix("guest/").unwrap_or(wanted);
    if wanted.is_empty() {
        return Err(AnswerError::Invalid(
            "name a guest by its VMID or exact name".to_owned(),
        ));
    }
    let mut found: Vec<GuestIndex> = match wanted.parse() {
        Ok(vmid) => clusters
            .iter()
            .filter_map(|cluster| view.find_guest(*cluster, vmid))
            .collect(),
        Err(_) => Vec::new(),
    };
    if found.is_empty() {
        found = clusters
            .iter()
            .flat_map(|cluster| view.guests_of(view.cluster(*cluster)))
            .filter(|(_, guest)| is_name(wanted, &guest.name))
            .map(|(index, _)| index)
            .collect();
    }
    match found.as_slice() {
        [index] => Ok(*index),
        [] => {
            let count: usize = clusters
                .iter()
                .map(|cluster| view.guests_of(view.cluster(*cluster)).count())
                .sum();
            Err(AnswerError::NotFound(format!(
                "no guest {:?} among {count}; give a VMID or the exact name, or list the guests",
                name(wanted)
            )))
        }
        _ => Err(AnswerError::Ambiguous(format!(
            "{:?} names {} guests: {}. Give the VMID and the cluster",
            name(wanted),
            found.len(),
            list(found.iter().map(|index| guest_label(view, *index)))
        ))),
    }
}

/// People type a name as it was shown to them, which is not always as it is.
fn is_name(typed: &str, actual: &str) -> bool {
    typed == actual || (!actual.is_empty() && typed == name(actual))
}

fn cluster_label(cluster: &Cluster) -> String {
    let id: String = cluster.id.chars().take(SHORT_ID).collect();
    format!("{} ({})", name(&cluster.name), name(&id))
}

fn guest_label(view: &View, index: GuestIndex) -> String {
    let guest = view.guest(index);
    format!(
        "{} on {} in {}",
        guest.vmid,
        name(&view.node(guest.node).name),
        cluster_label(view.cluster(guest.cluster))
    )
}

fn list(mut items: impl Iterator<Item = String>) -> String {
    let shown: Vec<String> = items.by_ref().take(LISTED).collect();
    if shown.is_empty() {
        return "none".to_owned();
    }
    match items.count() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
