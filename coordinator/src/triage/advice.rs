//! What a fault means, what makes it worse, and where to look: one row per check
//! that people meet in an outage. Other findings bring their own commands.

use std::cmp::Reverse;

use super::{
    Trouble,
    facts::Facts,
    fencing,
    timeline::Kind::{self, Ha, Kernel, Link, Membership, Pmxcfs, Service, Storage},
};
use crate::{
    check::{self, Remedy},
    finding::Severity,
};

pub(super) const QUORUM_LOST: &str = "cluster.quorum.lost";
pub(super) const PMXCFS: &str = "cluster.pmxcfs.unresponsive";
/// Of this module, before the check of the HA manager has waited for its time.
pub(super) const FENCING: &str = "triage.fencing_near";
/// Of this module, for what is no NFS.
pub(super) const MOUNT: &str = "triage.mount_hangs";

/// Things not to do that are said at most.
const DO_NOT_LIMIT: usize = 5;
const LOOK_LIMIT: usize = 4;

/// One row.
#[derive(Debug, Clone, Copy)]
pub(super) struct Advice {
    pub(super) check: &'static str,
    /// What it means for the guests; may be empty.
    pub(super) impact: &'static str,
    /// What can have begun it.
    pub(super) begins: &'static [Kind],
    do_not: &'static [&'static str],
    /// Commands that only read and do not hang; empty = as the check says.
    look: &'static [&'static str],
}

