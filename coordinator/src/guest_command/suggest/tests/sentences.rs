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
    (Linux, "/var/log is full again", "fsinfo", "disk-full"),
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
    (Linux, "eth0 is down", "link interface=eth0", ""),
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
    (
        Linux,
        "QEMU guest agent is not running",
        "ping",
        "service-down",
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

#[test]
fn reasons_are_told() {
    let suggestions = of(Windows, "SLOWLY getting unusable; the CPU is busy");
    assert_eq!(
        reasons(&suggestions, "windows-counters"),
        [
            "the issue says \"slow\"",
            "the issue says \"cpu\"",
            "the issue says \"busy\"",
            "the guest runs Windows",
        ]
    );
    let suggestions = of(Linux, "please have a look");
    assert_eq!(
        lines(&suggestions),
        [
            "osinfo",
            "fsinfo",
            "uptime",
            "load",
            "memory",
            "failed-units"
        ]
    );
    let honest = "nothing in the issue or in the findings was recognised: a general look";
    assert_eq!(reasons(&suggestions, "osinfo"), [honest]);
    assert_eq!(
        reasons(&suggestions, "load"),
        [honest, "the guest runs Linux"]
    );
    let suggestions = of(Other, "so slow");
    assert_eq!(lines(&suggestions), ["osinfo", "fsinfo"]);
    assert_eq!(suggestions.workflows[0].workflow, "slow-guest");
}

#[test]
fn several_troubles_share_the_room() {
    let suggestions = of(Linux, "disk full and the network is down");
    assert_eq!(
        lines(&suggestions)[..4],
        ["fsinfo", "network-interfaces", "disk-usage", "links"]
    );
    let workflows = suggestions.workflows.iter();
    let workflows: Vec<&str> = workflows.map(|suggestion| suggestion.workflow).collect();
    assert_eq!(workflows, ["disk-full", "no-network"]);
    // The kernel's log is asked for by both, and comes first.
    let suggestions = of(Linux, "slow, then oom");
    assert_eq!(
        lines(&suggestions)[..3],
        ["pressure", "memory", "kernel-log"]
    );
    let two = [
        "the issue says \"slow\"",
        "the issue says \"oom\"",
        "the guest runs Linux",
    ];
    assert_eq!(reasons(&suggestions, "kernel-log"), two);
}

#[test]
fn what_is_not_known_is_asked_first() {
    let suggestions = of(Unknown, "network down");
    assert_eq!(
        lines(&suggestions)[..3],
        ["osinfo", "network-interfaces", "links"]
    );
    let why = "what the guest runs is not known: this works if it is Linux";
    assert!(reasons(&suggestions, "links").contains(&why));
    let suggestions = of(Unknown, "task manager shows high CPU");
    assert_eq!(lines(&suggestions)[..2], ["osinfo", "windows-counters"]);
    let why = "the guest seems to run Windows: the issue says \"task manager\"";
    assert!(reasons(&suggestions, "windows-counters").contains(&why));
    let suggestions = of(Unknown, "windows clients cannot reach the debian server");
    assert_eq!(lines(&suggestions), ["osinfo", "network-interfaces"]);
    let suggestions = suggest(&Situation {
        issue: "",
        system: Unknown,
        findings: &[("guest.windows.vss_failing", "VSS writers fail")],
    });
    assert!(lines(&suggestions).contains(&"windows-vss-writers".to_owned()));
}

#[test]
fn findings_call_for_commands() {
    let with = |findings: &[(&str, &str)]| {
        suggest(&Situation {
            issue: "",
            system: Linux,
            findings,
        })
    };
    let suggestions = with(&[("guest-fs-full", "A file system\u{1b}[31m is full")]);
    assert_eq!(suggestions.workflows[0].workflow, "disk-full");
    assert_eq!(
        reasons(&suggestions, "fsinfo"),
        ["open finding guest-fs-full: A file system\u{fffd}[31m is full"]
    );
    assert_eq!(lines(&with(&[("guest.mem.saturated", "x")]))[0], "memory");
    assert_eq!(lines(&with(&[("guest.cpu.saturated", "x")]))[0], "pressure");
    // By its words, where the id is not known.
    let suggestions = with(&[("new.check", "The clock drifts")]);
    assert_eq!(suggestions.workflows[0].workflow, "time-drift");
    // Settings in Proxmox VE: the guest knows nothing of them.
    let suggestions = with(&[
        ("guest.cpu.type", "CPU type is slow"),
        ("ct.privileged", "users"),
    ]);
    assert!(suggestions.workflows.is_empty());
    assert_eq!(lines(&suggestions)[0], "osinfo");
}

#[test]
fn names_have_the_strict_form() {
    let first = |issue: &str| lines(&of(Linux, issue))[0].clone();
    assert_eq!(first("look at (foo.timer)."), "unit-status unit=foo.timer");
    for issue in [
        "look at -foo.service",
        "look at a/b.service",
        "look at $(x).service",
        "look at *.service",
        "look at ünit.service",
        "look at foo.conf",
        "look at .service",
    ] {
        let lines = lines(&of(Linux, issue));
        assert!(
            !lines.iter().any(|line| line.contains('=')),
            "{issue}: {lines:?}"
        );
    }
    let long = format!("{}.service", "a".repeat(121));
    assert!(!first(&long).contains('='));
    assert_eq!(first("bond0.100"), "link interface=bond0.100");
    assert_eq!(first("enx525400a1b2c3"), "link interface=enx525400a1b2c3");
    assert_eq!(first("enx525400a1b2c3d4"), "osinfo");
    assert_eq!(first("broken"), "osinfo");
    // A name of Linux says nothing in Windows, and the other way round.
    assert_eq!(lines(&of(Windows, "eth0"))[0], "osinfo");
    assert_eq!(first("D:"), "osinfo");
    assert!(
        lines(&of(Linux, "/var/log/apt full"))
            .contains(&"directory-usage directory=var-log".to_owned())
    );
}
