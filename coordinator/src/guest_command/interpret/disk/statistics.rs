//! `/proc/diskstats`.

use super::super::{
    number,
    output::{NAME, Output, some},
};
use crate::guest_command::facts::{DiskStatistics, GuestFacts};

const LIMIT: usize = 30;
/// Of the kernel, whatever the disk has (`Documentation/admin-guide/iostats.rst`).
const SECTOR: u64 = 512;

/// Devices that say nothing about a disk.
const OTHERS: &[&str] = &["loop", "ram", "sr", "fd", "zram"];

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list: Vec<DiskStatistics> = Vec::new();
    for line in output.filled() {
        match disk(line) {
            Some(disk) => list.push(disk),
            None => facts.unread(),
        }
    }
    facts.understood = !list.is_empty();
    keep(facts, list);
}

/// Takes over whole disks, the busiest first.
pub(in super::super) fn keep(facts: &mut GuestFacts, list: Vec<DiskStatistics>) {
    let mut disks: Vec<DiskStatistics> = Vec::new();
    for one in list {
        let is_other = OTHERS.iter().any(|other| {
            one.name
                .strip_prefix(other)
                .is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()))
        });
        // Partitions follow their disk.
        let is_partition = disks
            .iter()
            .rev()
            .take(64)
            .any(|disk| is_part_of(&one.name, &disk.name));
        if !is_other && !is_partition {
            disks.push(one);
        }
    }
    let busy = |disk: &DiskStatistics| disk.busy_seconds_total.unwrap_or(-1.0);
    disks.sort_by(|a, b| busy(b).total_cmp(&busy(a)));
    facts.bound("disk_statistics", &mut disks, LIMIT);
    facts.disk_statistics = disks;
}

/// `sda1` of `sda`, `nvme0n1p2` of `nvme0n1`.
fn is_part_of(name: &str, disk: &str) -> bool {
    let Some(rest) = name.strip_prefix(disk) else {
        return false;
    };
    let digits = if disk.ends_with(|c: char| c.is_ascii_digit()) {
        rest.strip_prefix('p')
    } else {
        Some(rest)
    };
    digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

fn disk(line: &str) -> Option<DiskStatistics> {
    let words: Vec<&str> = line.split_whitespace().take(14).collect();
    let [_, _, name, numbers @ ..] = words.as_slice() else {
        return None;
    };
    let number = |position: usize| numbers.get(position).and_then(|text| number::total(text));
    // Eleven numbers since 2.6; newer kernels add more.
    number(10)?;
    let (reads, writes) = (number(0), number(4));
    Some(DiskStatistics {
        name: some(name, NAME)?,
        reads_total: reads,
        read_bytes_total: number(2)
            .and_then(|sectors| sectors.checked_mul(SECTOR))
            .and_then(number::sane),
        writes_total: writes,
        written_bytes_total: number(6)
            .and_then(|sectors| sectors.checked_mul(SECTOR))
            .and_then(number::sane),
        // The one figure that can fall: a kernel that lost count has wrapped it.
        in_flight: number(8).filter(|count| *count < 1_000_000),
        read_milliseconds: each(number(3), reads),
        write_milliseconds: each(number(7), writes),
        busy_seconds_total: number(9).and_then(seconds),
    })
}

/// Time of one request.
pub(in super::super) fn each(milliseconds: Option<u64>, requests: Option<u64>) -> Option<f64> {
    let requests = requests.filter(|requests| *requests > 0)?;
    let each = crate::figure::share(milliseconds?, requests)?;
    (each <= number::DECIMAL_LIMIT).then(|| number::round(each, 2))
}

pub(in super::super) fn seconds(milliseconds: u64) -> Option<f64> {
    let seconds = crate::figure::share(milliseconds, 1000)?;
    (seconds <= number::DECIMAL_LIMIT).then(|| number::round(seconds, 1))
}