/// The order is that of telling among equally severe ones: what stops most, and
/// causes the others, comes first.
const ROWS: &[Advice] = &[
    Advice {
        check: PMXCFS,
        impact: "Running guests go on; none can be started, moved or configured here.",
        begins: &[Pmxcfs, Service],
        do_not: &[
            "restart pve-cluster while HA runs guests here: the watchdog may reset the node",
            "write into the empty /etc/pve, or delete or copy /var/lib/pve-cluster/config.db",
        ],
        look: &[
            "timeout 5 cat /etc/pve/.version",
            "systemctl status pve-cluster corosync",
            "journalctl -u pve-cluster -n 50",
            "df -h / /var",
        ],
    },
    Advice {
        check: QUORUM_LOST,
        impact: "Running guests go on; none can start, nothing can change.",
        begins: &[Membership, Link],
        do_not: &[
            "pvecm expected 1, unless the other nodes are surely off: two halves that write destroy data",
            "restart corosync or pve-cluster on all nodes, or reboot nodes to try",
            "start guests of the other nodes here by hand: they may still run there",
        ],
        look: &[
            "pvecm status",
            "corosync-cfgtool -n",
            "journalctl -u corosync -n 50",
            "ip -br link",
        ],
    },
    Advice {
        check: FENCING,
        impact: WATCHDOG,
        begins: &[Membership, Pmxcfs],
        do_not: &[
            "restart watchdog-mux, pve-ha-lrm or pve-ha-crm: a lost watchdog resets the node at once",
        ],
        look: &[
            "ha-manager status",
            "journalctl -u watchdog-mux -u pve-ha-lrm -n 30",
        ],
    },
    Advice {
        check: "ha.lrm.stale",
        impact: WATCHDOG,
        begins: &[Ha, Membership, Pmxcfs],
        do_not: &[
            "restart watchdog-mux, pve-ha-lrm or pve-ha-crm: a lost watchdog resets the node at once",
        ],
        look: &[
            "ha-manager status",
            "journalctl -u watchdog-mux -u pve-ha-lrm -n 30",
        ],
    },
    Advice {
        check: "storage.lvmthin.needs_check",
        impact: "Guests with disks on the pool get write errors or stand still.",
        begins: &[Storage],
        do_not: &[
            THIN_REPAIR,
            THIN_START,
            "reboot the node: the pool may not come up again",
        ],
        look: &[
            THIN_LOOK,
            "dmsetup status --target thin-pool",
            "journalctl -k -n 50",
        ],
    },
    Advice {
        check: "storage.nfs.hang",
        impact: "Guests with disks there stand still, backups to it hang, and the status of all storages may.",
        begins: &[Storage, Link],
        do_not: &HANGING,
        look: &[
            "grep nfs /proc/mounts",
            "ip -br link",
            "journalctl -k -n 50",
        ],
    },
    Advice {
        check: MOUNT,
        impact: "Guests with disks there stand still, backups to it hang, and the status of all storages may.",
        begins: &[Storage, Link],
        do_not: &HANGING,
        look: &["ip -br link", "journalctl -k -n 50"],
    },
    Advice {
        check: "storage.lvmthin.data_full",
        impact: "When it is full, every guest on it gets write errors at once.",
        begins: &[],
        do_not: &[
            THIN_START,
            "trust fstrim to free space: it helps only where the disk has discard on, and writes itself",
            THIN_REPAIR,
        ],
        look: &[THIN_LOOK, "vgs -o+vg_free", "qm list; pct list"],
    },
    Advice {
        check: "storage.lvmthin.metadata_full",
        impact: "When it is full, the pool turns read-only and may need a repair.",
        begins: &[],
        do_not: &[THIN_START, THIN_REPAIR],
        look: &[THIN_LOOK, "vgs -o+vg_free"],
    },
    Advice {
        check: "cluster.node.offline",
        impact: "Its guests do not run, unless high availability starts them elsewhere.",
        begins: &[Membership, Link],
        do_not: &[
            "move its guests by hand (/etc/pve/nodes) before it is surely off: they may still run",
        ],
        look: &["pvecm status", "journalctl -u corosync -n 50"],
    },
    Advice {
        check: "ha.master.none",
        impact: "",
        begins: &[Ha, Membership],
        do_not: &["set HA guests to another state until there is a master: nothing would follow"],
        look: &[],
    },
    Advice {
        check: "ha.service.error",
        impact: "It does not run, and nothing starts it.",
        begins: &[Ha],
        do_not: &[
            "set it to started before it is disabled and the reason is gone: HA stays in error",
        ],
        look: &[],
    },
    Advice {
        check: "ha.watchdog",
        impact: "A node that fails is not reset, so its guests are not started elsewhere safely.",
        begins: &[Service, Ha],
        do_not: &["restart watchdog-mux while HA guests run on the node"],
        look: &[],
    },
    Advice {
        check: "storage.pool.inactive",
        impact: "Guests with disks there may stand still; none can start or be backed up.",
        begins: &[Storage, Link],
        do_not: &[],
        look: &[],
    },
    Advice {
        check: "storage.pool.inactive_on_some_nodes",
        impact: "Guests with disks there may stand still on those nodes.",
        begins: &[Storage, Link],
        do_not: &[],
        look: &[],
    },
    Advice {
        check: "node.fs.readonly_or_errors",
        impact: "Whatever writes there fails.",
        begins: &[Storage, Kernel],
        do_not: &["fsck a file system that is mounted, or remount it writable to go on"],
        look: &[],
    },
    Advice {
        check: "node.rootfs.space",
        impact: "When it is full, nothing can be configured, logged or backed up.",
        begins: &[],
        do_not: &["delete anything in /var/lib/pve-cluster or /etc/pve to get room"],
        look: &["df -h /", "du -xh --max-depth=2 /var | sort -h | tail"],
    },
    Advice {
        check: "storage.pool.space",
        impact: "When it is full, its guests stop with write errors.",
        begins: &[],
        do_not: &["start backups or make snapshots on it"],
        look: &[],
    },
    Advice {
        check: "cluster.corosync.link_down",
        impact: "The cluster still works over the rest. If that fails too, it loses quorum and HA resets nodes.",
        begins: &[Link],
        do_not: &[
            "reboot or unplug anything on the links that work: they are all that is left",
            "edit corosync.conf now: a mistake would cut the last link",
        ],
        look: &[
            "corosync-cfgtool -n",
            "ip -s -br link",
            "journalctl -u corosync -n 50",
        ],
    },
    Advice {
        check: "node.net.link_down",
        impact: "What uses this port has no network, or has lost its spare.",
        begins: &[Link],
        do_not: &[],
        look: &[],
    },
    Advice {
        check: "node.pvestatd.stale",
        impact: "States and figures of guests and storages in the web interface are old.",
        begins: &[Service, Storage],
        do_not: &[],
        look: &[],
    },
    Advice {
        check: "guest.state.io_error",
        impact: "It stands still until its storage has room and answers.",
        begins: &[Storage],
        do_not: &["reset the guest before its storage has room and answers: it would stop again"],
        look: &[],
    },
];

const WATCHDOG: &str =
    "60 s after that the watchdog resets the node if it has HA guests; they start elsewhere.";
const THIN_START: &str = "start, create, restore or snapshot guests on the pool";
const THIN_REPAIR: &str =
    "lvconvert --repair while the pool is in use: stop its guests and save its metadata first";
const THIN_LOOK: &str = "lvs -a -o+data_percent,metadata_percent,lv_health_status";

const HANGING: [&str; 4] = [
    "umount -f or -l with guests running on it: their writes are lost",
    "ls, df or cd there without timeout: the shell hangs as well",
    "kill guests that wait for it: they end only when it answers",
    "reboot the node: the shutdown waits for the mount, and guests are killed",
];

/// The row of a check.
pub(super) fn of(check: &str) -> Option<&'static Advice> {
    ROWS.iter().find(|row| row.check == check)
}

/// Worst first; among equals in the order of the rows, else as they were.
pub(super) fn sort(troubles: &mut [Trouble]) {
    let place = |check: &str| ROWS.iter().position(|row| row.check == check);
    troubles.sort_by_key(|trouble| {
        let place = place(&trouble.check).unwrap_or(ROWS.len());
        (Reverse(trouble.severity), place)
    });
}

