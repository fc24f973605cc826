//! What log lines of a guest say.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Count;

facts! {
    /// A look through log lines.
    pub struct Log {
        pub lines: u32,
        /// Times of the first and the last line, as written.
        pub from: Option<String>,
        pub to: Option<String>,
        /// Lines by severity, where the log tells it; sorted by name.
        pub by_severity: Vec<Count>,
        /// Known trouble, the worst first.
        pub patterns: Vec<LogPattern>,
        /// Who wrote most lines.
        pub sources: Vec<LogSource>,
        /// Some lines: the last ones.
        pub samples: Vec<String>,
    }

    /// One kind of trouble.
    pub struct LogPattern {
        pub kind: LogPatternKind,
        pub severity: Severity,
        pub count: u32,
        /// Time of the last one, as written.
        pub last: Option<String>,
        /// Who or what it is about: a process, a disk, a unit.
        pub about: Vec<String>,
        /// The last line.
        pub sample: String,
    }

    /// A program or a provider of events.
    pub struct LogSource {
        pub name: String,
        pub count: u32,
    }
}

/// How bad a pattern is for the guest.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    #[default]
    Info,
    Warning,
    Critical,
}

/// Trouble that is known by its words.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum LogPatternKind {
    /// The kernel killed a process for want of memory.
    OutOfMemory,
    /// Reads or writes of a disk failed.
    IoError,
    /// A file system went read-only after an error.
    ReadOnly,
    /// A file system is damaged.
    FileSystemError,
    /// `No space left on device`.
    DiskFull,
    /// A task waited longer than two minutes, mostly for a disk.
    HungTask,
    /// A processor did not get on: often the node is too busy.
    LockUp,
    KernelPanic,
    HardwareError,
    Segfault,
    LinkDown,
    /// The connection table of the firewall is full.
    ConntrackFull,
    /// `Too many open files`.
    OpenFiles,
    NameResolution,
    NetworkUnreachable,
    /// Somebody failed to log in.
    Authentication,
    /// A unit failed or was not started again.
    ServiceFailed,
    /// The clock was set or runs wrong.
    Clock,
    /// A certificate expired.
    Certificate,
    /// The last shutdown was none: power, crash or reset.
    UncleanShutdown,
    /// The start stopped in the emergency shell or at a missing file system.
    BootTrouble,
    #[default]
    Other,
}
