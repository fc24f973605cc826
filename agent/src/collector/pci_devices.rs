//! PCI devices that guests can use or that carry them, and the IOMMU's groups.
//!
//! Of every other device, as bridges and controllers of the chipset, only class
//! and driver are read.

use std::time::Duration;

use pvelens_proto::agent::v1::{CollectionClass, MediatedDeviceType, PciDevice, PciDevices};

use super::{CollectError, Collector, Payload, Reading, SLOW};
use crate::format::FormatError;

const DEVICES: &str = "/sys/bus/pci/devices";
const GROUPS: &str = "/sys/kernel/iommu_groups";
const DEVICE_LIMIT: usize = 512;
/// Devices that are looked at; virtual functions make many.
const ENTRY_LIMIT: usize = 4096;
const MEDIATED_LIMIT: usize = 64;
const VFIO: &str = "vfio-pci";
/// Upper byte of the class.
const BRIDGE: u32 = 0x06;
/// Storage, network, display, multimedia, accelerators (`pci.ids`).
const CLASSES: &[u32] = &[0x01, 0x02, 0x03, 0x04, 0x12];
/// Upper two bytes.
const USB: u32 = 0x0c03;

pub(super) const COLLECTOR: Collector = Collector {
    name: "pci_devices",
    summary: "PCI devices, their drivers, IOMMU groups and virtual functions",
    class: CollectionClass::Slow,
    interval: SLOW,
    // Some twenty small files for each of some hundred devices.
    deadline: Duration::from_secs(10),
    paths: &[
        "/sys/bus/pci/devices/*/class",
        "/sys/bus/pci/devices/*/vendor",
        "/sys/bus/pci/devices/*/device",
        "/sys/bus/pci/devices/*/subsystem_vendor",
        "/sys/bus/pci/devices/*/subsystem_device",
        "/sys/bus/pci/devices/*/numa_node",
        "/sys/bus/pci/devices/*/driver",
        "/sys/bus/pci/devices/*/iommu_group",
        "/sys/bus/pci/devices/*/sriov_numvfs",
        "/sys/bus/pci/devices/*/sriov_totalvfs",
        "/sys/bus/pci/devices/*/mdev_supported_types/*/name",
        "/sys/bus/pci/devices/*/mdev_supported_types/*/available_instances",
        "/sys/bus/pci/devices/*/current_link_speed",
        "/sys/bus/pci/devices/*/current_link_width",
        "/sys/bus/pci/devices/*/max_link_speed",
        "/sys/bus/pci/devices/*/max_link_width",
        // Their names are counted.
        "/sys/kernel/iommu_groups/*",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut addresses = match reading.list(DEVICES) {
        Ok(addresses) => addresses,
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("no PCI bus on this node"));
        }
        Err(error) => return Err(error.into()),
    };
    addresses.sort_unstable();
    let mut found = PciDevices {
        truncated: addresses.len() > ENTRY_LIMIT,
        ..PciDevices::default()
    };
    for address in addresses.into_iter().take(ENTRY_LIMIT) {
        let Some(device) = device(reading, address) else {
            continue;
        };
        if found.devices.len() == DEVICE_LIMIT {
            found.truncated = true;
            break;
        }
        found.devices.push(device);
    }
    if reading.exists(GROUPS) {
        let groups = reading.list(GROUPS);
        found.iommu_groups = reading
            .keep(groups)
            .map(|groups| u32::try_from(groups.len()).unwrap_or(u32::MAX));
    }
    Ok(Payload::PciDevices(found))
}

fn device(reading: &mut Reading<'_>, address: String) -> Option<PciDevice> {
    let at = |file: &str| format!("{DEVICES}/{address}/{file}");
    let class = hex(reading, &at("class"))?;
    if class >> 16 == BRIDGE {
        return None;
    }
    let driver = link_name(reading, &at("driver"));
    let is_carried = CLASSES.contains(&(class >> 16)) || class >> 8 == USB;
    if !is_carried && driver.as_deref() != Some(VFIO) {
        return None;
    }
    Some(PciDevice {
        vendor: hex(reading, &at("vendor"))?,
        device: hex(reading, &at("device"))?,
        class,
        subsystem_vendor: hex(reading, &at("subsystem_vendor")),
        subsystem_device: hex(reading, &at("subsystem_device")),
        numa_node: numa_node(reading, &at("numa_node")),
        driver,
        iommu_group: link_name(reading, &at("iommu_group")).and_then(|name| name.parse().ok()),
        virtual_functions: small(reading, &at("sriov_numvfs")),
        total_virtual_functions: small(reading, &at("sriov_totalvfs")),
        mediated_types: mediated_types(reading, &at("mdev_supported_types")),
        link_speed: reading.read_word(&at("current_link_speed")),
        link_lanes: small(reading, &at("current_link_width")),
        max_link_speed: reading.read_word(&at("max_link_speed")),
        max_link_lanes: small(reading, &at("max_link_width")),
        address,
    })
}

