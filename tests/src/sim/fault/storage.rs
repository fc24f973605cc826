//! Faults of storages.

use pvelens::finding::{
    Lane,
    Severity::{Critical, Warning},
};
use serde::{Deserialize, Serialize};

use super::super::state::{State, real};
use crate::sim::label::Labels;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum StorageFault {
    /// Nearly full; on one node when it is local.
    StorageFull {
        storage: String,
        #[serde(default)]
        node: String,
        used_percent: f64,
    },
    /// Not active anywhere.
    StorageInactive { storage: String },
    /// Not active on one of its nodes.
    StorageInactiveOn { storage: String, node: String },
    /// A directory storage whose disk is not mounted, and nothing that says it
    /// must be.
    NotAMountPoint { storage: String, node: String },
}

impl StorageFault {
    pub const NAMES: &[&str] = &[
        "storage_full",
        "storage_inactive",
        "storage_inactive_on",
        "not_a_mount_point",
    ];

    pub(super) fn apply(&self, state: &mut State) {
        match self {
            Self::StorageFull {
                storage,
                node,
                used_percent,
            } => {
                fill(state, storage, node, used_percent / 100.0);
            }
            Self::StorageInactive { storage } => {
                if let Some(storage) = state.storage_mut(storage) {
                    for on_node in storage.nodes.values_mut() {
                        on_node.active = false;
                    }
                }
            }
            Self::StorageInactiveOn { storage, node } => {
                let index = state.node_index(node);
                if let (Some(storage), Some(index)) = (state.storage_mut(storage), index)
                    && let Some(on_node) = storage.nodes.get_mut(&index)
                {
                    on_node.active = false;
                }
            }
            Self::NotAMountPoint { storage, node } => {
                let mut path = None;
                if let Some(storage) = state.storage_mut(storage) {
                    storage.options.retain(|(key, _)| key != "is_mountpoint");
                    path = storage.option("path").map(str::to_owned);
                }
                if let Some(node) = state.node_mut(node) {
                    for filesystem in &mut node.filesystems {
                        if Some(&filesystem.mount_point) == path.as_ref() {
                            filesystem.mounted = false;
                        }
                    }
                }
            }
        }
    }

    pub(super) fn label(&self, state: &State, labels: &mut Labels) {
        match self {
            Self::StorageFull {
                storage,
                node,
                used_percent,
            } => {
                let severity = if *used_percent > 95.0 {
                    Critical
                } else {
                    Warning
                };
                let shared = state
                    .storages
                    .iter()
                    .any(|s| s.name == *storage && s.shared);
                let subject = if shared {
                    format!("storage/{storage}")
                } else {
                    format!("storage/{storage}@{node}")
                };
                if storage == "local-lvm" {
                    // The pool itself is judged, and earlier.
                    let severity = if *used_percent > 90.0 {
                        Critical
                    } else {
                        Warning
                    };
                    let node = format!("node/{node}");
                    labels.root("storage.lvmthin.data_full", node, severity);
                }
                if storage != "local-lvm" {
                    labels.root("storage.pool.space", subject, severity);
                } else if *used_percent > 85.0 {
                    labels.consequence("storage.pool.space", subject, severity);
                }
            }
            Self::StorageInactive { storage } => {
                let shared = state
                    .storages
                    .iter()
                    .any(|s| s.name == *storage && s.shared);
                if shared {
                    labels.root(
                        "storage.pool.inactive",
                        format!("storage/{storage}"),
                        Critical,
                    );
                } else {
                    for node in &state.nodes {
                        let subject = format!("storage/{storage}@{}", node.name);
                        labels.root("storage.pool.inactive", subject, Critical);
                    }
                }
            }
            Self::StorageInactiveOn { storage, .. } => {
                labels.root(
                    "storage.pool.inactive_on_some_nodes",
                    format!("storage/{storage}"),
                    Warning,
                );
            }
            Self::NotAMountPoint { storage, node } => {
                let check = "storage.dir.not_mountpoint";
                let of = |node: &str| format!("storage/{storage}@{node}");
                labels.root(check, of(node), Critical);
                if let Some(label) = labels.expect.last_mut() {
                    label.lane = Some(Lane::Health);
                }
                // Elsewhere it is mounted, but nothing says that it must be.
                for other in state.nodes.iter().filter(|other| other.name != *node) {
                    labels.root(check, of(&other.name), Warning);
                }
            }
        }
    }
}

fn fill(state: &mut State, storage: &str, node: &str, ratio: f64) {
    let index = state.node_index(node);
    let Some(storage) = state.storage_mut(storage) else {
        return;
    };
    let follows = storage.follows;
    for (on, on_node) in &mut storage.nodes {
        if storage.shared || Some(*on) == index {
            on_node.used_ratio = ratio;
        }
    }
    // What lies on a file system is as full as that.
    if let (Some(mount_point), Some(node)) = (follows, state.node_mut(node)) {
        for filesystem in node
            .filesystems
            .iter_mut()
            .filter(|fs| fs.mount_point == mount_point)
        {
            filesystem.used_bytes = real(filesystem.total_bytes) * ratio;
        }
    }
}
