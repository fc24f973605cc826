//! Which check explains which, and how the objects must hang together.

use crate::{
    finding::Finding,
    untrusted,
    view::{StorageIndex, Subject, View},
};

/// One check explains another.
#[derive(Debug, Clone, Copy)]
pub(super) struct Edge {
    pub(super) cause: &'static str,
    pub(super) effect: &'static str,
    pub(super) via: Via,
}

/// What else must be so besides that the objects are connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Via {
    Nothing,
    /// The part of the cause is where a storage of the effect is mounted.
    Mount,
    /// The part of the cause is the thin pool of a storage of the effect.
    ThinPool,
    /// Both are about the same part.
    Part,
    /// The node of the cause is one that the evidence of the effect names.
    Witness,
}

const fn edge(cause: &'static str, effect: &'static str) -> Edge {
    through(Via::Nothing, cause, effect)
}

const fn through(via: Via, cause: &'static str, effect: &'static str) -> Edge {
    Edge { cause, effect, via }
}

/// Low memory makes a node swap, swapping makes work wait, and both end in
/// killed processes: each link also holds where one in between is not found.
pub(super) const EDGES: &[Edge] = &[
    edge("cluster.node.offline", "cluster.agent.stale_report"),
    edge("cluster.node.offline", "cluster.quorum.fragile"),
    edge("cluster.node.offline", "cluster.quorum.lost"),
    edge("cluster.node.offline", "storage.pool.inactive"),
    edge(
        "cluster.node.offline",
        "storage.pool.inactive_on_some_nodes",
    ),
    edge("cluster.node.offline", "guest.state.io_error"),
    edge("storage.pool.inactive", "guest.state.io_error"),
    edge("storage.pool.inactive", "node.pvestatd.stale"),
    edge(
        "storage.pool.inactive_on_some_nodes",
        "guest.state.io_error",
    ),
    edge("storage.pool.space", "guest.state.io_error"),
    edge("storage.pool.space", "node.pvestatd.stale"),
    edge("node.rootfs.space", "guest.state.io_error"),
    edge("node.rootfs.space", "node.pvestatd.stale"),
    edge("storage.dir.not_mountpoint", "node.rootfs.space"),
    edge("node.fs.readonly_or_errors", "guest.state.io_error"),
    edge("node.fs.readonly_or_errors", "storage.pool.inactive"),
    edge("node.mem.overcommit", "node.mem.available_low"),
    edge("node.mem.overcommit", "node.mem.swap_thrashing"),
    edge("node.mem.overcommit", "node.mem.pressure"),
    edge("node.mem.overcommit", "node.mem.oom_kill"),
    edge("node.mem.available_low", "node.mem.swap_thrashing"),
    edge("node.mem.available_low", "node.mem.pressure"),
    edge("node.mem.available_low", "node.mem.oom_kill"),
    edge("node.mem.swap_thrashing", "node.mem.pressure"),
    edge("node.mem.pressure", "node.mem.oom_kill"),
    edge("node.mem.pressure", "node.cpu.iowait_high"),
    edge("node.mem.swap_thrashing", "node.cpu.iowait_high"),
    edge("node.disk.latency_high", "node.cpu.iowait_high"),
    edge("node.disk.latency_high", "guest.state.io_error"),
    edge("cluster.node.offline", "ha.master.none"),
    edge("cluster.node.offline", "ha.service.error"),
    edge("cluster.corosync.link_down", "cluster.quorum.lost"),
    edge("cluster.quorum.lost", "cluster.pmxcfs.unresponsive"),
    edge("cluster.quorum.lost", "ha.lrm.stale"),
    edge("cluster.quorum.lost", "ha.service.error"),
    edge("cluster.pmxcfs.unresponsive", "ha.lrm.stale"),
    edge("cluster.pmxcfs.unresponsive", "ha.master.none"),
    edge("cluster.pmxcfs.unresponsive", "ha.service.error"),
    edge("cluster.pmxcfs.unresponsive", "node.pvestatd.stale"),
    edge("ha.lrm.stale", "ha.service.error"),
    edge("node.net.link_down", "storage.nfs.hang"),
    edge("storage.nfs.hang", "node.pvestatd.stale"),
    edge("storage.pool.inactive", "ha.service.error"),
    through(
        Via::Witness,
        "node.net.link_down",
        "cluster.corosync.link_down",
    ),
    through(Via::Mount, "storage.nfs.hang", "storage.pool.inactive"),
    through(
        Via::Mount,
        "storage.nfs.hang",
        "storage.pool.inactive_on_some_nodes",
    ),
    through(Via::Mount, "storage.nfs.hang", "guest.state.io_error"),
    through(Via::Mount, "storage.nfs.hang", "ha.service.error"),
    through(
        Via::ThinPool,
        "storage.lvmthin.data_full",
        "storage.pool.space",
    ),
    through(
        Via::ThinPool,
        "storage.lvmthin.data_full",
        "guest.state.io_error",
    ),
    through(
        Via::ThinPool,
        "storage.lvmthin.metadata_full",
        "guest.state.io_error",
    ),
    through(
        Via::ThinPool,
        "storage.lvmthin.needs_check",
        "guest.state.io_error",
    ),
    through(
        Via::ThinPool,
        "storage.lvmthin.needs_check",
        "storage.pool.inactive",
    ),
    through(
        Via::ThinPool,
        "storage.lvmthin.needs_check",
        "ha.service.error",
    ),
    through(
        Via::Part,
        "storage.lvmthin.data_full",
        "storage.lvmthin.needs_check",
    ),
    through(
        Via::Part,
        "storage.lvmthin.metadata_full",
        "storage.lvmthin.needs_check",
    ),
    edge("storage.lvmthin.needs_check", "node.pvestatd.stale"),
];

impl Via {
    /// Whether a cause on any node that uses a storage may explain what happens to
    /// the storage as a whole.
    pub(super) fn looks_closer(self) -> bool {
        matches!(self, Self::Mount | Self::ThinPool)
    }

    /// Whether the cause explains the effect, which hangs on these storages.
    pub(super) fn connects(
        self,
        view: &View,
        cause: &Finding,
        effect: &Finding,
        storages: &[Subject],
    ) -> bool {
        let mut storages = storages.iter().filter_map(|subject| match subject {
            Subject::Storage(index) | Subject::StorageOnNode(index, _) => Some(*index),
            _ => None,
        });
        match self {
            Self::Nothing => true,
            Self::Mount => storages.any(|index| is_mounted_at(view, index, &cause.discriminator)),
            Self::ThinPool => storages.any(|index| {
                let pool = view.storage(index).thin_pool();
                pool.is_some_and(|pool| *untrusted::name(pool) == *cause.discriminator)
            }),
            Self::Part => cause.discriminator == effect.discriminator,
            Self::Witness => {
                let node = cause.subject.strip_prefix("node/");
                let mut witnesses = effect.evidence.iter().map(|seen| seen.node.as_str());
                node.is_some_and(|node| witnesses.any(|witness| *witness == *untrusted::name(node)))
            }
        }
    }
}

fn is_mounted_at(view: &View, index: StorageIndex, mount_point: &str) -> bool {
    view.storage(index).mount_point().as_deref() == Some(mount_point)
}
