//! How the machine boots and who made it.
//!
//! Serial numbers, UUIDs and asset tags stand beside these names in
//! `/sys/class/dmi/id` and are not read.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, Firmware};

use super::{CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::{FormatError, whole_lines};

const EFI: &str = "/sys/firmware/efi";
const SECURE_BOOT: &str =
    "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const SETUP_MODE: &str = "/sys/firmware/efi/efivars/SetupMode-8be4df61-93ca-11d2-aa0d-00e098032b8c";
const CPUINFO: &str = "/proc/cpuinfo";
/// Bytes of a variable that holds a flag.
const VARIABLE_LIMIT: u64 = 64;
/// Makers and products of virtual machines, in lower case.
const VIRTUAL: &[&str] = &[
    "bochs",
    "google compute engine",
    "innotek gmbh",
    "kvm",
    "openstack",
    "parallels",
    "qemu",
    "virtual machine",
    "virtualbox",
    "vmware",
    "xen",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "firmware",
    summary: "how the machine boots, its maker and its firmware",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(6 * 3600),
    deadline: FILE_DEADLINE,
    paths: &[
        SECURE_BOOT,
        SETUP_MODE,
        "/sys/class/dmi/id/sys_vendor",
        "/sys/class/dmi/id/product_name",
        "/sys/class/dmi/id/bios_vendor",
        "/sys/class/dmi/id/bios_version",
        "/sys/class/dmi/id/bios_date",
        "/sys/class/dmi/id/board_vendor",
        "/sys/class/dmi/id/board_name",
        "/sys/class/dmi/id/chassis_type",
        CPUINFO,
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut word = |file| reading.read_word(&format!("/sys/class/dmi/id/{file}"));
    let mut firmware = Firmware {
        system_vendor: word("sys_vendor"),
        product_name: word("product_name"),
        bios_vendor: word("bios_vendor"),
        bios_version: word("bios_version"),
        bios_date: word("bios_date"),
        board_vendor: word("board_vendor"),
        board_name: word("board_name"),
        ..Firmware::default()
    };
    firmware.chassis_type = reading
        .read_number("/sys/class/dmi/id/chassis_type")
        .and_then(|number| number.try_into().ok());
    firmware.efi = reading.exists(EFI);
    firmware.secure_boot = variable(reading, SECURE_BOOT);
    firmware.setup_mode = variable(reading, SETUP_MODE);
    let text = reading.read(CPUINFO, KERNEL_FILE_LIMIT);
    let runs_below_another =
        text.and_then(|text| has_hypervisor_flag(&text).map_err(|error| error.at(CPUINFO)));
    firmware.is_virtual = reading.keep(runs_below_another).unwrap_or(false)
        || [&firmware.system_vendor, &firmware.product_name]
            .into_iter()
            .flatten()
            .any(|name| is_virtual(name));
    Ok(Payload::Firmware(firmware))
}

/// A flag of the firmware; absent without UEFI.
fn variable(reading: &mut Reading<'_>, path: &str) -> Option<bool> {
    let bytes = match reading.read_bytes(path, VARIABLE_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) if error.is_not_found() => return None,
        Err(error) => {
            reading.fail(error);
            return None;
        }
    };
    reading.keep(parse_variable(&bytes).map_err(|error| error.at(path)))
}

/// Four bytes of attributes, then the value (kernel
/// `Documentation/filesystems/efivarfs.rst`).
fn parse_variable(bytes: &[u8]) -> Result<bool, FormatError> {
    match bytes {
        [_, _, _, _, 0] => Ok(false),
        [_, _, _, _, 1] => Ok(true),
        [] | [_] | [_, _] | [_, _, _] | [_, _, _, _] => {
            Err(FormatError::truncated("shorter than a flag"))
        }
        _ => Err(FormatError::malformed("not a flag")),
    }
}

/// Processors of Arm have no such flag; there the names have to do.
fn has_hypervisor_flag(text: &str) -> Result<bool, FormatError> {
    let flags = whole_lines(text)?
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| key.trim() == "flags");
    Ok(flags.is_some_and(|(_, flags)| {
        flags
            .split_ascii_whitespace()
            .any(|flag| flag == "hypervisor")
    }))
}

fn is_virtual(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    // `Xen` and `KVM` are words, `Xeon` is none of them.
    VIRTUAL.iter().any(|part| name.contains(part))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const CPU: (&str, &str) = ("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu vmx\n");

    fn firmware(files: &[(&str, &str)]) -> Firmware {
        let node = sample(&COLLECTOR, files);
        assert_eq!(kinds(&node), []);
        match node.payload {
            Some(Payload::Firmware(firmware)) => firmware,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_machine_with_a_bios_has_no_secure_boot() {
        let machine = firmware(&[CPU, ("sys/class/dmi/id/sys_vendor", "Supermicro\n")]);
        assert!(!machine.efi && !machine.is_virtual);
        assert_eq!(machine.secure_boot, None);
        assert_eq!(machine.system_vendor.as_deref(), Some("Supermicro"));
        assert_eq!(machine.product_name, None);
    }

    #[test]
    fn secure_boot_is_the_byte_behind_the_attributes() {
        let [flag, setup] = [SECURE_BOOT, SETUP_MODE].map(|path| path.trim_start_matches('/'));
        let machine = firmware(&[CPU, (flag, "\x06\0\0\0\x01"), (setup, "\x06\0\0\0\0")]);
        assert!(machine.efi);
        assert_eq!(
            (machine.secure_boot, machine.setup_mode),
            (Some(true), Some(false))
        );
        let broken = sample(
            &COLLECTOR,
            &[CPU, (flag, "\x06\0"), (setup, "\x06\0\0\0\x02")],
        );
        assert_eq!(
            kinds(&broken),
            [FailureKind::Truncated, FailureKind::Malformed]
        );
    }

    #[test]
    fn a_virtual_machine_is_known_by_its_processor_or_its_maker() {
        let nested = ("proc/cpuinfo", "flags\t\t: fpu vmx hypervisor\n");
        assert!(firmware(&[nested]).is_virtual);
        assert!(firmware(&[CPU, ("sys/class/dmi/id/sys_vendor", "QEMU\n")]).is_virtual);
        assert!(
            firmware(&[CPU, ("sys/class/dmi/id/product_name", "Virtual Machine\n")]).is_virtual
        );
        for name in ["Dell Inc.", "Intel Xeon D board", "Microsoft Corporation"] {
            assert!(!is_virtual(name), "{name}");
        }
    }

    #[test]
    fn numbers_that_identify_the_machine_stay_there() {
        let files = [
            CPU,
            ("sys/class/dmi/id/product_serial", "canary-serial\n"),
            ("sys/class/dmi/id/product_uuid", "canary-uuid\n"),
            ("sys/class/dmi/id/chassis_asset_tag", "canary-tag\n"),
        ];
        assert!(!format!("{:?}", firmware(&files)).contains("canary"));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "((flags|model)\t*:? ?[a-z ]{0,20}\n?){0,9}", bytes: Vec<u8>) {
            drop(has_hypervisor_flag(&text));
            drop(parse_variable(&bytes));
        }
    }
}
