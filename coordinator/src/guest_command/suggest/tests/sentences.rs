//! What people write, and where it leads.

use super::*;
use GuestSystem::{Linux, Other, Unknown, Windows};

/// A sentence, the first command and the first workflow.
const SENTENCES: &[(GuestSystem, &str, &str, &str)] = &[
    // Performance.
    (
        Linux,
        "The VM is very slow since this morning",
        "pressure",
        "slow-guest",
    ),
    (
        Linux,
        "load average is at 40 and climbing",
        "pressure",
        "slow-guest",
    ),
    (Linux, "CPU at 100% all the time", "pressure", "slow-guest"),
    (
        Windows,
        "Server feels sluggish, users complain about lag",
        "windows-counters",
        "slow-guest",
    ),
    (
        Linux,
        "the machine hangs for seconds, then it works again",
        "pressure",
        "slow-guest",
    ),
    // Disks.
    (Linux, "No space left on device", "fsinfo", "disk-full"),
    (
        Linux,
        "the disk of web-1 is 99 % full",
        "fsinfo",
        "disk-full",
    ),
    (
        Linux,
        "/var/log is full again",
        "directory-usage directory=var-log",
        "disk-full",
    ),
    (
        Windows,
        "C drive almost full, need to know why",
        "fsinfo",
        "disk-full",
    ),
    (
        Windows,
        "Low disk space on D:",
        "windows-disk-free drive=d",
        "disk-full",
    ),
    (Linux, "we ran out of inodes", "fsinfo", "disk-full"),
    (
        Linux,
        "root filesystem went read-only",
        "fsinfo",
        "slow-guest",
    ),
    (
        Linux,
        "high iowait, I/O errors in the log",
        "fsinfo",
        "slow-guest",
    ),
    // Memory.
    (
        Linux,
        "OOM killer killed our app twice",
        "memory",
        "high-memory",
    ),
    (
        Linux,
        "java.lang.OutOfMemoryError: Java heap space",
        "memory",
        "high-memory",
    ),
    (
        Windows,
        "memory usage is at 95%, probably a memory leak",
        "windows-system",
        "high-memory",
    ),
    (Linux, "it is swapping like crazy", "memory", "high-memory"),
    // Network.
    (
        Linux,
        "Can't reach the VM over the network",
        "network-interfaces",
        "no-network",
    ),
    (
        Linux,
        "DNS does not resolve inside the guest",
        "network-interfaces",
        "no-network",
    ),
    (
        Windows,
        "Connection timed out when connecting by RDP",
        "network-interfaces",
        "no-network",
    ),
    (Linux, "eth0 is down", "link interface=eth0", "no-network"),
    (
        Linux,
        "packet loss on ens18, network flaky",
        "link interface=ens18",
        "no-network",
    ),
    (
        Linux,
        "port 443 is not reachable",
        "network-interfaces",
        "no-network",
    ),
    (
        Other,
        "no internet on the firewall vm",
        "network-interfaces",
        "no-network",
    ),
    // Services.
    (
        Linux,
        "nginx keeps crashing",
        "unit-status unit=nginx.service",
        "service-down",
    ),
    (
        Linux,
        "my-app@2.service failed to start",
        "unit-status unit=my-app@2.service",
        "service-down",
    ),
    (
        Linux,
        "502 bad gateway from the website",
        "failed-units",
        "service-down",
    ),
    (
        Windows,
        "print spooler service stopped working",
        "windows-service service=Spooler",
        "service-down",
    ),
    (
        Windows,
        "IIS does not start",
        "windows-service service=W3SVC",
        "service-down",
    ),
    // Boot.
    (
        Linux,
        "VM won't boot after the power cut",
        "ping",
        "will-not-boot",
    ),
    (Linux, "kernel panic at startup", "ping", "will-not-boot"),
    (
        Windows,
        "Blue screen after restart",
        "ping",
        "will-not-boot",
    ),
    (
        Linux,
        "the guest does not start any more",
        "ping",
        "will-not-boot",
    ),
    // Clocks.
    (
        Linux,
        "the clock is 5 minutes behind",
        "guest-time",
        "time-drift",
    ),
    (
        Linux,
        "certificate is not yet valid",
        "guest-time",
        "time-drift",
    ),
    (
        Windows,
        "Kerberos errors, clock skew too great",
        "guest-time",
        "time-drift",
    ),
    // Packages, users, containers, databases, backups.
    (
        Linux,
        "are there any pending security updates?",
        "osinfo",
        "",
    ),
    (
        Linux,
        "does it need a reboot required by the new kernel version?",
        "osinfo",
        "",
    ),
    (Linux, "who is logged in right now?", "users", ""),
    (Linux, "strange ssh logins, maybe brute force", "users", ""),
    (
        Linux,
        "the container of docker compose is unhealthy",
        "docker-ps",
        "service-down",
    ),
    (
        Linux,
        "postgres database queries pile up",
        "postgres-ready",
        "",
    ),
    (Linux, "backup hangs at fsfreeze", "ping", "slow-guest"),
    (
        Windows,
        "VSS writer failed during vzdump backup",
        "ping",
        "",
    ),
    (Linux, "QEMU guest agent is not running", "ping", ""),
    (
        Linux,
        "mysql is slow, queries take forever",
        "pressure",
        "slow-guest",
    ),
    (
        Linux,
        "my site is down since the last update",
        "failed-units",
        "service-down",
    ),
    (
        Linux,
        "apt upgrade fails, not enough free space in /boot",
        "directory-usage directory=boot",
        "disk-full",
    ),
    (
        Windows,
        "domain controller time is wrong by ten minutes",
        "guest-time",
        "time-drift",
    ),
    (Unknown, "IIS crashes", "osinfo", "service-down"),
    // From tickets.
    (
        Linux,
        "Website returns 504 gateway timeout",
        "failed-units",
        "service-down",
    ),
    (
        Linux,
        "guest-fsfreeze-freeze timeout during the backup",
        "ping",
        "",
    ),
    (
        Linux,
        "mail is not delivered, postfix queue grows",
        "unit-status unit=postfix.service",
        "service-down",
    ),
    (
        Linux,
        "I get 'Read-only file system' when writing to /home",
        "fsinfo",
        "slow-guest",
    ),
    (
        Linux,
        "The VM rebooted by itself last night",
        "ping",
        "will-not-boot",
    ),
    (
        Linux,
        "Users cannot log in, permission denied (publickey)",
        "users",
        "",
    ),
    (
        Linux,
        "VPN users can't reach the file server",
        "network-interfaces",
        "no-network",
    ),
    (
        Linux,
        "high disk latency after migration to ceph",
        "fsinfo",
        "slow-guest",
    ),
    (Linux, "too many open files", "open-files", ""),
    (
        Windows,
        "nightly jobs of the task scheduler did nothing",
        "windows-service service=Schedule",
        "",
    ),
    (
        Windows,
        "the GPU driver is missing after passthrough",
        "devices",
        "",
    ),
    // Nothing that is known.
    (Linux, "please have a look", "osinfo", ""),
    (Windows, "", "osinfo", ""),
    (Unknown, "the vm is slow", "osinfo", "slow-guest"),
];

#[test]
fn sentences_lead_to_commands_and_workflows() {
    let mut wrong = Vec::new();
    for (system, issue, command, workflow) in SENTENCES {
        let suggestions = of(*system, issue);
        let first = suggestions.workflows.first();
        let first = first.map_or("", |first| first.workflow);
        if lines(&suggestions)[0] != *command || first != *workflow {
            wrong.push(format!("{issue}: {:?} {first:?}", lines(&suggestions)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