/// What would make it worse.
pub(super) fn do_not(facts: &Facts<'_>, troubles: &[Trouble]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    // Of every trouble the first, before any gets its second.
    let rows: Vec<&Advice> = troubles.iter().filter_map(|one| of(&one.check)).collect();
    let longest = rows.iter().map(|row| row.do_not.len()).max().unwrap_or(0);
    for number in 0..longest {
        for row in &rows {
            if let Some(line) = row.do_not.get(number)
                && !lines.iter().any(|known| known == line)
            {
                lines.push((*line).to_owned());
            }
        }
    }
    // Each of these ends with a reset where HA is at work; without HA it does not.
    let is_critical = troubles
        .iter()
        .any(|one| one.severity == Severity::Critical);
    let has = |check: &str| troubles.iter().any(|trouble| trouble.check == check);
    if is_critical && !has(FENCING) && !has("ha.lrm.stale") && fencing::armed(facts).is_some() {
        let line =
            "stop corosync or pve-cluster here: HA runs guests on this node and would reset it";
        lines.insert(lines.len().min(2), line.to_owned());
    }
    lines.truncate(DO_NOT_LIMIT);
    lines
}

/// Where to look next. Nothing here changes anything.
pub(super) fn look_next(troubles: &[Trouble]) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let commands = |trouble: &Trouble| -> Vec<String> {
        let own = of(&trouble.check).map_or(&[][..], |row| row.look);
        let diagnose = || {
            let registered: Option<Remedy> = check::find(&trouble.check).map(|c| c.remediation);
            registered.map_or(&[][..], |remedy| remedy.diagnose)
        };
        let commands = if own.is_empty() { diagnose() } else { own };
        commands.iter().map(|text| filled(text, trouble)).collect()
    };
    let all: Vec<Vec<String>> = troubles.iter().map(commands).collect();
    let longest = all.iter().map(Vec::len).max().unwrap_or(0);
    for number in 0..longest {
        for commands in &all {
            if let Some(command) = commands.get(number)
                && !command.contains('{')
                && !lines.contains(command)
            {
                lines.push(command.clone());
            }
        }
    }
    lines.truncate(LOOK_LIMIT);
    let hangs = |check: &str| ["storage.nfs.hang", MOUNT].contains(&check);
    if troubles.iter().any(|trouble| hangs(&trouble.check)) {
        for line in lines.iter_mut().filter(|line| line.starts_with("pvesm ")) {
            line.insert_str(0, "timeout 5 ");
        }
    }
    lines
}

/// The command with the names of the subject. One that needs a name that the
/// subject does not have keeps its braces, and is not shown.
fn filled(text: &str, trouble: &Trouble) -> String {
    let (kind, name) = trouble.subject.split_once('/').unwrap_or_default();
    let (name, node) = name.split_once('@').unwrap_or((name, ""));
    let is_plain = |name: &str| {
        let mut characters = name.chars();
        !name.is_empty() && characters.all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    let mut text = text.to_owned();
    let placeholder = match kind {
        "guest" => "{id}",
        "node" => "{node}",
        "storage" => "{storage}",
        _ => return text,
    };
    // Only a name that is nothing but a name may become part of a command.
    if is_plain(name) {
        text = text.replace(placeholder, name);
    }
    if is_plain(node) {
        text = text.replace("{node}", node);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_fit_their_lines_and_name_checks_once() {
        let own = [FENCING, MOUNT];
        for (position, row) in ROWS.iter().enumerate() {
            let again = ROWS.iter().position(|other| other.check == row.check);
            assert_eq!(again, Some(position), "{}", row.check);
            let is_known = own.contains(&row.check) || check::find(row.check).is_some();
            assert!(is_known, "{}", row.check);
            for line in row.do_not.iter().chain(row.look) {
                assert!(line.chars().count() <= 91, "{line}");
            }
        }
    }

    #[test]
    fn no_command_to_look_changes_anything() {
        let reading = [
            "pvecm status",
            "corosync-cfgtool -n",
            "journalctl ",
            "systemctl status",
            "ip -",
            "df -h",
            "du -",
            "lvs ",
            "vgs ",
            "dmsetup status",
            "qm list; pct list",
            "ha-manager status",
            "timeout ",
            "grep nfs /proc/mounts",
        ];
        for row in ROWS {
            for command in row.look {
                let is_reading = reading.iter().any(|begin| command.starts_with(begin));
                assert!(is_reading, "{command}");
            }
        }
    }

    #[test]
    fn a_strange_name_never_becomes_part_of_a_command() {
        let trouble = |subject: &str| Trouble {
            check: String::new(),
            severity: Severity::Critical,
            subject: subject.to_owned(),
            what: String::new(),
            since: crate::triage::onset::Since::default(),
            impact: String::new(),
        };
        let filled = |subject| super::filled("pvesm status --storage {storage}", &trouble(subject));
        assert_eq!(filled("storage/tank@pve1"), "pvesm status --storage tank");
        assert_eq!(
            filled("storage/a;reboot"),
            "pvesm status --storage {storage}"
        );
        assert_eq!(filled("cluster"), "pvesm status --storage {storage}");
    }
}
