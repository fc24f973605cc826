//! What complaints are about, and the words that tell it.

use super::issue::Issue;
use crate::guest_command::workflow::Workflow;

/// What a complaint is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    Space,
    ReadOnly,
    Slow,
    Cpu,
    Memory,
    Disk,
    Raid,
    Network,
    Names,
    Ports,
    Service,
    Web,
    PostgreSql,
    MySql,
    Redis,
    Container,
    Time,
    Boot,
    Restarted,
    Update,
    Login,
    Backup,
    Certificate,
    OpenFiles,
    GuestAgent,
    Hardware,
    Errors,
}

/// A topic with its words: those that hardly mean anything else, and those that may.
#[derive(Debug)]
struct Words {
    topic: Topic,
    plain: &'static [&'static str],
    vague: &'static [&'static str],
}

/// A topic that a complaint is about.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) topic: Topic,
    /// Words of the table, as people read them.
    pub(super) words: Vec<&'static str>,
    pub(super) weight: u32,
}

const PLAIN: u32 = 4;
const VAGUE: u32 = 2;
/// Many words for one topic are no more than a few.
const MOST: u32 = 10;

const fn words(
    topic: Topic,
    plain: &'static [&'static str],
    vague: &'static [&'static str],
) -> Words {
    Words {
        topic,
        plain,
        vague,
    }
}

#[rustfmt::skip]
const TABLE: &[Words] = &[
    words(Topic::Space,
        &["no space", "out of space", "space left", "disk space", "free space", "disk full",
          "disk is full", "full disk", "drive is full", "drive full", "partition is full", "low on space",
          "running out of space", "fill* up", "inode*", "enospc", "disk usage", "storage is full"],
        &["full", "space", "quota", "grow*"]),
    words(Topic::ReadOnly,
        &["read only", "readonly", "remount*", "fsck", "chkdsk", "corrupt*", "emergency ro"],
        &["filesystem", "file system", "cannot write", "cant write", "damaged"]),
    words(Topic::Slow,
        &["slow*", "sluggish", "lag", "lags", "laggy", "lagging", "unresponsive", "stutter*", "crawl*",
          "performance", "latency", "takes forever", "takes ages", "takes very long", "takes too long",
          "takes minutes", "response time*", "freez*", "hang", "hangs", "hanging", "hung", "stall*"],
        &["not responding", "not respond", "stuck", "timeout*", "time out", "times out", "timing out", "wait*"]),
    words(Topic::Cpu,
        &["cpu*", "processor*", "load average", "high load", "system load", "load is", "steal", "vcpu*"],
        &["load", "busy", "fan"]),
    words(Topic::Memory,
        &["memory", "ram", "oom*", "swap*", "out of memory", "cannot allocate", "heap", "balloon*"],
        &["leak*", "killed", "gets killed", "paging"]),
    words(Topic::Disk,
        &["iowait", "io wait", "i o", "disk io", "disk is slow", "slow disk*", "iops", "bad sector*", "io error*",
          "disk error*"],
        &["disk*", "storage", "ssd", "hdd", "lvm", "ext4", "xfs", "ntfs", "mount*", "volume*"]),
    words(Topic::Raid,
        &["raid*", "mdadm", "md0", "degraded array", "zpool", "zfs", "scrub"],
        &["degraded", "resync*", "rebuild*"]),
    words(Topic::Network,
        &["network*", "internet", "unreachable", "offline", "packet loss", "packets", "nic", "vlan*", "dhcp", "gateway",
          "no ip", "ip address*", "default route", "no link", "link down", "mtu", "bandwidth", "no connectivity",
          "no route", "cant ping", "cannot ping", "not ping*", "ethernet", "networkd"],
        &["connect*", "reach*", "ping*", "route*", "routing", "interface*", "vpn", "wireguard", "download*",
          "upload*", "outside"]),
    words(Topic::Names,
        &["dns", "resolv*", "name resolution", "nameserver*", "nxdomain", "unknown host", "hostname*", "lookup*"],
        &["domain", "names"]),
    words(Topic::Ports,
        &["connection refused", "refuse* connection*", "refused", "port*", "firewall*", "iptables", "nftables",
          "listen*", "conntrack", "too many connections"],
        &["blocked", "sockets", "connections"]),
    words(Topic::Service,
        &["service*", "daemon*", "systemd*", "wont start", "doesnt start", "does not start", "not start*",
          "failed to start", "fails to start", "not running", "stopped", "crash*", "keeps dying", "keeps restarting",
          "restart loop", "segfault*", "core dump*", "spooler", "cron*", "timer*"],
        &["down", "dead", "died", "dies", "unit*", "restart*", "broken", "not work*", "doesnt work", "app", "application",
          "process*", "mail", "server"]),
    words(Topic::Web,
        &["web server*", "webserver*", "website*", "web site*", "web page*", "http*", "502", "503", "504", "bad gateway",
          "gateway timeout", "nginx", "apache*", "iis", "wordpress", "nextcloud", "haproxy", "caddy"],
        &["site*", "page*", "500", "shop", "php*"]),
    words(Topic::PostgreSql, &["postgres*", "pgsql", "psql"], &["database*", "db"]),
    words(Topic::MySql, &["mysql*", "mariadb*", "galera", "innodb"], &["database*", "db"]),
    words(Topic::Redis, &["redis*", "valkey*"], &[]),
    words(Topic::Container,
        &["docker*", "container*", "podman", "compose"],
        &["image*", "pod", "pods", "kubernetes", "k3s", "k8s", "swarm"]),
    words(Topic::Time,
        &["clock*", "ntp*", "chrony*", "wrong time", "time is wrong", "time drift*", "drift*", "time sync*", "timezone",
          "time zone", "hours off", "hour off", "minutes off", "seconds off", "minutes behind", "minutes ahead", "skew*",
          "hours behind", "hours ahead", "w32time", "timesync*", "system time", "in the future", "date is wrong",
          "wrong date"],
        &["kerberos", "totp", "synchroni*"]),
    words(Topic::Boot,
        &["boot*", "grub", "emergency mode", "emergency shell", "initramfs", "kernel panic", "panic*", "black screen",
          "blue screen", "bluescreen", "bsod", "maintenance mode", "rescue mode", "fstab", "stuck at start*",
          "stopcode", "stop code", "vm does not start", "vm doesnt start", "vm wont start", "dracut"],
        &["startup", "start up", "starting", "login prompt"]),
    words(Topic::Restarted,
        &["reboot*", "restarted itself", "restarted by itself", "unexpected* shut*", "shut* down", "uptime", "power loss",
          "power outage", "reset itself", "restarts itself"],
        &["restarted", "crash*", "by itself", "overnight"]),
    words(Topic::Update,
        &["update*", "upgrade*", "patch*", "apt", "dpkg", "dnf", "yum", "apk", "outdated", "cve*"],
        &["package*", "version*", "install*", "kernel"]),
    words(Topic::Login,
        &["login*", "log in", "logging in", "logged in", "logon*", "log on", "password*", "permission denied", "locked out",
          "brute force", "authenticat*", "who is on", "rdp", "remote desktop", "intrusion", "hacked", "compromised"],
        &["ssh*", "user*", "session*", "account*", "access"]),
    words(Topic::Backup,
        &["backup*", "vss", "shadow cop*", "snapshot*", "vzdump", "fsfreeze", "fs freeze", "quiesc*", "frozen"],
        &["inconsistent", "freeze"]),
    words(Topic::Certificate,
        &["certificate*", "cert", "certs", "ssl", "tls", "https error*", "letsencrypt", "certbot", "x509"],
        &["expire*"]),
    words(Topic::OpenFiles,
        &["too many open files", "open files", "file descriptor*", "file handle*", "emfile", "nofile", "ulimit"], &[]),
    words(Topic::GuestAgent,
        &["guest agent", "qemu agent", "qemu ga", "agent not running", "agent is not running", "agent not respond*"],
        &["agent"]),
    words(Topic::Hardware,
        &["driver*", "virtio*", "pci*", "passthrough", "gpu", "usb", "hotplug*", "lscpu"],
        &["device*", "hardware", "cores", "core"]),
    words(Topic::Errors,
        &["log says", "logs say", "error in the log", "dmesg", "journal*", "syslog", "event log*", "eventlog", "kernel log"],
        &["error*", "fail*", "log", "logs", "warning*", "events", "exception*", "strange", "weird", "wrong",
          "not working", "problem*", "issue*"]),
];

