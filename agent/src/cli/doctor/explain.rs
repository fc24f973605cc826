//! What a failure means to the administrator, in one table.
//!
//! The first row that fits a path and a kind wins, so special places stand
//! before general kinds.

use pvelens_proto::agent::v1::FailureKind;

use super::report::State;

/// Why something was not read, and what would mend it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explanation {
    pub(super) state: State,
    pub(super) why: &'static str,
    /// Empty when there is nothing to mend.
    pub(super) fix: &'static str,
}

struct Row {
    /// `*` is one name, `**` at the end any number of them; empty = every path.
    path: &'static str,
    /// Empty = every kind.
    kinds: &'static [FailureKind],
    explanation: Explanation,
}

const fn row(
    path: &'static str,
    kinds: &'static [FailureKind],
    state: State,
    why: &'static str,
    fix: &'static str,
) -> Row {
    let explanation = Explanation { state, why, fix };
    Row {
        path,
        kinds,
        explanation,
    }
}

use FailureKind::{
    Banned, Disconnected, InProgress, Io, Malformed, NotAFile, NotFound, NotUtf8, Panicked,
    PermissionDenied, TimedOut, TooLarge, Truncated,
};
use State::{Ok, Problem, Warning};

const TABLE: &[Row] = &[
    row(
        "",
        &[Banned],
        Ok,
        "secrets may be there, so pvelens never opens it: by design",
        "",
    ),
    row(
        "",
        &[Panicked],
        Problem,
        "a defect of pvelens; the other sources are read all the same",
        "report it with the output of `journalctl -u pvelens-agent`",
    ),
    row(
        "/etc/pve/**",
        &[Disconnected],
        Problem,
        "the cluster file system ended while it was mounted: pve-cluster does not run",
        "`systemctl status pve-cluster` says why; then `systemctl restart pve-cluster`",
    ),
    row(
        "/etc/pve/**",
        &[TimedOut, InProgress],
        Problem,
        "the cluster file system does not answer: pve-cluster hangs, often because corosync does",
        "look at `systemctl status pve-cluster corosync`",
    ),
    row(
        "/etc/pve/local",
        &[NotFound],
        Problem,
        "/etc/pve is there but empty: the cluster file system is not mounted",
        "`systemctl status pve-cluster` says why; then `systemctl start pve-cluster`",
    ),
    row(
        "/etc/pve/**",
        &[NotFound],
        Problem,
        "the file is not in the cluster file system, or that is not mounted",
        "look at `systemctl status pve-cluster`",
    ),
    row(
        "/etc/pve/**",
        &[PermissionDenied],
        Problem,
        "only root and the group www-data may read the cluster file system",
        "run this as root; the agent's unit must keep `User=root`",
    ),
    row(
        "/etc/pve/**",
        &[Malformed, NotUtf8, Truncated],
        Warning,
        "the file is not written as Proxmox VE writes it; the rest is read",
        "look at the file for what an editor or a script left there",
    ),
    row(
        "/run/pve/metrics",
        &[NotFound],
        Problem,
        "pvestatd writes this file every ten seconds since Proxmox VE 8.2: it is stopped, or older",
        "look at `systemctl status pvestatd`; update a node before 8.2",
    ),
    row(
        "/run/pve/metrics",
        &[Truncated],
        Warning,
        "pvestatd has not written a whole line yet",
        "look again in ten seconds; if it stays, `systemctl restart pvestatd`",
    ),
    row(
        "/run/pve/**",
        &[PermissionDenied],
        Problem,
        "only root may read what pvestatd writes",
        "run this as root; the agent's unit must keep `User=root`",
    ),
    row(
        "/proc/*/**",
        &[PermissionDenied],
        Ok,
        "the kernel keeps this from everyone without capabilities, and the agent has none: by design",
        "",
    ),
    row(
        "/proc/*/**",
        &[NotFound],
        Ok,
        "the process ended while it was looked at",
        "",
    ),
    row(
        "/sys/fs/cgroup/**",
        &[NotFound],
        Ok,
        "the guest stopped while it was looked at",
        "",
    ),
    row(
        "/sys/class/hwmon/**",
        &[],
        Warning,
        "the sensor gave no value; some chips do that now and then",
        "if it stays, the driver of this sensor is at fault: `dmesg` may name it",
    ),
    row(
        "",
        &[Disconnected],
        Problem,
        "the file system below this path is dead",
        "`findmnt` shows what is mounted there; mount it anew",
    ),
    row(
        "",
        &[TimedOut, InProgress],
        Problem,
        "reading it takes longer than it ever should: a disk or a mount hangs",
        "`dmesg` may name the disk; `findmnt` shows the mounts",
    ),
    row(
        "",
        &[PermissionDenied],
        Problem,
        "this user may not read it",
        "run this as root; the agent's unit must keep `User=root`",
    ),
    row(
        "",
        &[NotFound],
        Warning,
        "the kernel does not offer this file",
        "look at `uname -r`: is it the kernel of Proxmox VE?",
    ),
    row(
        "",
        &[TooLarge],
        Problem,
        "the file is larger than any of its kind, and reading it could harm the node",
        "look at what it holds and who writes it",
    ),
    row(
        "",
        &[Malformed, NotUtf8, Truncated],
        Warning,
        "pvelens does not understand what stands there: a newer kernel or Proxmox VE, or a torn file",
        "if it stays, report it with `pvelens-agent collect --once`",
    ),
    row(
        "",
        &[NotAFile],
        Warning,
        "something else stands where a file belongs",
        "look at the path with `ls -l`",
    ),
    row(
        "",
        &[Io],
        Warning,
        "the kernel could not read it",
        "`dmesg` may say why",
    ),
];

