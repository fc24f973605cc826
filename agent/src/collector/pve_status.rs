//! The figures that pvestatd computed, from the first line of `/run/pve/metrics`.
//!
//! The file holds half an hour of lines and may have tens of megabytes: only
//! the newest line, which is the first, is read
//! (`pve-manager@PVE/PullMetric.pm`, since pve-manager 8.2.5).

use std::collections::BTreeMap;

use pvelens_proto::{
    Timestamp,
    agent::v1::{
        BalloonStatus, CollectionClass, GuestKind, PveGuestStatus, PveNodeStatus, PveStatus,
        PveStorageStatus,
    },
    timestamp_from_millis,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, Payload, Reading, pmxcfs};
use crate::format::{
    FormatError,
    figure::{Figure, Word},
};

const PATH: &str = "/run/pve/metrics";
/// About 4 KiB for each guest of the node.
const LIMIT: u64 = 32 << 20;

pub(super) const COLLECTOR: Collector = Collector {
    name: "pve_status",
    summary: "status that Proxmox VE computed for the node, its guests and storages",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let line = reading
        .read_first_line(PATH, LIMIT)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    Ok(Payload::PveStatus(
        parse(&line).map_err(|error| error.at(PATH))?,
    ))
}

/// One part of the line: its data and when it was computed.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned + Default")]
struct Part<T> {
    #[serde(default)]
    data: T,
    timestamp: Figure,
}

impl<T> Part<T> {
    fn computed_at(&self) -> Option<Timestamp> {
        let seconds = i64::try_from(self.timestamp.whole()?).ok()?;
        seconds.checked_mul(1000).map(timestamp_from_millis)
    }
}

