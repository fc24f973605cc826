//! One line about the machine's firmware, its devices and its files.

use pvelens_proto::agent::v1::{Firmware, sample::Payload};

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::HostFiles(files) => format!(
            "{}, {}, {}",
            count(files.interfaces.len(), "configured interface"),
            count(files.fstab.len(), "mount"),
            count(files.time_sources.len(), "time source")
        ),
        Payload::PciDevices(all) => {
            let passed = all
                .devices
                .iter()
                .filter(|device| device.driver.as_deref() == Some("vfio-pci"))
                .count();
            format!(
                "{}, {passed} for guests, {} IOMMU groups",
                count(all.devices.len(), "PCI device"),
                all.iommu_groups.unwrap_or(0)
            )
        }
        Payload::Firmware(firmware) => firmware_line(firmware),
        _ => return None,
    })
}

fn firmware_line(firmware: &Firmware) -> String {
    let boot = match (firmware.efi, firmware.secure_boot) {
        (false, _) => "BIOS",
        (true, Some(true)) => "UEFI with Secure Boot",
        (true, _) => "UEFI",
    };
    let machine = if firmware.is_virtual {
        "virtual machine"
    } else {
        "machine"
    };
    format!(
        "{boot}, {machine} {}",
        firmware.product_name.as_deref().unwrap_or("without a name")
    )
}