/// For a kind that a newer agent knows.
const OTHERWISE: Explanation = Explanation {
    state: Warning,
    why: "it could not be read",
    fix: "`journalctl -u pvelens-agent` may say why",
};

pub(super) fn explain(path: &str, kind: FailureKind) -> &'static Explanation {
    TABLE
        .iter()
        .find(|row| {
            (row.path.is_empty() || fits(row.path, path))
                && (row.kinds.is_empty() || row.kinds.contains(&kind))
        })
        .map_or(&OTHERWISE, |row| &row.explanation)
}

fn fits(pattern: &str, path: &str) -> bool {
    let mut names = path.split('/');
    for wanted in pattern.split('/') {
        match (wanted, names.next()) {
            ("**", Some(_)) => return true,
            ("*", Some(_)) => {}
            (wanted, Some(name)) if wanted == name => {}
            _ => return false,
        }
    }
    names.next().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::COLLECTORS;

    #[test]
    fn special_places_come_before_general_kinds() {
        for (path, kind, part) in [
            (
                "/etc/pve/.members",
                Disconnected,
                "pve-cluster does not run",
            ),
            ("/etc/pve/local", NotFound, "not mounted"),
            ("/run/pve/metrics", NotFound, "since Proxmox VE 8.2"),
            (
                "/proc/812/task/813/schedstat",
                PermissionDenied,
                "by design",
            ),
            ("/proc/cpuinfo", PermissionDenied, "this user may not"),
            ("/mnt/nas", Disconnected, "dead"),
            ("/etc/pve/priv/x", Banned, "never opens it"),
        ] {
            let why = explain(path, kind).why;
            assert!(why.contains(part), "{path}: {why}");
        }
    }

    #[test]
    fn every_kind_of_every_source_is_explained_and_what_is_wrong_has_a_fix() {
        for path in COLLECTORS.iter().flat_map(|collector| collector.paths) {
            for number in 1..=13 {
                let kind = FailureKind::try_from(number).unwrap();
                let explanation = explain(path, kind);
                assert_ne!(explanation, &OTHERWISE, "{path}: {kind:?}");
                assert_eq!(explanation.state == Ok, explanation.fix.is_empty());
            }
        }
        assert!(FailureKind::try_from(14).is_err(), "explain the new kind");
        assert_eq!(explain("/x", FailureKind::Unspecified), &OTHERWISE);
    }

    #[test]
    fn no_word_of_ours_is_in_the_explanations() {
        for row in TABLE {
            let text = format!("{} {}", row.explanation.why, row.explanation.fix);
            for word in ["collector", "sample", "payload", "pmxcfs", "spool"] {
                assert!(!text.contains(word), "{text}");
            }
        }
    }

    #[test]
    fn patterns_fit_whole_names() {
        assert!(fits("/etc/pve/**", "/etc/pve/nodes/a/lxc/1.conf"));
        assert!(!fits("/etc/pve/**", "/etc/pve2/x"));
        assert!(!fits("/etc/pve/local", "/etc/pve/local/x"));
        assert!(!fits("/proc/*/**", "/proc/cpuinfo"));
    }
}
