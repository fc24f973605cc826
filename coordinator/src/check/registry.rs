//! The registry: every check, one row each.

use super::{
    Check, cluster_node, container, container_mount, coordinator, corosync, corosync_link,
    guest_disk, guest_load, guest_network, guest_snapshot, guest_state, ha, ha_service, ha_setup,
    network, node_commit, node_cpu, node_disk, node_filesystem, node_memory, node_network,
    node_service, pmxcfs, pmxcfs_copies, quorum, storage, storage_mount, storage_nfs,
    storage_space, storage_thin,
};

/// Every check, in order of the catalogue.
pub const CHECKS: &[Check] = &[
    quorum::LOST,
    quorum::FRAGILE,
    quorum::TWO_NODE,
    quorum::EVEN_VOTES,
    cluster_node::OFFLINE,
    cluster_node::STALE_REPORT,
    corosync::SINGLE_LINK,
    corosync_link::LINK_DOWN,
    corosync::CRYPTO_OFF,
    cluster_node::CLOCK_SKEW,
    pmxcfs::UNRESPONSIVE,
    pmxcfs_copies::DESYNC,
    node_cpu::SUSTAINED_PRESSURE,
    node_cpu::IOWAIT_HIGH,
    node_memory::PRESSURE,
    node_memory::AVAILABLE_LOW,
    node_commit::OVERCOMMIT,
    node_memory::SWAP_THRASHING,
    node_memory::OOM_KILL,
    node_disk::LATENCY_HIGH,
    node_filesystem::SPACE,
    node_filesystem::READ_ONLY,
    node_service::PVESTATD_STALE,
    node_network::LINK_DOWN,
    storage::INACTIVE,
    storage::INACTIVE_ON_SOME,
    storage_space::SPACE,
    storage_mount::NOT_MOUNTPOINT,
    storage_nfs::HANG,
    storage_thin::DATA_FULL,
    storage_thin::METADATA_FULL,
    storage_thin::NEEDS_CHECK,
    guest_state::IO_ERROR,
    guest_load::CPU_SATURATED,
    guest_load::MEMORY_SATURATED,
    guest_disk::CACHE_UNSAFE,
    guest_snapshot::OLD,
    guest_network::MAC_DUPLICATE,
    container::PRIVILEGED,
    container::PRIVILEGED_NESTING,
    container::CONFINEMENT_OFF,
    container_mount::BIND_MOUNT_SYSTEM,
    container_mount::DATA_NOT_BACKED_UP,
    ha::MASTER_NONE,
    ha::LRM_STALE,
    ha_service::ERROR,
    ha_setup::QUORUM_TOO_SMALL,
    ha_setup::WATCHDOG,
    network::BRIDGE_MISSING,
    coordinator::HEARTBEAT,
];

/// The check with this id.
#[must_use]
pub fn find(id: &str) -> Option<&'static Check> {
    CHECKS.iter().find(|check| check.id == id)
}

#[cfg(test)]
mod tests;