impl Topic {
    /// What the issue is about, the most certain first.
    pub(super) fn of(issue: &Issue) -> Vec<Found> {
        let mut found: Vec<Found> = TABLE.iter().filter_map(|row| row.find(issue)).collect();
        // Stable: the order of the table decides between those that are as certain.
        found.sort_by_key(|found| std::cmp::Reverse(found.weight));
        found
    }

    pub(super) fn workflow(self) -> Option<Workflow> {
        match self {
            Self::Slow | Self::Cpu | Self::Disk => Some(Workflow::SlowGuest),
            Self::Space => Some(Workflow::DiskFull),
            Self::Network | Self::Names | Self::Ports => Some(Workflow::NoNetwork),
            Self::Service
            | Self::Web
            | Self::PostgreSql
            | Self::MySql
            | Self::Redis
            | Self::Container => Some(Workflow::ServiceDown),
            Self::Memory => Some(Workflow::HighMemory),
            Self::Time => Some(Workflow::TimeDrift),
            Self::Boot | Self::Restarted | Self::ReadOnly => Some(Workflow::WillNotBoot),
            Self::Raid
            | Self::Update
            | Self::Login
            | Self::Backup
            | Self::Certificate
            | Self::OpenFiles
            | Self::GuestAgent
            | Self::Hardware
            | Self::Errors => None,
        }
    }
}

impl Words {
    fn find(&self, issue: &Issue) -> Option<Found> {
        let said = |words: &'static [&'static str]| {
            let all = words.iter().copied();
            all.filter(|word| issue.says(word)).collect::<Vec<_>>()
        };
        let (plain, vague) = (said(self.plain), said(self.vague));
        let weight = |words: &[&str], each: u32| {
            u32::try_from(words.len())
                .unwrap_or(u32::MAX)
                .saturating_mul(each)
        };
        let sum = weight(&plain, PLAIN).saturating_add(weight(&vague, VAGUE));
        (sum > 0).then(|| Found {
            topic: self.topic,
            words: plain.into_iter().chain(vague).collect(),
            weight: sum.min(MOST),
        })
    }
}

/// All patterns.
#[cfg(test)]
pub(super) fn patterns() -> impl Iterator<Item = &'static str> {
    let of = |row: &'static Words| row.plain.iter().chain(row.vague).copied();
    TABLE.iter().flat_map(of)
}
