//! Reasons, ranks, findings and names.

use super::*;
use GuestSystem::{Linux, Other, Unknown, Windows};

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
            !lines.iter().any(|line| line.contains("unit=")),
            "{issue}: {lines:?}"
        );
    }
    let long = format!("{}.service", "a".repeat(121));
    assert!(!first(&long).contains("unit="));
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
