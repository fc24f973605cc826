//! What a simulated cluster is: plain data, changed by time and faults, shown
//! by files.

use std::collections::BTreeMap;

use super::past::{Task, Word};

mod access;
mod number;

pub use number::{millis, milliseconds, real, seconds, share_of, small, whole};

pub const KIB: u64 = 1 << 10;
pub const MIB: u64 = 1 << 20;
pub const GIB: u64 = 1 << 30;

/// The whole cluster at one instant.
#[derive(Debug, Clone)]
pub struct State {
    pub seed: u64,
    /// Major version of Proxmox VE: 8 or 9.
    pub pve_version: u8,
    pub cluster_name: String,
    /// A single node without corosync.
    pub standalone: bool,
    pub start_millis: i64,
    pub elapsed_seconds: u64,
    /// Letter of the subscription of every node; empty = none.
    pub subscription: &'static str,
    pub corosync: Corosync,
    pub nodes: Vec<Node>,
    pub guests: Vec<Guest>,
    pub storages: Vec<Storage>,
    pub ha: Ha,
    /// Oldest first.
    pub words: Vec<Word>,
    /// Oldest first.
    pub tasks: Vec<Task>,
}

/// High availability.
#[derive(Debug, Clone, Default)]
pub struct Ha {
    /// VMIDs that it cares for; empty = not in use.
    pub guests: Vec<u32>,
    /// Those that it has given up.
    pub errors: Vec<u32>,
    pub master: Option<usize>,
    /// When the master last wrote, by the cluster's time.
    pub master_millis: i64,
    /// No node runs its cluster resource manager.
    pub managers_stopped: bool,
}

#[derive(Debug, Clone)]
pub struct Corosync {
    pub config_version: u64,
    pub links: u8,
    pub secauth: bool,
    pub qdevice: bool,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub name: String,
    pub id: u32,
    pub cpus: u32,
    pub memory_bytes: u64,
    pub swap_bytes: u64,
    /// Off = it writes no file, answers nobody.
    pub powered: bool,
    /// Its agent runs.
    pub agent: bool,
    pub pvestatd: bool,
    /// Nodes of one group see each other.
    pub network_group: u32,
    pub boot_millis: i64,
    /// How far its clock is ahead.
    pub skew_millis: i64,
    /// When pvestatd last finished, by the cluster's time.
    pub broadcast_millis: i64,
    /// When the others last heard of it; the end of time while they do.
    pub cut_off_millis: i64,
    pub load: NodeLoad,
    pub memory: NodeMemory,
    pub counters: NodeCounters,
    pub disks: Vec<Disk>,
    pub nics: Vec<Nic>,
    pub bridges: Vec<Bridge>,
    pub filesystems: Vec<Filesystem>,
    pub thin_pool: ThinPool,
    /// The cluster file system answers.
    pub pmxcfs: bool,
    /// Links of corosync that carry nothing to or from it.
    pub dead_links: Vec<u8>,
    /// Its HA manager runs.
    pub ha_manager: bool,
    /// When that last wrote, by the cluster's time.
    pub ha_manager_millis: i64,
    pub watchdog: bool,
}

/// The pool `pve/data` besides its fill, which is that of the storage on it.
#[derive(Debug, Clone, Copy)]
pub struct ThinPool {
    pub metadata_ratio: f64,
    /// Its metadata could not be written.
    pub needs_check: bool,
}

/// What drives the counters of a node, as shares of time or per second.
#[derive(Debug, Clone, Default)]
pub struct NodeLoad {
    /// Busy share of all CPUs beyond what guests use.
    pub host_cpu: f64,
    pub iowait: f64,
    pub cpu_some: f64,
    pub memory_some: f64,
    pub memory_full: f64,
    pub io_some: f64,
    pub io_full: f64,
    pub swap_in_pages: f64,
    pub swap_out_pages: f64,
    /// Memory that may be available at most; less when guests take more.
    pub available_ratio: f64,
    pub swap_used_ratio: f64,
    /// What the last step really integrated.
    pub cpu: f64,
}

/// Gauges that follow from load and guests.
#[derive(Debug, Clone, Copy, Default)]
pub struct NodeMemory {
    pub available_bytes: u64,
    pub free_bytes: u64,
}

#[derive(Debug, Clone, Default)]
pub struct NodeCounters {
    pub user: f64,
    pub system: f64,
    pub idle: f64,
    pub iowait: f64,
    pub guest: f64,
    pub context_switches: f64,
    pub forks: f64,
    pub cpu: Stall,
    pub memory: Stall,
    pub io: Stall,
    pub swap_in_pages: f64,
    pub swap_out_pages: f64,
    pub major_faults: f64,
    pub oom_kills: u64,
    pub load: [f64; 3],
}

