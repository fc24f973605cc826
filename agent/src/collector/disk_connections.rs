//! How disks are connected, and the errors of SAS links.
//!
//! The path of a device in sysfs names all that is between it and the processor;
//! `/sys/class/block` links to it.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    CollectionClass, DiskConnection, DiskConnections, DiskTransport, FailureKind, SasPhy,
};

use super::{CollectError, Collector, Payload, Reading, SLOW, WORD_LIMIT};
use crate::format::{FormatError, plain::pci_address, whole_lines};

const BLOCK: &str = "/sys/class/block";
const SAS_PHYS: &str = "/sys/class/sas_phy";
const DISK_LIMIT: usize = 1024;
const PHY_LIMIT: usize = 1024;

pub(super) const COLLECTOR: Collector = Collector {
    name: "disk_connections",
    summary: "how disks are connected, and errors of SAS links",
    class: CollectionClass::Slow,
    interval: SLOW,
    // Controllers are asked for the counters of their links.
    deadline: Duration::from_secs(20),
    paths: &[
        "/sys/class/block/*",
        "/sys/class/sas_phy/*/invalid_dword_count",
        "/sys/class/sas_phy/*/running_disparity_error_count",
        "/sys/class/sas_phy/*/loss_of_dword_sync_count",
        "/sys/class/sas_phy/*/phy_reset_problem_count",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut found = DiskConnections::default();
    for name in reading.list_optional(BLOCK) {
        let target = match reading.link_target(&format!("{BLOCK}/{name}")) {
            // It was taken out.
            Err(error) if error.is_not_found() => continue,
            result => reading.keep(result),
        };
        let disk = target.and_then(|target| disk(name, &target));
        found.disks.extend(disk);
    }
    let mut phys = reading.list_optional(SAS_PHYS);
    found.truncated = found.disks.len() > DISK_LIMIT || phys.len() > PHY_LIMIT;
    found.disks.truncate(DISK_LIMIT);
    phys.truncate(PHY_LIMIT);
    found.sas_phy_count = u32::try_from(phys.len()).unwrap_or(u32::MAX);
    for name in phys {
        let phy = phy(reading, name);
        let errors = [
            phy.invalid_words_total,
            phy.disparity_errors_total,
            phy.sync_losses_total,
            phy.reset_problems_total,
        ];
        if errors.iter().any(|count| count.is_some_and(|n| n > 0)) {
            found.sas_phys.push(phy);
        }
    }
    Ok(Payload::DiskConnections(found))
}

/// A whole disk, by the path of its device. Partitions lie below a disk, and what
/// the kernel makes up below `virtual`.
fn disk(name: String, target: &str) -> Option<DiskConnection> {
    let parts: Vec<&str> = target.split('/').collect();
    let [.., parent, _] = parts.as_slice() else {
        return None;
    };
    let is_partition = name
        .strip_prefix(parent)
        .is_some_and(|rest| rest.trim_start_matches('p').parse::<u32>().is_ok());
    if is_partition {
        return None;
    }
    let transport = transport(&parts)?;
    Some(DiskConnection {
        name,
        transport: transport.into(),
        pci_address: pci_address(target).map(str::to_owned),
    })
}

fn transport(parts: &[&str]) -> Option<DiskTransport> {
    let has = |word: &str| parts.contains(&word);
    // As `ata1`.
    let numbered = |word: &str| {
        parts.iter().any(|part| {
            part.strip_prefix(word)
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        })
    };
    Some(if has("nvme-fabrics") {
        DiskTransport::NvmeFabrics
    } else if has("nvme") || has("nvme-subsystem") {
        DiskTransport::Nvme
    } else if has("virtual") {
        return None;
    } else if numbered("usb") {
        DiskTransport::Usb
    } else if numbered("session") {
        DiskTransport::Iscsi
    } else if numbered("rport-") {
        DiskTransport::FibreChannel
    } else if numbered("end_device-") {
        DiskTransport::Sas
    } else if numbered("ata") {
        DiskTransport::Ata
    } else if numbered("virtio") {
        DiskTransport::Virtio
    } else if has("mmc_host") {
        DiskTransport::Mmc
    } else if numbered("host") {
        DiskTransport::Scsi
    } else {
        return None;
    })
}

fn phy(reading: &mut Reading<'_>, name: String) -> SasPhy {
    let mut count = |file: &str| count(reading, &format!("{SAS_PHYS}/{name}/{file}"));
    SasPhy {
        invalid_words_total: count("invalid_dword_count"),
        disparity_errors_total: count("running_disparity_error_count"),
        sync_losses_total: count("loss_of_dword_sync_count"),
        reset_problems_total: count("phy_reset_problem_count"),
        name,
    }
}

/// Not every controller counts: then the kernel gives EINVAL.
fn count(reading: &mut Reading<'_>, path: &str) -> Option<u64> {
    let text = match reading.read(path, WORD_LIMIT) {
        Err(error) if matches!(error.kind, FailureKind::NotFound | FailureKind::Io) => return None,
        result => reading.keep(result)?,
    };
    let number = whole_lines(&text).and_then(|text| {
        let number = text.trim().parse();
        number.map_err(|_| FormatError::malformed("not a number"))
    });
    reading.keep(number.map_err(|error| error.at(path)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const PORT: &str = "../../devices/pci0000:00/0000:00:1c.0/0000:03:00.0";

    #[test]
    fn the_path_tells_what_a_disk_hangs_on() {
        for (name, rest, expected) in [
            (
                "sda",
                "ata1/host0/target0:0:0/0:0:0:0/block/sda",
                DiskTransport::Ata,
            ),
            (
                "sdb",
                "host1/port-1:0/end_device-1:0/target1:0:0/1:0:0:0/block/sdb",
                DiskTransport::Sas,
            ),
            (
                "sdc",
                "host2/rport-2:0-1/target2:0:0/2:0:0:0/block/sdc",
                DiskTransport::FibreChannel,
            ),
            (
                "sdd",
                "usb2/2-1/2-1:1.0/host6/target6:0:0/6:0:0:0/block/sdd",
                DiskTransport::Usb,
            ),
            (
                "sde",
                "host0/target0:2:0/0:2:0:0/block/sde",
                DiskTransport::Scsi,
            ),
            (
                "sdf",
                "virtio1/host2/target2:0:0/2:0:0:0/block/sdf",
                DiskTransport::Virtio,
            ),
            ("nvme0n1", "nvme/nvme0/nvme0n1", DiskTransport::Nvme),
            ("vda", "virtio0/block/vda", DiskTransport::Virtio),
        ] {
            let found = disk(name.to_owned(), &format!("{PORT}/{rest}")).unwrap();
            assert_eq!(found.transport(), expected, "{name}");
            assert_eq!(found.pci_address.as_deref(), Some("0000:03:00.0"), "{name}");
        }
        let iscsi = "../../devices/platform/host3/session1/target3:0:0/3:0:0:1/block/sdg";
        let iscsi = disk("sdg".to_owned(), iscsi).unwrap();
        assert_eq!(
            (iscsi.transport(), &iscsi.pci_address),
            (DiskTransport::Iscsi, &None)
        );
        let fabrics = "../../devices/virtual/nvme-fabrics/ctl/nvme1/nvme1n1";
        let fabrics = disk("nvme1n1".to_owned(), fabrics).unwrap();
        assert_eq!(fabrics.transport(), DiskTransport::NvmeFabrics);
    }

    #[test]
    fn partitions_and_made_up_devices_are_no_disks() {
        for (name, target) in [
            (
                "sda1",
                "../../devices/pci0000:00/ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1",
            ),
            (
                "nvme0n1p3",
                "../../devices/pci0000:00/nvme/nvme0/nvme0n1/nvme0n1p3",
            ),
            ("dm-0", "../../devices/virtual/block/dm-0"),
            ("sdz", ""),
        ] {
            assert_eq!(disk(name.to_owned(), target), None, "{name}");
        }
    }

    #[test]
    fn links_without_errors_are_only_counted() {
        let node = sample(
            &COLLECTOR,
            &[
                ("sys/class/sas_phy/phy-0:0/invalid_dword_count", "0\n"),
                ("sys/class/sas_phy/phy-0:1/invalid_dword_count", "7\n"),
                ("sys/class/sas_phy/phy-0:1/loss_of_dword_sync_count", "2\n"),
            ],
        );
        assert_eq!(kinds(&node), []);
        let Some(Payload::DiskConnections(all)) = node.payload else {
            panic!("{node:?}");
        };
        assert_eq!(all.sas_phy_count, 2);
        let [phy] = all.sas_phys.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(
            (phy.name.as_str(), phy.invalid_words_total),
            ("phy-0:1", Some(7))
        );
        assert_eq!(
            (phy.sync_losses_total, phy.reset_problems_total),
            (Some(2), None)
        );
    }

    proptest! {
        #[test]
        fn any_path_is_a_disk_or_none(name in "[a-z]{0,3}[0-9p]{0,3}", target in "(\\.\\.|sd[a-z]|ata1|host[0-9]|[0-9a-f:.]{0,12}|/|\\PC{0,5}){0,9}") {
            drop(disk(name, &target));
        }
    }
}
