//! Time: integrates loads into counters.

use super::{
    ha,
    noise::around,
    state::{
        Disk, DiskCounters, Guest, Kind, Nic, Node, NodeMemory, Share, Stall, State, real,
        share_of, whole,
    },
};

/// Kernel time unit of `/proc/stat`, per second.
pub(super) const TICKS: f64 = 100.0;
/// Windows of the kernel's pressure averages.
const WINDOWS: [f64; 3] = [10.0, 60.0, 300.0];
const BASE_MEMORY: u64 = 3 << 30;
const PAGE: f64 = 4096.0;

/// Moves everything by `step` seconds; zero only settles what follows from
/// other values.
pub(super) fn advance(state: &mut State, step: u64) {
    let tick = state.elapsed_seconds;
    let now = state.now_millis();
    let seconds = real(step);
    let seed = state.seed;
    for guest in &mut state.guests {
        advance_guest(guest, seconds, seed, tick);
    }
    for (index, node) in state.nodes.iter_mut().enumerate() {
        if !node.powered {
            continue;
        }
        // pvestatd writes into the cluster file system, and waits with it.
        if node.pvestatd && node.pmxcfs {
            node.broadcast_millis = now;
        }
        let guests = || {
            state
                .guests
                .iter()
                .filter(move |guest| guest.node == index && guest.running)
        };
        let used_cores: f64 = guests().map(|guest| guest.load.cores_used).sum();
        let resident: u64 = guests().map(Guest::resident_bytes).sum();
        advance_node(node, used_cores, resident, seconds, seed, tick);
    }
    settle_storages(state);
    ha::advance(state);
}

fn advance_guest(guest: &mut Guest, seconds: f64, seed: u64, tick: u64) {
    if !guest.running || guest.qmp_status != "running" {
        guest.load.cores_used = 0.0;
        return;
    }
    let load = &mut guest.load;
    let cpu = around(load.cpu, 0.1, seed, &guest.name, tick).min(0.995);
    load.cores_used = cpu * f64::from(guest.cores);
    let counters = &mut guest.counters;
    counters.cpu_seconds += load.cores_used * seconds;
    counters.run_delay_seconds += load.run_delay * seconds;
    counters.read += load.read_bytes * seconds;
    counters.written += load.write_bytes * seconds;
    counters.received += load.receive_rate * seconds;
    counters.transmitted += load.transmit_rate * seconds;
    counters.swapped_in += load.swap_in_pages * PAGE * seconds;
    counters.major_faults += (load.major_faults + 0.5) * seconds;
    stall(
        &mut counters.cpu,
        load.cpu_some,
        load.cpu_some * 0.3,
        seconds,
    );
    stall(
        &mut counters.memory,
        load.memory_some,
        load.memory_some * 0.3,
        seconds,
    );
    stall(&mut counters.io, load.io_some, load.io_some * 0.5, seconds);
}

fn advance_node(
    node: &mut Node,
    used_cores: f64,
    resident: u64,
    seconds: f64,
    seed: u64,
    tick: u64,
) {
    let cpus = f64::from(node.cpus);
    let iowait = node.load.iowait;
    let host = around(node.load.host_cpu, 0.2, seed, &node.name, tick);
    let guest_share = used_cores / cpus;
    let cpu = (guest_share + host).min(1.0 - iowait);
    node.load.cpu = cpu;
    let counters = &mut node.counters;
    let total = seconds * cpus;
    counters.system += total * cpu * 0.2;
    counters.user += total * cpu * 0.8;
    counters.guest += total * cpu.min(guest_share) * 0.8;
    counters.iowait += total * iowait;
    counters.idle += total * (1.0 - cpu - iowait).max(0.0);
    counters.context_switches += seconds * 12_000.0;
    counters.forks += seconds * 8.0;
    counters.swap_in_pages += seconds * node.load.swap_in_pages;
    counters.swap_out_pages += seconds * node.load.swap_out_pages;
    counters.major_faults += seconds * (2.0 + node.load.swap_in_pages);
    let runnable = cpu * cpus + node.load.cpu_some * cpus;
    for (average, window) in counters.load.iter_mut().zip([60.0, 300.0, 900.0]) {
        smooth(average, runnable, window, seconds);
    }
    stall(&mut counters.cpu, node.load.cpu_some, 0.0, seconds);
    stall(
        &mut counters.memory,
        node.load.memory_some,
        node.load.memory_full,
        seconds,
    );
    stall(
        &mut counters.io,
        node.load.io_some,
        node.load.io_full,
        seconds,
    );
    let rest = node.memory_bytes.saturating_sub(resident + BASE_MEMORY);
    let available = share_of(node.memory_bytes, node.load.available_ratio).min(rest);
    node.memory = NodeMemory {
        available_bytes: available,
        free_bytes: share_of(available, 0.6),
    };
    for disk in &mut node.disks {
        advance_disk(disk, seconds, seed, tick);
    }
    for nic in &mut node.nics {
        advance_nic(nic, seconds);
    }
    for filesystem in &mut node.filesystems {
        let limit = real(filesystem.total_bytes) * 0.999;
        filesystem.used_bytes = (filesystem.used_bytes + filesystem.growth * seconds).min(limit);
    }
}

