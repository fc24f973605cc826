//! Reads all there is of a record, and tells what is not as it was written.

use std::{collections::BTreeMap, io};

use super::{
    Event, Head, Problem,
    files::{self, Segment},
    record::{Flaw, NOTHING_BEFORE, Record},
};
use crate::spool::directory::Directory;

/// Problems that are told one by one.
const PROBLEMS: usize = 20;
/// Commands that may be under way at a time; the agent allows far fewer.
const UNDER_WAY: usize = 1000;

/// What is in a directory.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) segments: Vec<Segment>,
    /// Records that are as they were written.
    pub(super) records: u64,
    /// Of the first one, by the name of its file.
    pub(super) first: Option<u64>,
    /// Of the last one.
    pub(super) head: Head,
    pub(super) problems: Vec<Problem>,
    /// Further ones, beyond those that are told.
    pub(super) more_problems: u64,
    /// The end of the newest file, when it is no whole record.
    pub(super) tail: Option<Tail>,
    /// Commands that were begun and did not end: guests by request.
    pub(super) under_way: BTreeMap<String, u32>,
    /// Files that could not be read.
    pub(super) unreadable: u64,
    /// The largest number below which the ring said to have let records go.
    dropped_below: u64,
    /// After what the next record comes; `None` when that is not known.
    expected: Option<Head>,
}

/// Bytes that a loss of power left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tail {
    pub(super) segment: u64,
    /// Where they begin.
    pub(super) offset: u64,
    pub(super) bytes: u64,
}

/// Reads every segment, oldest first, and gives each whole record to `each`.
///
/// # Errors
/// When the directory cannot be listed. What is wrong with a file is in the result.
pub(super) fn walk(directory: &Directory, mut each: impl FnMut(&Record)) -> io::Result<Walk> {
    let mut walk = Walk::default();
    let firsts = files::firsts(directory)?;
    let newest = firsts.last().copied();
    for first in firsts {
        let read = files::read(directory, first);
        let is_gone = read
            .as_ref()
            .is_err_and(|error| error.kind() == io::ErrorKind::NotFound);
        // The ring may have let it go just now.
        if is_gone && walk.first.is_none() {
            continue;
        }
        walk.first.get_or_insert(first);
        match read {
            Ok(bytes) => walk.segment(first, &bytes, newest == Some(first), &mut each),
            Err(error) => {
                walk.unreadable = walk.unreadable.saturating_add(1);
                walk.expected = None;
                walk.problem(first, None, format!("it cannot be read: {error}"));
            }
        }
    }
    if let Some(first) = walk.first
        && first > walk.dropped_below.max(1)
    {
        let what = format!(
            "the records before {first} are gone, and the ring did not let them go; it kept all from {} on",
            walk.dropped_below.max(1)
        );
        walk.problem(first, None, what);
    }
    Ok(walk)
}

impl Walk {
    fn segment(
        &mut self,
        first: u64,
        bytes: &[u8],
        is_newest: bool,
        each: &mut impl FnMut(&Record),
    ) {
        self.segments.push(Segment {
            first,
            bytes: length(bytes),
        });
        // One that was begun, and nothing written; or its only record is torn.
        let follows = self.head.sequence.saturating_add(1);
        if bytes.is_empty() && (!is_newest || first != follows) {
            self.problem(first, None, "it is empty".to_owned());
        }
        let mut offset = 0_usize;
        let mut number = 0_u64;
        while let Some((line, rest)) = bytes.get(offset..).and_then(first_line) {
            number = number.saturating_add(1);
            // A file system may fill up with zeros what it had no time to write.
            if is_newest && rest.is_empty() && line.contains(&0) {
                break;
            }
            match self.take(line) {
                Ok(record) => {
                    if number == 1 && record.sequence != first {
                        self.problem(first, Some(1), "its name is of another record".to_owned());
                    }
                    self.note(&record);
                    each(&record);
                }
                Err(flaw) => self.problem(first, Some(number), flaw.to_string()),
            }
            offset = bytes.len().saturating_sub(rest.len());
        }
        let left = bytes.get(offset..).unwrap_or_default();
        if left.is_empty() {
            return;
        }
        if is_newest {
            self.tail = Some(Tail {
                segment: first,
                offset: u64::try_from(offset).unwrap_or(u64::MAX),
                bytes: length(left),
            });
        } else {
            let number = number.saturating_add(1);
            self.problem(first, Some(number), "it is not whole".to_owned());
        }
    }

    /// The next record, if it is whole and follows what was before.
    fn take(&mut self, line: &[u8]) -> Result<Record, Flaw> {
        let record = match Record::parse(line) {
            Ok(record) => record,
            Err(flaw) => {
                // What comes next can be compared with nothing. Its number is the next
                // one all the same, which the comparison after it shows.
                self.expected = None;
                return Err(flaw);
            }
        };
        let before = self.expected.replace(record.head());
        let sequence = record.sequence;
        match before {
            Some(before) if before.sequence.saturating_add(1) != sequence => Err(Flaw::Sequence {
                sequence,
                expected: before.sequence.saturating_add(1),
            }),
            Some(before) if before.hash != record.previous => Err(Flaw::Previous { sequence }),
            None if sequence == 1 && record.previous != NOTHING_BEFORE => {
                Err(Flaw::Previous { sequence })
            }
            _ => Ok(record),
        }
    }

    fn note(&mut self, record: &Record) {
        self.records = self.records.saturating_add(1);
        self.head = record.head();
        match &record.event {
            Event::Begun(begun) if self.under_way.len() < UNDER_WAY => {
                self.under_way.insert(begun.request_id.clone(), begun.vmid);
            }
            Event::Ended(_) | Event::Abandoned(_) => {
                let id = record.event.request_id().unwrap_or_default();
                self.under_way.remove(id);
            }
            Event::Dropped(dropped) => {
                self.dropped_below = self.dropped_below.max(dropped.first_kept);
            }
            _ => {}
        }
    }

    fn problem(&mut self, segment: u64, line: Option<u64>, what: String) {
        if self.problems.len() < PROBLEMS {
            self.problems.push(Problem {
                file: files::name(segment),
                line,
                what,
            });
        } else {
            self.more_problems = self.more_problems.saturating_add(1);
        }
    }
}

/// A line without its end, and what comes after it.
pub(super) fn first_line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let (line, rest) = bytes.split_at_checked(end)?;
    Some((line, rest.get(1..)?))
}

fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}
