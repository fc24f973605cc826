//! File systems and disks.

use super::{all, fixtures::*, interpret, whole};
use crate::guest_command::facts::{FileSystem, GuestFacts};

fn at<'a>(facts: &'a GuestFacts, mount: &str) -> &'a FileSystem {
    facts
        .file_systems
        .iter()
        .find(|one| one.mount == mount)
        .unwrap()
}

#[test]
fn full_file_systems_come_first_and_pseudo_ones_do_not_count() {
    let facts = all("df", DF);
    let root = &facts.file_systems[0];
    assert_eq!((root.mount.as_str(), root.used_percent), ("/", Some(96.8)));
    assert_eq!(root.size_bytes, Some(40_960_000 * 1024));
    assert_eq!(facts.file_systems[1].mount, "/srv/my data");
    assert!(at(&facts, "/mnt/backup").is_network);
    for pseudo in ["/dev", "/run", "/snap/core20/2015", "/media/cdrom0"] {
        assert!(at(&facts, pseudo).is_pseudo, "{pseudo}");
    }
    assert!(!at(&facts, "/boot/efi").is_pseudo);
    assert_eq!(
        facts.words(),
        [
            "/ is 97 % full: 1.2 GiB free of 39.1 GiB",
            "/srv/my data is 86 % full: 14.1 GiB free of 100.0 GiB",
        ]
    );
}

#[test]
fn df_of_busybox_tells_no_kinds_and_wraps_long_names() {
    let facts = all("df", DF_BUSYBOX);
    let root = &facts.file_systems[0];
    assert_eq!(
        root.device.as_deref(),
        Some("/dev/mapper/vg0-a-rather-long-name-of-a-volume")
    );
    assert_eq!((root.kind.as_deref(), root.is_pseudo), (None, false));
    assert!(facts.file_systems[1..].iter().all(|one| one.is_pseudo));
    assert_eq!(facts.words(), ["/ is 95 % full: 373.0 MiB free of 7.8 GiB"]);
}

#[test]
fn df_may_be_translated_and_its_numbers_below_zero() {
    let facts = all("df", DF_GERMAN);
    let archive = at(&facts, "/archiv");
    assert_eq!(
        (archive.available_bytes, archive.used_percent),
        (Some(0), Some(100.0))
    );
    assert_eq!(at(&facts, "/home").kind.as_deref(), Some("btrfs"));
}

#[test]
fn sizes_that_cannot_be_are_dropped() {
    let head = "Filesystem 1024-blocks Used Available Capacity Mounted on\n";
    let row = |row: &str| {
        whole("df", &format!("{head}{row}\n"))
            .file_systems
            .remove(0)
    };
    // More used than there is.
    let one = row("/dev/sda1 100 200 50 99% /");
    assert_eq!((one.used_bytes, one.used_percent), (None, None));
    assert_eq!(one.available_bytes, Some(50 * 1024));
    let one = row("/dev/sda1 9223372036854775807 18446744073709551615 1 100% /");
    assert_eq!(
        (one.size_bytes, one.used_bytes, one.used_percent),
        (None, None, None)
    );
    let one = row("/dev/sda1 - - - - /");
    assert_eq!((one.size_bytes, one.used_percent), (None, None));
    let one = row("/dev/sda1 0 0 0 - /");
    assert_eq!((one.size_bytes, one.used_percent), (Some(0), None));
    // None of these gives cause for alarm.
    assert!(
        whole("df", &format!("{head}/dev/sda1 100 200 50 999% /\n"))
            .words()
            .is_empty()
    );
}

#[test]
fn a_heading_alone_says_nothing() {
    let facts = interpret(
        "df",
        "Filesystem 1024-blocks Used Available Capacity Mounted on\n",
        false,
    );
    assert!(!facts.understood && facts.words().is_empty());
    let facts = interpret("df", "df: /mnt: Permission denied\n", false);
    assert_eq!((facts.understood, facts.unread_lines), (false, 1));
    assert_eq!(facts.words(), ["Nothing was understood of 1 line"]);
}

#[test]
fn inodes_run_out_without_space() {
    let facts = all("df-inodes", DF_INODES);
    assert_eq!(facts.file_systems[0].inodes_free, Some(26_215));
    // vfat has none.
    assert_eq!(at(&facts, "/boot/efi").inode_percent, None);
    assert_eq!(
        facts.words(),
        ["/ has used 99 % of its inodes: room for 26215 more files"]
    );
}

#[test]
fn mounts_tell_what_is_read_only() {
    let facts = all("mounts", MOUNTS);
    assert_eq!(at(&facts, "/").read_only, Some(true));
    assert_eq!(at(&facts, "/srv/my data").read_only, Some(false));
    assert_eq!(facts.words(), ["/ (ext4) is mounted read-only"]);
}

