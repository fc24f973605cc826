//! Faults of one node: load, memory, disks, mounts, services, network.

use pvelens::finding::Severity::{Critical, Warning};
use serde::{Deserialize, Serialize};

use super::super::state::{GIB, Kind, Node, State, real};
use crate::sim::label::Labels;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum NodeFault {
    /// Tasks wait for a CPU during this share of the time.
    CpuPressure {
        node: String,
        share: f64,
    },
    /// The node waits for its disks.
    IoWait {
        node: String,
    },
    /// A disk answers slowly.
    SlowDisk {
        node: String,
        disk: String,
        milliseconds: f64,
    },
    MemoryPressure {
        node: String,
    },
    MemoryLow {
        node: String,
        available_percent: f64,
    },
    SwapThrash {
        node: String,
    },
    /// The kernel kills a process for lack of memory, once.
    OomKill {
        node: String,
    },
    RootFull {
        node: String,
        free_percent: f64,
    },
    RootReadOnly {
        node: String,
    },
    PvestatdStopped {
        node: String,
    },
    /// A port loses its link.
    LinkDown {
        node: String,
        nic: String,
    },
    /// Guests are promised more memory than there is; they could be ballooned.
    MemoryOvercommitted {
        node: String,
    },
    /// No fault: the node starts again, faster than anything calls it offline.
    Reboot {
        node: String,
    },
}

impl NodeFault {
    pub const NAMES: &[&str] = &[
        "cpu_pressure",
        "io_wait",
        "slow_disk",
        "memory_pressure",
        "memory_low",
        "swap_thrash",
        "oom_kill",
        "root_full",
        "root_read_only",
        "pvestatd_stopped",
        "link_down",
        "memory_overcommitted",
        "reboot",
    ];

    /// The node it happens to.
    #[must_use]
    pub fn node(&self) -> &str {
        match self {
            Self::CpuPressure { node, .. }
            | Self::IoWait { node }
            | Self::SlowDisk { node, .. }
            | Self::MemoryPressure { node }
            | Self::MemoryLow { node, .. }
            | Self::SwapThrash { node }
            | Self::OomKill { node }
            | Self::RootFull { node, .. }
            | Self::RootReadOnly { node }
            | Self::PvestatdStopped { node }
            | Self::LinkDown { node, .. }
            | Self::MemoryOvercommitted { node }
            | Self::Reboot { node } => node,
        }
    }

    pub(super) fn apply(&self, state: &mut State) {
        if let Self::MemoryOvercommitted { node } = self {
            overcommit(state, node);
            return;
        }
        let now = state.now_millis();
        if let Some(node) = state.node_mut(self.node()) {
            self.apply_to(node, now);
        }
    }

    fn apply_to(&self, node: &mut Node, now: i64) {
        let load = &mut node.load;
        match self {
            Self::CpuPressure { share, .. } => {
                load.cpu_some = *share;
                load.host_cpu = 0.6;
            }
            Self::IoWait { .. } => {
                load.iowait = 0.25;
                load.io_some = 0.45;
                load.io_full = 0.05;
            }
            Self::SlowDisk {
                disk, milliseconds, ..
            } => {
                for disk in node.disks.iter_mut().filter(|known| known.name == *disk) {
                    disk.read_latency_seconds = milliseconds / 1000.0;
                    disk.write_latency_seconds = milliseconds / 1000.0;
                }
            }
            Self::MemoryPressure { .. } => {
                load.memory_some = 0.22;
                load.memory_full = 0.02;
            }
            Self::MemoryLow {
                available_percent, ..
            } => {
                load.available_ratio = available_percent / 100.0;
            }
            Self::SwapThrash { .. } => {
                load.swap_in_pages = 1200.0;
                load.swap_out_pages = 150.0;
                load.swap_used_ratio = 0.6;
            }
            Self::OomKill { .. } => node.counters.oom_kills += 1,
            Self::RootFull { free_percent, .. } => {
                for root in node
                    .filesystems
                    .iter_mut()
                    .filter(|fs| fs.mount_point == "/")
                {
                    root.used_bytes = real(root.total_bytes) * (1.0 - free_percent / 100.0);
                }
            }
            Self::RootReadOnly { .. } => {
                for root in node
                    .filesystems
                    .iter_mut()
                    .filter(|fs| fs.mount_point == "/")
                {
                    root.read_only = true;
                }
            }
            Self::PvestatdStopped { .. } => node.pvestatd = false,
            Self::LinkDown { nic, .. } => {
                for nic in node.nics.iter_mut().filter(|known| known.name == *nic) {
                    nic.up = false;
                    nic.carrier_changes += 1;
                }
            }
            Self::Reboot { .. } => node.reboot(now),
            // Changes guests instead.
            Self::MemoryOvercommitted { .. } => {}
        }
    }

