//! Words of the inventory's JSON for states and kinds.

use pvelens_proto::agent::v1 as wire;

use super::CoverageWord;
use crate::{
    untrusted::name,
    view::{CoverageLevel, GuestStatus, MemorySource, NodeStatus, StorageStatus},
};

/// A guest's run state.
#[must_use]
pub fn guest_status(status: &GuestStatus) -> String {
    match status {
        GuestStatus::Running => "running".to_owned(),
        GuestStatus::Stopped => "stopped".to_owned(),
        GuestStatus::Other(word) => name(word).into_owned(),
        GuestStatus::Unknown => "unknown".to_owned(),
    }
}

#[must_use]
pub fn node_status(status: NodeStatus) -> &'static str {
    match status {
        NodeStatus::Online => "online",
        NodeStatus::Offline => "offline",
        NodeStatus::Unknown => "unknown",
    }
}

#[must_use]
pub fn guest_kind(kind: wire::GuestKind) -> &'static str {
    match kind {
        wire::GuestKind::Qemu => "qemu",
        wire::GuestKind::Lxc => "lxc",
        wire::GuestKind::Unspecified => "unknown",
    }
}

#[must_use]
pub fn coverage_word(level: CoverageLevel) -> CoverageWord {
    match level {
        CoverageLevel::None => CoverageWord::None,
        CoverageLevel::Basic => CoverageWord::Basic,
        CoverageLevel::Full => CoverageWord::Full,
    }
}

#[must_use]
pub fn storage_status(status: StorageStatus) -> &'static str {
    match status {
        StorageStatus::Active => "active",
        StorageStatus::Inactive => "inactive",
        StorageStatus::Disabled => "disabled",
        StorageStatus::Unknown => "unknown",
    }
}

#[must_use]
pub fn memory_source(source: MemorySource) -> &'static str {
    match source {
        MemorySource::Balloon => "balloon",
        MemorySource::Cgroup => "cgroup",
        MemorySource::Host => "host",
        MemorySource::Broadcast => "broadcast",
    }
}
