//! The merged state of the datacenter at one instant: plain data, immutable.
//!
//! A view is built from the newest samples of all agents and then only read.
//! Objects refer to each other by index into the view's own vectors, which are
//! sorted by identity; an index means nothing in another view. Facts keep the
//! generated messages behind `Arc`, so building a view copies no configuration.
//!
//! An absent fact is unknown, never zero, and every fact carries the time at
//! which it was observed: the view keeps old facts, and it is the reader who
//! decides by their age.

use std::{fmt, ops::Range, sync::Arc};

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use crate::history::ObjectKey;

#[cfg(test)]
pub(crate) mod fixture;
mod identity;
mod lookup;
mod merge;
pub(crate) mod rates;

pub use identity::{ClusterId, ClusterIndex, GuestIndex, Name, NodeIndex, StorageIndex, Subject};
pub use merge::build;

/// Everything one coordinator sees.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// The instant the view describes. No fact in it is newer.
    pub at: Timestamp,
    /// Sorted by id.
    pub clusters: Vec<Cluster>,
    /// Sorted by cluster, then name.
    pub nodes: Vec<Node>,
    /// Sorted by cluster, then VMID.
    pub guests: Vec<Guest>,
    /// Sorted by cluster, then name.
    pub storages: Vec<Storage>,
}

/// A value and when its source was read.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Dated<T> {
    pub value: T,
    /// By the node's clock, corrected by the measured offset of that clock.
    pub at: Timestamp,
}

/// Shared fact of one collector.
pub type Fact<T> = Option<Dated<Arc<T>>>;

/// Nodes that share one corosync membership and `/etc/pve`, or a single node.
#[derive(Debug, Clone)]
pub struct Cluster {
    pub id: ClusterId,
    /// The corosync name, or the node's name when it stands alone.
    pub name: Name,
    /// Without `corosync.conf`.
    pub standalone: bool,
    /// What each member with an agent says of the membership, by reporter.
    pub memberships: Vec<Membership>,
    /// From the newest sample of a quorate member, or of any when none is.
    pub corosync: Fact<wire::CorosyncConfig>,
    /// The guest list was read: a guest that is missing in it does not exist.
    pub guest_list_at: Option<Timestamp>,
    /// That list is the word of a member that may speak for the cluster now.
    pub guest_list_counts: bool,
    pub storage_config_at: Option<Timestamp>,
    pub guest_configs_at: Option<Timestamp>,
    pub nodes: Range<u32>,
    pub guests: Range<u32>,
    pub storages: Range<u32>,
    /// Levels as nodes broadcast them; absent when no broadcast was read.
    pub subscribed: Option<bool>,
    /// Files that all members share, as those hold them that may speak for the
    /// cluster.
    pub shared_files: Vec<SharedFile>,
}

/// The copies of one file that can be compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedFile {
    pub path: &'static str,
    /// By node.
    pub copies: Vec<Copy>,
}

/// One member's copy of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copy {
    pub node: NodeIndex,
    /// Begin of a SHA-256; empty when there is no such file.
    pub digest: Name,
    /// When that content was seen first.
    pub since: Timestamp,
    /// When it was read last.
    pub at: Timestamp,
}

/// The cluster as one of its members sees it.
#[derive(Debug, Clone)]
pub struct Membership {
    pub reporter: NodeIndex,
    pub at: Timestamp,
    /// Absent on a standalone node.
    pub quorate: Option<bool>,
    /// Sorted.
    pub online: Vec<NodeIndex>,
    /// Sorted.
    pub offline: Vec<NodeIndex>,
}

/// One PVE host, or a machine without Proxmox VE that runs an agent.
#[derive(Debug, Clone)]
pub struct Node {
    /// Key of its series in the history.
    pub key: ObjectKey,
    pub cluster: ClusterIndex,
    pub name: Name,
    pub coverage: CoverageLevel,
    /// Absent for a node that never had an agent.
    pub agent: Option<AgentState>,
    pub status: NodeStatus,
    pub node_id: Option<u32>,
    /// Empty when unknown.
    pub ip_address: Name,
    pub facts: NodeFacts,
    /// From the node's last two samples.
    pub rates: Option<Dated<Arc<NodeRates>>>,
    /// What the node broadcast last, as the best informed member received it.
    pub broadcast: Option<Dated<wire::BroadcastNode>>,
    /// What its agent could not read, sorted by collector and path.
    pub failures: Vec<CollectorFailure>,
    /// What its agent looked for and does not exist there, sorted by collector.
    pub nothing: Vec<Nothing>,
    pub guests_running: u32,
    pub guests_total: u32,
}

