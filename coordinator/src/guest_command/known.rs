//! Commands of the catalogue that suggestions and workflows know by name.
//!
//! What a node offers comes with its own catalogue, which may be older or newer; this
//! is what reasoning needs beforehand: for which systems a command is, what it needs
//! there, and whether its output is read as facts. A test holds it against the
//! catalogue of the agent.

use super::system::{Distribution, GuestSystem, System};
use Systems::{All, Linux, LinuxAndWindows, Windows};

/// One command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    systems: Systems,
    needs: Needs,
    /// It asks the guest agent itself and starts no program in the guest.
    pub(super) is_question: bool,
    /// Its output is for people: nothing is read as facts.
    pub(super) is_text: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Systems {
    All,
    Linux,
    LinuxAndWindows,
    Windows,
}

/// What has to be in the guest, as far as that depends on the distribution.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Needs {
    Nothing,
    Systemd,
    OpenRc,
    /// Programs that `BusyBox` has only in part: of coreutils, procps, util-linux.
    FullTools,
    /// It stands in for one of the full tools, and tells less.
    BusyBox,
    Debian,
    Rpm,
    Apk,
}

/// Parameters that a request may leave out, with the value that they then have, where
/// the value decides what is asked.
const DEFAULTS: &[(&str, &str, &str)] = &[
    ("processes", "by", "cpu"),
    ("journal", "priority", "warning"),
    ("unit-journal", "priority", "info"),
    ("previous-boot-journal", "priority", "warning"),
    ("windows-disk-free", "drive", "c"),
    ("windows-disk-dirty", "drive", "c"),
    ("windows-events", "log", "system"),
];

/// Parameters that say only how much is wanted.
const AMOUNTS: &[&str] = &["samples", "lines", "count"];

/// A row: how it is asked and read, systems, needs, id and title.
macro_rules! commands {
    ($($how:ident $systems:ident $needs:ident $id:literal: $title:literal,)*) => {
        &[$($how($systems, Needs::$needs, $id, $title)),*]
    };
}

