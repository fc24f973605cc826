//! Errors that the hardware reported: memory, heat, PCI, disks, and the
//! crashes and damage they left behind.

use std::{collections::BTreeMap, time::Duration};

use pvelens_proto::agent::v1::{
    BtrfsErrors, CollectionClass, DiskErrors, Ext4Errors, HardwareErrors, MemoryController,
    MemoryModule, PciErrors,
};

use super::{CollectError, Collector, Payload, Reading};
use crate::format::{FormatError, KeyValues, plain::name, whole_lines};

const EDAC: &str = "/sys/devices/system/edac/mc";
const CPUS: &str = "/sys/devices/system/cpu";
const PCI: &str = "/sys/bus/pci/devices";
const DISKS: &str = "/sys/block";
const EXT4: &str = "/sys/fs/ext4";
const BTRFS: &str = "/sys/fs/btrfs";
/// Five lines.
const BTRFS_LIMIT: u64 = 4096;
const PSTORE: &str = "/sys/fs/pstore";
/// Of an `aer_dev_*` file, which has some twenty lines.
const AER_LIMIT: u64 = 8192;
/// Entries of one directory that are looked at.
const ENTRY_LIMIT: usize = 1024;
const MIB: u64 = 1 << 20;

pub(super) const COLLECTOR: Collector = Collector {
    name: "hardware_errors",
    summary: "errors of memory, PCI and disks, and throttling for heat",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    // Up to three small files for each of some hundred threads and devices.
    deadline: Duration::from_secs(10),
    paths: &[
        "/sys/devices/system/edac/mc/mc*/mc_name",
        "/sys/devices/system/edac/mc/mc*/size_mb",
        "/sys/devices/system/edac/mc/mc*/ce_count",
        "/sys/devices/system/edac/mc/mc*/ue_count",
        "/sys/devices/system/edac/mc/mc*/dimm*/dimm_label",
        "/sys/devices/system/edac/mc/mc*/dimm*/dimm_ce_count",
        "/sys/devices/system/edac/mc/mc*/dimm*/dimm_ue_count",
        "/sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count",
        "/sys/devices/system/cpu/cpu*/thermal_throttle/package_throttle_count",
        "/sys/devices/system/cpu/cpu*/topology/physical_package_id",
        "/sys/bus/pci/devices/*/aer_dev_correctable",
        "/sys/bus/pci/devices/*/aer_dev_nonfatal",
        "/sys/bus/pci/devices/*/aer_dev_fatal",
        "/sys/block/*/device/ioerr_cnt",
        "/sys/fs/ext4/*/errors_count",
        "/sys/fs/btrfs/*/devinfo/*/error_stats",
        // Their names are counted; what a crash left in them is not read.
        "/sys/fs/pstore/*",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut errors = HardwareErrors::default();
    memory(reading, &mut errors);
    throttling(reading, &mut errors);
    pci(reading, &mut errors);
    for name in names(reading, DISKS, &mut errors.truncated) {
        let path = format!("{DISKS}/{name}/device/ioerr_cnt");
        if let Some(word) = reading.read_word(&path) {
            let total = parse_hex(&word).map_err(|error| error.at(&path));
            errors
                .disks
                .extend(reading.keep(total).map(|failed_requests_total| DiskErrors {
                    name,
                    failed_requests_total,
                }));
        }
    }
    for device in names(reading, EXT4, &mut errors.truncated) {
        let total = reading.read_number(&format!("{EXT4}/{device}/errors_count"));
        errors.ext4.extend(total.map(|errors_total| Ext4Errors {
            device,
            errors_total,
        }));
    }
    btrfs(reading, &mut errors);
    if reading.exists(PSTORE) {
        let records = reading.list(PSTORE);
        errors.crash_records = reading
            .keep(records)
            .map(|records| u32::try_from(records.len()).unwrap_or(u32::MAX));
    }
    Ok(Payload::HardwareErrors(errors))
}

/// Names below a directory that may be absent, sorted and not too many.
fn names(reading: &mut Reading<'_>, directory: &str, truncated: &mut bool) -> Vec<String> {
    let mut names = match reading.list(directory) {
        Ok(names) => names,
        Err(error) => {
            if !error.is_not_found() {
                reading.fail(error);
            }
            return Vec::new();
        }
    };
    names.sort_unstable();
    *truncated |= names.len() > ENTRY_LIMIT;
    names.truncate(ENTRY_LIMIT);
    names
}

/// Whether a name is a word and a number, as `mc0`.
fn is_numbered(name: &str, word: &str) -> bool {
    name.strip_prefix(word)
        .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

/// Kernel `Documentation/admin-guide/RAS/main.rst`.
fn memory(reading: &mut Reading<'_>, errors: &mut HardwareErrors) {
    for name in names(reading, EDAC, &mut errors.truncated) {
        if !is_numbered(&name, "mc") {
            continue;
        }
        let directory = format!("{EDAC}/{name}");
        let mut modules = Vec::new();
        for module in names(reading, &directory, &mut errors.truncated) {
            if !is_numbered(&module, "dimm") {
                continue;
            }
            let at = |file: &str| format!("{directory}/{module}/{file}");
            modules.push(MemoryModule {
                label: reading.read_word(&at("dimm_label")).unwrap_or_default(),
                corrected_errors_total: reading.read_number(&at("dimm_ce_count")),
                uncorrected_errors_total: reading.read_number(&at("dimm_ue_count")),
                name: module,
            });
        }
        let at = |file: &str| format!("{directory}/{file}");
        errors.memory_controllers.push(MemoryController {
            kind: reading.read_word(&at("mc_name")).unwrap_or_default(),
            size_bytes: reading
                .read_number(&at("size_mb"))
                .map(|size| size.saturating_mul(MIB)),
            corrected_errors_total: reading.read_number(&at("ce_count")),
            uncorrected_errors_total: reading.read_number(&at("ue_count")),
            modules,
            name,
        });
    }
}

/// Every thread repeats the counter of its package, so each package counts once.
fn throttling(reading: &mut Reading<'_>, errors: &mut HardwareErrors) {
    let mut packages = BTreeMap::new();
    for name in names(reading, CPUS, &mut errors.truncated) {
        let directory = format!("{CPUS}/{name}");
        if !is_numbered(&name, "cpu") || !reading.exists(&format!("{directory}/thermal_throttle")) {
            continue;
        }
        let at = |file: &str| format!("{directory}/{file}");
        if let Some(count) = reading.read_number(&at("thermal_throttle/core_throttle_count")) {
            let total = errors.core_throttles_total.unwrap_or(0);
            errors.core_throttles_total = Some(total.saturating_add(count));
        }
        let count = reading.read_number(&at("thermal_throttle/package_throttle_count"));
        let package = reading.read_number(&at("topology/physical_package_id"));
        if let (Some(count), Some(package)) = (count, package) {
            let highest = packages.entry(package).or_insert(0_u64);
            *highest = count.max(*highest);
        }
    }
    if !packages.is_empty() {
        errors.package_throttles_total = Some(
            packages
                .values()
                .fold(0, |total, count| count.saturating_add(total)),
        );
    }
}

/// Devices without an error are left out.
fn pci(reading: &mut Reading<'_>, errors: &mut HardwareErrors) {
    for address in names(reading, PCI, &mut errors.truncated) {
        let mut total = |file: &str, sum: &str| {
            let path = format!("{PCI}/{address}/{file}");
            let text = reading.read_optional(&path, AER_LIMIT)?;
            reading.keep(parse_aer(&text, sum).map_err(|error| error.at(&path)))
        };
        let device = PciErrors {
            corrected_total: total("aer_dev_correctable", "TOTAL_ERR_COR"),
            nonfatal_total: total("aer_dev_nonfatal", "TOTAL_ERR_NONFATAL"),
            fatal_total: total("aer_dev_fatal", "TOTAL_ERR_FATAL"),
            address,
        };
        let counters = [
            device.corrected_total,
            device.nonfatal_total,
            device.fatal_total,
        ];
        if counters.iter().any(|count| count.is_some_and(|n| n > 0)) {
            errors.pci_devices.push(device);
        }
    }
}

/// Beside file systems there is a directory `features`, without devices.
fn btrfs(reading: &mut Reading<'_>, errors: &mut HardwareErrors) {
    for filesystem in names(reading, BTRFS, &mut errors.truncated) {
        let directory = format!("{BTRFS}/{filesystem}/devinfo");
        if !reading.exists(&directory) {
            continue;
        }
        for device in names(reading, &directory, &mut errors.truncated) {
            let path = format!("{directory}/{device}/error_stats");
            let (Some(text), Ok(device_id)) =
                (reading.read_optional(&path, BTRFS_LIMIT), device.parse())
            else {
                continue;
            };
            let counted = parse_btrfs(&text).map_err(|error| error.at(&path));
            errors
                .btrfs
                .extend(reading.keep(counted).map(|counted| BtrfsErrors {
                    filesystem: name(&filesystem).unwrap_or_default().to_owned(),
                    device_id,
                    ..counted
                }));
        }
    }
}

/// Lines `write_errs 0` (kernel `fs/btrfs/sysfs.c`).
fn parse_btrfs(text: &str) -> Result<BtrfsErrors, FormatError> {
    let counters = KeyValues::parse(text)?;
    Ok(BtrfsErrors {
        write_errors_total: counters.required("write_errs")?,
        read_errors_total: counters.required("read_errs")?,
        flush_errors_total: counters.required("flush_errs")?,
        corruption_errors_total: counters.required("corruption_errs")?,
        generation_errors_total: counters.required("generation_errs")?,
        ..BtrfsErrors::default()
    })
}

/// Lines `RxErr 0`, the last of which is the sum (kernel
/// `Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats`).
fn parse_aer(text: &str, sum: &str) -> Result<u64, FormatError> {
    whole_lines(text)?
        .lines()
        .find_map(|line| line.strip_prefix(sum)?.strip_prefix(' '))
        .ok_or_else(|| FormatError::truncated("the sum is missing"))?
        .parse()
        .map_err(|_| FormatError::malformed("the sum is not a number"))
}

/// As `0x1f` (kernel `drivers/scsi/scsi_sysfs.c`).
fn parse_hex(word: &str) -> Result<u64, FormatError> {
    word.strip_prefix("0x")
        .and_then(|digits| u64::from_str_radix(digits, 16).ok())
        .ok_or_else(|| FormatError::malformed("not a hexadecimal number"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    fn errors(files: &[(&str, &str)]) -> HardwareErrors {
        let sample = sample(&COLLECTOR, files);
        assert_eq!(kinds(&sample), []);
        match sample.payload {
            Some(Payload::HardwareErrors(errors)) => errors,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_package_counts_once_however_many_threads_it_has() {
        let cpu = "sys/devices/system/cpu/cpu";
        let mut files = Vec::new();
        for (thread, package, count) in [(0, 0, 5), (1, 0, 5), (2, 1, 7)] {
            for (file, value) in [
                ("thermal_throttle/core_throttle_count", 1),
                ("thermal_throttle/package_throttle_count", count),
                ("topology/physical_package_id", package),
            ] {
                files.push((format!("{cpu}{thread}/{file}"), format!("{value}\n")));
            }
        }
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| (path.as_str(), text.as_str()))
            .collect();
        let errors = errors(&files);
        assert_eq!(errors.core_throttles_total, Some(3));
        assert_eq!(errors.package_throttles_total, Some(12));
    }

    #[test]
    fn devices_of_btrfs_keep_their_numbers() {
        let stats =
            "write_errs 1\nread_errs 2\nflush_errs 3\ncorruption_errs 4\ngeneration_errs 5\n";
        let found = errors(&[
            ("sys/fs/btrfs/features/acl", "0\n"),
            ("sys/fs/btrfs/0c5f/devinfo/2/error_stats", stats),
            ("sys/fs/btrfs/0c5f/devinfo/1/missing", "0\n"),
        ]);
        let [device] = found.btrfs.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!((device.filesystem.as_str(), device.device_id), ("0c5f", 2));
        assert_eq!(
            (device.write_errors_total, device.generation_errors_total),
            (1, 5)
        );
        assert!(parse_btrfs("write_errs 1\n").is_err());
    }

    #[test]
    fn a_machine_that_reports_nothing_has_no_counters() {
        assert_eq!(
            errors(&[("sys/block/vda/size", "1\n")]),
            HardwareErrors::default()
        );
    }

    #[test]
    fn sums_and_hexadecimal_counters_are_read() {
        let text = "RxErr 1\nBadTLP 2\nTOTAL_ERR_COR 3\n";
        assert_eq!(parse_aer(text, "TOTAL_ERR_COR").unwrap(), 3);
        assert!(parse_aer("RxErr 1\n", "TOTAL_ERR_COR").is_err());
        assert!(parse_aer("", "TOTAL_ERR_COR").is_err());
        assert_eq!(parse_hex("0x1f").unwrap(), 31);
        assert!(parse_hex("31").is_err());
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(TOTAL_ERR_COR [0-9a-z]{0,21}\n?|0x[0-9a-f]{0,18}|\\PC{0,20}\n?){0,4}") {
            drop(parse_aer(&text, "TOTAL_ERR_COR"));
            drop(parse_hex(&text));
            drop(parse_btrfs(&text));
        }
    }
}