#[test]
fn block_devices_have_quoted_values() {
    let facts = all("block-devices", BLOCK_DEVICES);
    let volume = facts
        .block_devices
        .iter()
        .find(|one| one.kind == "lvm")
        .unwrap();
    assert_eq!(
        (volume.name.as_str(), volume.mount.as_deref()),
        ("vg0-my data", Some("/srv/my data"))
    );
    assert_eq!(facts.block_devices[0].size_bytes, Some(34_359_738_368));
    assert_eq!(facts.words(), ["Disks: sda 32.0 GiB"]);
}

#[test]
fn the_sum_of_directories_is_only_in_a_whole_output() {
    let facts = all("du", DU);
    assert!(facts.directories[0].is_total && facts.directories[0].path == "/var");
    assert_eq!(facts.directories[1].path, "/var/lib");
    let facts = interpret("du", DU, true);
    assert!(facts.directories.iter().all(|one| !one.is_total));
    let facts = all("du", "10\t/usr\n90\t/home\n100\t/\n");
    assert!(facts.directories[0].is_total && facts.directories[0].path == "/");
    // Two directories that were asked for have no sum.
    let facts = all("du", "10\t/usr\n90\t/home\n");
    assert!(facts.directories.iter().all(|one| !one.is_total));
}

#[test]
fn a_deleted_file_counts_once() {
    let facts = all("deleted-files", DELETED_FILES);
    let files = facts.deleted_files.as_ref().unwrap();
    let names: Vec<&str> = files.iter().map(|file| file.process.as_str()).collect();
    assert_eq!(names, ["mysqld", "rsyslogd", "java"]);
    // A place in the file is no size.
    assert_eq!(files[2].size_bytes, None);
    assert!(facts.words()[0].starts_with("Deleted files that are still open hold 4.2 GiB: "));
    assert_eq!(all("deleted-files", "").deleted_files, Some(Vec::new()));
    assert_eq!(interpret("deleted-files", "", true).deleted_files, None);
}

#[test]
fn a_degraded_array_is_told() {
    let facts = all("md-arrays", MD_ARRAYS);
    assert_eq!(
        facts.words(),
        [
            "md1 (raid5) is degraded: 3 of 4 devices work; failed: sdd1",
            "md1 is in recovery: 13 %",
        ]
    );
    let none = "Personalities :\nunused devices: <none>\n";
    assert_eq!(
        all("md-arrays", none).words(),
        ["There is no software RAID"]
    );
    // Whether it is degraded is on the line that was cut off.
    let cut = interpret(
        "md-arrays",
        "Personalities : [raid1]\nmd0 : active raid1 sda1[0]\n    10",
        true,
    );
    assert_eq!((cut.understood, cut.arrays), (false, None));
}

#[test]
fn disk_statistics_are_of_whole_disks() {
    for (reads, text) in [
        ("disk-statistics", DISK_STATISTICS),
        ("rpc-disk-stats", RPC_DISK_STATS),
    ] {
        let facts = all(reads, text);
        assert!(
            facts
                .disk_statistics
                .iter()
                .all(|disk| !disk.name.ends_with("1") || disk.name == "nvme0n1")
        );
    }
    let facts = all("disk-statistics", DISK_STATISTICS);
    let vda = &facts.disk_statistics[0];
    assert_eq!(
        (vda.name.as_str(), vda.write_milliseconds),
        ("vda", Some(80.0))
    );
    assert_eq!(vda.busy_seconds_total, Some(3600.0));
}

#[test]
fn file_systems_of_the_guest_agent() {
    let facts = all("rpc-fsinfo", RPC_FSINFO);
    assert_eq!(
        facts.words(),
        ["/ is 98 % full: 953.7 MiB free of 39.1 GiB"]
    );
    assert_eq!(facts.file_systems[0].disks, ["/dev/vda2"]);
    assert_eq!(at(&facts, "C:").disks, ["scsi1 s1"]);
    assert_eq!(at(&facts, "/x").used_bytes, None);
    // An empty list is an answer, an error is none.
    assert!(interpret("rpc-fsinfo", "[]", false).understood);
    assert!(!interpret("rpc-fsinfo", r#"{"error": {}}"#, false).understood);
}

#[test]
fn disks_of_the_guest_agent() {
    let facts = all("rpc-disks", RPC_DISKS);
    assert_eq!(facts.guest_disks[0].serial.as_deref(), Some("drive-scsi0"));
    assert_eq!(facts.words(), ["Disks: /dev/sda, /dev/dm-0"]);
}
