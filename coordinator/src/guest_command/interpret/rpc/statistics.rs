//! `guest-get-diskstats` and `guest-get-cpustats`: counters since the guest started.

use serde_json::Value;

use super::{
    super::{
        disk::statistics::{each, keep, seconds},
        json, number,
        output::{NAME, Output, count, member},
    },
    entries,
};
use crate::guest_command::facts::{Cpu, DiskStatistics, GuestFacts};

const SECTOR: u64 = 512;

pub(in super::super) fn disks(output: &Output<'_>, facts: &mut GuestFacts) {
    if let Some((list, _)) = entries(output, facts, disk) {
        keep(facts, list);
    }
}

/// Names of members as in `GuestDiskStats`.
fn disk(value: &Value) -> Option<DiskStatistics> {
    let name = member(value, "name", NAME)?;
    let stats = value.get("stats")?;
    let total = |name: &str| json::number(stats, name);
    let bytes = |name: &str| total(name)?.checked_mul(SECTOR).and_then(number::sane);
    let (reads, writes) = (total("read-ios"), total("write-ios"));
    Some(DiskStatistics {
        name,
        reads_total: reads,
        read_bytes_total: bytes("read-sectors"),
        writes_total: writes,
        written_bytes_total: bytes("write-sectors"),
        in_flight: total("ios-pgr").filter(|count| *count < 1_000_000),
        read_milliseconds: each(total("read-ticks"), reads),
        write_milliseconds: each(total("write-ticks"), writes),
        busy_seconds_total: total("total-ticks").and_then(seconds),
    })
}

/// Milliseconds of each processor by what it did.
const MODES: [&str; 8] = [
    "user", "nice", "system", "irq", "softirq", "idle", "iowait", "steal",
];

pub(in super::super) fn cpus(output: &Output<'_>, facts: &mut GuestFacts) {
    let read = |value: &Value| {
        let mut modes = [0_u64; MODES.len()];
        for (mode, name) in modes.iter_mut().zip(MODES) {
            *mode = json::number(value, name).unwrap_or(0);
        }
        // Every processor has these three.
        value
            .get("user")
            .zip(value.get("system"))
            .zip(value.get("idle"))
            .map(|_| modes)
    };
    let Some((list, is_whole)) = entries(output, facts, read) else {
        return;
    };
    let mut sums = [0_u64; MODES.len()];
    for modes in &list {
        for (sum, mode) in sums.iter_mut().zip(modes) {
            *sum = sum.saturating_add(*mode);
        }
    }
    let all = sums
        .iter()
        .fold(0_u64, |all, mode| all.saturating_add(*mode));
    let [user, nice, system, irq, softirq, idle, wait, steal] = sums;
    let share = |parts: &[u64]| {
        let sum = parts
            .iter()
            .fold(0_u64, |sum, part| sum.saturating_add(*part));
        number::share(sum, all)
    };
    facts.cpu = Some(Cpu {
        since_start: true,
        user_percent: share(&[user, nice]),
        system_percent: share(&[system, irq, softirq]),
        idle_percent: share(&[idle]),
        wait_percent: share(&[wait]),
        steal_percent: share(&[steal]),
        busy_percent: share(&[user, nice, system, irq, softirq]),
        cpus: Some(count(&list)).filter(|_| is_whole),
        ..Cpu::default()
    });
}
