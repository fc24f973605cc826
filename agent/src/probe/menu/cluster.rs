//! What needs uid 0 and nothing else: corosync, the journal, sshd, mounts.

use super::{Entry, Is, Kind, ROW, Unless, When, guard, number, seconds, text};

const CLUSTER: Entry = Entry {
    probe: Kind::Cluster,
    needs: "uid 0, no capability",
    ..ROW
};

const COROSYNC: Entry = Entry {
    why: "corosync answers root alone, on abstract sockets of the node's network namespace",
    timeout: seconds(10),
    needs: "uid 0, no capability; the node's network namespace; /dev/shm",
    ..CLUSTER
};

const SSHD: Entry = Entry {
    why: "sshd reads its host keys before it shows the settings in effect",
    program: Some("/usr/sbin/sshd"),
    timeout: seconds(10),
    stdout_limit: 64 << 10,
    needs: "uid 0, no capability; /etc/ssh and /run/sshd",
    ..CLUSTER
};

pub(super) const ENTRIES: &[Entry] = &[
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
];
