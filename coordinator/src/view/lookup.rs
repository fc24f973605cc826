//! Finding objects in a view, by index and by name.

use std::borrow::Cow;

use super::{
    Cluster, ClusterIndex, Guest, GuestIndex, Node, NodeIndex, Storage, StorageIndex, Subject, View,
};

/// Indices come from the view they are used with, so they are in range.
impl View {
    #[must_use]
    pub fn cluster(&self, index: ClusterIndex) -> &Cluster {
        &self.clusters[index.get()]
    }

    #[must_use]
    pub fn node(&self, index: NodeIndex) -> &Node {
        &self.nodes[index.get()]
    }

    #[must_use]
    pub fn guest(&self, index: GuestIndex) -> &Guest {
        &self.guests[index.get()]
    }

    #[must_use]
    pub fn storage(&self, index: StorageIndex) -> &Storage {
        &self.storages[index.get()]
    }

    pub fn clusters(&self) -> impl Iterator<Item = (ClusterIndex, &Cluster)> {
        (0..).map(ClusterIndex).zip(&self.clusters)
    }

    pub fn nodes(&self) -> impl Iterator<Item = (NodeIndex, &Node)> {
        (0..).map(NodeIndex).zip(&self.nodes)
    }

    pub fn guests(&self) -> impl Iterator<Item = (GuestIndex, &Guest)> {
        (0..).map(GuestIndex).zip(&self.guests)
    }

    pub fn storages(&self) -> impl Iterator<Item = (StorageIndex, &Storage)> {
        (0..).map(StorageIndex).zip(&self.storages)
    }

    /// Members of a cluster, sorted by name.
    pub fn nodes_of(&self, cluster: &Cluster) -> impl Iterator<Item = (NodeIndex, &Node)> {
        cluster
            .nodes
            .clone()
            .map(|index| (NodeIndex(index), self.node(NodeIndex(index))))
    }

    /// Guests of a cluster, sorted by VMID.
    pub fn guests_of(&self, cluster: &Cluster) -> impl Iterator<Item = (GuestIndex, &Guest)> {
        cluster
            .guests
            .clone()
            .map(|index| (GuestIndex(index), self.guest(GuestIndex(index))))
    }

    /// Storages of a cluster, sorted by name.
    pub fn storages_of(&self, cluster: &Cluster) -> impl Iterator<Item = (StorageIndex, &Storage)> {
        cluster
            .storages
            .clone()
            .map(|index| (StorageIndex(index), self.storage(StorageIndex(index))))
    }

    #[must_use]
    pub fn find_cluster(&self, id: &str) -> Option<ClusterIndex> {
        self.clusters
            .binary_search_by(|cluster| (*cluster.id).cmp(id))
            .ok()
            .and_then(index)
            .map(ClusterIndex)
    }

    #[must_use]
    pub fn find_node(&self, cluster: ClusterIndex, name: &str) -> Option<NodeIndex> {
        self.nodes
            .binary_search_by(|node| (node.cluster, &*node.name).cmp(&(cluster, name)))
            .ok()
            .and_then(index)
            .map(NodeIndex)
    }

    #[must_use]
    pub fn find_guest(&self, cluster: ClusterIndex, vmid: u32) -> Option<GuestIndex> {
        self.guests
            .binary_search_by_key(&(cluster, vmid), |guest| (guest.cluster, guest.vmid))
            .ok()
            .and_then(index)
            .map(GuestIndex)
    }

    #[must_use]
    pub fn find_storage(&self, cluster: ClusterIndex, name: &str) -> Option<StorageIndex> {
        self.storages
            .binary_search_by(|storage| (storage.cluster, &*storage.name).cmp(&(cluster, name)))
            .ok()
            .and_then(index)
            .map(StorageIndex)
    }

    /// The subject with this [key](Subject::key), if the view still has it.
    #[must_use]
    pub fn find_subject(&self, cluster: ClusterIndex, key: &str) -> Option<Subject> {
        if key == "cluster" {
            return Some(Subject::Cluster(cluster));
        }
        let (kind, name) = key.split_once('/')?;
        match kind {
            "node" => self.find_node(cluster, name).map(Subject::Node),
            "guest" => self
                .find_guest(cluster, name.parse().ok()?)
                .map(Subject::Guest),
            "storage" => match name.split_once('@') {
                Some((storage, node)) => Some(Subject::StorageOnNode(
                    self.find_storage(cluster, storage)?,
                    self.find_node(cluster, node)?,
                )),
                None => self.find_storage(cluster, name).map(Subject::Storage),
            },
            _ => None,
        }
    }
}

impl Storage {
    /// Where PVE mounts it when it is a file system of the network.
    #[must_use]
    pub fn mount_point(&self) -> Option<Cow<'_, str>> {
        match self.entry.storage_type.as_str() {
            "nfs" | "cifs" | "cephfs" | "glusterfs" => {}
            _ => return None,
        }
        Some(match self.entry.path.as_str() {
            "" => format!("/mnt/pve/{}", self.name).into(),
            path => path.into(),
        })
    }

    /// Volume group and pool, `pve/data`, when it is a thin pool of LVM.
    #[must_use]
    pub fn thin_pool(&self) -> Option<&str> {
        (self.entry.storage_type == "lvmthin").then_some(self.entry.target.as_str())
    }
}

/// Views are built with 32-bit indices, so a position fits.
fn index(position: usize) -> Option<u32> {
    u32::try_from(position).ok()
}
