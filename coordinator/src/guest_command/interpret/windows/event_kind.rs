//! Events of Windows that are known trouble, by who wrote them and their number.

use super::super::log::pattern::KindAndSeverity;
use crate::guest_command::facts::{LogPatternKind as Kind, Severity};

/// Source in small letters, numbers, what it is.
const EVENTS: &[(&str, &[u32], Kind, Severity)] = &[
    (
        "disk",
        &[7, 11, 15, 51, 52, 154],
        Kind::IoError,
        Severity::Critical,
    ),
    // A request was repeated.
    ("disk", &[153], Kind::IoError, Severity::Warning),
    // A reset of the controller: it did not answer in time.
    ("vioscsi", &[129], Kind::IoError, Severity::Critical),
    ("viostor", &[129], Kind::IoError, Severity::Critical),
    ("storahci", &[129], Kind::IoError, Severity::Critical),
    ("stornvme", &[11, 129], Kind::IoError, Severity::Critical),
    (
        "ntfs",
        &[50, 55, 98, 130, 137],
        Kind::FileSystemError,
        Severity::Critical,
    ),
    (
        "microsoft-windows-ntfs",
        &[50, 55, 98, 130, 137],
        Kind::FileSystemError,
        Severity::Critical,
    ),
    ("srv", &[2013], Kind::DiskFull, Severity::Critical),
    (
        "microsoft-windows-resource-exhaustion-detector",
        &[2004],
        Kind::OutOfMemory,
        Severity::Critical,
    ),
    (
        "microsoft-windows-wer-systemerrorreporting",
        &[1001],
        Kind::KernelPanic,
        Severity::Critical,
    ),
    ("bugcheck", &[1001], Kind::KernelPanic, Severity::Critical),
    (
        "microsoft-windows-whea-logger",
        &[1, 17, 18, 19, 20, 46, 47],
        Kind::HardwareError,
        Severity::Critical,
    ),
    (
        "microsoft-windows-kernel-power",
        &[41],
        Kind::UncleanShutdown,
        Severity::Warning,
    ),
    (
        "eventlog",
        &[6008],
        Kind::UncleanShutdown,
        Severity::Warning,
    ),
    (
        "service control manager",
        &[
            7000, 7001, 7009, 7011, 7022, 7023, 7024, 7026, 7031, 7032, 7034, 7038, 7043,
        ],
        Kind::ServiceFailed,
        Severity::Warning,
    ),
    (
        "application error",
        &[1000],
        Kind::Segfault,
        Severity::Warning,
    ),
    (
        "application hang",
        &[1002],
        Kind::HungTask,
        Severity::Warning,
    ),
    (
        "microsoft-windows-dns-client",
        &[1014],
        Kind::NameResolution,
        Severity::Warning,
    ),
    (
        "netlogon",
        &[5719, 5783],
        Kind::NetworkUnreachable,
        Severity::Warning,
    ),
    (
        "microsoft-windows-time-service",
        &[29, 36, 47, 129, 134, 142],
        Kind::Clock,
        Severity::Warning,
    ),
    (
        "microsoft-windows-security-kerberos",
        &[5],
        Kind::Clock,
        Severity::Warning,
    ),
    ("e1rexpress", &[27], Kind::LinkDown, Severity::Warning),
    ("e1iexpress", &[27], Kind::LinkDown, Severity::Warning),
    ("netkvm", &[4, 27], Kind::LinkDown, Severity::Warning),
    (
        "tcpip",
        &[4227, 4231],
        Kind::NetworkUnreachable,
        Severity::Warning,
    ),
];

pub(super) fn find(source: &str, id: u32) -> Option<KindAndSeverity> {
    let source = source.to_ascii_lowercase();
    EVENTS
        .iter()
        .find(|(name, ids, ..)| *name == source && ids.contains(&id))
        .map(|(_, _, kind, severity)| (*kind, *severity))
}
