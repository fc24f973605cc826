//! Which commands tell something about a topic, the most telling first.

use super::topic::Topic;
use crate::guest_command::system::{Distribution, GuestSystem, System};

/// Ids, one after the other. `id name=value` is a command with an argument; a name of
/// the complaint that a parameter takes is filled in later.
type Commands = &'static [&'static str];

/// Of a topic on this system. What does not fit the system is left out by the caller.
pub(super) fn of(topic: Topic, system: System) -> Commands {
    match system.family {
        GuestSystem::Linux if system.distribution == Distribution::Alpine => {
            alpine(topic).unwrap_or_else(|| linux(topic))
        }
        GuestSystem::Linux => linux(topic),
        GuestSystem::Windows => windows(topic),
        GuestSystem::Other | GuestSystem::Unknown => any(topic),
    }
}

/// When nothing is known of what is wrong.
pub(super) fn first_look(system: System) -> Commands {
    match system.family {
        GuestSystem::Linux if system.distribution == Distribution::Alpine => &[
            "ping",
            "osinfo",
            "fsinfo",
            "load",
            "memory",
            "openrc-status",
            "kernel-log-basic",
        ],
        GuestSystem::Linux => &[
            "ping",
            "osinfo",
            "fsinfo",
            "uptime",
            "memory",
            "failed-units",
            "kernel-log",
        ],
        GuestSystem::Windows => &[
            "ping",
            "osinfo",
            "fsinfo",
            "windows-system",
            "windows-counters",
            "windows-services",
            "windows-events",
        ],
        GuestSystem::Other | GuestSystem::Unknown => &[
            "ping",
            "osinfo",
            "fsinfo",
            "network-interfaces",
            "agent-info",
        ],
    }
}

#[rustfmt::skip]
fn linux(topic: Topic) -> Commands {
    match topic {
        Topic::Space => &["fsinfo", "directory-usage", "inodes", "deleted-files", "lvm-groups", "docker-ps"],
        Topic::ReadOnly => &["mounts", "kernel-log", "fsinfo", "block-devices", "journal"],
        Topic::Slow => &["pressure", "vmstat", "load-average", "processes", "memory", "disk-stats", "kernel-log",
                         "socket-summary"],
        Topic::Cpu => &["processes", "vmstat", "load-average", "pressure", "cpu-stats", "vcpus"],
        Topic::Memory => &["memory", "processes by=memory", "kernel-log", "pressure", "meminfo", "swaps"],
        Topic::Disk => &["disk-stats", "iostat", "pressure", "kernel-log", "fsinfo", "block-devices", "guest-disks"],
        Topic::Raid => &["md-arrays", "zpools", "kernel-log", "block-devices"],
        Topic::Network => &["network-interfaces", "links", "network-routes", "resolv-conf", "neighbours", "connections",
                            "link-settings", "firewall-nft"],
        Topic::Names => &["resolv-conf", "resolver-status", "hosts", "network-interfaces", "network-routes"],
        Topic::Ports => &["listening-sockets", "connections", "firewall-nft", "conntrack", "network-interfaces"],
        Topic::Service => &["unit-status", "unit-journal", "failed-units", "journal", "listening-sockets", "kernel-log",
                            "fsinfo", "timers"],
        Topic::Web => &["listening-sockets", "unit-status", "unit-journal", "failed-units", "docker-ps", "connections",
                        "fsinfo"],
        Topic::PostgreSql => &["postgres-ready", "unit-status", "unit-journal", "failed-units", "fsinfo"],
        Topic::MySql => &["mysql-status", "unit-status", "unit-journal", "failed-units", "fsinfo"],
        Topic::Redis => &["redis-memory", "unit-status", "unit-journal", "failed-units", "memory"],
        Topic::Container => &["docker-ps", "docker-logs", "docker-stats", "podman-ps", "unit-status", "fsinfo",
                              "kernel-log"],
        Topic::Time => &["guest-time", "time-status", "chrony-tracking", "timezone", "chrony-sources", "ntp-peers",
                         "kernel-log"],
        Topic::Boot => &["ping", "system-state", "failed-units", "previous-boot-journal", "kernel-log", "mounts",
                         "boot-blame"],
        Topic::Restarted => &["uptime", "previous-boot-journal", "last-logins", "kernel-log", "journal"],
        Topic::Update => &["apt-upgradable", "dnf-updates", "reboot-required", "dpkg-audit", "osinfo",
                           "log-file log=apt-history", "log-file log=dnf"],
        Topic::Login => &["users", "last-logins", "log-file log=auth", "log-file log=secure", "journal",
                          "listening-sockets"],
        Topic::Backup => &["fsfreeze-status", "agent-info", "fsinfo", "kernel-log"],
        Topic::Certificate => &["guest-time", "unit-journal", "journal", "listening-sockets"],
        Topic::OpenFiles => &["open-files", "processes", "unit-journal", "journal"],
        Topic::GuestAgent => &["ping", "agent-info", "osinfo", "unit-status unit=qemu-guest-agent.service"],
        Topic::Hardware => &["pci-devices", "cpu", "vcpus", "guest-disks", "kernel-modules", "kernel-log"],
        Topic::Errors => &["journal", "kernel-log", "failed-units", "fsinfo"],
    }
}

