//! What needs block devices, device-mapper or ZFS.

use super::{Entry, Is, Parameter, ROW as DISK, Unless, When, guard, seconds, text};

const DEVICE: Parameter = text("device", "a whole disk: sda, nvme0n1, nvme0");
const DEVICE_TYPE: Parameter = text("device_type", "auto (if absent), sat, scsi, nvme");
const FORMAT: Parameter = text("format", "text, or json where OpenZFS is 2.3 or later");

/// `--nolocking`: `/run` is read-only in the cage, so no lock file can be made;
/// reports do not write, so at worst one reads a half-changed group. `--nohints`:
/// the hint file could not be renewed either. `--readonly` was rejected: it does
/// not ask device-mapper, so pools have no percentages.
const LVM: Entry = Entry {
    why: "metadata of the physical volumes and the fill of thin pools are behind block devices and device-mapper",
    // Dead paths of iSCSI or multipath hang the scan of devices.
    timeout: seconds(30),
    stdout_limit: 4 << 20,
    needs: "CAP_SYS_ADMIN; block devices, read-only; /dev/mapper/control",
    guard: guard::device_mapper,
    ..DISK
};

const ZFS: Entry = Entry {
    why: "the state of pools and datasets is behind /dev/zfs",
    parameters: &[FORMAT],
    timeout: seconds(15),
    stdout_limit: 4 << 20,
    needs: "/dev/zfs",
    // A suspended pool blocks every zpool and zfs.
    guard: guard::zfs,
    ..DISK
};

pub(super) const ENTRIES: &[Entry] = &[
    Entry {
        name: "smart",
        title: "SMART of one disk",
        why: "SMART is read with pass-through commands to the disk",
        parameters: &[DEVICE, DEVICE_TYPE],
        program: Some("/usr/sbin/smartctl"),
        words: &[
            Is("--json=c"),
            // A sleeping disk stays asleep, and says so with status 2.
            Is("--nocheck=standby,2"),
            Is("--all"),
            Is("--device={device_type}"),
            Is("/dev/{device}"),
        ],
        timeout: seconds(30),
        needs: "CAP_SYS_RAWIO (ATA, SCSI), CAP_SYS_ADMIN (NVMe); the disk, read-only",
        guard: guard::disk,
        ..DISK
    },
    Entry {
        name: "zpool_list",
        title: "ZFS pools: size, use, fragmentation, health",
        program: Some("/usr/sbin/zpool"),
        words: &[
            Is("list"),
            When("format", "text", "-H"),
            When("format", "json", "--json"),
            When("format", "json", "--json-int"),
            Is("-p"),
            Is("-o"),
            Is(
                "name,size,allocated,free,fragmentation,capacity,dedupratio,health,ashift,autotrim,readonly,expandsize,guid",
            ),
        ],
        ..ZFS
    },
    Entry {
        name: "zpool_status",
        title: "ZFS pools: devices, errors, slow I/O, scrub",
        program: Some("/usr/sbin/zpool"),
        words: &[
            Is("status"),
            When("format", "json", "--json"),
            When("format", "json", "--json-int"),
            // The names that the kernel has for the devices, numbers in full.
            Is("-L"),
            Is("-P"),
            Is("-p"),
            Is("-s"),
        ],
        ..ZFS
    },
    Entry {
        name: "zfs_list",
        title: "ZFS datasets and volumes: space and the properties that matter",
        program: Some("/usr/sbin/zfs"),
        words: &[
            Is("list"),
            When("format", "text", "-H"),
            When("format", "json", "--json"),
            When("format", "json", "--json-int"),
            Is("-p"),
            Is("-t"),
            Is("filesystem,volume"),
            Is("-o"),
            Is(
                "name,type,used,available,referenced,usedbysnapshots,volsize,refreservation,compression,sync,dedup,encryption,keystatus,mounted,volblocksize,creation,mountpoint",
            ),
        ],
        ..ZFS
    },
    Entry {
        name: "vgs",
        title: "LVM volume groups",
        program: Some("/usr/sbin/vgs"),
        words: &[
            Is("--nolocking"),
            Is("--nohints"),
            Is("--reportformat=json"),
            Is("--units=b"),
            Is("--nosuffix"),
            Is("--options"),
            Is(
                "vg_name,vg_uuid,vg_attr,vg_size,vg_free,vg_extent_size,pv_count,vg_missing_pv_count,lv_count,snap_count",
            ),
        ],
        ..LVM
    },
    Entry {
        name: "lvs",
        title: "LVM logical volumes, with the fill of thin pools",
        program: Some("/usr/sbin/lvs"),
        words: &[
            Is("--nolocking"),
            Is("--nohints"),
            Is("--reportformat=json"),
            Is("--units=b"),
            Is("--nosuffix"),
            Is("--options"),
            // Without seg_monitor: asking for it starts dmeventd.
            Is(
                "vg_name,lv_name,lv_uuid,lv_attr,lv_size,segtype,pool_lv,origin,lv_when_full,data_percent,metadata_percent,lv_metadata_size,chunk_size,discards,lv_health_status,raid_sync_action,raid_mismatch_count,sync_percent,lv_autoactivation",
            ),
        ],
        ..LVM
    },
    Entry {
        name: "pvs",
        title: "LVM physical volumes",
        program: Some("/usr/sbin/pvs"),
        words: &[
            Is("--nolocking"),
            Is("--nohints"),
            Is("--reportformat=json"),
            Is("--units=b"),
            Is("--nosuffix"),
            Is("--options"),
            Is("pv_name,pv_uuid,vg_name,pv_attr,pv_size,pv_free,pv_missing,pv_duplicate,dev_size"),
        ],
        ..LVM
    },
    Entry {
        name: "dm_status",
        title: "status lines of device-mapper",
        why: "device-mapper answers ioctls of an administrator only",
        parameters: &[text("target", "all (if absent), thin-pool")],
        program: Some("/usr/sbin/dmsetup"),
        words: &[
            Is("status"),
            // Otherwise the status of a thin pool commits its metadata.
            Is("--noflush"),
            Unless("target", "all", "--target"),
            Unless("target", "all", "{target}"),
        ],
        timeout: seconds(10),
        needs: "CAP_SYS_ADMIN; /dev/mapper/control",
        guard: guard::device_mapper,
        ..DISK
    },
    Entry {
        name: "md_detail",
        title: "members and state of one md array",
        why: "the detail of an array is an ioctl of its block device",
        parameters: &[text("array", "an md array: md0, md127")],
        program: Some("/usr/sbin/mdadm"),
        words: &[Is("--detail"), Is("/dev/{array}")],
        timeout: seconds(10),
        stdout_limit: 256 << 10,
        needs: "CAP_SYS_ADMIN; the array and its members, read-only",
        guard: guard::array,
        ..DISK
    },
    Entry {
        name: "multipath",
        title: "multipath maps and their paths",
        why: "which paths a map has, and which have failed, is behind device-mapper",
        program: Some("/usr/sbin/multipath"),
        words: &[
            // The file of aliases is not written.
            Is("-B"),
            // What sysfs and device-mapper know. `-ll` would also send I/O down
            // every path, and hang on dead ones.
            Is("-l"),
        ],
        timeout: seconds(20),
        needs: "CAP_SYS_ADMIN; /dev/mapper/control",
        guard: guard::multipath,
        ..DISK
    },
];