/// A number as `0x8086`.
fn hex(reading: &mut Reading<'_>, path: &str) -> Option<u32> {
    let word = reading.read_word(path)?;
    reading.keep(parse_hex(&word).map_err(|error| error.at(path)))
}

fn parse_hex(word: &str) -> Result<u32, FormatError> {
    word.strip_prefix("0x")
        .and_then(|digits| u32::from_str_radix(digits, 16).ok())
        .ok_or_else(|| FormatError::malformed("not a hexadecimal number"))
}

fn small(reading: &mut Reading<'_>, path: &str) -> Option<u32> {
    reading.read_number(path)?.try_into().ok()
}

/// `-1` where the firmware names no node.
fn numa_node(reading: &mut Reading<'_>, path: &str) -> Option<u32> {
    let word = reading.read_word(path)?;
    let node = word.parse::<i32>();
    let node = node.map_err(|_| FormatError::malformed("not a number").at(path));
    reading.keep(node)?.try_into().ok()
}

/// Last component of what a link that may be absent leads to.
fn link_name(reading: &mut Reading<'_>, path: &str) -> Option<String> {
    match reading.link_target(path) {
        Ok(target) => target.rsplit('/').next().map(str::to_owned),
        Err(error) => {
            if !error.is_not_found() {
                reading.fail(error);
            }
            None
        }
    }
}

/// Kernel `Documentation/driver-api/vfio-mediated-device.rst`.
fn mediated_types(reading: &mut Reading<'_>, directory: &str) -> Vec<MediatedDeviceType> {
    let mut ids = reading.list_optional(directory);
    ids.sort_unstable();
    let types = ids.into_iter().take(MEDIATED_LIMIT);
    types
        .map(|id| MediatedDeviceType {
            name: reading
                .read_word(&format!("{directory}/{id}/name"))
                .unwrap_or_default(),
            available: small(reading, &format!("{directory}/{id}/available_instances")),
            id,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    fn devices(files: &[(&str, &str)]) -> PciDevices {
        let node = sample(&COLLECTOR, files);
        assert_eq!(kinds(&node), []);
        match node.payload {
            Some(Payload::PciDevices(devices)) => devices,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn bridges_and_the_chipset_are_left_out_unless_a_guest_has_them() {
        let found = devices(&[
            ("sys/bus/pci/devices/0000:00:00.0/class", "0x060000\n"),
            ("sys/bus/pci/devices/0000:00:14.2/class", "0x050000\n"),
            ("sys/bus/pci/devices/0000:00:1f.3/class", "0x0c0500\n"),
            ("sys/bus/pci/devices/0000:00:1f.3/vendor", "0x8086\n"),
            ("sys/bus/pci/devices/0000:00:1f.3/device", "0xa123\n"),
            (
                "sys/bus/pci/devices/0000:00:1f.3/driver@",
                "../../../../bus/pci/drivers/vfio-pci",
            ),
            ("sys/bus/pci/devices/0000:00:14.0/class", "0x0c0330\n"),
            ("sys/bus/pci/devices/0000:00:14.0/vendor", "0x8086\n"),
            ("sys/bus/pci/devices/0000:00:14.0/device", "0xa12f\n"),
            ("sys/bus/pci/devices/0000:00:14.0/numa_node", "-1\n"),
            ("sys/kernel/iommu_groups/", ""),
        ]);
        let [usb, passed] = &found.devices[..] else {
            panic!("{found:?}");
        };
        assert_eq!((usb.class, usb.numa_node), (0x000c_0330, None));
        assert_eq!(usb.driver, None);
        assert_eq!(passed.driver.as_deref(), Some(VFIO));
        assert_eq!((passed.vendor, passed.device), (0x8086, 0xa123));
        assert_eq!(found.iommu_groups, Some(0));
    }

    #[test]
    fn many_virtual_functions_are_cut() {
        let paths: Vec<[String; 3]> = (0..=DEVICE_LIMIT)
            .map(|n| {
                ["class", "vendor", "device"]
                    .map(|file| format!("sys/bus/pci/devices/0000:{n:02x}:00.0/{file}"))
            })
            .collect();
        let files: Vec<(&str, &str)> = paths
            .iter()
            .flatten()
            .map(|path| (path.as_str(), "0x020000\n"))
            .collect();
        let found = devices(&files);
        assert_eq!(found.devices.len(), DEVICE_LIMIT);
        assert!(found.truncated);
    }

    #[test]
    fn a_node_without_pci_has_none_and_a_broken_class_is_named() {
        let container = sample(&COLLECTOR, &[]);
        assert!(matches!(container.payload, Some(Payload::NoData(_))));
        let broken = sample(
            &COLLECTOR,
            &[("sys/bus/pci/devices/0000:00:00.0/class", "030000\n")],
        );
        assert_eq!(kinds(&broken), [FailureKind::Malformed]);
    }

    proptest! {
        #[test]
        fn any_word_parses_or_fails(word in "(0x)?[0-9a-fg+ ]{0,10}") {
            drop(parse_hex(&word));
        }
    }
}
