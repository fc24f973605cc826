//! Units, containers, clock, updates, logins and the guest itself.

use super::{all, fixtures::*, interpret, whole};

#[test]
fn failed_units_with_and_without_marks() {
    let facts = all("failed-units", FAILED_UNITS);
    let units = facts.units.as_ref().unwrap();
    assert_eq!(
        units.failed,
        ["apt-daily.service", "nginx.service", "srv-data.mount"]
    );
    assert!(units.is_complete);
    assert_eq!(
        facts.words(),
        ["3 units failed: apt-daily.service, nginx.service, srv-data.mount"]
    );
    assert_eq!(all("failed-units", "").words(), ["No unit failed"]);
    // Neither a cut nor an error is good news.
    assert!(!interpret("failed-units", "", true).understood);
    let error = "Failed to connect to bus: No such file or directory\n";
    assert!(!interpret("failed-units", error, false).understood);
    let cut = interpret("failed-units", FAILED_UNITS, true);
    assert!(!cut.units.unwrap().is_complete);
}

#[test]
fn one_unit_with_its_reason() {
    assert_eq!(
        all("unit-status", UNIT_STATUS).words(),
        [
            "nginx.service failed since Wed 2024-05-01 10:00:00 UTC: ended with status 1",
            "nginx.service was started again 5 times",
        ]
    );
    let facts = all("unit-status", UNIT_STATUS_KILLED);
    assert_eq!(
        facts.words(),
        [
            "mysql.service keeps failing and is started again: killed for want of memory",
            "mysql.service was started again 12 times",
            "There is no unit nothere.service",
        ]
    );
    let unit = &all("unit-status", UNIT_STATUS).units.unwrap().units[0];
    assert_eq!(
        (unit.memory_bytes, unit.tasks, unit.exit_status),
        (None, None, Some(1))
    );
}

#[test]
fn states_of_the_system_and_of_openrc() {
    assert_eq!(
        all("system-state", SYSTEM_STATE).words(),
        ["The system runs, but some units failed (degraded)"]
    );
    assert!(!interpret("system-state", "sh: not found\n", false).understood);
    let facts = all("openrc-status", OPENRC_STATUS);
    let units = facts.units.as_ref().unwrap();
    assert_eq!(
        (units.failed.as_slice(), units.running, units.stopped),
        (&["nginx".to_owned()][..], Some(3), Some(1))
    );
    assert_eq!(facts.words()[0], "1 unit failed: nginx");
}

#[test]
fn containers_in_trouble_come_first() {
    let facts = all("docker-ps", DOCKER_PS);
    let names: Vec<&str> = facts
        .containers
        .as_ref()
        .unwrap()
        .containers
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(names, ["shop", "cache", "batch", "db", "worker"]);
    assert_eq!(
        facts.words(),
        [
            "Containers that keep restarting: shop",
            "Unhealthy containers: cache",
            "Containers that ended with an error: batch",
            "Containers that were killed, by hand or for want of memory: worker",
            "5 containers, 2 of them running",
        ]
    );
    assert_eq!(
        all("docker-ps", "").words(),
        ["0 containers, 0 of them running"]
    );
    let podman = r#"[{"Names":["db"],"Image":"x","State":"running","Status":"Up 2 hours"}]"#;
    assert_eq!(all("docker-ps", podman).containers.unwrap().running, 1);
    let cut = interpret("docker-ps", DOCKER_PS.trim_end(), true);
    assert_eq!(cut.containers.unwrap().total, 4);
}