/// How much is known about a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CoverageLevel {
    /// Known to exist, nothing else.
    None,
    /// Only what other members broadcast about it.
    Basic,
    /// Its own agent reports.
    Full,
}

/// The agent of a node as the coordinator knows it.
#[derive(Debug, Clone)]
pub struct AgentState {
    pub version: Name,
    pub connected: bool,
    /// Receive time of its newest update, by the coordinator's clock.
    pub last_update_at: Timestamp,
    /// Positive when the node's clock is ahead.
    pub clock_offset_seconds: Option<f64>,
    pub is_pve_node: bool,
    /// Why the connection ended; empty while connected.
    pub last_error: Name,
    /// A second agent that uses its name.
    pub doubled: Option<Doubled>,
    /// What its link found wrong with who it says it is, and when.
    pub identity_problem: Option<(Name, Timestamp)>,
    /// Somebody whom it turned away as a coordinator: why, and when the last time.
    pub refused_coordinator: Option<(Name, Timestamp)>,
}

/// Two agents that deliver under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Doubled {
    pub since: Timestamp,
    /// When that was seen last.
    pub at: Timestamp,
    /// Of their streams; the same twice when one is a live copy of the other.
    pub epochs: [Name; 2],
    /// Where they were reached, as far as that is known. Sorted.
    pub addresses: Vec<Name>,
}

impl fmt::Display for Doubled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("two agents deliver under the name of this node")?;
        if let [first, second, ..] = self.addresses.as_slice() {
            write!(f, ", at {first} and {second}")?;
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeStatus {
    Online,
    Offline,
    /// Nobody whose word counts has said anything lately.
    Unknown,
}

/// Facts from the node's own agent.
#[derive(Debug, Clone, Default)]
pub struct NodeFacts {
    pub cpu: Fact<wire::CpuTimes>,
    pub pressure: Fact<wire::Pressure>,
    pub memory: Fact<wire::Memory>,
    pub load: Fact<wire::Load>,
    pub disks: Fact<wire::Disks>,
    pub filesystems: Fact<wire::Filesystems>,
    pub network: Fact<wire::Network>,
    pub interfaces: Fact<wire::InterfaceStates>,
    pub sensors: Fact<wire::Sensors>,
    pub host: Fact<wire::HostIdentity>,
    pub pve_status: Fact<wire::PveStatus>,
    pub members: Fact<wire::ClusterMembers>,
    pub config_versions: Fact<wire::ConfigVersions>,
    pub corosync_state: Fact<wire::CorosyncState>,
    /// Users, groups and pools.
    pub access_config: Fact<wire::AccessConfig>,
    /// High availability as this member reads it.
    pub ha_config: Fact<wire::HaConfig>,
    pub ha_state: Fact<wire::HaState>,
    pub units: Fact<wire::Units>,
    pub network_mounts: Fact<wire::NetworkMounts>,
    pub lvm: Fact<wire::Lvm>,
}

/// A file or collector that gave nothing, still failing at the view's time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CollectorFailure {
    pub collector: Name,
    /// Empty when the collector as a whole failed.
    pub path: String,
    pub kind: wire::FailureKind,
    pub detail: String,
    pub at: Timestamp,
}

/// A collector that ran and found that there is nothing to collect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nothing {
    pub collector: Name,
    /// In the agent's words: `no LVM volume group`.
    pub reason: Name,
    pub at: Timestamp,
}

