//! Clusters, nodes and storages.

use pvelens_proto::v1 as message;

use super::{all, timestamp};
use crate::inventory::{
    ClusterSummary, DiskSummary, FilesystemSummary, InterfaceSummary, NodeDetail, NodeSummary,
    StorageOnNodeSummary, StorageSummary,
};

impl From<ClusterSummary> for message::Cluster {
    fn from(cluster: ClusterSummary) -> Self {
        let ClusterSummary {
            id,
            name,
            standalone,
            quorate,
            nodes_total,
            nodes_online,
            guests_total,
            guests_running,
            storages_total,
            profile,
            profile_origin,
            critical_findings,
            warning_findings,
        } = cluster;
        Self {
            cluster_id: id,
            name,
            standalone,
            quorate,
            nodes_total,
            nodes_online,
            guests_total,
            guests_running,
            storages_total,
            profile,
            profile_origin,
            critical_findings,
            warning_findings,
        }
    }
}

/// Without disks, interfaces and file systems, which only the answer about one
/// node has.
impl From<NodeSummary> for message::Node {
    fn from(node: NodeSummary) -> Self {
        let NodeSummary {
            cluster,
            name,
            status,
            coverage,
            figures_at,
            uptime_seconds,
            cpus,
            cpu_ratio,
            iowait_ratio,
            load1,
            memory_total_bytes,
            memory_used_bytes,
            memory_available_bytes,
            arc_bytes,
            swap_total_bytes,
            swap_used_bytes,
            root_total_bytes,
            root_used_bytes,
            cpu_pressure_ratio,
            memory_pressure_ratio,
            io_pressure_ratio,
            ip_address,
            kernel_release,
            pve_manager_version,
            cpu_model,
            guests_running,
            guests_total,
            agent_version,
        } = node;
        Self {
            cluster_id: cluster,
            name,
            status: node_status(&status).into(),
            coverage: message::CoverageLevel::from(coverage).into(),
            figures_at: figures_at.map(timestamp),
            uptime_seconds,
            cpus,
            cpu_ratio,
            iowait_ratio,
            load1,
            memory_total_bytes,
            memory_used_bytes,
            memory_available_bytes,
            arc_bytes,
            swap_total_bytes,
            swap_used_bytes,
            root_total_bytes,
            root_used_bytes,
            cpu_pressure_ratio,
            memory_pressure_ratio,
            io_pressure_ratio,
            ip_address,
            kernel_release,
            pve_manager_version,
            cpu_model,
            guests_running,
            guests_total,
            agent_version,
            disks: Vec::new(),
            interfaces: Vec::new(),
            filesystems: Vec::new(),
        }
    }
}

/// A node with its parts.
pub(super) fn node(summary: NodeSummary, detail: NodeDetail) -> message::Node {
    let NodeDetail {
        disks,
        interfaces,
        filesystems,
    } = detail;
    let mut node = message::Node::from(summary);
    node.disks = all(disks);
    node.interfaces = all(interfaces);
    node.filesystems = all(filesystems);
    node
}

fn node_status(word: &str) -> message::NodeStatus {
    match word {
        "online" => message::NodeStatus::Online,
        "offline" => message::NodeStatus::Offline,
        _ => message::NodeStatus::Unknown,
    }
}

impl From<DiskSummary> for message::NodeDisk {
    fn from(disk: DiskSummary) -> Self {
        let DiskSummary {
            name,
            model,
            size_bytes,
            read_bytes_per_second,
            write_bytes_per_second,
            read_latency_seconds,
            write_latency_seconds,
            busy_ratio,
        } = disk;
        Self {
            name,
            model,
            size_bytes,
            read_bytes_per_second,
            write_bytes_per_second,
            read_latency_seconds,
            write_latency_seconds,
            busy_ratio,
        }
    }
}

impl From<InterfaceSummary> for message::NodeInterface {
    fn from(interface: InterfaceSummary) -> Self {
        let InterfaceSummary {
            name,
            kind,
            operational_state,
            received_bytes_per_second,
            transmitted_bytes_per_second,
            speed_megabits_per_second,
            errors_total,
        } = interface;
        Self {
            name,
            kind,
            operational_state,
            received_bytes_per_second,
            transmitted_bytes_per_second,
            speed_megabits_per_second,
            errors_total,
        }
    }
}

impl From<FilesystemSummary> for message::NodeFilesystem {
    fn from(filesystem: FilesystemSummary) -> Self {
        let FilesystemSummary {
            mount_point,
            filesystem_type,
            read_only,
            total_bytes,
            used_bytes,
        } = filesystem;
        Self {
            mount_point,
            filesystem_type,
            read_only,
            total_bytes,
            used_bytes,
        }
    }
}

impl From<StorageSummary> for message::Storage {
    fn from(storage: StorageSummary) -> Self {
        let StorageSummary {
            cluster,
            name,
            storage_type,
            shared,
            disabled,
            content,
            nodes,
        } = storage;
        Self {
            cluster_id: cluster,
            name,
            storage_type,
            shared,
            disabled,
            content,
            nodes: all(nodes),
        }
    }
}

impl From<StorageOnNodeSummary> for message::StorageOnNode {
    fn from(storage: StorageOnNodeSummary) -> Self {
        let StorageOnNodeSummary {
            node,
            status,
            figures_at,
            total_bytes,
            used_bytes,
        } = storage;
        Self {
            node,
            status: storage_status(&status).into(),
            figures_at: figures_at.map(timestamp),
            total_bytes,
            used_bytes,
        }
    }
}

fn storage_status(word: &str) -> message::StorageStatus {
    match word {
        "active" => message::StorageStatus::Active,
        "inactive" => message::StorageStatus::Inactive,
        "disabled" => message::StorageStatus::Disabled,
        _ => message::StorageStatus::Unknown,
    }
}
