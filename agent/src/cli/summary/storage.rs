//! One line about storage behind the disk probe.

use pvelens_proto::agent::v1::{DiskHealthState, sample::Payload};

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    Some(match payload {
        Payload::Lvm(lvm) => {
            let pools = lvm.logical_volumes.iter();
            let pools = pools.filter(|volume| volume.thin_pool.is_some()).count();
            format!(
                "{}, {}, {}",
                count(lvm.volume_groups.len(), "volume group"),
                count(lvm.logical_volumes.len(), "volume"),
                count(pools, "thin pool")
            )
        }
        Payload::ZfsPools(zfs) => {
            let online = zfs.pools.iter().filter(|pool| pool.state == "ONLINE");
            format!(
                "{}, {} online, {}{}",
                count(zfs.pools.len(), "pool"),
                online.count(),
                count(zfs.datasets.len(), "dataset"),
                if zfs.commands_would_hang {
                    ", SUSPENDED"
                } else {
                    ""
                }
            )
        }
        Payload::MdArrays(md) => {
            let arrays = md.arrays.iter();
            let degraded = arrays.filter(|array| array.missing_devices.unwrap_or(0) > 0);
            format!(
                "{}, {} degraded",
                count(md.arrays.len(), "array"),
                degraded.count()
            )
        }
        Payload::MultipathMaps(found) => format!(
            "{}, {}, {}",
            count(found.maps.len(), "map"),
            count(found.fibre_channel_hosts.len(), "Fibre Channel host"),
            count(found.iscsi_sessions.len(), "iSCSI session")
        ),
        Payload::DiskHealth(health) => {
            let of = |state| {
                health
                    .disks
                    .iter()
                    .filter(|disk| disk.state() == state)
                    .count()
            };
            let failing = health
                .disks
                .iter()
                .filter(|disk| disk.passed == Some(false));
            format!(
                "{}, {} measured, {} asleep, {} failing{}",
                count(health.disks.len(), "disk"),
                of(DiskHealthState::Measured),
                of(DiskHealthState::Standby),
                failing.count(),
                if health.smartctl_missing {
                    ", no smartctl"
                } else {
                    ""
                }
            )
        }
        _ => return None,
    })
}
