//! Whole disks and their SMART data.
//!
//! `/sys/block` says which disks there are, and smartctl, through the disk probe, how
//! each is; one after the other, so that a shared controller is not flooded. Disks
//! of a hypervisor are not asked, sleeping ones are left asleep.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    CollectionClass, DiskHealth, DiskHealthEntry, DiskHealthState as State, FailureKind,
};

use super::{CollectError, Collector, Payload, Reading};
use crate::probe::{
    Request,
    request::{DeviceType, DiskName, DiskRequest},
};

mod smart;

const BLOCK: &str = "/sys/block";
/// A shelf has up to 108 disks.
const DISK_LIMIT: usize = 512;

/// What hypervisors call their disks, by the beginning of vendor or model.
const VIRTUAL: &[&str] = &[
    "Amazon Elastic Block Store",
    "Google",
    "Msft",
    "QEMU",
    "VBOX",
    "VMware",
    "Virtual disk",
    "Virtual Disk",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "disk_health",
    summary: "SMART of every disk: verdict, sectors, errors, wear",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(1800),
    // A dying disk may take the 30 s of the probe's entry.
    deadline: Duration::from_secs(600),
    paths: &[
        "/sys/block/*/device/model",
        "/sys/block/sd*/device/vendor",
        "/sys/block/sd*/queue/logical_block_size",
        "/sys/block/sd*/queue/physical_block_size",
        "/sys/block/nvme*/queue/logical_block_size",
        "/sys/block/nvme*/queue/physical_block_size",
        "/sys/class/scsi_host/*/proc_name",
    ],
    probes: &["smart"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut names = match reading.list(BLOCK) {
        Err(error) if error.is_not_found() => Vec::new(),
        names => names?,
    };
    names.sort();
    let mut health = DiskHealth::default();
    for name in names {
        if health.disks.len() >= DISK_LIMIT {
            let detail = format!("more than {DISK_LIMIT} disks");
            reading.fail(crate::host::SourceError::new(
                BLOCK,
                FailureKind::TooLarge,
                detail,
            ));
            break;
        }
        if is_virtio(&name) {
            health.disks.push(DiskHealthEntry {
                name,
                state: State::Virtual.into(),
                ..DiskHealthEntry::default()
            });
        } else if let Ok(device) = DiskName::try_from(name.clone()) {
            let mut disk = described(reading, name);
            if disk.state() == State::Unspecified {
                ask(reading, device, &mut disk, &mut health.smartctl_missing);
            }
            health.disks.push(disk);
        }
    }
    if health.disks.is_empty() {
        return Err(CollectError::NoData("no disks"));
    }
    Ok(Payload::DiskHealth(health))
}

fn is_virtio(name: &str) -> bool {
    ["vd", "xvd"].iter().any(|prefix| {
        name.strip_prefix(prefix)
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()))
    })
}

/// What sysfs says, and whether the disk is one of a hypervisor.
fn described(reading: &mut Reading<'_>, name: String) -> DiskHealthEntry {
    let directory = format!("{BLOCK}/{name}");
    let is_scsi = name.starts_with("sd");
    let model = reading.read_word(&format!("{directory}/device/model"));
    let vendor = is_scsi
        .then(|| reading.read_word(&format!("{directory}/device/vendor")))
        .flatten();
    let sector = |reading: &mut Reading<'_>, which: &str| {
        reading.read_number(&format!("{directory}/queue/{which}_block_size"))
    };
    let mut disk = DiskHealthEntry {
        model: model.unwrap_or_default(),
        vendor: vendor.unwrap_or_default(),
        physical_sector_bytes: sector(reading, "physical"),
        logical_sector_bytes: sector(reading, "logical"),
        name,
        ..DiskHealthEntry::default()
    };
    if is_scsi {
        disk.host_driver = host_driver(reading, &directory);
    }
    let is_virtual = |text: &str| VIRTUAL.iter().any(|begin| text.starts_with(begin));
    if is_virtual(&disk.vendor) || is_virtual(&disk.model) {
        disk.state = State::Virtual.into();
    }
    disk
}

/// The driver of the SCSI host that the disk is behind: the address of a disk begins
/// with the number of its host.
fn host_driver(reading: &mut Reading<'_>, directory: &str) -> String {
    let addresses = reading.list(&format!("{directory}/device/scsi_disk"));
    let host = addresses.ok().and_then(|addresses| {
        let (host, _) = addresses.first()?.split_once(':')?;
        host.parse::<u32>().ok()
    });
    host.and_then(|host| reading.read_word(&format!("/sys/class/scsi_host/host{host}/proc_name")))
        .unwrap_or_default()
}

