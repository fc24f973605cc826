//! What is recorded in the history when a sample arrives.

use pvelens_proto::agent::v1::{self as wire, FilesystemState, GuestKind};

use super::keys::{Keys, Moment, Recorder};
use crate::{
    history::ObjectKey,
    metric::Metric,
    view::{
        DiskRates, InterfaceRates, Name, PressureRates,
        rates::{
            CpuShares,
            guest::{Accounted, Traffic},
        },
    },
};

/// Below this many requests a second a latency says nothing about the disk.
const REQUESTS_PER_SECOND: f64 = 10.0;

/// Series of one node at one time.
pub(super) struct NodeSeries<'a> {
    pub(super) node: &'a Name,
    pub(super) moment: Moment,
    pub(super) keys: &'a mut Keys,
    pub(super) recorder: &'a mut Recorder,
}

impl NodeSeries<'_> {
    fn key(&mut self) -> ObjectKey {
        self.keys
            .touch_node(self.node, self.recorder, self.moment.at)
    }

    pub(super) fn cpu(&mut self, shares: CpuShares) {
        let key = self.key();
        self.record(key, Metric::CpuRatio, Some(shares.busy));
        self.record(key, Metric::IowaitRatio, Some(shares.iowait));
        self.record(key, Metric::StealRatio, Some(shares.steal));
    }

    pub(super) fn load(&mut self, load: &wire::Load) {
        let key = self.key();
        self.record(key, Metric::Load1, Some(load.load1));
    }

    pub(super) fn sensors(&mut self, sensors: &wire::Sensors) {
        let key = self.key();
        for sensor in &sensors.temperatures {
            self.record_part(
                key,
                Metric::TemperatureCelsius,
                &sensor.label,
                sensor.celsius,
            );
        }
    }

    pub(super) fn interfaces(&mut self, network: &wire::Network, rates: &[Option<InterfaceRates>]) {
        let key = self.key();
        for (interface, rates) in network.interfaces.iter().zip(rates) {
            // The traffic of a guest is its own.
            let Some(rates) = rates.filter(|_| !is_of_guest(&interface.name)) else {
                continue;
            };
            for (metric, value) in [
                (
                    Metric::ReceivedBytesPerSecond,
                    rates.received_bytes_per_second,
                ),
                (
                    Metric::TransmittedBytesPerSecond,
                    rates.transmitted_bytes_per_second,
                ),
                (Metric::NetworkErrorsPerSecond, rates.errors_per_second),
            ] {
                self.record_part(key, metric, &interface.name, value);
            }
        }
    }

    pub(super) fn pressure(&mut self, rates: &PressureRates) {
        let key = self.key();
        self.record(key, Metric::CpuPressureSomeRatio, rates.cpu_some_ratio);
        self.record(
            key,
            Metric::MemoryPressureSomeRatio,
            rates.memory_some_ratio,
        );
        self.record(
            key,
            Metric::MemoryPressureFullRatio,
            rates.memory_full_ratio,
        );
        self.record(key, Metric::IoPressureSomeRatio, rates.io_some_ratio);
        self.record(key, Metric::IoPressureFullRatio, rates.io_full_ratio);
    }

    pub(super) fn memory(&mut self, memory: &wire::Memory) {
        let key = self.key();
        let reclaimable = memory
            .arc
            .map_or(0, |arc| arc.size_bytes.saturating_sub(arc.min_bytes));
        let available = memory
            .available_bytes
            .saturating_add(reclaimable)
            .min(memory.total_bytes);
        self.record(key, Metric::MemoryAvailableBytes, Some(available as f64));
        let share = ratio(Some(available), Some(memory.total_bytes));
        self.record(key, Metric::MemoryAvailableRatio, share);
        self.record(
            key,
            Metric::MemoryTotalBytes,
            Some(memory.total_bytes as f64),
        );
        // As Proxmox VE counts it: with all of the ARC.
        let used = memory.total_bytes.saturating_sub(memory.available_bytes);
        self.record(key, Metric::MemoryUsedBytes, Some(used as f64));
        let arc = memory.arc.map(|arc| arc.size_bytes as f64);
        self.record(key, Metric::ArcBytes, arc);
        let swap = memory
            .swap_total_bytes
            .saturating_sub(memory.swap_free_bytes);
        self.record(key, Metric::SwapUsedBytes, Some(swap as f64));
    }

    pub(super) fn paging(
        &mut self,
        swapped_in: Option<f64>,
        swapped_out: Option<f64>,
        kills: Option<u64>,
    ) {
        let key = self.key();
        self.record(key, Metric::SwappedInPagesPerSecond, swapped_in);
        self.record(key, Metric::SwappedOutPagesPerSecond, swapped_out);
        self.record(key, Metric::OomKills, kills.map(|kills| kills as f64));
    }

    pub(super) fn disks(&mut self, disks: &wire::Disks, rates: &[Option<DiskRates>]) {
        let key = self.key();
        for (disk, rates) in disks.disks.iter().zip(rates) {
            let Some(rates) = rates else { continue };
            for (metric, value) in [
                (Metric::ReadBytesPerSecond, rates.read_bytes_per_second),
                (Metric::WriteBytesPerSecond, rates.write_bytes_per_second),
                (Metric::ReadsPerSecond, rates.reads_per_second),
                (Metric::WritesPerSecond, rates.writes_per_second),
                (Metric::DiskBusyRatio, rates.busy_ratio),
            ] {
                self.record_part(key, metric, &disk.name, value);
            }
            if rates.reads_per_second + rates.writes_per_second < REQUESTS_PER_SECOND {
                continue;
            }
            let latencies = [rates.read_latency_seconds, rates.write_latency_seconds];
            if let Some(slower) = latencies.into_iter().flatten().reduce(f64::max) {
                self.record_part(key, Metric::DiskLatencySeconds, &disk.name, slower);
            }
        }
    }

    pub(super) fn filesystems(&mut self, list: &wire::Filesystems) {
        let key = self.key();
        for filesystem in &list.filesystems {
            if filesystem.state() == FilesystemState::Measured
                && let Some(used) = ratio(filesystem.used_bytes, filesystem.total_bytes)
            {
                let part = &filesystem.mount_point;
                self.record_part(key, Metric::UsedRatio, part, used);
                for (metric, bytes) in [
                    (Metric::UsedBytes, filesystem.used_bytes),
                    (Metric::TotalBytes, filesystem.total_bytes),
                ] {
                    if let Some(bytes) = bytes {
                        self.record_part(key, metric, part, bytes as f64);
                    }
                }
            }
        }
    }

    pub(super) fn storage(&mut self, storage: &wire::PveStorageStatus) {
        if storage.active
            && let Some(used) = ratio(storage.used_bytes, storage.total_bytes)
        {
            let key =
                self.keys
                    .touch_storage(self.node, &storage.name, self.recorder, self.moment.at);
            self.record(key, Metric::UsedRatio, Some(used));
            self.record(key, Metric::UsedBytes, wide(storage.used_bytes));
            self.record(key, Metric::TotalBytes, wide(storage.total_bytes));
        }
    }

    /// From pvestatd: the figures PVE itself shows.
    pub(super) fn guest_status(&mut self, status: &wire::PveGuestStatus) {
        if status.status != "running" {
            return;
        }
        let key = self.guest_key(status.vmid, status.kind);
        self.record(key, Metric::CpuRatio, status.cpu_ratio);
        // A VM without balloon figures shows its host memory, which the page
        // cache of the guest fills: no measure of need.
        let reports = status
            .balloon
            .is_some_and(|balloon| balloon.guest_free_bytes.is_some());
        if status.kind() == GuestKind::Lxc || reports {
            let used = ratio(status.memory_used_bytes, status.memory_maximum_bytes);
            self.record(key, Metric::MemoryUsedRatio, used);
            self.record(key, Metric::MemoryUsedBytes, wide(status.memory_used_bytes));
        }
        self.record(key, Metric::MemoryHostBytes, wide(status.memory_host_bytes));
        self.record(
            key,
            Metric::MemoryTotalBytes,
            wide(status.memory_maximum_bytes),
        );
    }

    /// From pvestatd's counters.
    pub(super) fn guest_traffic(&mut self, status: &wire::PveGuestStatus, traffic: &Traffic) {
        if status.status != "running" {
            return;
        }
        let key = self.guest_key(status.vmid, status.kind);
        for (metric, value) in [
            (Metric::ReadBytesPerSecond, traffic.read_bytes_per_second),
            (Metric::WriteBytesPerSecond, traffic.write_bytes_per_second),
            (
                Metric::ReceivedBytesPerSecond,
                traffic.received_bytes_per_second,
            ),
            (
                Metric::TransmittedBytesPerSecond,
                traffic.transmitted_bytes_per_second,
            ),
        ] {
            self.record(key, metric, value);
        }
    }

    /// From the kernel: what pvestatd does not give.
    pub(super) fn guest_runtime(
        &mut self,
        runtime: &wire::GuestRuntime,
        rates: Option<&Accounted>,
    ) {
        let key = self.guest_key(runtime.vmid, runtime.kind);
        if let Some(rates) = rates {
            let pressure = &rates.pressure;
            for (metric, value) in [
                (Metric::CpuPressureSomeRatio, pressure.cpu_some_ratio),
                (Metric::MemoryPressureSomeRatio, pressure.memory_some_ratio),
                (Metric::MemoryPressureFullRatio, pressure.memory_full_ratio),
                (Metric::IoPressureSomeRatio, pressure.io_some_ratio),
                (Metric::IoPressureFullRatio, pressure.io_full_ratio),
                (Metric::VcpuRunDelayRatio, rates.vcpu_run_delay_ratio),
            ] {
                self.record(key, metric, value);
            }
            let kills = rates.oom_kills;
            self.record(key, Metric::OomKills, kills.map(|kills| kills as f64));
        }
    }

    /// From the kernel, on a node without pvestatd's figures.
    pub(super) fn guest_without_status(
        &mut self,
        runtime: &wire::GuestRuntime,
        rates: Option<&Accounted>,
        cpus: Option<f64>,
    ) {
        let key = self.guest_key(runtime.vmid, runtime.kind);
        let cores = rates.and_then(|rates| rates.cpu_cores);
        let cpu = cores.zip(cpus.filter(|cpus| *cpus > 0.0));
        self.record(key, Metric::CpuRatio, cpu.map(|(cores, cpus)| cores / cpus));
        if runtime.kind() == GuestKind::Lxc {
            let share = ratio(container_memory(runtime), runtime.memory_max_bytes);
            self.record(key, Metric::MemoryUsedRatio, share);
        }
    }

    fn guest_key(&mut self, vmid: u32, kind: i32) -> ObjectKey {
        self.keys
            .touch_guest(vmid, kind, self.recorder, self.moment.at)
    }

    fn record(&mut self, key: ObjectKey, metric: Metric, value: Option<f64>) {
        self.recorder.record(key, metric, self.moment, value);
    }

    fn record_part(&mut self, key: ObjectKey, metric: Metric, part: &str, value: f64) {
        self.recorder
            .record_part(key, metric, part, self.moment, value);
    }
}

/// PVE names the ends of guests' network cards so, and what is between them and
/// the bridge.
fn is_of_guest(interface: &str) -> bool {
    ["tap", "veth", "fwbr", "fwln", "fwpr"]
        .iter()
        .any(|prefix| interface.starts_with(prefix))
}

fn wide(bytes: Option<u64>) -> Option<f64> {
    bytes.map(|bytes| bytes as f64)
}

/// Memory charged to a container without page cache, as PVE counts it.
pub(crate) fn container_memory(runtime: &wire::GuestRuntime) -> Option<u64> {
    let current = runtime.memory_current_bytes?;
    Some(current.saturating_sub(runtime.memory_file_bytes.unwrap_or(0)))
}

/// A share; absent of nothing.
pub(crate) fn ratio(part: Option<u64>, whole: Option<u64>) -> Option<f64> {
    let whole = whole.filter(|whole| *whole > 0)?;
    Some(part? as f64 / whole as f64)
}