/// Where `BusyBox` and `OpenRC` differ.
#[rustfmt::skip]
fn alpine(topic: Topic) -> Option<Commands> {
    let commands: Commands = match topic {
        Topic::ReadOnly => &["mounts", "kernel-log-basic", "fsinfo", "log-file log=messages"],
        Topic::Slow => &["load-average", "processes-basic", "memory", "pressure", "disk-stats", "kernel-log-basic",
                         "cpu-stats"],
        Topic::Cpu => &["processes-basic", "load-average", "cpu-stats", "pressure", "vcpus"],
        Topic::Memory => &["memory", "processes-basic", "kernel-log-basic", "meminfo", "swaps"],
        Topic::Disk => &["disk-stats", "pressure", "kernel-log-basic", "fsinfo", "guest-disks"],
        Topic::Raid => &["md-arrays", "zpools", "kernel-log-basic"],
        Topic::Names => &["resolv-conf", "hosts", "network-interfaces", "network-routes"],
        Topic::Service => &["openrc-status", "log-file log=messages", "listening-sockets", "kernel-log-basic", "fsinfo"],
        Topic::Web => &["listening-sockets", "openrc-status", "docker-ps", "log-file log=messages", "fsinfo"],
        Topic::PostgreSql => &["postgres-ready", "openrc-status", "log-file log=messages", "fsinfo"],
        Topic::MySql => &["mysql-status", "openrc-status", "log-file log=messages", "fsinfo"],
        Topic::Redis => &["redis-memory", "openrc-status", "memory"],
        Topic::Container => &["docker-ps", "docker-logs", "docker-stats", "podman-ps", "openrc-status", "fsinfo"],
        Topic::Time => &["guest-time", "chrony-tracking", "chrony-sources", "timezone", "ntp-peers"],
        Topic::Boot => &["ping", "openrc-status", "kernel-log-basic", "mounts", "uptime"],
        Topic::Restarted => &["uptime", "kernel-log-basic", "log-file log=messages"],
        Topic::Update => &["apk-updates", "osinfo"],
        Topic::Login => &["users", "log-file log=messages", "listening-sockets"],
        Topic::Certificate => &["guest-time", "log-file log=messages", "listening-sockets"],
        Topic::OpenFiles => &["open-files", "processes-basic", "log-file log=messages"],
        Topic::GuestAgent => &["ping", "agent-info", "osinfo", "openrc-status"],
        Topic::Backup => &["fsfreeze-status", "agent-info", "fsinfo"],
        Topic::Errors => &["log-file log=messages", "kernel-log-basic", "openrc-status", "fsinfo"],
        Topic::Space | Topic::Network | Topic::Ports | Topic::Hardware => return None,
    };
    Some(commands)
}