    pub(super) fn label(&self, state: &State, labels: &mut Labels) {
        let subject = format!("node/{}", self.node());
        match self {
            Self::CpuPressure { share, .. } => {
                let severity = if *share > 0.5 { Critical } else { Warning };
                labels.root("node.cpu.sustained_pressure", subject, severity);
            }
            Self::IoWait { .. } => labels.root("node.cpu.iowait_high", subject, Warning),
            Self::SlowDisk {
                disk, milliseconds, ..
            } => {
                let limit = if disk.starts_with("nvme") { 5.0 } else { 60.0 };
                let severity = if *milliseconds > 4.0 * limit {
                    Critical
                } else {
                    Warning
                };
                labels.root("node.disk.latency_high", subject, severity);
            }
            Self::MemoryPressure { .. } => labels.root("node.mem.pressure", subject, Warning),
            Self::MemoryLow {
                available_percent, ..
            } => {
                let severity = if *available_percent < 5.0 {
                    Critical
                } else {
                    Warning
                };
                labels.root("node.mem.available_low", subject, severity);
            }
            Self::SwapThrash { .. } => labels.root("node.mem.swap_thrashing", subject, Warning),
            Self::OomKill { .. } => labels.root("node.mem.oom_kill", subject, Critical),
            Self::RootFull { free_percent, .. } => {
                let severity = if *free_percent < 5.0 {
                    Critical
                } else {
                    Warning
                };
                labels.root("node.rootfs.space", subject, severity);
            }
            Self::RootReadOnly { .. } => {
                labels.root("node.fs.readonly_or_errors", subject, Critical)
            }
            Self::PvestatdStopped { .. } => labels.root("node.pvestatd.stale", subject, Warning),
            Self::LinkDown { nic, .. } => {
                let node = state.nodes.iter().find(|node| node.name == self.node());
                let bonded = node.is_some_and(|node| {
                    node.nics
                        .iter()
                        .any(|known| known.name == *nic && known.master.starts_with("bond"))
                });
                let severity = if bonded { Warning } else { Critical };
                labels.root("node.net.link_down", subject, severity);
            }
            Self::MemoryOvercommitted { .. } => {
                labels.root("node.mem.overcommit", subject, Warning)
            }
            Self::Reboot { .. } => {}
        }
    }
}

/// Promises the VMs of a node half as much again as it has, with small minima.
fn overcommit(state: &mut State, node: &str) {
    let Some(index) = state.node_index(node) else {
        return;
    };
    let total = state.nodes[index].memory_bytes * 3 / 2;
    let mut vms: Vec<_> = state
        .guests
        .iter_mut()
        .filter(|guest| guest.node == index && guest.kind == Kind::Qemu && guest.running)
        .collect();
    let Some(each) = u64::try_from(vms.len())
        .ok()
        .and_then(|count| total.checked_div(count))
    else {
        return;
    };
    let each = each / GIB * GIB;
    for guest in &mut vms {
        // They use no more than before.
        guest.load.memory *= real(guest.memory_bytes) / real(each);
        guest.memory_bytes = each;
        guest.set("memory", (each / (1 << 20)).to_string());
        guest.set("balloon", "2048");
    }
}
