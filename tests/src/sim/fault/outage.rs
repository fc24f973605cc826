//! Outages: links, the cluster file system, high availability, storages that hang,
//! thin pools that stop.

use pvelens::finding::Severity::{Critical, Warning};
use serde::{Deserialize, Serialize};

use super::super::state::State;
use crate::sim::label::Labels;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum OutageFault {
    /// A link of corosync carries nothing, of one node or of all; another one does.
    CorosyncLinkDown {
        link: u8,
        #[serde(default)]
        node: String,
    },
    /// The cluster file system of a node no longer answers.
    PmxcfsHangs {
        node: String,
    },
    /// No node runs the manager that could be the master.
    HaNoMaster {},
    /// The HA manager of a node stops.
    HaManagerStopped {
        node: String,
    },
    /// High availability gives up a guest.
    HaServiceError {
        vmid: u32,
    },
    WatchdogStopped {
        node: String,
    },
    /// The server of a storage does not answer a node, or anybody.
    NfsHangs {
        storage: String,
        #[serde(default)]
        node: String,
    },
    ThinMetadataFull {
        node: String,
        used_percent: f64,
    },
    /// The kernel could not write the metadata of the thin pool.
    ThinPoolStopped {
        node: String,
    },
}

impl OutageFault {
    pub const NAMES: &[&str] = &[
        "corosync_link_down",
        "pmxcfs_hangs",
        "ha_no_master",
        "ha_manager_stopped",
        "ha_service_error",
        "watchdog_stopped",
        "nfs_hangs",
        "thin_metadata_full",
        "thin_pool_stopped",
    ];

    /// The node it happens to, unless it is the whole cluster or a guest.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        match self {
            Self::CorosyncLinkDown { node, .. }
            | Self::PmxcfsHangs { node }
            | Self::HaManagerStopped { node }
            | Self::WatchdogStopped { node }
            | Self::NfsHangs { node, .. }
            | Self::ThinMetadataFull { node, .. }
            | Self::ThinPoolStopped { node } => Some(node.as_str()).filter(|name| !name.is_empty()),
            Self::HaNoMaster {} | Self::HaServiceError { .. } => None,
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        match self {
            Self::HaNoMaster {} => state.ha.managers_stopped = true,
            Self::HaServiceError { vmid } => state.ha.errors.push(*vmid),
            Self::NfsHangs { storage, .. } => self.hang(state, storage),
            _ => {
                for node in &mut state.nodes {
                    if self.node().is_none_or(|name| node.name == name) {
                        self.apply_to(node);
                    }
                }
            }
        }
    }

    fn apply_to(&self, node: &mut super::super::state::Node) {
        match self {
            Self::CorosyncLinkDown { link, .. } => node.dead_links.push(*link),
            Self::PmxcfsHangs { .. } => node.pmxcfs = false,
            Self::HaManagerStopped { .. } => node.ha_manager = false,
            Self::WatchdogStopped { .. } => node.watchdog = false,
            Self::ThinMetadataFull { used_percent, .. } => {
                node.thin_pool.metadata_ratio = used_percent / 100.0;
            }
            Self::ThinPoolStopped { .. } => node.thin_pool.needs_check = true,
            // Of the cluster, a guest or a storage.
            Self::HaNoMaster {} | Self::HaServiceError { .. } | Self::NfsHangs { .. } => {}
        }
    }

    /// PVE gives up a storage whose server does not answer.
    fn hang(&self, state: &mut State, storage: &str) {
        let only = self.node().and_then(|name| state.node_index(name));
        let Some(storage) = state.storage_mut(storage) else {
            return;
        };
        let path = storage.option("path").map(str::to_owned);
        for (index, on_node) in &mut storage.nodes {
            on_node.active &= only.is_some_and(|only| only != *index);
        }
        for (index, node) in state.nodes.iter_mut().enumerate() {
            if only.is_some_and(|only| only != index) {
                continue;
            }
            for filesystem in &mut node.filesystems {
                filesystem.hangs |= Some(&filesystem.mount_point) == path.as_ref();
            }
        }
    }

    pub(super) fn label(&self, state: &State, labels: &mut Labels) {
        let of = |node: &str| format!("node/{node}");
        match self {
            Self::CorosyncLinkDown { .. } => {
                labels.root("cluster.corosync.link_down", "cluster", Warning);
            }
            Self::PmxcfsHangs { node } => {
                labels.root("cluster.pmxcfs.unresponsive", of(node), Critical);
                labels.consequence("node.pvestatd.stale", of(node), Warning);
                if !state.ha.guests.is_empty() {
                    labels.consequence("ha.lrm.stale", of(node), Critical);
                }
            }
            Self::HaNoMaster {} => labels.root("ha.master.none", "cluster", Critical),
            Self::HaManagerStopped { node } => labels.root("ha.lrm.stale", of(node), Critical),
            Self::HaServiceError { vmid } => {
                labels.root("ha.service.error", format!("guest/{vmid}"), Critical);
            }
            Self::WatchdogStopped { node } => labels.root("ha.watchdog", of(node), Critical),
            Self::NfsHangs { storage, node } => {
                let check = "storage.nfs.hang";
                let storage = format!("storage/{storage}");
                if node.is_empty() || state.nodes.len() == 1 {
                    for node in &state.nodes {
                        labels.root(check, of(&node.name), Critical);
                    }
                    labels.consequence("storage.pool.inactive", storage, Critical);
                } else {
                    labels.root(check, of(node), Critical);
                    labels.consequence("storage.pool.inactive_on_some_nodes", storage, Warning);
                }
            }
            Self::ThinMetadataFull { node, used_percent } => {
                let severity = if *used_percent > 85.0 {
                    Critical
                } else {
                    Warning
                };
                labels.root("storage.lvmthin.metadata_full", of(node), severity);
            }
            Self::ThinPoolStopped { node } => {
                labels.root("storage.lvmthin.needs_check", of(node), Critical);
            }
        }
    }
}