#[rustfmt::skip]
fn windows(topic: Topic) -> Commands {
    match topic {
        Topic::Space => &["fsinfo", "windows-shadow-storage", "windows-disk-free", "windows-events"],
        Topic::ReadOnly => &["fsinfo", "windows-disk-dirty", "windows-events", "guest-disks"],
        Topic::Slow => &["windows-counters", "windows-processes", "fsinfo", "windows-events", "windows-system",
                         "load-average", "devices"],
        Topic::Cpu => &["windows-counters", "windows-processes", "load-average", "vcpus"],
        Topic::Memory => &["windows-system", "windows-processes", "windows-counters", "devices", "windows-events"],
        Topic::Disk => &["windows-counters", "fsinfo", "windows-events", "guest-disks", "devices", "windows-disk-dirty"],
        Topic::Raid => &["guest-disks", "windows-events", "fsinfo"],
        Topic::Network => &["network-interfaces", "windows-addresses", "windows-routes", "windows-firewall",
                            "windows-network-counters", "windows-arp", "devices"],
        Topic::Names => &["windows-addresses", "network-interfaces", "windows-events"],
        Topic::Ports => &["windows-sockets", "windows-firewall", "network-interfaces", "windows-routes"],
        Topic::Service => &["windows-service", "windows-service-config", "windows-services", "windows-events",
                            "windows-events log=application", "windows-scheduled-tasks", "fsinfo"],
        Topic::Web | Topic::PostgreSql | Topic::MySql | Topic::Redis | Topic::Container => &[
            "windows-service", "windows-services", "windows-sockets", "windows-events log=application", "fsinfo"],
        Topic::Time => &["guest-time", "windows-time", "timezone", "windows-time-peers",
                         "windows-service service=W32Time"],
        Topic::Boot => &["ping", "windows-system", "windows-events", "windows-boot", "windows-services", "windows-drivers"],
        Topic::Restarted => &["windows-system", "windows-events", "users"],
        Topic::Update => &["windows-system", "windows-events log=setup", "osinfo", "windows-service service=wuauserv"],
        Topic::Login => &["users", "windows-sessions", "windows-sockets", "windows-service service=TermService",
                          "windows-events"],
        Topic::Backup => &["windows-vss-writers", "windows-shadow-storage", "fsfreeze-status", "agent-info",
                           "windows-events log=application", "fsinfo"],
        Topic::Certificate => &["guest-time", "windows-time", "windows-events", "windows-events log=application"],
        Topic::OpenFiles => &["windows-processes", "windows-events log=application"],
        Topic::GuestAgent => &["ping", "agent-info", "osinfo", "windows-service service=QEMU-GA"],
        Topic::Hardware => &["devices", "windows-drivers", "vcpus", "guest-disks", "windows-events"],
        Topic::Errors => &["windows-events", "windows-events log=application", "windows-services", "fsinfo"],
    }
}

/// What every guest agent answers, whatever the system is.
#[rustfmt::skip]
fn any(topic: Topic) -> Commands {
    match topic {
        Topic::Space | Topic::ReadOnly | Topic::Disk | Topic::Raid => &["fsinfo", "osinfo"],
        Topic::Network | Topic::Names | Topic::Ports | Topic::Web => &["network-interfaces", "ping", "osinfo"],
        Topic::Time | Topic::Certificate => &["guest-time", "timezone", "osinfo"],
        Topic::Login => &["users", "osinfo"],
        Topic::Backup => &["fsfreeze-status", "agent-info", "fsinfo", "ping"],
        Topic::Boot | Topic::Restarted | Topic::GuestAgent => &["ping", "agent-info", "osinfo"],
        Topic::Slow | Topic::Cpu | Topic::Memory | Topic::Service | Topic::PostgreSql | Topic::MySql | Topic::Redis
        | Topic::Container | Topic::Update | Topic::OpenFiles | Topic::Hardware | Topic::Errors => {
            &["osinfo", "ping", "fsinfo", "agent-info"]
        }
    }
}