#[test]
fn clocks() {
    let words = |reads, text| all(reads, text).words();
    assert_eq!(
        words("timedatectl", TIMEDATECTL),
        [
            "The clock follows no server (not synchronised)",
            "No time service is switched on"
        ]
    );
    assert_eq!(
        words("chrony-tracking", CHRONY_TRACKING),
        ["The clock is off by 2.5 s against its server 192.0.2.53"]
    );
    let clock = all("chrony-tracking", CHRONY_TRACKING).clock.unwrap();
    assert_eq!(
        (clock.offset_seconds, clock.stratum),
        (Some(-2.500_012), Some(3))
    );
    let none = all("chrony-tracking", CHRONY_TRACKING_NONE).clock.unwrap();
    assert_eq!(
        (none.synchronised, none.offset_seconds),
        (Some(false), None)
    );
    assert_eq!(
        words("rpc-time", RPC_TIME),
        ["Its clock says 2024-05-01 08:00:00 UTC"]
    );
    assert!(!interpret("rpc-time", "17145504", true).understood);
    assert!(!interpret("rpc-time", "9223372036854775807", false).understood);
    assert_eq!(words("rpc-timezone", RPC_TIMEZONE), ["time zone CEST"]);
    assert_eq!(
        words("rpc-timezone", r#"{"offset": -12600}"#),
        ["time zone UTC-03:30"]
    );
}

#[test]
fn updates() {
    let facts = whole("apt-upgradable", APT_UPGRADABLE);
    assert_eq!(
        facts.words()[0],
        "3 updates, 2 of them for security: libc6, nginx, tzdata"
    );
    assert_eq!(facts.updates.unwrap().held_back, Some(1));
    let german = "Paketlisten werden gelesen...\n0 aktualisiert, 0 neu installiert, 0 zu entfernen und 0 nicht aktualisiert.\n";
    assert_eq!(whole("apt-upgradable", german).words(), ["No update waits"]);
    assert!(!interpret("apt-upgradable", "Reading package lists...\n", false).understood);
    let new = "Summary:\n  Upgrading: 0, Installing: 0, Removing: 0, Not Upgrading: 2\n";
    assert_eq!(
        all("apt-upgradable", new).updates.unwrap().held_back,
        Some(2)
    );
    assert!(
        !interpret("apt-upgradable", german, true)
            .words()
            .contains(&"No update waits".to_owned())
    );
    assert_eq!(
        all("reboot-required", REBOOT_REQUIRED)
            .updates
            .unwrap()
            .reboot_required,
        Some(true)
    );
    assert_eq!(
        all("reboot-required", "").updates.unwrap().reboot_required,
        Some(false)
    );
    assert_eq!(interpret("reboot-required", "", true).updates, None);
}

#[test]
fn logins_in_their_forms() {
    let sessions = all("logged-in", LOGGED_IN).sessions.unwrap();
    assert_eq!(sessions[0].from.as_deref(), Some("192.0.2.9"));
    assert_eq!(
        (sessions[1].since.as_deref(), sessions[1].idle.as_deref()),
        (Some("May 1 09:00"), Some("old"))
    );
    let sessions = all("logged-in", LOGGED_IN_BUSYBOX).sessions.unwrap();
    assert_eq!(sessions[0].from.as_deref(), Some("192.0.2.9"));
    assert_eq!(all("logged-in", "").words(), ["Nobody is logged in"]);
    assert_eq!(interpret("logged-in", "", true).sessions, None);
    assert_eq!(
        all("rpc-users", RPC_USERS).words(),
        ["Logged in: root, LAB\\bob"]
    );
}

#[test]
fn the_guest_itself() {
    let words = |reads, text| all(reads, text).words();
    assert_eq!(
        words("os-release", OS_RELEASE),
        ["Debian GNU/Linux 12 (bookworm)"]
    );
    assert_eq!(
        words("rpc-osinfo", RPC_OSINFO),
        ["Debian GNU/Linux 12 (bookworm), kernel 6.1.0-20-amd64"]
    );
    assert_eq!(words("rpc-hostname", RPC_HOSTNAME), ["named web1"]);
    assert_eq!(words("rpc-ping", RPC_PING), ["The guest agent answers"]);
    assert_eq!(
        words("rpc-agent-info", RPC_AGENT_INFO),
        [
            "The guest does not let its agent start programs (guest-exec)",
            "The guest agent 7.2.11 answers",
            "Blocked in the guest: guest-exec, guest-file-open",
        ]
    );
    // That a command is missing shows only in a whole answer.
    let none =
        r#"{"version": "1", "supported_commands": [{"enabled": true, "name": "guest-ping"}]}"#;
    assert_eq!(
        all("rpc-agent-info", none).agent.unwrap().can_exec,
        Some(false)
    );
    assert_eq!(
        interpret("rpc-agent-info", none, true)
            .agent
            .unwrap()
            .can_exec,
        None
    );
    assert!(
        words("rpc-fsfreeze-status", RPC_FSFREEZE_STATUS)[0]
            .starts_with("The file systems are frozen")
    );
    assert_eq!(all("rpc-fsfreeze-status", "\"thawed\"").frozen, Some(false));
    assert_eq!(
        all("rpc-devices", RPC_DEVICES).drivers[0].device.as_deref(),
        Some("1af4:1041")
    );
    // Plain text is not read.
    let text = interpret("text", "anything\n", false);
    assert_eq!(
        (text.understood, text.unread_lines, text.words()),
        (false, 0, Vec::new())
    );
    assert_eq!(interpret("no-such-reads", "anything\n", false), text);
}
