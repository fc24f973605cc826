//! Troubles that people write about, by the words they use, and what is asked then.

use super::names::Kind;

/// A kind of trouble.
#[derive(Debug)]
pub(super) struct Topic {
    /// Phrases that call for it, as `Words::matches` reads them.
    pub calls: &'static str,
    /// What ids of findings begin with, in words: `guest cpu|guest mem`.
    pub findings: &'static str,
    /// Commands, the most telling first, as [`asks`] reads them: questions to the guest
    /// agent that every system answers, and what the two systems have beyond.
    pub any: &'static str,
    pub linux: &'static str,
    pub windows: &'static str,
    pub workflow: Option<&'static str>,
    /// Names that belong to it.
    pub takes: Option<Kind>,
}

/// A command with its arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ask {
    pub command: &'static str,
    pub arguments: Vec<(&'static str, String)>,
}

/// `load processes:by=cpu`: commands with their arguments.
pub(super) fn asks(list: &'static str) -> impl Iterator<Item = Ask> {
    list.split_whitespace().map(|ask| {
        let mut parts = ask.split(':');
        let command = parts.next().unwrap_or_default();
        let arguments = parts.filter_map(|part| part.split_once('='));
        Ask {
            command,
            arguments: arguments
                .map(|(name, value)| (name, value.to_owned()))
                .collect(),
        }
    })
}

/// What is asked when nothing calls for anything.
pub(super) const GENERAL: Topic = Topic {
    calls: "",
    findings: "",
    any: "osinfo fsinfo",
    linux: "uptime load memory failed-units",
    windows: "windows-system windows-processes windows-services",
    workflow: None,
    takes: None,
};

/// Words that tell the system of a guest where nothing else does.
pub(super) const SAYS_WINDOWS: &str = "windows|rdp|remote desktop|iis|active directory|domain \
    controller|bsod|blue screen|bluescreen|vss|shadow cop*|event log|event viewer|powershell|\
    sql server|mssql|task manager|spooler|w32time|virtio win|svchost|c drive|drive c|wsus";
pub(super) const SAYS_LINUX: &str = "linux|systemd|systemctl|journalctl|journald|debian|\
    ubuntu|centos|rhel|rocky|almalinux|fedora|alpine|opensuse|apt|dpkg|dnf|yum|openrc|kernel \
    panic|grub|initramfs|fstab|inode*|oom killer|cron|sshd|iptables|nftables|selinux|sudo|\
    bash|podman";

/// What ids of findings begin with that are about settings in Proxmox VE: there is
/// nothing to ask in the guest.
pub(super) const QUIET: &str = "guest cpu type|guest cpu topology|guest cpu host|guest cpu \
    model|guest cpu mitigation|guest cpu oversized|guest disk cache|guest disk aio|guest disk \
    unused|guest disk iothread|guest disk no discard|guest disk error|guest disk missing|\
    guest mem oversized|guest mem balloon misuse|guest nic|guest boot config|guest efi|guest \
    tpm|guest hw|guest machine|guest qemu|guest custom|guest passthrough|guest cdrom|guest \
    migration|guest pending|guest lock|guest snapshot|ct privileged|ct features|ct \
    confinement|ct cgroup|ct bind|ct data|ct inner";

/// Services of any kind.
const SERVICES: Topic = Topic {
    calls: "service|services|daemon*|unit|units|crash*|segfault*|core dump*|keeps restarting|\
        restarts .. itself|restart* .. loop|restart loop*|crash loop*|crashloop*|restarts all \
        the time|keeps dying|keeps stopping|died|exited|exit code|exit status|failed to start|\
        fails to start|fail* .. start|not start|won't start|doesn't start|can't start|cannot \
        start|not running|isn't running|stopped working|systemd|systemctl|502|503|504|bad \
        gateway|gateway timeout|service unavailable|internal server error|website .. down|\
        site .. down|app .. down|web server|webserver|spooler",
    findings: "guest service|guest unit",
    any: "",
    linux: "failed-units journal:priority=error system-state kernel-log openrc-status",
    windows: "windows-services windows-events:log=system windows-events:log=application",
    workflow: Some("service-down"),
    takes: Some(Kind::Service),
};

