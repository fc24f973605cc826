//! One line about how the parts of the node are connected, and what waits for them.

use pvelens_proto::agent::v1::sample::Payload;

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::NetworkLinks(all) => {
            let vlans = all.links.iter().filter(|link| link.vlan_id.is_some());
            let hardware = all.links.iter().filter(|link| link.pci_address.is_some());
            format!(
                "{}, {}, {} with hardware",
                count(all.links.len(), "interface"),
                count(vlans.count(), "VLAN"),
                hardware.count()
            )
        }
        Payload::DiskConnections(all) => format!(
            "{}, {} of {} SAS links with errors",
            count(all.disks.len(), "disk"),
            all.sas_phys.len(),
            all.sas_phy_count
        ),
        Payload::BlockedTasks(all) => {
            let names: Vec<&str> = all.processes.iter().map(|one| one.name.as_str()).collect();
            match names.as_slice() {
                [] => format!("{} waiting", all.blocked),
                names => format!("{} waiting: {}", names.len(), names.join(", ")),
            }
        }
        Payload::LocalMedia(all) => {
            let images = all.storages.iter().map(|one| one.iso_images.len());
            let snippets = all.storages.iter().map(|one| one.snippets.len());
            format!(
                "{}, {}",
                count(images.sum(), "ISO image"),
                count(snippets.sum(), "snippet")
            )
        }
        Payload::SensorLimits(all) => count(all.limits.len(), "limit"),
        _ => return None,
    })
}
