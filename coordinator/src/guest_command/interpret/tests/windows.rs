//! Programs of Windows.

use super::{all, fixtures::*, interpret, whole};
use crate::guest_command::facts::LogPatternKind as Kind;

#[test]
fn system_information_by_position() {
    let facts = all("windows-system", WINDOWS_SYSTEM);
    let identity = facts.identity.as_ref().unwrap();
    assert_eq!(identity.kernel.as_deref(), Some("10.0.17763"));
    assert_eq!(
        identity.time_zone.as_deref(),
        Some("(UTC+01:00) Amsterdam, Berlin, Bern, Rome")
    );
    let memory = facts.memory.as_ref().unwrap();
    assert_eq!(
        (memory.total_bytes, memory.available_bytes),
        (Some(8191 << 20), Some(312 << 20))
    );
    assert_eq!(
        facts.words()[0],
        "Only 312.0 MiB of 8.0 GiB memory are available"
    );
    assert!(!interpret("windows-system", "\"a\",\"b\"\n", false).understood);
}

#[test]
fn processes_with_memory_in_any_language() {
    let facts = all("windows-processes", WINDOWS_PROCESSES);
    let processes = facts.processes.as_ref().unwrap();
    let top: Vec<_> = processes
        .top_by_memory
        .iter()
        .take(3)
        .map(|one| one.resident_bytes)
        .collect();
    assert_eq!(
        top,
        [
            Some(5_242_880 << 10),
            Some(40_960 << 10),
            Some(20_480 << 10)
        ]
    );
    assert!(!processes.has_states && processes.total == 5);
    assert_eq!(processes.groups[0].command, "svchost.exe");
}

#[test]
fn services_by_number() {
    let facts = all("windows-services", WINDOWS_SERVICES);
    let units = facts.units.as_ref().unwrap();
    assert_eq!(units.failed, ["MSSQLSERVER"]);
    assert_eq!(units.units[0].exit_status, Some(17_058));
    // It was never started, which is no failure.
    assert_eq!(units.units[2].active.as_deref(), Some("inactive"));
    assert_eq!((units.running, units.stopped), (Some(1), Some(1)));
    assert_eq!(
        facts.words(),
        ["1 unit failed: MSSQLSERVER", "1 service running, 1 stopped"]
    );
    let facts = all("windows-services", WINDOWS_SERVICES_GERMAN);
    assert_eq!(facts.words(), ["Spooler is active (running)"]);
    assert_eq!(facts.units.unwrap().units[0].pid, Some(2212));
    let error = "[SC] EnumQueryServicesStatus:OpenService FAILED 1060:\n\nThe specified service does not exist.\n";
    assert!(!interpret("windows-services", error, false).understood);
}

#[test]
fn free_space_of_a_drive() {
    let facts = all("windows-disk-free", WINDOWS_DISK_FREE);
    assert_eq!(
        facts.words(),
        ["The drive is 98 % full: 2.0 GiB free of 127.0 GiB"]
    );
    let facts = all("windows-disk-free", WINDOWS_DISK_FREE_OLD);
    assert_eq!(facts.file_systems[0].used_percent, Some(56.6));
    assert!(!interpret("windows-disk-free", "Error:  Access is denied.\n", false).understood);
    let odd = "Total free bytes : 9\nTotal bytes : 5\nTotal quota free bytes : 9\n";
    assert!(!interpret("windows-disk-free", odd, false).understood);
}

#[test]
fn sockets_in_any_language() {
    let facts = all("windows-sockets", WINDOWS_SOCKETS);
    let sockets = facts.sockets.as_ref().unwrap();
    let ports: Vec<_> = sockets
        .listening
        .iter()
        .map(|one| (one.port, one.is_exposed))
        .collect();
    assert_eq!(
        ports,
        [
            (Some(135), true),
            (Some(445), true),
            (Some(500), true),
            (Some(1900), false)
        ]
    );
    let states: Vec<_> = sockets
        .by_state
        .iter()
        .map(|one| one.name.as_str())
        .collect();
    assert_eq!(states, ["CLOSE-WAIT", "ESTAB"]);
    let german = whole("windows-sockets", WINDOWS_SOCKETS_GERMAN)
        .sockets
        .unwrap();
    assert_eq!(
        (german.listening.len(), german.by_state[0].name.as_str()),
        (1, "ESTAB")
    );
}

#[test]
fn time_service() {
    let facts = all("windows-time", WINDOWS_TIME);
    let clock = facts.clock.as_ref().unwrap();
    assert_eq!((clock.synchronised, clock.stratum), (Some(true), Some(4)));
    assert_eq!(clock.source.as_deref(), Some("time.example.org"));
    assert_eq!(
        facts.words(),
        ["The clock is off by 1 min against its server time.example.org"]
    );
    let german = all("windows-time", WINDOWS_TIME_GERMAN).clock.unwrap();
    assert_eq!(
        (german.synchronised, german.offset_seconds),
        (Some(false), None)
    );
    let stopped = "The following error occurred: The service has not been started. (0x80070426)\n";
    assert_eq!(
        all("windows-time", stopped).words(),
        ["No time service is switched on"]
    );
    // Whose clock it follows was cut off.
    let cut: String = WINDOWS_TIME
        .lines()
        .take(3)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        interpret("windows-time", &cut, true)
            .clock
            .unwrap()
            .synchronised,
        None
    );
}

#[test]
fn sessions_with_and_without_a_name() {
    let sessions = all("windows-sessions", WINDOWS_SESSIONS).sessions.unwrap();
    assert_eq!(sessions[0].terminal.as_deref(), Some("rdp-tcp#2"));
    assert_eq!(
        (sessions[1].user.as_str(), sessions[1].terminal.as_deref()),
        ("bob", None)
    );
    assert_eq!(sessions[1].state.as_deref(), Some("Disc"));
}

#[test]
fn events_are_known_by_source_and_number() {
    let facts = all("windows-events", WINDOWS_EVENTS);
    let log = facts.log.as_ref().unwrap();
    let kinds: Vec<Kind> = log.patterns.iter().map(|one| one.kind).collect();
    assert_eq!(
        kinds,
        [Kind::IoError, Kind::ServiceFailed, Kind::UncleanShutdown]
    );
    assert_eq!(
        log.patterns[0].last.as_deref(),
        Some("2024-05-01T10:00:00.000")
    );
    assert_eq!((log.lines, log.by_severity.len()), (3, 2));
    assert_eq!(
        all("windows-events", "").words(),
        ["The log has no such lines"]
    );
    // A description cannot make up another event's source.
    assert!(log.sources.iter().all(|source| source.count == 1));
}

#[test]
fn counters_and_vss_writers() {
    let facts = all("windows-counters", WINDOWS_COUNTERS);
    let cpu = facts.cpu.as_ref().unwrap();
    assert_eq!(
        (cpu.samples, cpu.busy_percent, cpu.disk_queue),
        (2, Some(96.5), Some(5.0))
    );
    assert_eq!(facts.memory.unwrap().available_bytes, Some(320_000_000));
    let facts = all("windows-vss-writers", WINDOWS_VSS_WRITERS);
    assert_eq!(
        facts.words(),
        [
            "VSS writers failed, which breaks consistent backups: SqlServerWriter (Non-retryable error)"
        ]
    );
    assert!(!interpret("windows-vss-writers", "Error: Access denied\n", false).understood);
}