#[derive(Deserialize)]
struct Line {
    node: Option<Part<Node>>,
    qemu: Option<Part<BTreeMap<u32, Guest>>>,
    lxc: Option<Part<BTreeMap<u32, Guest>>>,
    storage: Option<Part<BTreeMap<String, Storage>>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Node {
    uptime: Figure,
    cpustat: CpuStat,
    memory: Memory,
    blockstat: RootStat,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CpuStat {
    cpu: Figure,
    wait: Figure,
    cpus: Figure,
    avg1: Figure,
    avg5: Figure,
    avg15: Figure,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Memory {
    memtotal: Figure,
    memused: Figure,
    memavailable: Figure,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RootStat {
    blocks: Figure,
    used: Figure,
}

#[derive(Deserialize, Default)]
#[serde(default, rename_all = "kebab-case")]
struct Guest {
    status: Word,
    qmpstatus: Word,
    name: Word,
    template: Figure,
    lock: Word,
    uptime: Figure,
    cpu: Figure,
    cpus: Figure,
    mem: Figure,
    maxmem: Figure,
    memhost: Figure,
    ballooninfo: Option<Balloon>,
    disk: Figure,
    maxdisk: Figure,
    netin: Figure,
    netout: Figure,
    diskread: Figure,
    diskwrite: Figure,
    pid: Figure,
    swap: Figure,
    maxswap: Figure,
    running_qemu: Word,
    running_machine: Word,
    blockstat: Option<BTreeMap<String, Drive>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Balloon {
    actual: Figure,
    max_mem: Figure,
    total_mem: Figure,
    free_mem: Figure,
    mem_swapped_in: Figure,
    major_page_faults: Figure,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Drive {
    failed_rd_operations: Figure,
    failed_wr_operations: Figure,
    failed_flush_operations: Figure,
    failed_unmap_operations: Figure,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Storage {
    #[serde(rename = "type")]
    kind: Word,
    enabled: Figure,
    active: Figure,
    shared: Figure,
    total: Figure,
    used: Figure,
    avail: Figure,
}

fn parse(line: &str) -> Result<PveStatus, FormatError> {
    let line: Line = serde_json::from_str(line).map_err(|error| pmxcfs::json_error(&error))?;
    let node = line.node.map(|part| node(&part));
    let mut guests: Vec<PveGuestStatus> =
        [(GuestKind::Qemu, line.qemu), (GuestKind::Lxc, line.lxc)]
            .into_iter()
            .filter_map(|(kind, part)| Some((kind, part?)))
            .flat_map(|(kind, part)| {
                let computed_at = part.computed_at();
                part.data
                    .into_iter()
                    .map(move |(vmid, data)| guest(kind, computed_at, vmid, data))
            })
            .collect();
    guests.sort_by_key(|guest| guest.vmid);
    let storages = line.storage.map(|part| {
        let computed_at = part.computed_at();
        part.data
            .into_iter()
            .map(|(name, data)| storage(computed_at, name, data))
            .collect()
    });
    if node.is_none() && storages.is_none() && guests.is_empty() {
        return Err(FormatError::malformed("neither node, guests nor storages"));
    }
    Ok(PveStatus {
        node,
        guests,
        storages: storages.unwrap_or_default(),
    })
}

fn node(part: &Part<Node>) -> PveNodeStatus {
    let Node {
        uptime,
        cpustat: cpu,
        memory,
        blockstat: root,
    } = &part.data;
    PveNodeStatus {
        computed_at: part.computed_at(),
        uptime_seconds: uptime.float(),
        cpu_ratio: cpu.cpu.float(),
        iowait_ratio: cpu.wait.float(),
        cpus: cpu.cpus.small(),
        memory_total_bytes: memory.memtotal.whole(),
        memory_used_bytes: memory.memused.whole(),
        memory_available_bytes: memory.memavailable.whole(),
        root_total_bytes: root.blocks.whole(),
        root_used_bytes: root.used.whole(),
        load1: cpu.avg1.float(),
        load5: cpu.avg5.float(),
        load15: cpu.avg15.float(),
    }
}

fn guest(
    kind: GuestKind,
    computed_at: Option<Timestamp>,
    vmid: u32,
    guest: Guest,
) -> PveGuestStatus {
    PveGuestStatus {
        computed_at,
        vmid,
        kind: kind.into(),
        status: guest.status.0,
        qmp_status: guest.qmpstatus.0,
        name: guest.name.0,
        template: guest.template.flag(),
        lock: guest.lock.0,
        uptime_seconds: guest.uptime.float(),
        cpu_ratio: guest.cpu.float(),
        cpus: guest.cpus.float(),
        memory_used_bytes: guest.mem.whole(),
        memory_maximum_bytes: guest.maxmem.whole(),
        memory_host_bytes: guest.memhost.whole(),
        balloon: guest.ballooninfo.as_ref().map(balloon),
        // PVE writes 0 where it does not know: for VMs, and for what is stopped.
        disk_used_bytes: guest.disk.whole().filter(|bytes| *bytes > 0),
        disk_maximum_bytes: guest.maxdisk.whole(),
        received_bytes_total: guest.netin.whole(),
        transmitted_bytes_total: guest.netout.whole(),
        read_bytes_total: guest.diskread.whole(),
        written_bytes_total: guest.diskwrite.whole(),
        pid: guest.pid.small(),
        running_qemu_version: guest.running_qemu.0,
        running_machine: guest.running_machine.0,
        failed_operations_total: guest.blockstat.as_ref().map(failed_operations),
        swap_used_bytes: guest.swap.whole(),
        swap_maximum_bytes: guest.maxswap.whole(),
    }
}

fn balloon(balloon: &Balloon) -> BalloonStatus {
    BalloonStatus {
        actual_bytes: balloon.actual.whole(),
        maximum_bytes: balloon.max_mem.whole(),
        guest_total_bytes: balloon.total_mem.whole(),
        guest_free_bytes: balloon.free_mem.whole(),
        swapped_in_bytes_total: balloon.mem_swapped_in.whole(),
        major_faults_total: balloon.major_page_faults.whole(),
    }
}

fn failed_operations(drives: &BTreeMap<String, Drive>) -> u64 {
    drives
        .values()
        .flat_map(|drive| {
            [
                drive.failed_rd_operations,
                drive.failed_wr_operations,
                drive.failed_flush_operations,
                drive.failed_unmap_operations,
            ]
        })
        .filter_map(Figure::whole)
        .fold(0, u64::saturating_add)
}

fn storage(computed_at: Option<Timestamp>, name: String, storage: Storage) -> PveStorageStatus {
    let active = storage.active.flag();
    // An inactive storage shows zeros.
    let size = |figure: Figure| figure.whole().filter(|_| active);
    PveStorageStatus {
        computed_at,
        name,
        storage_type: storage.kind.0,
        enabled: storage.enabled.flag(),
        active,
        shared: storage.shared.flag(),
        total_bytes: size(storage.total),
        used_bytes: size(storage.used),
        available_bytes: size(storage.avail),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const LINE: &str = r#"{"node":{"timestamp":1795349087,"data":{"uptime":4742,"cpustat":{"cpu":"0.5","wait":"0.01","cpus":2,"avg1":"5.11"},
        "memory":{"memtotal":100,"memused":40,"memavailable":60},"blockstat":{"blocks":"200","used":50}}},
        "qemu":{"timestamp":1795349087,"data":{"102":{"status":"stopped","cpus":"2","disk":0,"template":""},
        "101":{"status":"running","qmpstatus":"io-error","cpu":"0.04","mem":5,"maxmem":"9","running-qemu":"10.0.13","pid":233,
        "ballooninfo":{"actual":7,"free_mem":3},"blockstat":{"scsi0":{"failed_rd_operations":2,"failed_wr_operations":"1"},"ide2":{}}}}},
        "lxc":{"timestamp":1795349087,"data":{"110":{"status":"running","disk":39,"swap":1,"maxswap":2}}},
        "storage":{"timestamp":1795349087,"data":{"off":{"type":"pbs","active":0,"enabled":1,"total":0},"on":{"type":"dir","active":1,"enabled":1,"total":"10","used":4,"avail":6}}}}"#;

    #[test]
    fn figures_of_node_guests_and_storages_are_read() {
        let status = parse(LINE).unwrap();
        let node = status.node.unwrap();
        assert_eq!(
            (node.cpu_ratio, node.root_total_bytes),
            (Some(0.5), Some(200))
        );
        assert_eq!(node.load5, None);
        let [vm, stopped, container] = status.guests.as_slice() else {
            panic!("{:?}", status.guests);
        };
        assert_eq!((vm.vmid, vm.qmp_status.as_str()), (101, "io-error"));
        assert_eq!(vm.failed_operations_total, Some(3));
        assert_eq!(vm.balloon.unwrap().guest_free_bytes, Some(3));
        assert_eq!(vm.running_qemu_version, "10.0.13");
        assert_eq!((stopped.disk_used_bytes, stopped.template), (None, false));
        assert_eq!(
            (container.kind(), container.disk_used_bytes),
            (GuestKind::Lxc, Some(39))
        );
        assert_eq!(status.storages[0].total_bytes, None);
        assert_eq!(status.storages[1].total_bytes, Some(10));
    }

    #[test]
    fn only_the_first_line_is_read() {
        let line = LINE.replace('\n', " ");
        let read = sample(
            &COLLECTOR,
            &[("run/pve/metrics", format!("{line}\n{{broken").as_str())],
        );
        assert_eq!(kinds(&read), []);
        assert_eq!(read.read_bytes, u64::try_from(line.len()).unwrap());
        let cut = sample(&COLLECTOR, &[("run/pve/metrics", &line)]);
        assert_eq!(kinds(&cut), [FailureKind::Truncated]);
    }

    #[test]
    fn a_node_of_pve_without_the_file_is_a_failure() {
        let node = sample(&COLLECTOR, &[("etc/pve/local@", "nodes/a")]);
        assert_eq!(kinds(&node), [FailureKind::NotFound]);
        assert_eq!(kinds(&sample(&COLLECTOR, &[("etc/x", "")])), []);
        assert!(parse("{}").is_err() && parse("[]").is_err() && parse("").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\{?(\"(node|qemu|data|timestamp|101|cpu)\":|[{}\\[\\],:0-9\"a-z]){0,14}\\}?") {
            drop(parse(&text));
        }
    }
}