fn advance_disk(disk: &mut Disk, seconds: f64, seed: u64, tick: u64) {
    let latency = |value: f64| around(value, 0.1, seed, &disk.name, tick);
    let reads = disk.reads_per_second * seconds;
    let writes = disk.writes_per_second * seconds;
    let read_millis = reads * latency(disk.read_latency_seconds) * 1000.0;
    let write_millis = writes * latency(disk.write_latency_seconds) * 1000.0;
    let counters: &mut DiskCounters = &mut disk.counters;
    counters.reads += reads;
    counters.writes += writes;
    counters.read_millis += read_millis;
    counters.write_millis += write_millis;
    counters.busy_millis += (read_millis + write_millis).min(seconds * 1000.0) * 0.6;
}

fn advance_nic(nic: &mut Nic, seconds: f64) {
    if nic.up {
        nic.received += nic.receive_rate * seconds;
        nic.transmitted += nic.transmit_rate * seconds;
    }
}

/// A storage on a file system shows that file system's figures.
fn settle_storages(state: &mut State) {
    for storage in &mut state.storages {
        let Some(mount_point) = storage.follows else {
            continue;
        };
        for (index, on_node) in &mut storage.nodes {
            let filesystems = &state.nodes[*index].filesystems;
            let filesystem = filesystems
                .iter()
                .find(|fs| fs.mount_point == mount_point && fs.mounted)
                .or_else(|| filesystems.iter().find(|fs| fs.mount_point == "/"));
            if let Some(filesystem) = filesystem {
                on_node.total_bytes = filesystem.total_bytes;
                on_node.used_ratio = filesystem.used_bytes / real(filesystem.total_bytes);
            }
        }
    }
}

fn stall(stall: &mut Stall, some: f64, full: f64, seconds: f64) {
    share(&mut stall.some, some, seconds);
    share(&mut stall.full, full, seconds);
}

fn share(share: &mut Share, value: f64, seconds: f64) {
    share.micros += value * seconds * 1e6;
    for (average, window) in share.averages.iter_mut().zip(WINDOWS) {
        smooth(average, value, window, seconds);
    }
}

fn smooth(average: &mut f64, value: f64, window: f64, seconds: f64) {
    let weight = if seconds > 0.0 {
        1.0 - (-seconds / window).exp()
    } else {
        1.0
    };
    *average += (value - *average) * weight;
}

impl Node {
    /// Starts again: counters of the kernel begin at zero.
    pub fn reboot(&mut self, now_millis: i64) {
        self.boot_millis = now_millis;
        let load = self.counters.load;
        self.counters = super::state::NodeCounters {
            load,
            ..Default::default()
        };
        for disk in &mut self.disks {
            disk.counters = DiskCounters::default();
        }
        for nic in &mut self.nics {
            nic.received = 0.0;
            nic.transmitted = 0.0;
        }
    }
}

impl Guest {
    /// Starts again, with a new process and counters at zero.
    pub fn restart(&mut self, now_millis: i64) {
        self.start_millis = now_millis;
        self.counters = super::state::GuestCounters::default();
        if self.kind == Kind::Qemu {
            self.previous_pid = self.pid;
            self.pid += 1;
        }
        self.running = true;
        self.qmp_status = "running".to_owned();
    }

    /// Memory charged to its cgroup, and the page cache in it.
    #[must_use]
    pub fn charged_bytes(&self) -> (u64, u64) {
        let resident = self.resident_bytes();
        let cache = match self.kind {
            Kind::Qemu => whole(real(self.memory_bytes) * 0.02),
            Kind::Lxc => share_of(self.memory_bytes.saturating_sub(resident), 0.5),
        };
        (resident + cache, cache)
    }
}
