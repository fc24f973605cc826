//! What a simulated cluster is: plain data, changed by time and faults, shown
//! by files.

use std::collections::BTreeMap;

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

impl State {
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        self.start_millis + millis(self.elapsed_seconds)
    }

    /// The time on a node's own clock.
    #[must_use]
    pub fn node_millis(&self, index: usize) -> i64 {
        self.now_millis() + self.nodes[index].skew_millis
    }

    #[must_use]
    pub fn node_index(&self, name: &str) -> Option<usize> {
        self.nodes.iter().position(|node| node.name == name)
    }

    pub fn node_mut(&mut self, name: &str) -> Option<&mut Node> {
        self.nodes.iter_mut().find(|node| node.name == name)
    }

    #[must_use]
    pub fn guest(&self, vmid: u32) -> Option<&Guest> {
        self.guests.iter().find(|guest| guest.vmid == vmid)
    }

    pub fn guest_mut(&mut self, vmid: u32) -> Option<&mut Guest> {
        self.guests.iter_mut().find(|guest| guest.vmid == vmid)
    }

    pub fn storage_mut(&mut self, name: &str) -> Option<&mut Storage> {
        self.storages
            .iter_mut()
            .find(|storage| storage.name == name)
    }

    /// Whether two nodes can talk to each other.
    #[must_use]
    pub fn see_each_other(&self, a: usize, b: usize) -> bool {
        let (a_node, b_node) = (&self.nodes[a], &self.nodes[b]);
        a == b || a_node.powered && b_node.powered && a_node.network_group == b_node.network_group
    }

    /// Votes that a node counts, and whether that is a majority. The quorum
    /// device is reachable for whoever holds the first group.
    #[must_use]
    pub fn is_quorate(&self, node: usize) -> bool {
        if self.standalone {
            return true;
        }
        let device = u32::from(self.corosync.qdevice);
        let seen = (0..self.nodes.len()).filter(|other| self.see_each_other(node, *other));
        let votes = small(seen.count())
            + if self.nodes[node].network_group == 0 {
                device
            } else {
                0
            };
        votes * 2 > small(self.nodes.len()) + device
    }
}

impl Guest {
    /// Sets a key of its configuration, in place when it is there.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        let value = value.into();
        match self.config.iter_mut().find(|(name, _)| name == key) {
            Some(entry) => entry.1 = value,
            None => self.config.push((key.to_owned(), value)),
        }
    }

    pub fn unset(&mut self, key: &str) {
        self.config.retain(|(name, _)| name != key);
    }

    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.config
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }

    /// Size of its first disk.
    #[must_use]
    pub fn disk_bytes(&self) -> u64 {
        match self.kind {
            Kind::Qemu => 32 * GIB,
            Kind::Lxc => 8 * GIB,
        }
    }

    /// Bytes of memory it occupies on its node, without page cache.
    #[must_use]
    pub fn resident_bytes(&self) -> u64 {
        let overhead = if self.kind == Kind::Qemu { 0.03 } else { 0.0 };
        if self.running {
            share_of(self.memory_bytes, self.load.memory + overhead)
        } else {
            0
        }
    }
}

impl Node {
    /// Bytes received and sent by its physical ports.
    #[must_use]
    pub fn traffic(&self) -> (u64, u64) {
        let sum = |of: fn(&Nic) -> f64| whole(self.nics.iter().map(of).sum());
        (sum(|nic| nic.received), sum(|nic| nic.transmitted))
    }
}

impl Storage {
    /// What it looks like on a node.
    #[must_use]
    pub fn on_node(&self, node: usize) -> Option<StorageOnNode> {
        let own = self.nodes.get(&node).copied()?;
        let first = self.nodes.values().next().copied().unwrap_or(own);
        Some(if self.shared {
            StorageOnNode {
                active: own.active,
                ..first
            }
        } else {
            own
        })
    }

    #[must_use]
    pub fn option(&self, key: &str) -> Option<&str> {
        self.options
            .iter()
            .find(|(name, _)| name == key)
            .map(|(_, value)| value.as_str())
    }
}

#[must_use]
pub fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// Seconds with a fraction, for clocks.
#[expect(
    clippy::cast_possible_truncation,
    reason = "hours at most; the cast saturates"
)]
#[must_use]
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[must_use]
pub fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A counter as the kernel prints it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are positive and far below 2^53; the cast saturates"
)]
#[must_use]
pub fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
#[must_use]
pub fn real(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
#[must_use]
pub fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[must_use]
pub fn share_of(bytes: u64, share: f64) -> u64 {
    whole(real(bytes) * share)
}
