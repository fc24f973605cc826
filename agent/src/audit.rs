//! The record of guest commands: what was asked, what ran, what was refused, and how it
//! ended. Nothing runs that is not written down before, on a disk.
//!
//! A directory has files `audit-N.jsonl` of JSON lines, `N` being the number of the first
//! record in it. A line is
//!
//! ```text
//! {"sequence":2,"at":"2026-11-22T12:04:47.512Z","previous":"HASH","event":{"kind":...},"hash":"HASH"}
//! ```
//!
//! `hash` is SHA-256, in lower-case hexadecimal, over the bytes of the line up to
//! `,"hash":` and one `}`: that is, of the object without its hash, as it is written.
//! `previous` is the hash of the record before, so every hash stands for all there was.
//! The very first record has the number 1 and 64 zeros before it. Anybody can verify it
//! with other tools:
//!
//! ```text
//! sed -E 's/,"hash":"[0-9a-f]{64}"\}$/}/' FILE | while IFS= read -r line; do
//!     printf %s "$line" | sha256sum; done
//! ```
//!
//! gives the hash of each line. The ring has an end: when it is full the oldest file
//! goes, after a record `dropped` that says from which number on all is kept.
//!
//! Who can write the files can write a whole new chain, or cut the end off. That is
//! found by whoever knows a head of before: the coordinator is told it with each result,
//! and the journal has every record, too.
//!
//! A loss of power can leave a part of the last record, of a command that never began:
//! that is set aside and told. Whatever else is not as it was written stops guest
//! commands; it is never mended.

use std::{
    collections::VecDeque,
    io,
    path::{Path, PathBuf},
    str::FromStr,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
};

use tracing::warn;

use crate::spool::directory::Directory;
use files::{Bounds, Files};
use record::{DIGITS, NOTHING_BEFORE};
use walk::walk;
use write::{Writer, pending};

mod event;
mod files;
mod read;
mod record;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests break the files they read")]
mod tests;
mod verify;
mod walk;
mod write;

pub use event::{Abandoned, Begun, Dropped, Ended, Event, Opened, Reaped, Refused, Torn};
pub use record::Record;
pub use verify::{HeadFound, Report, newest, verify};

/// Of one file.
const SEGMENT: u64 = 1 << 20;
/// The target of its lines in the log.
const TARGET: &str = "audit";

/// The record of one node.
#[derive(Debug)]
pub struct Audit {
    /// `None`: only in memory.
    directory: Option<Arc<Directory>>,
    /// What readers see; never held while the disk is waited for.
    view: Mutex<View>,
    /// `None` while somebody writes, for as long as the disk takes.
    writer: Mutex<Option<Writer>>,
    /// The writer is back.
    written: Condvar,
    #[cfg(test)]
    fails: std::sync::atomic::AtomicBool,
}

/// What is on the disk.
#[derive(Debug, Default)]
struct View {
    head: Head,
    /// Numbers of the first records of all files.
    firsts: Vec<u64>,
    /// Where there is no disk.
    records: VecDeque<Record>,
}

/// Where a record ends: all before it stands behind its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// 0: there is none yet.
    pub sequence: u64,
    /// SHA-256 in hexadecimal.
    pub hash: String,
}

/// How a record is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Room for it, in bytes; the oldest records go first.
    pub limit: u64,
    /// Which start of the node this is; empty when that is not known.
    pub boot_id: String,
    segment: u64,
}

/// Why nothing can be written down or read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    #[error("the directory {path} cannot be used: {why}")]
    Directory { path: PathBuf, why: String },
    #[error("{doing}: {source}")]
    Io {
        doing: &'static str,
        source: io::Error,
    },
    #[error("the record was changed or is damaged: {0}; `pvelens-agent audit verify` says more")]
    Damaged(Problem),
    #[error("the disk does not answer: a record before is still being written")]
    Hanging,
    #[error("it cannot be written as a record: {0}")]
    Form(String),
}

/// What is not as it was written, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, serde::Serialize)]
#[error("{file}{}: {what}", line_words(*.line))]
pub struct Problem {
    pub file: String,
    /// From 1; `None` when it is about the file.
    pub line: Option<u64>,
    pub what: String,
}

impl Default for Head {
    fn default() -> Self {
        Self {
            sequence: 0,
            hash: NOTHING_BEFORE.to_owned(),
        }
    }
}

impl FromStr for Head {
    type Err = String;

