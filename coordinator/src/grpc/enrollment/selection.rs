//! Which cluster or node a request names, also when its agent is silent.

use std::collections::BTreeSet;

use tonic::Status;

use crate::{
    answer::select,
    coordinator::Current,
    grpc::status::{self, Named},
    untrusted::name,
    view::{ClusterId, Name},
};

/// A shorter prefix of a cluster id is more likely a mistyped name.
const PREFIX: usize = 4;
/// Characters of a cluster id that tell clusters apart for people.
const SHORT_ID: usize = 12;
const LISTED: usize = 10;

/// The id of the cluster that is named; none when none is.
pub(super) fn cluster(current: &Current, selector: &str) -> Result<String, Status> {
    if selector.trim().is_empty() {
        return Ok(String::new());
    }
    let found = select::clusters(&current.view, selector)
        .map_err(|error| status::answer(&error, current, selector, Named::Cluster))?;
    let index = found.first().ok_or_else(status::internal)?;
    Ok(current.view.cluster(*index).id.to_string())
}

/// The node of this name that joined, by cluster and name.
pub(super) fn node(
    joined: &BTreeSet<(ClusterId, Name)>,
    current: &Current,
    selector: &str,
    wanted: &str,
) -> Result<(String, String), Status> {
    let clusters = clusters(joined, current, selector.trim())?;
    let found: Vec<_> = joined
        .iter()
        .filter(|(cluster, node)| {
            **node == *wanted && clusters.as_ref().is_none_or(|ids| ids.contains(cluster))
        })
        .collect();
    match found.as_slice() {
        [(cluster, node)] => Ok((cluster.to_string(), node.to_string())),
        [] => Err(status::no_such_node(format!(
            "no node {:?} has joined{}; there is {}",
            name(wanted),
            if clusters.is_some() {
                " from that cluster"
            } else {
                ""
            },
            list(joined.iter().map(|(_, node)| name(node).into_owned()))
        ))),
        _ => Err(status::ambiguous_node(format!(
            "nodes {:?} of {} clusters have joined: {}",
            name(wanted),
            found.len(),
            list(found.iter().map(|(cluster, _)| short(cluster)))
        ))),
    }
}

/// The clusters that are meant; none for all.
fn clusters(
    joined: &BTreeSet<(ClusterId, Name)>,
    current: &Current,
    selector: &str,
) -> Result<Option<BTreeSet<ClusterId>>, Status> {
    if selector.is_empty() {
        return Ok(None);
    }
    // One whose agents are all silent is in no view, so its id is enough.
    let by_id: BTreeSet<ClusterId> = joined
        .iter()
        .map(|(cluster, _)| cluster)
        .filter(|cluster| {
            ***cluster == *selector || (selector.len() >= PREFIX && cluster.starts_with(selector))
        })
        .cloned()
        .collect();
    if !by_id.is_empty() {
        return Ok(Some(by_id));
    }
    Ok(Some(BTreeSet::from([cluster(current, selector)?
        .as_str()
        .into()])))
}

fn short(id: &str) -> String {
    name(id).chars().take(SHORT_ID).collect()
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