/// The topics, in the order in which they are named where nothing else decides.
pub(super) const TOPICS: &[Topic] = &[
    // Performance.
    Topic {
        calls: "slow*|sluggish*|lag|lags|laggy|lagging|performance|unresponsive|not \
            responding|not respond|hang|hangs|hanging|hung|freezes|freezing|frozen|stutter*|\
            high load|load|load average|cpu|cpus|processor|100 cpu|cpu usage|cpu .. 100|high \
            cpu|steal|takes forever|takes ages|takes .. long|takes .. seconds|takes .. \
            minutes|takes .. hours|bottleneck*|overload*|throttl*|response time*|latency|busy",
        findings: "guest cpu|guest load|ct limits",
        any: "",
        linux: "pressure load vmstat processes:by=cpu memory disk-statistics kernel-log",
        windows: "windows-counters windows-processes windows-system windows-events:log=system",
        workflow: Some("slow-guest"),
        takes: None,
    },
    // Disks that are full.
    Topic {
        calls: "disk .. full|drive .. full|volume .. full|partition .. full|filesystem .. \
            full|file system .. full|root .. full|var .. full|home .. full|tmp .. full|boot \
            .. full|log .. full|storage .. full|full disk|full drive|disk space|free space|no \
            space|space left|out of space|out of disk|low space|low on space|low on disk|\
            running out of space|run out of space|enospc|inode*|disk usage|disk quota|quota \
            exceeded|logs .. grow*|log .. huge|log rotat*|logrotate|cannot write|can't write|\
            volume c|c drive",
        findings: "guest fs|guest disk full|guest disk space|guest inodes",
        any: "fsinfo",
        linux: "disk-usage inodes deleted-files directory-usage:directory=root \
            directory-usage:directory=var",
        windows: "windows-disk-free:drive=c windows-shadow-storage windows-system",
        workflow: Some("disk-full"),
        takes: Some(Kind::Place),
    },
    // Disks that are slow or broken.
    Topic {
        calls: "i/o|io wait|iowait|iops|disk .. slow*|slow disk*|disk latency|storage .. \
            slow*|slow storage|slow writes|slow reads|disk .. busy|disk .. 100|disk queue|\
            await|read only|readonly|remount*|i/o error*|io error*|disk error*|bad sector*|\
            corrupt*|fsck|chkdsk|ext4 error*|xfs|smart error*|raid|mdadm|md0|lvm|zfs",
        findings: "guest disk|guest state io error",
        any: "fsinfo",
        linux: "disk-statistics pressure kernel-log mounts block-devices md-arrays",
        windows: "windows-counters windows-disk-dirty:drive=c windows-events:log=system \
            guest-disks",
        workflow: Some("slow-guest"),
        takes: None,
    },
    // Memory.
    Topic {
        calls: "memory|ram|oom|oom killer|oomkill*|oom kill*|out of memory|outofmemory*|\
            memory leak*|leak*|swap|swapping|swaps|paging|pagefile|page file|memory .. full|\
            cannot allocate memory|can't allocate|java heap|heap space|balloon*|low memory",
        findings: "guest mem",
        any: "",
        linux: "memory processes:by=memory kernel-log pressure meminfo swaps",
        windows: "windows-system windows-processes windows-counters windows-events:log=system",
        workflow: Some("high-memory"),
        takes: None,
    },
    // Network.
    Topic {
        calls: "network*|no network|no internet|internet|offline|connectivity|no connection|\
            connect|connects|connecting|connection|connections|connection refused|connection \
            reset|connection .. timed out|timed out|times out|timeout*|unreachable|not \
            reachable|reach|can't reach|cannot reach|ping|pings|pinging|packet loss|dropped \
            packets|drops packets|dns|resolve|resolves|resolver|resolving|name resolution|\
            nxdomain|resolv conf|dhcp|ip address*|no ip|gateway|route|routes|routing|\
            firewall*|iptables|nftables|ufw|port|ports|listen*|socket*|sockets|nic|interface|\
            link down|link is down|vlan|mtu|conntrack|vpn|bandwidth|ipv4|ipv6|rdp|remote \
            desktop",
        findings: "guest net|guest ip|guest mac|guest network",
        any: "network-interfaces",
        linux: "links routes resolv-conf listening-sockets socket-summary conntrack \
            firewall-nft",
        windows: "windows-addresses windows-routes windows-sockets windows-firewall",
        workflow: Some("no-network"),
        takes: Some(Kind::Interface),
    },
    // Start of the guest.
    Topic {
        calls: "boot|boots|booting|booted|won't boot|not boot|doesn't boot|can't boot|cannot \
            boot|not booting|boot loop*|reboot loop*|stuck .. boot*|vm .. not start*|vm .. \
            won't start|vm .. doesn't start|guest .. not start*|guest .. won't start|guest .. \
            doesn't start|machine .. not start*|machine .. won't start|kernel panic*|panic*|\
            grub|initramfs|emergency mode|rescue mode|fstab|bsod|blue screen*|bluescreen*|\
            startup|uefi|unexpected reboot*|rebooted .. itself|reboots .. itself|restarted .. \
            itself|reboots randomly|random reboot*|keeps rebooting|unexpected shutdown|shut \
            down .. itself",
        findings: "guest boot|guest state unexpected stop",
        any: "ping",
        linux: "system-state failed-units journal:priority=error previous-boot-journal \
            kernel-log mounts boot-blame",
        windows: "windows-events:log=system windows-services windows-disk-dirty:drive=c \
            windows-boot",
        workflow: Some("will-not-boot"),
        takes: None,
    },
    SERVICES,
    // Clocks.
    Topic {
        calls: "clock*|time drift*|drift*|wrong time|time is wrong|time .. wrong|time .. off|\
            time .. behind|time .. ahead|time jumps|time sync*|sync* .. time|ntp|ntpd|chrony*|\
            timesyncd|w32time|timezone|time zone|wrong date|date is wrong|not yet valid|\
            certificate*|clock skew|kerberos|in the future|totp|minutes behind|minutes ahead|\
            seconds behind|seconds ahead",
        findings: "guest time|guest clock",
        any: "guest-time timezone",
        linux: "time-status chrony-tracking ntp-peers",
        windows: "windows-time windows-time-peers windows-service:service=W32Time",
        workflow: Some("time-drift"),
        takes: None,
    },
    // Packages.
    Topic {
        calls: "update|updates|updated|updating|upgrade|upgrades|upgraded|upgrading|\
            upgradable|outdated|patch|patches|patched|patching|package*|apt|dpkg|dnf|yum|apk|\
            rpm|wsus|security fix*|cve*|vulnerab*|reboot required|needs .. reboot|pending \
            reboot|end of life|eol|hotfix*|kernel version",
        findings: "guest os|guest updates|guest packages|guest windows virtio",
        any: "osinfo",
        linux: "apt-upgradable reboot-required dpkg-audit dnf-updates apk-updates \
            kernel-version",
        windows: "windows-system devices windows-events:log=setup \
            windows-service:service=wuauserv",
        workflow: None,
        takes: None,
    },
    // Users.
    Topic {
        calls: "login*|log in|logon*|log on|logged in|logged on|signed in|sign in|session*|\
            ssh|password*|brute force*|bruteforce*|hack*|compromis*|intrusion*|intruder*|\
            malware|miner|cryptominer|virus|ransomware|suspicious*|security|unauthori*|\
            attack*|permission denied|access denied|selinux|sudo|locked out|who is on|user \
            account*|new user*|unknown user*|unknown account*",
        findings: "guest users|guest login|guest security",
        any: "users",
        linux: "last-logins log-file:log=auth log-file:log=secure logged-in listening-sockets \
            processes:by=cpu selinux",
        windows: "windows-sessions windows-sockets windows-processes windows-scheduled-tasks",
        workflow: None,
        takes: None,
    },
    // Things that run by the clock.
    Topic {
        calls: "cron|crond|crontab|cronjob*|cron job*|timers|systemd timer*|scheduled task*|\
            scheduled job*|task scheduler|nightly job*",
        findings: "guest timer",
        any: "",
        linux: "timers unit-journal:unit=cron.service log-file:log=cron time-status",
        windows: "windows-scheduled-tasks windows-service:service=Schedule",
        workflow: None,
        takes: None,
    },
    // Limits of the kernel.
    Topic {
        calls: "too many open files|open files|file handle*|file descriptor*|emfile|enfile|\
            ulimit|nofile|cannot fork|can't fork|fork failed|too many processes",
        findings: "guest limits",
        any: "",
        linux: "open-files processes:by=memory socket-summary kernel-log",
        windows: "windows-processes windows-sockets",
        workflow: None,
        takes: None,
    },
    // Hardware.
    Topic {
        calls: "gpu|gpus|vgpu|nvidia|usb|pci|pcie|passthrough|hardware|driver|drivers|kernel \
            module*|device manager|hotplug*|hot plug*",
        findings: "guest windows virtio",
        any: "",
        linux: "pci-devices kernel-modules kernel-log vcpus cpu",
        windows: "devices windows-drivers vcpus windows-events:log=system",
        workflow: None,
        takes: None,
    },
    // Containers.
    Topic {
        calls: "docker*|container|containers|podman*|compose|containerd|kubernetes|k8s|k3s|\
            kubelet|pod|pods|portainer|swarm",
        findings: "guest container|ct docker",
        any: "",
        linux: "docker-ps podman-ps docker-stats unit-status:unit=docker.service \
            directory-usage:directory=docker",
        windows: "windows-services windows-processes",
        workflow: Some("service-down"),
        takes: None,
    },
    // Databases.
    Topic {
        calls: "database*|db|mysql*|mariadb*|postgres*|pgsql|redis*|valkey|mongo*|sql server|\
            mssql|sqlserver|galera|influxdb|elasticsearch|oracle|queries|query|deadlock*|\
            replication lag",
        findings: "guest database",
        any: "",
        linux: "postgres-ready mysql-status redis-memory processes:by=memory pressure",
        windows: "windows-service:service=MSSQLSERVER windows-events:log=application \
            windows-counters",
        workflow: None,
        takes: None,
    },
    // Backups and the guest agent.
    Topic {
        calls: "backup*|back up|vzdump|pbs|snapshot*|freeze|fsfreeze|fs freeze|guest \
            fsfreeze*|thaw*|quiesc*|vss|shadow cop*|shadow copy|writer*|guest agent|qemu \
            agent|qemu ga|qemu guest agent|qga|freeze .. timeout|backup .. timeout|snapshot \
            .. timeout|agent .. not running|agent .. not respond*|agent .. timeout|virtio*",
        findings: "guest agent|guest windows vss",
        any: "ping fsfreeze-status agent-info",
        linux: "unit-status:unit=qemu-guest-agent.service \
            unit-journal:unit=qemu-guest-agent.service mounts",
        windows: "windows-vss-writers windows-shadow-storage windows-service:service=QEMU-GA \
            windows-events:log=application",
        workflow: None,
        takes: None,
    },
];