/// Pressure of one resource.
#[derive(Debug, Clone, Copy, Default)]
pub struct Stall {
    pub some: Share,
    pub full: Share,
}

/// Kernel averages over 10, 60 and 300 s, and the exact total.
#[derive(Debug, Clone, Copy, Default)]
pub struct Share {
    pub averages: [f64; 3],
    pub micros: f64,
}

#[derive(Debug, Clone)]
pub struct Disk {
    pub name: String,
    pub major: u32,
    pub minor: u32,
    pub size_bytes: u64,
    pub rotational: bool,
    pub model: &'static str,
    pub reads_per_second: f64,
    pub writes_per_second: f64,
    pub read_latency_seconds: f64,
    pub write_latency_seconds: f64,
    pub counters: DiskCounters,
}

#[derive(Debug, Clone, Copy, Default)]
pub struct DiskCounters {
    pub reads: f64,
    pub writes: f64,
    pub read_millis: f64,
    pub write_millis: f64,
    pub busy_millis: f64,
}

#[derive(Debug, Clone)]
pub struct Nic {
    pub name: String,
    pub mac: String,
    pub up: bool,
    /// Bridge or bond it belongs to; empty = none.
    pub master: String,
    pub carrier_changes: u64,
    pub megabits: u32,
    pub receive_rate: f64,
    pub transmit_rate: f64,
    pub received: f64,
    pub transmitted: f64,
}

#[derive(Debug, Clone)]
pub struct Bridge {
    pub name: String,
    /// A bond instead.
    pub bond: bool,
    pub master: String,
}

#[derive(Debug, Clone)]
pub struct Filesystem {
    pub mount_point: String,
    pub source: String,
    pub kind: &'static str,
    pub device: String,
    pub read_only: bool,
    pub mounted: bool,
    /// Whoever touches it waits for ever.
    pub hangs: bool,
    pub total_bytes: u64,
    pub used_bytes: f64,
    /// Bytes it grows by in a second.
    pub growth: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Qemu,
    Lxc,
}

#[derive(Debug, Clone)]
pub struct Guest {
    pub vmid: u32,
    pub kind: Kind,
    pub name: String,
    /// Index of the node that holds it.
    pub node: usize,
    pub running: bool,
    pub template: bool,
    /// QEMU's run state.
    pub qmp_status: String,
    pub cores: u32,
    pub memory_bytes: u64,
    /// Keys in the order they are written.
    pub config: Vec<(String, String)>,
    pub snapshots: Vec<Snapshot>,
    pub load: GuestLoad,
    pub start_millis: i64,
    pub pid: u32,
    /// Of the process before the last restart; 0 = none.
    pub previous_pid: u32,
    pub counters: GuestCounters,
}

#[derive(Debug, Clone)]
pub struct Snapshot {
    pub name: String,
    pub taken_seconds: i64,
}

#[derive(Debug, Clone, Default)]
pub struct GuestLoad {
    /// Of its CPUs.
    pub cpu: f64,
    /// Of its memory, as the guest sees it.
    pub memory: f64,
    pub cpu_some: f64,
    pub memory_some: f64,
    pub io_some: f64,
    pub run_delay: f64,
    /// Pages a second that the guest itself swaps in.
    pub swap_in_pages: f64,
    pub major_faults: f64,
    pub read_bytes: f64,
    pub write_bytes: f64,
    pub receive_rate: f64,
    pub transmit_rate: f64,
    /// CPUs the last step really integrated.
    pub cores_used: f64,
}

#[derive(Debug, Clone, Default)]
pub struct GuestCounters {
    pub cpu_seconds: f64,
    pub run_delay_seconds: f64,
    pub cpu: Stall,
    pub memory: Stall,
    pub io: Stall,
    pub read: f64,
    pub written: f64,
    pub received: f64,
    pub transmitted: f64,
    pub swapped_in: f64,
    pub major_faults: f64,
    pub oom_kills: u64,
}

#[derive(Debug, Clone)]
pub struct Storage {
    pub name: String,
    pub kind: &'static str,
    pub shared: bool,
    pub options: Vec<(String, String)>,
    /// By node; a shared storage shows the first entry everywhere.
    pub nodes: BTreeMap<usize, StorageOnNode>,
    /// Its bytes are those of this mount point of each node.
    pub follows: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
pub struct StorageOnNode {
    pub active: bool,
    pub total_bytes: u64,
    pub used_ratio: f64,
}
