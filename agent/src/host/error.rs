//! Why a source gave nothing.

use std::io;

use pvelens_proto::agent::v1::FailureKind;
use rustix::io::Errno;

/// A source that gave nothing, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {detail}")]
pub struct SourceError {
    /// Path on the node; empty when no single file is to blame.
    pub path: String,
    pub kind: FailureKind,
    /// For people; never content of the file.
    pub detail: String,
}

impl SourceError {
    #[must_use]
    pub fn new(path: &str, kind: FailureKind, detail: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            kind,
            detail: detail.into(),
        }
    }

    /// The file is not there, or went away while it was read.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == FailureKind::NotFound
    }
}

pub(super) fn banned(path: &str) -> SourceError {
    SourceError::new(path, FailureKind::Banned, "the agent never opens this path")
}

pub(super) fn too_large(path: &str, limit: u64) -> SourceError {
    SourceError::new(
        path,
        FailureKind::TooLarge,
        format!("larger than {limit} bytes"),
    )
}

/// A file of the tree itself that is not as described.
pub(super) fn malformed(path: &str, error: &serde_json::Error) -> SourceError {
    SourceError::new(
        path,
        FailureKind::Malformed,
        format!("line {}, column {}", error.line(), error.column()),
    )
}

pub(super) fn into_text(path: &str, bytes: Vec<u8>) -> Result<String, SourceError> {
    String::from_utf8(bytes).map_err(|error| {
        let offset = error.utf8_error().valid_up_to();
        SourceError::new(
            path,
            FailureKind::NotUtf8,
            format!("not UTF-8 at byte {offset}"),
        )
    })
}

pub(super) fn io_error(path: &str, error: &io::Error) -> SourceError {
    match Errno::from_io_error(error) {
        Some(number) => errno(path, number),
        None => SourceError::new(path, FailureKind::Io, error.to_string()),
    }
}

pub(super) fn errno(path: &str, error: Errno) -> SourceError {
    let kind = match error {
        // A process or device that ended between two reads.
        Errno::NOENT | Errno::NOTDIR | Errno::SRCH | Errno::NODEV | Errno::NXIO => {
            FailureKind::NotFound
        }
        Errno::ACCESS | Errno::PERM => FailureKind::PermissionDenied,
        Errno::NOTCONN | Errno::HOSTDOWN | Errno::STALE | Errno::TIMEDOUT | Errno::CONNABORTED => {
            FailureKind::Disconnected
        }
        // A magic link of /proc, or a loop of links.
        Errno::LOOP => FailureKind::Banned,
        Errno::ISDIR => FailureKind::NotAFile,
        _ => FailureKind::Io,
    };
    let text = error.to_string();
    // The number says nothing that the words do not.
    let words = text.split(" (os error").next().unwrap_or_default();
    SourceError::new(path, kind, words)
}