/// Differences of a node's counters over its last two samples, per second of
/// the node's own time. Absent when there is no second sample, or when the
/// counters went backwards (reboot).
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NodeRates {
    /// Busy share of all CPUs, 0 to 1, without idle and iowait.
    pub cpu_ratio: Option<f64>,
    pub iowait_ratio: Option<f64>,
    pub steal_ratio: Option<f64>,
    /// Share of time with stalled tasks, 0 to 1, from the exact totals.
    pub pressure: PressureRates,
    pub swapped_in_pages_per_second: Option<f64>,
    pub swapped_out_pages_per_second: Option<f64>,
    /// Processes the kernel killed for memory between the two samples.
    pub oom_kills: Option<u64>,
    /// Same order as the disks of the newest sample; absent for a new disk.
    pub disks: Vec<Option<DiskRates>>,
    /// Same order as the interfaces of the newest sample.
    pub interfaces: Vec<Option<InterfaceRates>>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct PressureRates {
    pub cpu_some_ratio: Option<f64>,
    pub memory_some_ratio: Option<f64>,
    pub memory_full_ratio: Option<f64>,
    pub io_some_ratio: Option<f64>,
    pub io_full_ratio: Option<f64>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct DiskRates {
    pub reads_per_second: f64,
    pub writes_per_second: f64,
    pub read_bytes_per_second: f64,
    pub write_bytes_per_second: f64,
    /// Mean time per request; absent when there was none.
    pub read_latency_seconds: Option<f64>,
    pub write_latency_seconds: Option<f64>,
    pub busy_ratio: f64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct InterfaceRates {
    pub received_bytes_per_second: f64,
    pub transmitted_bytes_per_second: f64,
    pub errors_per_second: f64,
}

/// A VM or a container.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Key of its series in the history.
    pub key: ObjectKey,
    pub cluster: ClusterIndex,
    pub vmid: u32,
    /// Which of the guests that had the VMID one after the other, from one.
    pub generation: u32,
    /// When that was seen first; absent before it was looked at.
    pub generation_since: Option<Timestamp>,
    pub kind: wire::GuestKind,
    /// Chosen by whoever owns the guest; sanitise before showing. May be empty.
    pub name: Name,
    /// Where it is configured.
    pub node: NodeIndex,
    pub status: GuestStatus,
    pub template: bool,
    /// When the configuration was last verified is `Cluster::guest_configs_at`.
    pub config: Option<Arc<wire::GuestConfig>>,
    /// pvestatd's figures, from the node that runs it.
    pub pve_status: Option<Dated<GuestRef<wire::PveStatus>>>,
    /// Kernel accounting, from the node that runs it.
    pub runtime: Option<Dated<GuestRef<wire::GuestRuntimes>>>,
    pub figures: GuestFigures,
    pub rates: Option<Dated<GuestRates>>,
}

/// One element of a shared list of guests.
#[derive(Debug, Clone)]
pub struct GuestRef<T> {
    pub list: Arc<T>,
    pub position: u32,
}

/// Run state; QEMU's own word where PVE has one for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GuestStatus {
    Running,
    Stopped,
    /// `paused`, `io-error`, `prelaunch`, `guest-panicked`, ...
    Other(Name),
    Unknown,
}

/// The best known figures of a guest: its own node's, else the broadcast.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GuestFigures {
    pub at: Option<Timestamp>,
    pub uptime_seconds: Option<f64>,
    pub cpus: Option<f64>,
    /// Of the guest's CPUs, 0 to 1.
    pub cpu_ratio: Option<f64>,
    pub memory_maximum_bytes: Option<u64>,
    pub memory_used_bytes: Option<u64>,
    pub memory_source: Option<MemorySource>,
    pub memory_host_bytes: Option<u64>,
    pub disk_maximum_bytes: Option<u64>,
    pub disk_used_bytes: Option<u64>,
}

/// Whose view a guest's memory figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MemorySource {
    /// The guest's own, through its balloon driver.
    Balloon,
    /// Charged to the container's cgroup, without page cache.
    Cgroup,
    /// Resident on the host; the guest's page cache fills it.
    Host,
    /// As broadcast; PVE does not say which.
    Broadcast,
}

/// Differences of a guest's counters over its last two samples. Dropped when
/// the guest was restarted in between.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct GuestRates {
    /// CPU seconds per second: 1.0 is one full CPU.
    pub cpu_cores: Option<f64>,
    pub vcpu_run_delay_ratio: Option<f64>,
    pub pressure: PressureRates,
    pub read_bytes_per_second: Option<f64>,
    pub write_bytes_per_second: Option<f64>,
    /// What the guest received.
    pub received_bytes_per_second: Option<f64>,
    pub transmitted_bytes_per_second: Option<f64>,
    pub oom_kills: Option<u64>,
}

/// An entry of `storage.cfg`, also the implied `local`.
#[derive(Debug, Clone)]
pub struct Storage {
    pub cluster: ClusterIndex,
    pub name: Name,
    pub entry: Arc<wire::StorageEntry>,
    /// One per node that may use it, sorted by node.
    pub nodes: Vec<StorageOnNode>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StorageOnNode {
    /// Key of its series in the history.
    pub key: ObjectKey,
    pub node: NodeIndex,
    pub status: StorageStatus,
    pub at: Option<Timestamp>,
    pub total_bytes: Option<u64>,
    pub used_bytes: Option<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StorageStatus {
    Active,
    Inactive,
    Disabled,
    /// The node says nothing about it, or nothing recent.
    Unknown,
}
