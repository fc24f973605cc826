//! Cheap names for the things in a view.

use std::{fmt, sync::Arc};

use super::View;

/// A shared string: node names, guest names, storage names.
pub type Name = Arc<str>;

/// Lower-case hex SHA-256 of a cluster's root CA certificate; for a machine
/// without Proxmox VE, `host:` and its name.
pub type ClusterId = Arc<str>;

macro_rules! index {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub u32);

        impl $name {
            /// Position in the view's vector.
            #[must_use]
            pub fn get(self) -> usize {
                // u32 fits usize on every platform that runs Linux and tokio.
                self.0 as usize
            }
        }
    };
}

index!(
    /// A cluster of one view.
    ClusterIndex
);
index!(
    /// A node of one view.
    NodeIndex
);
index!(
    /// A guest of one view.
    GuestIndex
);
index!(
    /// A storage of one view.
    StorageIndex
);

/// What a verdict is about. Valid for one view only; [`Subject::key`] gives the
/// name that lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Subject {
    Cluster(ClusterIndex),
    Node(NodeIndex),
    Guest(GuestIndex),
    Storage(StorageIndex),
    StorageOnNode(StorageIndex, NodeIndex),
}

impl Subject {
    /// The cluster it belongs to.
    #[must_use]
    pub fn cluster(self, view: &View) -> ClusterIndex {
        match self {
            Self::Cluster(cluster) => cluster,
            Self::Node(node) => view.node(node).cluster,
            Self::Guest(guest) => view.guest(guest).cluster,
            Self::Storage(storage) | Self::StorageOnNode(storage, _) => {
                view.storage(storage).cluster
            }
        }
    }

    /// Name within the cluster: `cluster`, `node/pve1`, `guest/104`,
    /// `storage/tank`, `storage/tank@pve1`.
    #[must_use]
    pub fn key(self, view: &View) -> String {
        match self {
            Self::Cluster(_) => "cluster".to_owned(),
            Self::Node(node) => format!("node/{}", view.node(node).name),
            Self::Guest(guest) => format!("guest/{}", view.guest(guest).vmid),
            Self::Storage(storage) => format!("storage/{}", view.storage(storage).name),
            Self::StorageOnNode(storage, node) => format!(
                "storage/{}@{}",
                view.storage(storage).name,
                view.node(node).name
            ),
        }
    }
}

impl fmt::Display for NodeIndex {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "#{}", self.0)
    }
}