fn ask(
    reading: &mut Reading<'_>,
    device: DiskName,
    disk: &mut DiskHealthEntry,
    smartctl_missing: &mut bool,
) {
    disk.state = State::NotAsked.into();
    if *smartctl_missing {
        return;
    }
    let request = Request::Disk(DiskRequest::Smart {
        device,
        device_type: DeviceType::Auto,
    });
    // Its status is a set of flags, none of which says that there is no document.
    let document = reading.ask(&request).and_then(|answer| {
        smart::document(answer.text()?).map_err(|error| error.at(&answer.source))
    });
    match document {
        Ok(document) => smart::fill(disk, &document),
        Err(error) if error.is_not_found() => *smartctl_missing = true,
        Err(error) => {
            if error.kind == FailureKind::TimedOut {
                disk.state = State::NoAnswer.into();
            }
            reading.fail(error);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    fn reply(outcome: &str, stdout: &str) -> String {
        format!(
            "{{\"outcome\":{outcome},\"program\":[],\"stdout_bytes\":{},\"stdout_truncated\":false,\"stderr\":\"\",\"stderr_truncated\":false,\"duration_milliseconds\":9}}\n{stdout}",
            stdout.len()
        )
    }

    fn disks(files: &[(&str, &str)]) -> (Vec<FailureKind>, DiskHealth) {
        let node = sample(&COLLECTOR, files);
        let kinds = kinds(&node);
        let Some(Payload::DiskHealth(health)) = node.payload else {
            panic!("{kinds:?} {:?}", node.payload);
        };
        (kinds, health)
    }

    #[test]
    fn a_node_without_disks_has_nothing() {
        for files in [
            &[][..],
            &[
                ("sys/block/loop0/size", "0\n"),
                ("sys/block/dm-0/size", "0\n"),
            ],
        ] {
            let node = sample(&COLLECTOR, files);
            assert!(matches!(node.payload, Some(Payload::NoData(_))), "{node:?}");
            assert_eq!(kinds(&node), []);
        }
    }

    #[test]
    fn disks_of_a_hypervisor_are_not_asked() {
        let (kinds, health) = disks(&[
            ("sys/block/nvme0n1/device/model", "QEMU NVMe Ctrl\n"),
            ("sys/block/sda/device/vendor", "QEMU    \n"),
            ("sys/block/sda/device/model", "QEMU HARDDISK   \n"),
            ("sys/block/vda/size", "1\n"),
            (".pvelens/probe/disk/smart.sda.auto", "not a reply"),
        ]);
        assert_eq!(kinds, []);
        assert!(
            health
                .disks
                .iter()
                .all(|disk| disk.state() == State::Virtual)
        );
        assert_eq!((health.disks.len(), health.smartctl_missing), (3, false));
    }

    #[test]
    fn without_smartctl_disks_are_listed() {
        let missing = reply(
            r#"{"kind":"program_missing","path":"/usr/sbin/smartctl"}"#,
            "",
        );
        let (kinds, health) = disks(&[
            ("sys/block/sda/device/model", "DISK\n"),
            ("sys/block/sda/queue/physical_block_size", "4096\n"),
            (
                "sys/block/sda/device/scsi_disk/2:0:1:0/protection_mode",
                "none\n",
            ),
            ("sys/class/scsi_host/host2/proc_name", "megaraid_sas\n"),
            (".pvelens/probe/disk/smart.sda.auto", &missing),
            ("sys/block/sdb/size", "1\n"),
        ]);
        assert_eq!(kinds, []);
        assert!(health.smartctl_missing);
        assert!(
            health
                .disks
                .iter()
                .all(|disk| disk.state() == State::NotAsked)
        );
        assert_eq!(health.disks[0].physical_sector_bytes, Some(4096));
        assert_eq!(health.disks[0].host_driver, "megaraid_sas");
    }

    #[test]
    fn one_disk_that_hangs_or_is_not_understood_is_named_and_others_are_asked() {
        let hangs = reply(r#"{"kind":"timed_out","still_running":true}"#, "");
        let broken = reply(r#"{"kind":"exited","exit_status":0}"#, "{\"device");
        let good = reply(
            r#"{"kind":"exited","exit_status":0}"#,
            r#"{"smartctl":{"exit_status":0},"smart_status":{"passed":true}}"#,
        );
        let (kinds, health) = disks(&[
            ("sys/block/sda/size", "1\n"),
            ("sys/block/sdb/size", "1\n"),
            ("sys/block/sdc/size", "1\n"),
            (".pvelens/probe/disk/smart.sda.auto", &hangs),
            (".pvelens/probe/disk/smart.sdb.auto", &broken),
            (".pvelens/probe/disk/smart.sdc.auto", &good),
        ]);
        assert_eq!(kinds, [FailureKind::TimedOut, FailureKind::Truncated]);
        let states: Vec<State> = health.disks.iter().map(DiskHealthEntry::state).collect();
        assert_eq!(states, [State::NoAnswer, State::NotAsked, State::Measured]);
    }
}
