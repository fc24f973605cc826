//! The objects that a question about values names.

use super::{AnswerError, ObjectKind, View, select, untrusted};
use crate::view::{ClusterIndex, Guest, Name};

/// Objects at most: those of a large node.
const OBJECTS: usize = 2000;

/// An object to look for in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) cluster: Name,
    pub(super) kinds: &'static [ObjectKind],
    /// As the store names it.
    pub(super) name: String,
    /// As people name it.
    pub(super) subject: String,
}

const NODE: &[ObjectKind] = &[ObjectKind::Node];
const GUEST: &[ObjectKind] = &[ObjectKind::Qemu, ObjectKind::Lxc];
const STORAGE: &[ObjectKind] = &[ObjectKind::Storage];

/// In the order in which they are named. What is gone can be named by its number
/// or name, too: the store may still have its values.
pub(super) fn wanted(
    view: &View,
    clusters: &[ClusterIndex],
    subjects: &[String],
) -> Result<Vec<Wanted>, AnswerError> {
    if subjects.is_empty() {
        return Err(AnswerError::Invalid(
            "name what to show: node/pve1, guest/101, storage/tank or guests@pve1".to_owned(),
        ));
    }
    let mut all: Vec<Wanted> = Vec::new();
    for subject in subjects {
        for one in named(view, clusters, subject.trim())? {
            if !all.contains(&one) {
                all.push(one);
            }
        }
    }
    if all.len() > OBJECTS {
        return Err(AnswerError::Invalid(format!(
            "these are {} objects; name at most {OBJECTS}",
            all.len()
        )));
    }
    Ok(all)
}

fn named(
    view: &View,
    clusters: &[ClusterIndex],
    subject: &str,
) -> Result<Vec<Wanted>, AnswerError> {
    if let Some(node) = subject.strip_prefix("guests@") {
        let node = select::node(view, clusters, node)?;
        let guests = view.guests.iter().filter(|guest| guest.node == node);
        return Ok(guests.map(|guest| of_guest(view, guest)).collect());
    }
    if let Some(name) = subject.strip_prefix("node/") {
        let nodes = select::nodes(view, clusters, name);
        return Ok(match nodes {
            Ok(_) => of_name(view, clusters, NODE, name, &format!("node/{name}")),
            Err(error) => return Err(error),
        });
    }
    if let Some(name) = subject.strip_prefix("storage/") {
        return Ok(storage(view, clusters, name));
    }
    let name = subject.strip_prefix("guest/").unwrap_or(subject);
    if let Ok(vmid) = name.parse::<u32>()
        && select::guest(view, clusters, name).is_err()
    {
        // It is gone, or was never there: the store will tell.
        let (name, subject) = (vmid.to_string(), format!("guest/{vmid}"));
        return Ok(of_name(view, clusters, GUEST, &name, &subject));
    }
    if name == subject && name.parse::<u32>().is_err() {
        if select::nodes(view, clusters, name).is_ok() {
            return named(view, clusters, &format!("node/{name}"));
        }
        let is_storage = view.storages.iter().any(|storage| *storage.name == *name);
        if is_storage && select::guest(view, clusters, name).is_err() {
            return Ok(storage(view, clusters, name));
        }
    }
    let guest = select::guest(view, clusters, name).map_err(|error| match error {
        AnswerError::NotFound(_) if name == subject => AnswerError::NotFound(format!(
            "nothing is named {:?}; say node/NAME, guest/ID, storage/NAME or guests@NODE",
            untrusted::name(name)
        )),
        error => error,
    })?;
    Ok(vec![of_guest(view, view.guest(guest))])
}

fn of_guest(view: &View, guest: &Guest) -> Wanted {
    Wanted {
        cluster: Name::clone(&view.cluster(guest.cluster).id),
        kinds: GUEST,
        name: guest.vmid.to_string(),
        subject: format!("guest/{}", guest.vmid),
    }
}

/// A storage is measured on each node.
fn storage(view: &View, clusters: &[ClusterIndex], name: &str) -> Vec<Wanted> {
    if name.contains('@') {
        return of_name(view, clusters, STORAGE, name, &format!("storage/{name}"));
    }
    let of_cluster = |cluster: &ClusterIndex| {
        let cluster = view.cluster(*cluster);
        view.nodes_of(cluster).map(move |(_, node)| {
            let on_node = format!("{name}@{}", node.name);
            Wanted {
                cluster: Name::clone(&cluster.id),
                kinds: STORAGE,
                subject: format!("storage/{on_node}"),
                name: on_node,
            }
        })
    };
    clusters.iter().flat_map(of_cluster).collect()
}

fn of_name(
    view: &View,
    clusters: &[ClusterIndex],
    kinds: &'static [ObjectKind],
    name: &str,
    subject: &str,
) -> Vec<Wanted> {
    let ids = clusters.iter().map(|cluster| &view.cluster(*cluster).id);
    ids.map(|id| Wanted {
        cluster: Name::clone(id),
        kinds,
        name: name.to_owned(),
        subject: subject.to_owned(),
    })
    .collect()
}
