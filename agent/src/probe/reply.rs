//! What a probe replies: one line of JSON, then the bytes of the tool.

use serde::{Deserialize, Serialize};

/// The first line of a reply. `stdout_bytes` bytes follow it, and the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    pub outcome: Outcome,
    /// What was started; empty when nothing was.
    pub program: Vec<String>,
    pub stdout_bytes: usize,
    /// The tool wrote more; the rest was dropped.
    pub stdout_truncated: bool,
    /// Printable, for people.
    pub stderr: String,
    pub stderr_truncated: bool,
    pub duration_milliseconds: u64,
}

/// How it ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Outcome {
    /// The tool ended by itself. Many say with their status what they found:
    /// smartctl's is a set of flags.
    Exited {
        exit_status: i32,
    },
    /// What needs no tool has been answered.
    Answered {},
    Signalled {
        signal: i32,
    },
    /// The deadline passed and the tool was killed. What still runs hangs in
    /// the kernel and cannot be killed: the same is refused while it does.
    TimedOut {
        still_running: bool,
    },
    /// The tool is not installed.
    ProgramMissing {
        path: String,
    },
    /// Not asked for in the right way, or not now.
    Refused {
        reason: String,
    },
    /// The probe could not do its work.
    Failed {
        reason: String,
    },
}

/// A reply as it arrived.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub header: Header,
    pub stdout: Vec<u8>,
}

impl Reply {
    /// A reply without a tool's output.
    pub(super) fn only(outcome: Outcome) -> Self {
        Self::with(outcome, Vec::new())
    }

    pub(super) fn with(outcome: Outcome, stdout: Vec<u8>) -> Self {
        Self {
            header: Header {
                outcome,
                program: Vec::new(),
                stdout_bytes: stdout.len(),
                stdout_truncated: false,
                stderr: String::new(),
                stderr_truncated: false,
                duration_milliseconds: 0,
            },
            stdout,
        }
    }

    /// As it is sent.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        // Structures of text and numbers have no way to fail; an empty line
        // would be a malformed reply.
        let mut bytes = serde_json::to_vec(&self.header).unwrap_or_default();
        bytes.push(b'\n');
        bytes.extend(&self.stdout);
        bytes
    }
}

/// At most `limit` characters; what is not printable is replaced, but lines
/// stay lines.
pub(super) fn printable(text: &str, limit: usize) -> String {
    text.chars()
        .take(limit)
        .map(|c| match c {
            '\n' => '\n',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect()
}