    /// `SEQUENCE:HASH`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (sequence, hash) = text
            .split_once(':')
            .ok_or("no `:` between number and hash")?;
        let sequence = sequence.parse().map_err(|_| "no number before the `:`")?;
        let hash = hash.to_ascii_lowercase();
        if hash.len() != DIGITS || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(format!("no {DIGITS} hexadecimal digits after the `:`"));
        }
        Ok(Self { sequence, hash })
    }
}

impl Options {
    /// Room of so many bytes.
    #[must_use]
    pub fn new(limit: u64, boot_id: &str) -> Self {
        Self {
            limit,
            boot_id: boot_id.to_owned(),
            segment: SEGMENT.min(limit / 4),
        }
    }
}

impl Audit {
    /// Opens the record in a directory, whose parent must be there, and verifies all of
    /// it. It may hang as long as the disk does.
    ///
    /// A new record stays empty until the first event, and so does the disk.
    ///
    /// # Errors
    /// When the directory cannot be used, or something in it is not as it was written.
    pub fn open(directory: &Path, options: &Options) -> Result<Self, AuditError> {
        let unusable = |why: String| AuditError::Directory {
            path: directory.to_owned(),
            why,
        };
        let opened = Directory::open(directory).map_err(|error| unusable(error.to_string()))?;
        let opened = Arc::new(opened);
        let found = walk(&opened, |_| {}).map_err(|error| unusable(error.to_string()))?;
        if let Some(problem) = found.problems.into_iter().next() {
            return Err(AuditError::Damaged(problem));
        }
        let bounds = Bounds {
            segment: options.segment,
            ring: options.limit,
        };
        let mut files = Files::go_on(Arc::clone(&opened), bounds, found.segments)
            .map_err(io_error("opening the newest file"))?;
        let next = found.head.sequence.saturating_add(1);
        let mut torn = None;
        if let Some(tail) = &found.tail {
            let file = files
                .set_aside(tail, next)
                .map_err(io_error("setting aside a torn end"))?;
            let bytes = tail.bytes;
            warn!(target: TARGET, %file, bytes, "the record had a torn end, which was set aside");
            torn = Some(Torn { file, bytes });
        }
        let is_news = torn.is_some() || !found.under_way.is_empty();
        let opened_event = Event::opened(env!("CARGO_PKG_VERSION"), &options.boot_id, torn);
        let view = View {
            head: found.head.clone(),
            firsts: files.segments().collect(),
            records: VecDeque::new(),
        };
        let audit = Self {
            directory: Some(opened),
            view: Mutex::new(view),
            writer: Mutex::new(Some(Writer {
                files: Some(files),
                head: found.head,
                pending: pending(opened_event, found.under_way),
            })),
            written: Condvar::new(),
            #[cfg(test)]
            fails: std::sync::atomic::AtomicBool::default(),
        };
        // What happened before is told at once; that it was merely opened, with the
        // first event: an agent that is started again and again fills no ring.
        if is_news && let Err(error) = audit.turn().and_then(|mut turn| turn.write_pending()) {
            warn!(target: TARGET, %error, "what came of earlier commands will be written down later");
        }
        Ok(audit)
    }

    /// One that is gone with the process, and whose oldest records go early.
    #[must_use]
    pub fn in_memory() -> Self {
        Self {
            directory: None,
            view: Mutex::default(),
            writer: Mutex::new(Some(Writer::default())),
            written: Condvar::new(),
            #[cfg(test)]
            fails: std::sync::atomic::AtomicBool::default(),
        }
    }

    /// The newest record that the disk has. Never waits for it.
    #[must_use]
    pub fn head(&self) -> Head {
        self.view().head.clone()
    }

    /// Number of the oldest record that is kept; 0 when there is none. Never waits for
    /// the disk.
    #[must_use]
    pub fn first_sequence(&self) -> u64 {
        let view = self.view();
        match (view.head.sequence, view.records.front()) {
            (0, _) => 0,
            (_, Some(record)) => record.sequence,
            (_, None) => view.firsts.first().copied().unwrap_or_default(),
        }
    }

    /// From here on nothing can be written.
    #[cfg(test)]
    pub(crate) fn fail_from_now_on(&self) {
        self.fails.store(true, std::sync::atomic::Ordering::Release);
    }

    fn view(&self) -> MutexGuard<'_, View> {
        lock(&self.view)
    }
}

fn io_error(doing: &'static str) -> impl FnOnce(io::Error) -> AuditError {
    move |source| AuditError::Io { doing, source }
}

fn line_words(line: Option<u64>) -> String {
    line.map(|line| format!(", line {line}"))
        .unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No code under these locks panics half-way through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
