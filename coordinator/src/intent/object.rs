//! What a statement is about: objects by name, or all that carry a tag or lie in a
//! pool.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{
    check::has_tag,
    untrusted,
    view::{ClusterIndex, Guest, NodeStatus, Subject, View},
};

/// Longest name of an object. Those of Proxmox VE are shorter.
const NAME_LIMIT: usize = 128;

/// How objects are written, for those whose text is none.
pub(super) const FORMS: &str = "write node/NAME, guest/VMID, storage/NAME, storage/NAME@NODE, \
                                tag/TAG, pool/NAME, cluster or *";

/// One object, or several that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Object {
    /// Everything.
    All,
    /// What is about the cluster as a whole.
    Cluster,
    /// Also its storages there.
    Node(String),
    Guest(u32),
    /// On all nodes.
    Storage(String),
    StorageOnNode(String, String),
    /// Guests with this tag.
    Tag(String),
    /// Guests in this pool or in one below it.
    Pool(String),
}

/// A text that names no object.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} names no object: {FORMS}")]
pub struct NoObject(String);

impl FromStr for Object {
    type Err = NoObject;

    fn from_str(text: &str) -> Result<Self, NoObject> {
        let no_object = || NoObject(untrusted::name(text).into_owned());
        match text {
            "*" => return Ok(Self::All),
            "cluster" => return Ok(Self::Cluster),
            _ => {}
        }
        let (kind, name) = text.split_once('/').ok_or_else(no_object)?;
        let is_name = |name: &str| {
            !name.is_empty()
                && name.len() <= NAME_LIMIT
                && !name.contains(char::is_whitespace)
                // Nothing that could not be shown as it is.
                && untrusted::line(name, NAME_LIMIT) == name
        };
        if !is_name(name) {
            return Err(no_object());
        }
        let name = name.to_owned();
        match kind {
            "node" => Ok(Self::Node(name)),
            "guest" => name.parse().map(Self::Guest).map_err(|_| no_object()),
            "storage" => Ok(match name.split_once('@') {
                Some((storage, node)) if is_name(storage) && is_name(node) => {
                    Self::StorageOnNode(storage.to_owned(), node.to_owned())
                }
                Some(_) => return Err(no_object()),
                None => Self::Storage(name),
            }),
            // Proxmox VE writes tags in lower case.
            "tag" => Ok(Self::Tag(name.to_lowercase())),
            "pool" => Ok(Self::Pool(name)),
            _ => Err(no_object()),
        }
    }
}

impl TryFrom<String> for Object {
    type Error = NoObject;

    fn try_from(text: String) -> Result<Self, NoObject> {
        text.parse()
    }
}

impl From<Object> for String {
    fn from(object: Object) -> Self {
        object.to_string()
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Cluster => f.write_str("cluster"),
            Self::Node(name) => write!(f, "node/{name}"),
            Self::Guest(vmid) => write!(f, "guest/{vmid}"),
            Self::Storage(name) => write!(f, "storage/{name}"),
            Self::StorageOnNode(name, node) => write!(f, "storage/{name}@{node}"),
            Self::Tag(tag) => write!(f, "tag/{tag}"),
            Self::Pool(pool) => write!(f, "pool/{pool}"),
        }
    }
}

impl Object {
    /// Whether it names the subject, or something that the subject is a part of.
    #[must_use]
    pub fn has(&self, view: &View, subject: Subject) -> bool {
        let storage_is = |index, wanted: &str| *view.storage(index).name == *wanted;
        let node_is = |index, wanted: &str| *view.node(index).name == *wanted;
        match (self, subject) {
            (Self::All, _) | (Self::Cluster, Subject::Cluster(_)) => true,
            (Self::Node(name), Subject::Node(node) | Subject::StorageOnNode(_, node)) => {
                node_is(node, name)
            }
            (_, Subject::Guest(guest)) => self.has_guest(view, view.guest(guest)),
            (
                Self::Storage(name),
                Subject::Storage(storage) | Subject::StorageOnNode(storage, _),
            ) => storage_is(storage, name),
            (Self::StorageOnNode(name, on), Subject::StorageOnNode(storage, node)) => {
                storage_is(storage, name) && node_is(node, on)
            }
            _ => false,
        }
    }

    /// Whether it names the guest, or what the guest belongs to.
    #[must_use]
    pub fn has_guest(&self, view: &View, guest: &Guest) -> bool {
        match self {
            Self::All => true,
            Self::Guest(vmid) => guest.vmid == *vmid,
            Self::Tag(tag) => has_tag(guest, tag),
            Self::Pool(pool) => is_in_pool(view, guest, pool),
            _ => false,
        }
    }

    /// Whether a cluster has it. What is chosen by a property exists wherever guests may.
    #[must_use]
    pub fn exists(&self, view: &View, cluster: ClusterIndex) -> bool {
        match self {
            Self::All | Self::Cluster | Self::Tag(_) | Self::Pool(_) => true,
            named => view.find_subject(cluster, &named.to_string()).is_some(),
        }
    }

    /// Whether it is the storage that a node has mounted there.
    fn is_mounted(&self, view: &View, subject: Subject, part: &str) -> bool {
        let (Self::Storage(name), Subject::Node(node)) = (self, subject) else {
            return false;
        };
        let storage = view.find_storage(view.node(node).cluster, name);
        let mount_point = storage.and_then(|storage| view.storage(storage).mount_point());
        mount_point.is_some_and(|mount_point| mount_point == part)
    }

    /// Whether it names one thing, which exists or not.
    #[must_use]
    pub fn is_named(&self) -> bool {
        !matches!(
            self,
            Self::All | Self::Cluster | Self::Tag(_) | Self::Pool(_)
        )
    }
}

/// Whether these objects explain what is wrong with a part of a subject: it is one of
/// them, or a mount of one of them, or it is the cluster, and every member that is
/// missing is one of them.
pub(super) fn explain(objects: &[Object], view: &View, subject: Subject, part: &str) -> bool {
    let has = |subject| objects.iter().any(|object| object.has(view, subject));
    if has(subject)
        || objects
            .iter()
            .any(|object| object.is_mounted(view, subject, part))
    {
        return true;
    }
    let Subject::Cluster(cluster) = subject else {
        return false;
    };
    let mut missing = view
        .nodes_of(view.cluster(cluster))
        .filter(|(_, node)| node.status == NodeStatus::Offline)
        .map(|(index, _)| has(Subject::Node(index)))
        .peekable();
    missing.peek().is_some() && missing.all(|is_named| is_named)
}

fn is_in_pool(view: &View, guest: &Guest, pool: &str) -> bool {
    let members = view.nodes_of(view.cluster(guest.cluster));
    let newest = members
        .filter_map(|(_, node)| node.facts.access_config.as_ref())
        .max_by_key(|config| config.at);
    newest.is_some_and(|config| {
        let pools = config
            .value
            .user_config
            .iter()
            .flat_map(|users| &users.pools);
        pools.into_iter().any(|found| {
            let below = found.id.strip_prefix(pool);
            below.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                && found.vmids.contains(&guest.vmid)
        })
    })
}
