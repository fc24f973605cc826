//! Block devices: counters of `/proc/diskstats`, properties of `/sys/block`.
//!
//! Read directly: sysinfo has no latency, queue or device-mapper counters.

use pvelens_proto::agent::v1::{CollectionClass, Disk, DiskKind, Disks};

use super::{CollectError, Collector, FAST, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::{FormatError, whole_lines};

const DISKSTATS: &str = "/proc/diskstats";
/// Diskstats counts in sectors of 512 bytes, whatever the device's own size.
const SECTOR_BYTES: u64 = 512;
/// ZFS volumes, mapper devices and drives of a large node.
const DISK_LIMIT: usize = 10_000;

pub(super) const COLLECTOR: Collector = Collector {
    name: "disk",
    summary: "requests, bytes and times of every block device",
    class: CollectionClass::Fast,
    interval: FAST,
    deadline: FILE_DEADLINE,
    paths: &[
        DISKSTATS,
        "/sys/block/*/size",
        "/sys/block/*/queue/rotational",
        "/sys/block/*/device/model",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = reading.read(DISKSTATS, KERNEL_FILE_LIMIT)?;
    let mut disks = parse(&text).map_err(|error| error.at(DISKSTATS))?;
    for disk in &mut disks {
        let directory = format!("/sys/block/{}", disk.name.replace('/', "!"));
        disk.size_bytes = reading
            .read_number(&format!("{directory}/size"))
            .map(|sectors| sectors.saturating_mul(SECTOR_BYTES));
        disk.rotational = reading
            .read_number(&format!("{directory}/queue/rotational"))
            .map(|flag| flag != 0);
        if disk.kind() == DiskKind::Drive {
            disk.model = reading
                .read_word(&format!("{directory}/device/model"))
                .unwrap_or_default();
        }
    }
    Ok(Payload::Disks(Disks { disks }))
}

/// `major minor name`, then 11 to 17 counters (kernel
/// `Documentation/admin-guide/iostats.rst`). Partitions, RAM disks and loop
/// devices that were never used are left out.
fn parse(text: &str) -> Result<Vec<Disk>, FormatError> {
    let mut disks = Vec::new();
    for line in whole_lines(text)?.lines() {
        let mut words = line.split_ascii_whitespace().skip(2);
        let name = words
            .next()
            .ok_or_else(|| FormatError::malformed("a line without device"))?;
        let Some(kind) = kind_of(name) else { continue };
        let counters: Vec<u64> = words
            .map(str::parse)
            .collect::<Result<_, _>>()
            .map_err(|_| FormatError::malformed("a counter is not a number"))?;
        let [
            reads,
            _,
            read_sectors,
            read_millis,
            writes,
            _,
            written_sectors,
            write_millis,
            in_flight,
            busy_millis,
            weighted_millis,
            rest @ ..,
        ] = counters.as_slice()
        else {
            return Err(FormatError::truncated("a line with too few counters"));
        };
        if kind == DiskKind::Loop && *reads == 0 && *writes == 0 {
            continue;
        }
        if disks.len() >= DISK_LIMIT {
            return Err(FormatError::malformed("more than 10,000 devices"));
        }
        // Discards come first in the rest, flushes since Linux 5.5.
        let (flushes, flush_millis) = match rest {
            [_, _, _, _, flushes, flush_millis, ..] => (*flushes, *flush_millis),
            _ => (0, 0),
        };
        disks.push(Disk {
            name: name.to_owned(),
            kind: kind.into(),
            reads_total: *reads,
            read_bytes_total: read_sectors.saturating_mul(SECTOR_BYTES),
            read_seconds_total: seconds(*read_millis),
            writes_total: *writes,
            written_bytes_total: written_sectors.saturating_mul(SECTOR_BYTES),
            write_seconds_total: seconds(*write_millis),
            in_flight: *in_flight,
            busy_seconds_total: seconds(*busy_millis),
            weighted_seconds_total: seconds(*weighted_millis),
            flushes_total: flushes,
            flush_seconds_total: seconds(flush_millis),
            ..Disk::default()
        });
    }
    Ok(disks)
}

/// What a kernel name stands for; `None` for partitions and RAM disks.
fn kind_of(name: &str) -> Option<DiskKind> {
    let after = |prefix: &str| name.strip_prefix(prefix);
    let is_number = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit());
    let is_letters = |rest: &str| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase());
    if ["sd", "hd", "vd", "xvd"]
        .iter()
        .any(|prefix| after(prefix).is_some_and(is_letters))
        || name.starts_with("cciss/") && !name.contains('p')
    {
        return Some(DiskKind::Drive);
    }
    // `nvme0n1`, `nvme0c1n1` is a path of a multipath device.
    if let Some(rest) = after("nvme") {
        let (controller, namespace) = rest.split_once('n')?;
        return (is_number(controller) && is_number(namespace)).then_some(DiskKind::Drive);
    }
    [
        ("mmcblk", DiskKind::Drive),
        ("dm-", DiskKind::DeviceMapper),
        ("md", DiskKind::MdRaid),
        ("zd", DiskKind::Zvol),
        ("rbd", DiskKind::Network),
        ("nbd", DiskKind::Network),
        ("drbd", DiskKind::Network),
        ("loop", DiskKind::Loop),
    ]
    .into_iter()
    .find(|(prefix, _)| after(prefix).is_some_and(is_number))
    .map(|(_, kind)| kind)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "exact up to 2^53 ms, 285,000 years"
)]
fn seconds(millis: u64) -> f64 {
    millis as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn partitions_are_not_disks() {
        for name in [
            "sda1",
            "nvme0n1p2",
            "mmcblk0p1",
            "vda15",
            "ram0",
            "sr0",
            "nvme0c1n1",
            "zd0p1",
            "sd",
        ] {
            assert_eq!(kind_of(name), None, "{name}");
        }
        assert_eq!(kind_of("sdaa"), Some(DiskKind::Drive));
        assert_eq!(kind_of("nvme10n1"), Some(DiskKind::Drive));
        assert_eq!(kind_of("dm-12"), Some(DiskKind::DeviceMapper));
        assert_eq!(kind_of("md127"), Some(DiskKind::MdRaid));
        assert_eq!(kind_of("zd16"), Some(DiskKind::Zvol));
    }

    #[test]
    fn counters_are_in_bytes_and_seconds() {
        let disks = parse(
            "   8  0 sda 10 1 16 500 20 2 32 1500 3 700 2000 1 2 3 4 5 60\n   7 0 loop0 0 0 0 0 0 0 0 0 0 0 0\n",
        )
        .unwrap();
        assert_eq!(disks.len(), 1);
        assert_eq!(disks[0].read_bytes_total, 16 * 512);
        assert!((disks[0].write_seconds_total - 1.5).abs() < 1e-9);
        assert_eq!(disks[0].flushes_total, 5);
        assert!((disks[0].flush_seconds_total - 0.06).abs() < 1e-9);
    }

    #[test]
    fn a_cut_line_is_truncated() {
        assert!(parse("").is_err());
        assert!(parse(" 8 0 sda 10 1 16\n").is_err());
        assert!(parse(" 8 0 sda 10 1 16 500 20 2 32 1500 3 700 20").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "( *[0-9]{1,3} [0-9]{1,3} [a-z]{2,5}[0-9n]{0,3}( [0-9]{1,20}){0,18}\n|\\PC{0,30}\n?){0,5}") {
            drop(parse(&text));
        }
    }
}
