//! Trouble that is known by its words.

use super::Entry;
use crate::guest_command::facts::{LogPatternKind as Kind, Severity};

pub(in super::super) type KindAndSeverity = (Kind, Severity);

/// A line is of this kind when it has all the words of one of `any`, in small letters.
#[derive(Debug)]
pub(super) struct Pattern {
    pub(super) kind: Kind,
    severity: Severity,
    /// Only the kernel can say so: other programs merely quote it.
    is_kernel: bool,
    any: &'static [&'static [&'static str]],
}

impl Pattern {
    pub(super) fn kind_and_severity(&self) -> KindAndSeverity {
        (self.kind, self.severity)
    }
}

const fn kernel(
    kind: Kind,
    severity: Severity,
    any: &'static [&'static [&'static str]],
) -> Pattern {
    Pattern {
        kind,
        severity,
        is_kernel: true,
        any,
    }
}

const fn program(
    kind: Kind,
    severity: Severity,
    any: &'static [&'static [&'static str]],
) -> Pattern {
    Pattern {
        kind,
        severity,
        is_kernel: false,
        any,
    }
}

/// The first that fits counts.
const PATTERNS: &[Pattern] = &[
    kernel(
        Kind::KernelPanic,
        Severity::Critical,
        &[
            &["kernel panic"],
            &["bug: unable to handle"],
            &["bug: kernel null pointer"],
            &["kernel bug at"],
            &["oops: 0"],
        ],
    ),
    // One line for each process, in all kernels and for limits of cgroups, too.
    kernel(
        Kind::OutOfMemory,
        Severity::Critical,
        &[&["killed process"]],
    ),
    program(
        Kind::OutOfMemory,
        Severity::Critical,
        &[&["result 'oom-kill'"], &["systemd-oomd", "killed "]],
    ),
    kernel(
        Kind::ReadOnly,
        Severity::Critical,
        &[
            &["remounting filesystem read-only"],
            &["forced readonly"],
            &["shutting down filesystem"],
            &["filesystem has been shut down"],
        ],
    ),
    program(
        Kind::ReadOnly,
        Severity::Critical,
        &[&["read-only file system"]],
    ),
    kernel(
        Kind::FileSystemError,
        Severity::Critical,
        &[
            &["ext4-fs error"],
            &["ext3-fs error"],
            &["metadata corruption detected"],
            &["metadata i/o error"],
            &["corruption of in-memory data"],
            &["aborting journal"],
            &["btrfs", "corrupt"],
            &["btrfs", "csum failed"],
            &["structure needs cleaning"],
        ],
    ),
    kernel(
        Kind::IoError,
        Severity::Critical,
        &[
            &["i/o error"],
            &["critical medium error"],
            &["critical target error"],
            &["lost async page write"],
            &["unrecovered read error"],
            &["nvme", "timeout, aborting"],
            &["nvme", "controller is down"],
            &["ata", "exception emask"],
            &["sense key : medium error"],
        ],
    ),
    kernel(
        Kind::HungTask,
        Severity::Critical,
        &[&["blocked for more than"]],
    ),
    kernel(
        Kind::LockUp,
        Severity::Warning,
        &[
            &["soft lockup"],
            &["hard lockup"],
            &["detected stall"],
            &["rcu", "stalls on cpu"],
        ],
    ),
    kernel(
        Kind::HardwareError,
        Severity::Critical,
        &[
            &["machine check"],
            &["[hardware error]"],
            &["uncorrected error"],
        ],
    ),
    program(
        Kind::DiskFull,
        Severity::Critical,
        &[
            &["no space left on device"],
            &["disk quota exceeded"],
            &["database or disk is full"],
            &["file system is full"],
        ],
    ),
    kernel(
        Kind::ConntrackFull,
        Severity::Critical,
        &[&["conntrack", "table full"]],
    ),
    program(
        Kind::BootTrouble,
        Severity::Critical,
        &[
            &["emergency mode"],
            &["dependency failed for local file systems"],
            &["timed out waiting for device"],
            &["unable to mount root"],
            &["cannot open root device"],
            &["gave up waiting for root"],
            &["dracut-initqueue", "timeout"],
        ],
    ),
    kernel(
        Kind::Segfault,
        Severity::Warning,
        &[
            &["segfault at"],
            &["traps:", "general protection"],
            &["traps:", "trap invalid opcode"],
        ],
    ),
    program(
        Kind::Segfault,
        Severity::Warning,
        &[&["dumped core"], &["code=dumped"]],
    ),
    program(
        Kind::LinkDown,
        Severity::Warning,
        &[
            &["link is down"],
            &["link down"],
            &["lost carrier"],
            &["netdev watchdog"],
        ],
    ),
    program(
        Kind::OpenFiles,
        Severity::Warning,
        &[&["too many open files"], &["file-max limit"]],
    ),
    program(
        Kind::NameResolution,
        Severity::Warning,
        &[
            &["temporary failure in name resolution"],
            &["could not resolve host"],
            &["name or service not known"],
            &["temporary failure resolving"],
        ],
    ),
    program(
        Kind::NetworkUnreachable,
        Severity::Warning,
        &[
            &["network is unreachable"],
            &["no route to host"],
            &["no dhcpoffers received"],
        ],
    ),
    program(
        Kind::Certificate,
        Severity::Warning,
        &[
            &["certificate has expired"],
            &["certificate", "is expired"],
            &["certificate verify failed"],
        ],
    ),
    program(
        Kind::UncleanShutdown,
        Severity::Warning,
        &[
            &["corrupted or uncleanly shut down"],
            &["was not properly unmounted"],
            &["volume was not properly unmounted"],
            &["recovering journal"],
        ],
    ),
    program(
        Kind::ServiceFailed,
        Severity::Warning,
        &[
            &["failed with result"],
            &["start request repeated too quickly"],
            &["systemd", "failed to start"],
            &["entered failed state"],
            &["watchdog timeout"],
        ],
    ),
    program(
        Kind::Authentication,
        Severity::Info,
        &[
            &["failed password"],
            &["authentication failure"],
            &["failed publickey"],
            &["maximum authentication attempts"],
        ],
    ),
    program(
        Kind::Clock,
        Severity::Warning,
        &[
            &["clocksource", "unstable"],
            &["marking tsc unstable"],
            &["system clock wrong by"],
            &["system clock was stepped"],
            &["time jumped backwards"],
        ],
    ),
];

/// Drives that are empty and cry about it: CD and floppy.
const HARMLESS: &[&str] = &["dev sr", "dev fd0", "[sr0]", "floppy"];

pub(super) fn find(entry: &Entry<'_>) -> Option<&'static Pattern> {
    let is_kernel = entry.source.is_none_or(|source| source == "kernel");
    let lower = entry.line.to_ascii_lowercase();
    let fits = |pattern: &&Pattern| {
        (is_kernel || !pattern.is_kernel)
            && pattern
                .any
                .iter()
                .any(|words| words.iter().all(|word| lower.contains(word)))
    };
    let found = PATTERNS.iter().find(fits)?;
    let is_harmless =
        found.kind == Kind::IoError && HARMLESS.iter().any(|word| lower.contains(word));
    (!is_harmless).then_some(found)
}
