//! Storages of `storage.cfg`, expanded to the nodes that may use them.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{BROADCAST_FRESH, Member, Scene, heard};
use crate::{
    live::{clock::plausible, keys::NO_SERIES},
    view::{Name, NodeIndex, Storage, StorageOnNode, StorageStatus},
};

/// PVE adds it when the configuration does not have it.
const LOCAL: &str = "local";

impl Scene<'_> {
    /// Sorted by name.
    pub(super) fn view_storages(&self) -> Vec<Storage> {
        let Some(configured) = &self.storages else {
            return Vec::new();
        };
        let mut entries: Vec<Arc<wire::StorageEntry>> = configured.value.to_vec();
        if let Err(place) = entries.binary_search_by(|entry| entry.name.as_str().cmp(LOCAL)) {
            entries.insert(place, Arc::new(implied_local()));
        }
        entries
            .into_iter()
            .map(|entry| self.storage(entry))
            .collect()
    }

    fn storage(&self, entry: Arc<wire::StorageEntry>) -> Storage {
        // PVE ignores a limit on `local`.
        let everywhere = entry.nodes.is_empty() || entry.name == LOCAL;
        let mut limited: Vec<&str> = entry.nodes.iter().map(String::as_str).collect();
        limited.sort_unstable();
        let nodes = self
            .names
            .iter()
            .zip(&self.nodes)
            .enumerate()
            // The directory of a removed node is no place for a storage.
            .filter(|(_, (_, member))| member.agent.is_some() || member.announced)
            .filter(|(_, (name, _))| everywhere || limited.binary_search(&&***name).is_ok())
            .map(|(position, (name, member))| {
                self.on_node(&entry, name, member, self.index(position))
            })
            .collect();
        Storage {
            cluster: self.cluster,
            name: entry.name.as_str().into(),
            nodes,
            entry,
        }
    }

    fn on_node(
        &self,
        entry: &wire::StorageEntry,
        name: &Name,
        member: &Member<'_>,
        node: NodeIndex,
    ) -> StorageOnNode {
        let nothing = StorageOnNode {
            key: NO_SERIES,
            node,
            status: StorageStatus::Unknown,
            at: None,
            total_bytes: None,
            used_bytes: None,
        };
        let own = self.own_word(entry, member, nothing);
        // The node's own word says more, as long as it is not old.
        let chosen = match own.filter(|own| self.is_current(own)) {
            Some(own) => own,
            None => own
                .into_iter()
                .chain(self.broadcast_word(entry, name, member, nothing))
                .max_by_key(|word| word.at)
                .unwrap_or(nothing),
        };
        let status = if entry.disabled {
            StorageStatus::Disabled
        } else if self.is_current(&chosen) {
            chosen.status
        } else {
            StorageStatus::Unknown
        };
        StorageOnNode {
            key: self.live.keys.storage(name, &entry.name),
            status,
            ..chosen
        }
    }

    fn own_word(
        &self,
        entry: &wire::StorageEntry,
        member: &Member<'_>,
        nothing: StorageOnNode,
    ) -> Option<StorageOnNode> {
        let held = member.pve_status.as_ref()?;
        let storages = &held.value.value.storages;
        let position = storages
            .binary_search_by(|storage| storage.name.cmp(&entry.name))
            .ok()?;
        let storage = storages.get(position)?;
        let computed = plausible(storage.computed_at.as_ref());
        let at = match (computed, member.agent) {
            (Some(computed), Some(agent)) => {
                agent.clock.correct(computed, held.value.stamp.received)
            }
            _ => held.at,
        };
        Some(StorageOnNode {
            status: if !storage.enabled {
                StorageStatus::Disabled
            } else if storage.active {
                StorageStatus::Active
            } else {
                StorageStatus::Inactive
            },
            at: Some(at),
            total_bytes: storage.total_bytes.filter(|_| storage.active),
            used_bytes: storage.used_bytes.filter(|_| storage.active),
            ..nothing
        })
    }

    /// Nodes broadcast active storages only: one that is missing while others
    /// of the node are fresh has been inactive for five minutes.
    fn broadcast_word(
        &self,
        entry: &wire::StorageEntry,
        name: &Name,
        member: &Member<'_>,
        nothing: StorageOnNode,
    ) -> Option<StorageOnNode> {
        let of_node = self.live.broadcasts.storages.get(name)?;
        let known = of_node.get(entry.name.as_str()).and_then(|storage| {
            let at = heard(storage, member.agent, self.at)?;
            Some((storage, at))
        });
        if let Some((storage, at)) = known
            && self.is_recent(at, BROADCAST_FRESH)
        {
            return Some(StorageOnNode {
                status: StorageStatus::Active,
                at: Some(at),
                total_bytes: storage.value.total_bytes,
                used_bytes: storage.value.used_bytes,
                ..nothing
            });
        }
        let newest = of_node
            .values()
            .filter_map(|storage| heard(storage, member.agent, self.at))
            .max()?;
        if self.is_recent(newest, super::FRESH) {
            return Some(StorageOnNode {
                status: StorageStatus::Inactive,
                at: Some(newest),
                ..nothing
            });
        }
        known.map(|(storage, at)| StorageOnNode {
            at: Some(at),
            total_bytes: storage.value.total_bytes,
            used_bytes: storage.value.used_bytes,
            ..nothing
        })
    }

    fn is_current(&self, storage: &StorageOnNode) -> bool {
        let recent = |at: Timestamp| self.is_recent(at, BROADCAST_FRESH);
        storage.at.is_some_and(recent)
    }
}

fn implied_local() -> wire::StorageEntry {
    wire::StorageEntry {
        name: LOCAL.to_owned(),
        storage_type: "dir".to_owned(),
        content: ["backup", "images", "iso", "rootdir", "snippets", "vztmpl"]
            .map(str::to_owned)
            .to_vec(),
        path: "/var/lib/vz".to_owned(),
        retention: Some(wire::BackupRetention {
            keep_all: true,
            ..wire::BackupRetention::default()
        }),
        ..wire::StorageEntry::default()
    }
}
