//! One line about the machine and its kernel.

use pvelens_proto::agent::v1::{HardwareErrors, sample::Payload};

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::Bonds(all) => {
            let slaves = || all.bonds.iter().flat_map(|bond| &bond.slaves);
            let down = slaves().filter(|slave| slave.mii_status != "up").count();
            format!(
                "{}, {}, {down} down",
                count(all.bonds.len(), "bond"),
                count(slaves().count(), "link")
            )
        }
        Payload::CpuFeatures(features) => {
            let vulnerable = features
                .vulnerabilities
                .iter()
                .filter(|one| one.status.starts_with("Vulnerable"))
                .count();
            format!(
                "microcode {}, vulnerable to {vulnerable} of {}, {}",
                features.microcode.as_deref().unwrap_or("unknown"),
                features.vulnerabilities.len(),
                count(features.numa_nodes.len(), "memory node")
            )
        }
        Payload::HardwareErrors(errors) => counted(errors),
        _ => return None,
    })
}

fn counted(errors: &HardwareErrors) -> String {
    let with_errors = errors
        .disks
        .iter()
        .filter(|disk| disk.failed_requests_total > 0)
        .count();
    format!(
        "{}, {} and {} with errors",
        count(errors.memory_controllers.len(), "memory controller"),
        count(errors.pci_devices.len(), "PCI device"),
        count(with_errors, "disk")
    )
}
