//! What anybody may ask systemd and chrony.

use super::{Entry, Is, Kind, ROW, seconds};

const SYSTEM: Entry = Entry {
    probe: Kind::System,
    timeout: seconds(10),
    needs: "no privilege; the bus of the node",
    ..ROW
};

const SYSTEMD: Entry = Entry {
    why: "systemd tells its state over D-Bus, where uid 0 could also stop units; nobody can only ask",
    program: Some("/usr/bin/systemctl"),
    stdout_limit: 64 << 10,
    ..SYSTEM
};

pub(super) const ENTRIES: &[Entry] = &[
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
];
