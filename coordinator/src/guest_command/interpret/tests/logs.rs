//! Logs.

use super::{all, fixtures::*, interpret, whole};
use crate::guest_command::facts::{GuestFacts, LogPatternKind as Kind};

fn kinds(facts: &GuestFacts) -> Vec<(Kind, u32, Vec<String>)> {
    let log = facts.log.as_ref().unwrap();
    log.patterns
        .iter()
        .map(|one| (one.kind, one.count, one.about.clone()))
        .collect()
}

fn about(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn trouble_is_found_in_a_journal() {
    let facts = all("journal", JOURNAL);
    assert_eq!(
        kinds(&facts),
        [
            (Kind::OutOfMemory, 2, about(&["mysqld", "mysql.service"])),
            (Kind::DiskFull, 1, about(&[])),
            (
                Kind::ServiceFailed,
                2,
                about(&["nginx.service", "A high performance web server"])
            ),
            (Kind::Authentication, 1, about(&[])),
        ]
    );
    let log = facts.log.as_ref().unwrap();
    assert_eq!((log.lines, log.sources[0].name.as_str()), (9, "systemd"));
    assert_eq!(log.to.as_deref(), Some("2024-05-01T10:04:00+0200"));
    assert_eq!(
        facts.words()[0],
        "The log tells that memory ran out: mysqld, mysql.service (2 lines, last at 2024-05-01T10:00:01+0200)"
    );
}

#[test]
fn only_the_kernel_can_panic() {
    let line = "2024-05-01T10:03:00+0200 web app[5000]: Kernel panic - not syncing\n";
    assert!(kinds(&all("journal", line)).is_empty());
    let line = "2024-05-01T10:03:00+0200 web kernel: Kernel panic - not syncing\n";
    assert_eq!(kinds(&all("journal", line))[0].0, Kind::KernelPanic);
}

#[test]
fn logs_of_other_systems() {
    let facts = all("journal", JOURNAL_SYSLOG);
    assert_eq!(
        kinds(&facts),
        [
            (Kind::FileSystemError, 1, about(&["sda1"])),
            (Kind::LinkDown, 1, about(&["eth0"])),
        ]
    );
    let log = facts.log.as_ref().unwrap();
    let severities: Vec<(&str, u32)> = log
        .by_severity
        .iter()
        .map(|one| (one.name.as_str(), one.count))
        .collect();
    assert_eq!(severities, [("error", 2), ("info", 1), ("warning", 1)]);
    assert_eq!(
        kinds(&all("journal", JOURNAL_DOCKER)),
        [(Kind::OpenFiles, 1, about(&[]))]
    );
}

#[test]
fn trouble_is_found_in_the_log_of_the_kernel() {
    let facts = all("kernel-log", KERNEL_LOG);
    assert_eq!(
        kinds(&facts),
        [
            // An empty CD drive does not count.
            (Kind::IoError, 2, about(&["sda", "sda1"])),
            (Kind::ReadOnly, 1, about(&["sda1"])),
            (Kind::HungTask, 1, about(&["jbd2/sda1-8"])),
            (Kind::Segfault, 1, about(&["nginx"])),
        ]
    );
    assert_eq!(
        kinds(&all("kernel-log", KERNEL_LOG_BASIC)),
        [
            (Kind::ConntrackFull, 1, about(&[])),
            (Kind::LockUp, 1, about(&[])),
            (Kind::LinkDown, 1, about(&["eth0"])),
        ]
    );
}

#[test]
fn silence_counts_only_in_a_log() {
    for empty in [
        "",
        "-- No entries --\n",
        "-- Boot 0123456789abcdef0123456789abcdef --\n",
    ] {
        assert_eq!(all("journal", empty).words(), ["The log has no such lines"]);
    }
    for text in [
        "sh: journalctl: not found\n",
        "Hint: You are currently not seeing messages.\n",
    ] {
        let facts = interpret("journal", text, false);
        assert!(!facts.understood && facts.log.is_none());
    }
    assert!(!interpret("journal", "", true).understood);
    let calm = whole(
        "journal",
        "2024-05-01T10:00:00+0200 web cron[1]: all is well\n",
    );
    assert!(calm.words()[0].ends_with("no known trouble in them"));
}