/// In the order of the catalogue.
const COMMANDS: &[Known] = commands! {
    question All Nothing "ping": "Whether the guest agent answers",
    question All Nothing "agent-info": "Version of the guest agent and what it may do",
    question All Nothing "osinfo": "Operating system and kernel",
    question All Nothing "hostname": "Name of the guest as it knows it",
    question All Nothing "users": "Who is logged in, and since when",
    question All Nothing "timezone": "Time zone of the guest",
    question All Nothing "guest-time": "Clock of the guest, to be compared with the node's",
    question All Nothing "network-interfaces": "Network interfaces with addresses and counters",
    question Linux Nothing "network-routes": "Routes of the guest",
    question All Nothing "fsinfo": "File systems with size and use",
    question All Nothing "fsfreeze-status": "Whether file systems are frozen, for a backup or a snapshot",
    question LinuxAndWindows Nothing "guest-disks": "Disks and partitions as the guest sees them",
    question Linux Nothing "disk-stats": "Counters of the guest's disks",
    question Linux Nothing "cpu-stats": "Counters of the guest's CPUs by mode",
    question LinuxAndWindows Nothing "load-average": "Load of the guest over 1, 5 and 15 minutes",
    question LinuxAndWindows Nothing "vcpus": "CPUs that are online in the guest",
    question Windows Nothing "devices": "Paravirtual devices and the versions of their drivers",
    facts Linux Nothing "os-release": "Distribution and its version",
    text Linux Nothing "kernel-version": "Kernel and its build",
    facts Linux Nothing "uptime": "How long it runs, who is on it, and its load",
    text Linux Systemd "boot-time-detail": "How long the last start took",
    text Linux Systemd "boot-blame": "Units by the time they took to start",
    facts Linux Nothing "load": "Load over 1, 5 and 15 minutes",
    facts Linux Nothing "pressure": "How long tasks waited for CPU, memory and disks (PSI)",
    facts Linux FullTools "vmstat": "CPU, run queue, swapping and waiting, second by second",
    facts Linux FullTools "processes": "Processes by what they use",
    facts Linux BusyBox "processes-basic": "Processes, where ps is that of busybox",
    text Linux Nothing "open-files": "File handles in use and their limit",
    facts Linux Nothing "memory": "Memory and swap",
    facts Linux Nothing "meminfo": "Memory in detail",
    facts Linux Nothing "swaps": "Swap areas and their use",
    facts Linux FullTools "disk-usage": "Local file systems with size and use",
    facts Linux BusyBox "disk-usage-basic": "File systems with size and use, where df is that of busybox",
    facts Linux Nothing "inodes": "File systems with their use of inodes",
    facts Linux Nothing "mounts": "What is mounted, where and how",
    facts Linux FullTools "block-devices": "Disks, partitions and what is on them",
    facts Linux Nothing "directory-usage": "What uses the space below a directory",
    facts Linux Nothing "deleted-files": "Files that were deleted and still use space",
    text Linux Nothing "lvm-volumes": "Logical volumes and how full thin pools are",
    text Linux Nothing "lvm-groups": "Volume groups and their free space",
    facts Linux Nothing "md-arrays": "Software RAID",
    text Linux Nothing "zpools": "ZFS pools and their state",
    facts Linux Nothing "disk-statistics": "Counters of disks since the start",
    text Linux Nothing "iostat": "Load of disks, second by second",
    facts Linux Nothing "addresses": "Addresses of network interfaces",
    facts Linux Nothing "links": "Network interfaces with errors and drops",
    facts Linux Nothing "link": "One network interface with errors and drops",
    facts Linux Nothing "routes": "Routes of IPv4",
    facts Linux Nothing "routes6": "Routes of IPv6",
    text Linux Nothing "neighbours": "Neighbours by ARP and NDP",
    facts Linux Nothing "listening-sockets": "What listens, and which process",
    facts Linux Nothing "connections": "Connections by state",
    facts Linux Nothing "socket-summary": "How many sockets of which kind",
    text Linux Nothing "network-counters": "Counters of IP, TCP and UDP: retransmits, overflows",
    text Linux Nothing "link-settings": "Speed and duplex of an interface",
    facts Linux Nothing "conntrack": "Connections that are tracked, and their limit",
    text Linux Nothing "firewall-nft": "Rules of the firewall",
    facts Linux Nothing "resolv-conf": "Name servers",
    text Linux Nothing "hosts": "Names in /etc/hosts",
    text Linux Systemd "resolver-status": "Name servers by interface",
    facts Linux Systemd "failed-units": "Units that failed",
    facts Linux Systemd "unit-status": "One unit: its state, since when, and how it ended",
    facts Linux Systemd "system-state": "Whether the system started properly",
    text Linux Systemd "timers": "Timers, when they ran and will run",
    facts Linux OpenRc "openrc-status": "Services and their state",
    facts Linux Systemd "journal": "Journal since the last start",
    facts Linux Systemd "unit-journal": "Journal of one unit since the last start",
    facts Linux Systemd "previous-boot-journal": "Journal of the start before the last, its end",
    facts Linux FullTools "kernel-log": "Warnings and errors of the kernel",
    facts Linux BusyBox "kernel-log-basic": "Messages of the kernel, where dmesg is that of busybox",
    facts Linux Nothing "log-file": "Last lines of a log file",
    text Linux Nothing "clock": "Clock of the guest",
    facts Linux Systemd "time-status": "Whether the clock is synchronised",
    facts Linux Nothing "chrony-tracking": "How far off the clock is, by chrony",
    text Linux Nothing "chrony-sources": "Time servers of chrony",
    text Linux Nothing "ntp-peers": "Time servers of ntpd",
    facts Linux Debian "apt-upgradable": "Updates that are pending, by a simulated upgrade",
    text Linux Debian "dpkg-audit": "Packages that are not properly installed",
    text Linux Debian "package-versions": "Installed packages with their versions",
    text Linux Rpm "rpm-versions": "Installed packages with their versions, the newest first",
    text Linux Rpm "dnf-updates": "Updates that are pending, from the cache",
    text Linux Apk "apk-updates": "Updates that are pending, from the index",
    facts Linux Debian "reboot-required": "Whether installed updates want a restart",
    facts Linux Nothing "docker-ps": "Containers and their state",
    text Linux Nothing "docker-stats": "What containers use",
    facts Linux Nothing "docker-logs": "Last lines of a container",
    facts Linux Nothing "podman-ps": "Containers and their state",
    text Linux Nothing "postgres-ready": "Whether PostgreSQL takes connections",
    text Linux Nothing "mysql-status": "Uptime, threads and slow queries of MySQL or MariaDB",
    text Linux Nothing "redis-memory": "Memory of Redis or Valkey",
    text Linux Nothing "cpu": "CPUs as the guest sees them, and their weaknesses",
    text Linux Nothing "pci-devices": "PCI devices",
    text Linux Nothing "kernel-modules": "Modules of the kernel",
    facts Linux Nothing "logged-in": "Who is logged in",
    text Linux Nothing "last-logins": "The last who logged in, and restarts",
    text Linux Nothing "selinux": "Whether SELinux enforces",
    facts Windows Nothing "windows-system": "System, updates and memory",
    text Windows Nothing "windows-hostname": "Name of the guest",
    text Windows Nothing "windows-boot": "Entries of the boot manager",
    facts Windows Nothing "windows-processes": "Processes and their memory",
    facts Windows Nothing "windows-counters": "CPU, memory, paging and disk queue, second by second",
    facts Windows Nothing "windows-services": "Services and their state",
    facts Windows Nothing "windows-service": "One service and its state",
    text Windows Nothing "windows-service-config": "How one service is started",
    text Windows Nothing "windows-scheduled-tasks": "Scheduled tasks and when they run",
    facts Windows Nothing "windows-disk-free": "Size and free space of a drive",
    text Windows Nothing "windows-disk-dirty": "Whether a drive wants to be checked",
    text Windows Nothing "windows-shadow-storage": "Space of shadow copies",
    facts Windows Nothing "windows-vss-writers": "Writers of shadow copies and their errors, which break backups",
    text Windows Nothing "windows-addresses": "Addresses, name servers and DHCP",
    text Windows Nothing "windows-routes": "Routes",
    facts Windows Nothing "windows-sockets": "What listens and is connected, by process id",
    text Windows Nothing "windows-network-counters": "Counters of IP, TCP and UDP",
    text Windows Nothing "windows-arp": "Neighbours by ARP",
    text Windows Nothing "windows-firewall": "State of the firewall by profile",
    facts Windows Nothing "windows-time": "Whether the clock is synchronised, and with what",
    text Windows Nothing "windows-time-peers": "Time servers",
    facts Windows Nothing "windows-sessions": "Who is logged in",
    facts Windows Nothing "windows-events": "Newest critical events and errors of a log",
    text Windows Nothing "windows-drivers": "Drivers and their dates",
};

