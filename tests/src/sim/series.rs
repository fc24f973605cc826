//! Series of a node, guest or storage that a scenario holds at a value.

use std::ops::Range;

use serde::{Deserialize, Serialize};

use super::state::{State, real};

/// What is held. Shares are from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Series {
    /// Busy share of the node's CPUs, beyond what guests use.
    HostCpu,
    Iowait,
    CpuSome,
    MemorySome,
    MemoryFull,
    IoSome,
    IoFull,
    SwapInPages,
    SwapOutPages,
    MemoryAvailable,
    /// Of the disk named in `part`, reads and writes.
    DiskLatencySeconds,
    /// Of the file system named in `part`.
    FilesystemUsed,
    GuestCpu,
    GuestMemory,
    GuestMemorySome,
    StorageUsed,
}

/// One series of one object, from one time to another.
#[derive(Debug, Clone, PartialEq)]
pub struct Override {
    pub series: Series,
    /// Name of a node or storage, or a VMID.
    pub object: String,
    /// Disk, mount point, or the node of a local storage.
    pub part: String,
    pub value: f64,
    /// Where it goes from there, and in which seconds.
    going: Option<(f64, Range<u64>)>,
    /// Seconds after the start; `None` = to the end.
    pub until: Option<u64>,
    /// What it was before.
    before: Option<f64>,
}

impl Override {
    #[must_use]
    pub fn new(series: Series, object: &str, part: &str, value: f64, until: Option<u64>) -> Self {
        Self {
            series,
            object: object.to_owned(),
            part: part.to_owned(),
            value,
            going: None,
            until,
            before: None,
        }
    }

    /// As this one, and it goes evenly to another value within these seconds.
    #[must_use]
    pub fn going(mut self, to: f64, within: Range<u64>) -> Self {
        self.going = Some((to, within));
        self
    }

    fn value_at(&self, elapsed: u64) -> f64 {
        let Some((to, within)) = &self.going else {
            return self.value;
        };
        let passed = elapsed.clamp(within.start, within.end) - within.start;
        let share = real(passed) / real(within.end - within.start).max(1.0);
        self.value + (to - self.value) * share
    }

    pub(super) fn holds_at(&self, elapsed: u64) -> bool {
        self.until.is_none_or(|until| elapsed < until)
    }

    pub(super) fn apply(&mut self, state: &mut State) {
        let value = self.value_at(state.elapsed_seconds);
        let mut before = self.before;
        self.with(state, |current| {
            before.get_or_insert(*current);
            *current = value;
        });
        self.before = before;
    }

    pub(super) fn undo(&self, state: &mut State) {
        if let Some(before) = self.before {
            self.with(state, |current| *current = before);
        }
    }

    /// Whether the object exists in a cluster.
    #[must_use]
    pub fn finds_its_object(&self, state: &mut State) -> bool {
        let mut found = false;
        self.with(state, |_| found = true);
        found
    }

    fn with(&self, state: &mut State, mut change: impl FnMut(&mut f64)) {
        let part = self.part.as_str();
        if let Some(node) = state.node_mut(&self.object) {
            let load = &mut node.load;
            match self.series {
                Series::HostCpu => change(&mut load.host_cpu),
                Series::Iowait => change(&mut load.iowait),
                Series::CpuSome => change(&mut load.cpu_some),
                Series::MemorySome => change(&mut load.memory_some),
                Series::MemoryFull => change(&mut load.memory_full),
                Series::IoSome => change(&mut load.io_some),
                Series::IoFull => change(&mut load.io_full),
                Series::SwapInPages => change(&mut load.swap_in_pages),
                Series::SwapOutPages => change(&mut load.swap_out_pages),
                Series::MemoryAvailable => change(&mut load.available_ratio),
                Series::DiskLatencySeconds => {
                    for disk in node.disks.iter_mut().filter(|disk| disk.name == part) {
                        change(&mut disk.read_latency_seconds);
                        disk.write_latency_seconds = disk.read_latency_seconds;
                    }
                }
                Series::FilesystemUsed => {
                    for filesystem in node
                        .filesystems
                        .iter_mut()
                        .filter(|fs| fs.mount_point == part)
                    {
                        let total = real(filesystem.total_bytes);
                        let mut ratio = filesystem.used_bytes / total;
                        change(&mut ratio);
                        filesystem.used_bytes = ratio * total;
                    }
                }
                _ => {}
            }
            return;
        }
        if self.series == Series::StorageUsed {
            let node = state.node_index(part);
            if let Some(storage) = state.storage_mut(&self.object) {
                for (index, on_node) in &mut storage.nodes {
                    if part.is_empty() || node == Some(*index) {
                        change(&mut on_node.used_ratio);
                    }
                }
            }
            return;
        }
        let Some(guest) = self
            .object
            .parse()
            .ok()
            .and_then(|vmid| state.guest_mut(vmid))
        else {
            return;
        };
        match self.series {
            Series::GuestCpu => change(&mut guest.load.cpu),
            Series::GuestMemory => change(&mut guest.load.memory),
            Series::GuestMemorySome => change(&mut guest.load.memory_some),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_goes_evenly_and_stays_where_it_came_to() {
        let held = Override::new(Series::CpuSome, "pve1", "", 0.2, None);
        assert_eq!(held.value_at(5000), 0.2);
        let going = held.going(0.6, 100..300);
        let values = [0, 100, 150, 300, 900].map(|second| going.value_at(second));
        let expected = [0.2, 0.2, 0.3, 0.6, 0.6];
        for (value, expected) in values.into_iter().zip(expected) {
            assert!((value - expected).abs() < 1e-9, "{values:?}");
        }
    }
}
