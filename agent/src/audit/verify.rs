//! Verifies a record from outside, while an agent may be writing it.

use std::{collections::VecDeque, io, path::Path, thread, time::Duration};

use super::{AuditError, Head, Problem, Record, files, walk::walk};
use crate::spool::directory::Directory;

/// What is in the directory of a record, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Records that are as they were written.
    pub records: u64,
    /// Number of the first one that is kept.
    pub first: Option<u64>,
    /// Where it ends; `None` when there is no record.
    pub last: Option<Head>,
    pub problems: Vec<Problem>,
    /// Problems beyond those that are listed.
    pub more_problems: u64,
    /// Files that could not be read; they are among the problems.
    pub unreadable: u64,
    /// Bytes at the end that are no whole record: it is being written, or power was
    /// lost and no agent has opened it since.
    pub unfinished_bytes: u64,
    /// Files with what was torn before and set aside.
    pub torn: Vec<String>,
    /// Commands that were begun and whose end is not written down, and their guests.
    pub under_way: Vec<(String, u32)>,
    /// What became of the head that was given.
    pub head: HeadFound,
}

/// Whether a record has what it had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeadFound {
    NotGiven,
    /// Everything until there is as it was.
    Yes,
    /// The record ends before: its end was cut off.
    CutOff,
    /// Another record has its number: it was written anew.
    Differs,
    /// The ring let it go, so that it says nothing any more.
    TooOld,
}

impl Report {
    /// Nothing is wrong, as far as that can be told.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.problems.is_empty()
            && self.unfinished_bytes == 0
            && !matches!(self.head, HeadFound::CutOff | HeadFound::Differs)
    }
}

/// How long a record may be half written.
const BEING_WRITTEN: Duration = Duration::from_millis(200);

/// Verifies every record in a directory; with a head of before also that nothing was
/// cut off or written anew since.
///
/// # Errors
/// When the directory is not there or cannot be read.
pub fn verify(directory: &Path, head: Option<&Head>) -> Result<Report, AuditError> {
    inspect(directory, head, 0).map(|(_, report)| report)
}

/// The newest records of a directory, at most so many, oldest first, and what there is
/// to say of all.
///
/// # Errors
/// When the directory is not there or cannot be read.
pub fn newest(directory: &Path, limit: usize) -> Result<(Vec<Record>, Report), AuditError> {
    inspect(directory, None, limit)
}

fn inspect(
    directory: &Path,
    head: Option<&Head>,
    limit: usize,
) -> Result<(Vec<Record>, Report), AuditError> {
    let seen = look(directory, head, limit)?;
    if seen.1.unfinished_bytes == 0 {
        return Ok(seen);
    }
    // An agent may be writing just now.
    thread::sleep(BEING_WRITTEN);
    look(directory, head, limit)
}

fn look(
    directory: &Path,
    head: Option<&Head>,
    limit: usize,
) -> Result<(Vec<Record>, Report), AuditError> {
    let unusable = |why: String| AuditError::Directory {
        path: directory.to_owned(),
        why,
    };
    let error = |error: io::Error| unusable(error.to_string());
    let opened = Directory::look(directory)
        .map_err(error)?
        .ok_or_else(|| unusable("it is not there".to_owned()))?;
    let mut at_head = None;
    let mut before_all = None;
    let mut newest = VecDeque::new();
    let found = walk(&opened, |record| {
        if newest.len() >= limit {
            newest.pop_front();
        }
        if limit > 0 {
            newest.push_back(record.clone());
        }
        if before_all.is_none() {
            before_all = record.sequence.checked_sub(1).map(|sequence| Head {
                sequence,
                hash: record.previous.clone(),
            });
        }
        if head.is_some_and(|head| head.sequence == record.sequence) {
            at_head = Some(record.head());
        }
    })
    .map_err(error)?;
    // What the oldest record has as the one before it is known as well.
    let known = at_head
        .or(before_all.filter(|before| head.is_some_and(|head| head.sequence == before.sequence)));
    let head = match (head, known) {
        (None, _) => HeadFound::NotGiven,
        (Some(head), Some(known)) if *head == known => HeadFound::Yes,
        (Some(_), Some(_)) => HeadFound::Differs,
        // Nothing was written yet then.
        (Some(head), None) if *head == Head::default() => HeadFound::Yes,
        (Some(head), None) if head.sequence > found.head.sequence => HeadFound::CutOff,
        (Some(head), None) if found.first.is_some_and(|first| head.sequence < first) => {
            HeadFound::TooOld
        }
        // It is damaged just there, and that is among the problems.
        (Some(_), None) => HeadFound::Differs,
    };
    let report = Report {
        records: found.records,
        first: found.first.filter(|_| found.records > 0),
        last: (found.records > 0).then_some(found.head),
        problems: found.problems,
        more_problems: found.more_problems,
        unreadable: found.unreadable,
        unfinished_bytes: found.tail.map_or(0, |tail| tail.bytes),
        torn: files::torn(&opened).map_err(error)?,
        under_way: found.under_way.into_iter().collect(),
        head,
    };
    Ok((newest.into(), report))
}