const fn question(systems: Systems, needs: Needs, id: &'static str, title: &'static str) -> Known {
    Known {
        id,
        title,
        systems,
        needs,
        is_question: true,
        is_text: false,
    }
}

const fn facts(systems: Systems, needs: Needs, id: &'static str, title: &'static str) -> Known {
    Known {
        is_question: false,
        ..question(systems, needs, id, title)
    }
}

const fn text(systems: Systems, needs: Needs, id: &'static str, title: &'static str) -> Known {
    Known {
        is_text: true,
        ..facts(systems, needs, id, title)
    }
}

pub(super) fn find(id: &str) -> Option<&'static Known> {
    COMMANDS.iter().find(|known| known.id == id)
}

/// What is asked, without what is left at its default and what says only how much:
/// equal for two requests that ask the same.
pub(super) fn asked<'a>(
    command: &str,
    arguments: &'a [(String, String)],
) -> Vec<(&'a str, &'a str)> {
    let mut asked: Vec<(&str, &str)> = arguments
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, value)| {
            !AMOUNTS.contains(name) && !DEFAULTS.contains(&(command, *name, *value))
        })
        .collect();
    asked.sort_unstable();
    asked.dedup();
    asked
}

impl Known {
    /// It makes sense on this system, as far as that is known.
    pub(super) fn fits(&self, system: System) -> bool {
        let family = match self.systems {
            All => true,
            Linux => system.family == GuestSystem::Linux,
            LinuxAndWindows => matches!(system.family, GuestSystem::Linux | GuestSystem::Windows),
            Windows => system.family == GuestSystem::Windows,
        };
        family && self.needs.may_be_in(system.distribution)
    }

    /// The guest's tools are `BusyBox`, and this one wants more.
    pub(super) fn is_second_choice(&self, system: System) -> bool {
        match self.needs {
            Needs::FullTools => system.distribution == Distribution::Alpine,
            Needs::BusyBox => system.distribution != Distribution::Alpine,
            _ => false,
        }
    }
}

impl Needs {
    fn may_be_in(self, distribution: Distribution) -> bool {
        use Distribution as Of;
        match self {
            Self::Nothing | Self::FullTools | Self::BusyBox => true,
            Self::Systemd => distribution != Of::Alpine,
            Self::OpenRc => matches!(distribution, Of::Alpine | Of::Unknown),
            Self::Debian => matches!(distribution, Of::Debian | Of::Ubuntu | Of::Unknown),
            Self::Rpm => matches!(distribution, Of::RedHat | Of::Suse | Of::Unknown),
            Self::Apk => matches!(distribution, Of::Alpine | Of::Unknown),
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
