//! The menu: everything that a probe can do, one row each.
//!
//! A row is the whole truth about an entry: `probe list` and `reads` print it,
//! and the command line is made from it. What no row names cannot be run.

use std::time::Duration;

use super::{
    Kind,
    entry::{
        Entry, Parameter,
        Word::{Is, Unless, When},
    },
    guard,
};

const DEVICE: Parameter = text("device", "a whole disk: sda, nvme0n1, nvme0");
const DEVICE_TYPE: Parameter = text("device_type", "auto (if absent), sat, scsi, nvme");
const FORMAT: Parameter = text("format", "text, or json where OpenZFS is 2.3 or later");

const fn text(name: &'static str, accepts: &'static str) -> Parameter {
    Parameter {
        name,
        accepts,
        is_number: false,
    }
}

const fn number(name: &'static str, accepts: &'static str) -> Parameter {
    Parameter {
        name,
        accepts,
        is_number: true,
    }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What most rows share.
const DISK: Entry = Entry {
    probe: Kind::Disk,
    name: "",
    title: "",
    why: "",
    parameters: &[],
    program: None,
    words: &[],
    timeout: seconds(15),
    stdout_limit: 1 << 20,
    needs: "",
    guard: guard::none,
};
const CLUSTER: Entry = Entry {
    probe: Kind::Cluster,
    needs: "uid 0, no capability",
    ..DISK
};
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
const COROSYNC: Entry = Entry {
    why: "corosync answers root alone, on abstract sockets of the node's network namespace",
    timeout: seconds(10),
    needs: "uid 0, no capability; the node's network namespace; /dev/shm",
    ..CLUSTER
};
const SYSTEM: Entry = Entry {
    probe: Kind::System,
    timeout: seconds(10),
    needs: "no privilege; the bus of the node",
    ..DISK
};
const SYSTEMD: Entry = Entry {
    why: "systemd tells its state over D-Bus, where uid 0 could also stop units; nobody can only ask",
    program: Some("/usr/bin/systemctl"),
    stdout_limit: 64 << 10,
    ..SYSTEM
};
const SSHD: Entry = Entry {
    why: "sshd reads its host keys before it shows the settings in effect",
    program: Some("/usr/sbin/sshd"),
    timeout: seconds(10),
    stdout_limit: 64 << 10,
    needs: "uid 0, no capability; /etc/ssh and /run/sshd",
    ..CLUSTER
};

const CEPH: Entry = Entry {
    probe: Kind::Ceph,
    why: "the monitors answer over the network, to a key of the administrator's making",
    program: Some("/usr/bin/ceph"),
    timeout: seconds(20),
    stdout_limit: 4 << 20,
    needs: "uid 0, no capability; the monitors' network; /etc/ceph, /etc/pve/ceph.conf",
    guard: guard::ceph,
    ..DISK
};

macro_rules! ceph {
    ($($word:literal),+) => {
        &[
            Is("--name=client.pvelens"),
            Is("--keyring=/etc/ceph/ceph.client.pvelens.keyring"),
            Is("--connect-timeout=3"),
            Is("--format=json"),
            $(Is($word)),+
        ]
    };
}

const CONTAINER: Entry = Entry {
    probe: Kind::Container,
    needs: "CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH; the node's processes",
    guard: guard::container,
    ..DISK
};

/// Every entry of every probe.
pub const MENU: &[Entry] = &[
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
    Entry {
        name: "corosync_links",
        title: "corosync's links of this node",
        program: Some("/usr/sbin/corosync-cfgtool"),
        words: &[Is("-s")],
        ..COROSYNC
    },
    Entry {
        name: "corosync_nodes",
        title: "corosync's peers and the links to each",
        program: Some("/usr/sbin/corosync-cfgtool"),
        words: &[Is("-n")],
        ..COROSYNC
    },
    Entry {
        name: "corosync_stats",
        title: "corosync's counters: latency, retransmits, flaps",
        program: Some("/usr/sbin/corosync-cmapctl"),
        words: &[Is("-m"), Is("stats")],
        ..COROSYNC
    },
    Entry {
        name: "corosync_quorum",
        title: "votes and quorum",
        program: Some("/usr/sbin/corosync-quorumtool"),
        // Addresses, so that no name is looked up.
        words: &[Is("-s"), Is("-i")],
        ..COROSYNC
    },
    Entry {
        name: "journal",
        title: "messages of the kernel or of one unit, newest first",
        why: "the journal is for root and its group",
        parameters: &[
            text(
                "source",
                "kernel, or a unit: corosync, pve-cluster, pvedaemon, ceph-osd@*, … (a wrong one is answered with all)",
            ),
            number("since_seconds", "how far back, 1 to 604800"),
            number("priority", "the least important, 0 (emergency) to 6 (info)"),
            number("lines", "1 to 5000"),
        ],
        program: Some("/usr/bin/journalctl"),
        words: &[
            Is("--output=json"),
            Is("--output-fields=MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_SYSTEMD_UNIT,_PID,_BOOT_ID"),
            Is("--no-pager"),
            Is("--quiet"),
            Is("--system"),
            // With `--since`, systemd 252 counts lines from the oldest on; from
            // the newest on it counts only in reverse.
            Is("--reverse"),
            Is("--since=-{since_seconds}s"),
            Is("--priority={priority}"),
            Is("--lines={lines}"),
            Unless("source", "kernel", "--unit={source}.service"),
            When("source", "kernel", "_TRANSPORT=kernel"),
        ],
        timeout: seconds(20),
        stdout_limit: 4 << 20,
        needs: "uid 0, no capability; /var/log/journal and /run/log/journal",
        ..CLUSTER
    },
    Entry {
        name: "units",
        title: "state of the units that matter to Proxmox VE",
        words: &[
            Is("show"),
            Is("--no-pager"),
            // Not in the words of a locale and time zone.
            Is("--timestamp=unix"),
            Is(
                "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,NRestarts,MainPID,ExecMainStatus,StateChangeTimestamp",
            ),
            Is("--"),
            Is("pve-cluster.service"),
            Is("corosync.service"),
            Is("pvedaemon.service"),
            Is("pveproxy.service"),
            Is("pvestatd.service"),
            Is("pvescheduler.service"),
            Is("pve-firewall.service"),
            Is("proxmox-firewall.service"),
            Is("qmeventd.service"),
            Is("lxcfs.service"),
            Is("pve-ha-crm.service"),
            Is("pve-ha-lrm.service"),
            Is("watchdog-mux.service"),
            Is("pve-guests.service"),
            Is("spiceproxy.service"),
            Is("postfix.service"),
            Is("chrony.service"),
            Is("systemd-timesyncd.service"),
            Is("ntpsec.service"),
            Is("openntpd.service"),
            Is("smartd.service"),
            Is("smartmontools.service"),
            Is("zfs-zed.service"),
            Is("ssh.service"),
            Is("rpcbind.service"),
            Is("multipathd.service"),
            Is("ceph.target"),
            Is("frr.service"),
            Is("ksmtuned.service"),
            Is("pve-lxc-syscalld.service"),
            Is("pvefw-logger.service"),
            Is("systemd-journald.service"),
            Is("rasdaemon.service"),
        ],
        ..SYSTEMD
    },
    Entry {
        name: "failed_units",
        title: "units that have failed",
        words: &[
            Is("list-units"),
            Is("--state=failed"),
            Is("--output=json"),
            Is("--full"),
            Is("--no-pager"),
        ],
        ..SYSTEMD
    },
    Entry {
        name: "time",
        title: "whether the clock is synchronised",
        why: "the state of the kernel's clock is closed to the agent, and so is D-Bus",
        program: Some("/usr/bin/timedatectl"),
        // Starts systemd-timedated, which ends after 30 s of rest.
        words: &[Is("show"), Is("--no-pager")],
        stdout_limit: 16 << 10,
        ..SYSTEM
    },
    Entry {
        name: "chrony",
        title: "offset and source of chrony",
        why: "chronyd answers on its own socket, which takes orders, or to the node itself, where it takes none",
        program: Some("/usr/bin/chronyc"),
        words: &[
            // The address, or chronyc would try the socket first.
            Is("-h"),
            Is("127.0.0.1"),
            Is("-n"),
            Is("-c"),
            Is("tracking"),
        ],
        stdout_limit: 16 << 10,
        needs: "no privilege; UDP to 127.0.0.1 port 323",
        ..SYSTEM
    },
    Entry {
        name: "sshd_config",
        title: "sshd's settings in effect",
        words: &[Is("-T")],
        ..SSHD
    },
    Entry {
        name: "sshd_config_for",
        title: "sshd's settings in effect for one connection, Match blocks applied",
        parameters: &[
            text("user", "a user name"),
            text("host", "the name of the client"),
            text("address", "the address of the client"),
        ],
        words: &[
            Is("-T"),
            Is("-C"),
            Is("user={user},host={host},addr={address}"),
        ],
        ..SSHD
    },
    Entry {
        name: "mount_liveness",
        title: "whether a network mount answers, and its size",
        why: "asking a dead mount hangs, so a process asks that may hang",
        parameters: &[text(
            "mount_point",
            "the mount point of a network file system",
        )],
        timeout: seconds(5),
        stdout_limit: 4 << 10,
        needs: "uid 0, no capability; the node's mounts",
        guard: guard::mount,
        ..CLUSTER
    },
    Entry {
        name: "subscription",
        title: "state of the subscription, without its key",
        why: "the file holds the key, so it is closed to the agent; the key does not leave this process",
        timeout: seconds(5),
        stdout_limit: 4 << 10,
        needs: "uid 0, no capability; /etc/subscription",
        ..CLUSTER
    },
    Entry {
        name: "status",
        title: "state of the Ceph cluster",
        words: ceph!("status"),
        ..CEPH
    },
    Entry {
        name: "df",
        title: "space of the Ceph cluster and its pools",
        words: ceph!("df"),
        ..CEPH
    },
    Entry {
        name: "osd_df",
        title: "space of each OSD",
        words: ceph!("osd", "df"),
        ..CEPH
    },
    Entry {
        name: "osd_tree",
        title: "OSDs by host, up or down",
        words: ceph!("osd", "tree"),
        ..CEPH
    },
    Entry {
        name: "osd_dump",
        title: "settings of the OSDs and pools of Ceph",
        words: ceph!("osd", "dump"),
        ..CEPH
    },
    Entry {
        name: "crush_rules",
        title: "rules by which Ceph spreads copies",
        words: ceph!("osd", "crush", "rule", "dump"),
        ..CEPH
    },
    Entry {
        name: "health_detail",
        title: "what Ceph says is wrong",
        words: ceph!("health", "detail"),
        ..CEPH
    },
    Entry {
        name: "versions",
        title: "versions of Ceph's daemons",
        words: ceph!("versions"),
        ..CEPH
    },
    Entry {
        name: "filesystems",
        title: "file systems of running containers as they are inside, and traces of Docker",
        why: "what is mounted in a container is behind /proc/PID/root, which is closed to the agent",
        parameters: &[number(
            "vmid",
            "one container, 100 to 999999999; all that run if absent",
        )],
        timeout: seconds(25),
        stdout_limit: 4 << 20,
        ..CONTAINER
    },
];
