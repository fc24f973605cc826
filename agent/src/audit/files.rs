//! The files of a record: `audit-N.jsonl` has the records from number N on.
//!
//! The newest takes records until it is full; the oldest go when the next one needs
//! room. Beside them, `audit-N.torn` has bytes that were to become the record N.

use std::{
    collections::VecDeque,
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    sync::Arc,
};

use super::{record::LINE_LIMIT, walk::Tail};
use crate::spool::directory::Directory;

const PREFIX: &str = "audit-";
const SUFFIX: &str = ".jsonl";
const TORN_SUFFIX: &str = ".torn";
/// Bytes of a file that is read, at most: far more than any has.
const READ_LIMIT: u64 = 8 << 20;

/// A file of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Segment {
    /// Number of its first record.
    pub(super) first: u64,
    pub(super) bytes: u64,
}

/// How large files become, and all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bounds {
    pub(super) segment: u64,
    pub(super) ring: u64,
}

/// Files that are written to.
#[derive(Debug)]
pub(super) struct Files {
    directory: Arc<Directory>,
    bounds: Bounds,
    /// Oldest first.
    segments: VecDeque<Segment>,
    /// The newest of them.
    current: Option<File>,
    /// Nothing is behind the records of the newest file.
    is_clean: bool,
}

impl Files {
    /// Goes on with what is there.
    ///
    /// # Errors
    /// When the newest file cannot be opened.
    pub(super) fn go_on(
        directory: Arc<Directory>,
        bounds: Bounds,
        segments: Vec<Segment>,
    ) -> io::Result<Self> {
        let current = match segments.last() {
            Some(newest) => directory.file(&name(newest.first))?,
            None => None,
        };
        Ok(Self {
            directory,
            bounds,
            segments: segments.into(),
            current,
            is_clean: true,
        })
    }

    pub(super) fn segments(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().map(|segment| segment.first)
    }

    /// Sets aside bytes at the end of the newest file that are no record. `next` is the
    /// number that the record would have had.
    ///
    /// # Errors
    /// When they cannot be copied; then they stay where they are.
    pub(super) fn set_aside(&mut self, tail: &Tail, next: u64) -> io::Result<String> {
        let newest = self.segments.back_mut();
        let (Some(file), Some(newest)) = (&self.current, newest) else {
            return Err(io::Error::other("no file was begun"));
        };
        let mut bytes = vec![0; usize::try_from(tail.bytes).unwrap_or_default()];
        file.read_exact_at(&mut bytes, tail.offset)?;
        // A loss of power at the same place as before: both are kept.
        let torn = torn_name(next);
        let aside = match self.directory.file(&torn)? {
            Some(aside) => aside,
            None => self.directory.create(&torn)?,
        };
        bytes.push(b'\n');
        aside.write_all_at(&bytes, aside.metadata()?.len())?;
        aside.sync_all()?;
        self.directory.sync()?;
        file.set_len(tail.offset)?;
        file.sync_all()?;
        newest.bytes = tail.offset;
        Ok(torn)
    }

    /// Whether so many bytes more need a new file.
    pub(super) fn is_full_for(&self, bytes: usize) -> bool {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        match (&self.current, self.segments.back()) {
            (Some(_), Some(newest)) => {
                newest.bytes > 0 && newest.bytes.saturating_add(bytes) > self.bounds.segment
            }
            _ => true,
        }
    }

    /// Whether nothing is in the newest file yet.
    pub(super) fn is_fresh(&self) -> bool {
        self.segments.back().is_some_and(|newest| newest.bytes == 0)
    }

    /// Begins the next file, for the record of this number.
    pub(super) fn begin(&mut self, first: u64) -> io::Result<()> {
        let file = self.directory.create(&name(first))?;
        self.directory.sync()?;
        self.current = Some(file);
        self.is_clean = true;
        self.segments.push_back(Segment { first, bytes: 0 });
        Ok(())
    }

    /// How many of the oldest files must go, so that the newest may become full; never
    /// the newest.
    pub(super) fn outgrown(&self) -> usize {
        let older = self.segments.len().saturating_sub(1);
        let mut bytes = self.bounds.segment;
        let kept = self.segments.iter().rev().skip(1).take_while(|segment| {
            bytes = bytes.saturating_add(segment.bytes);
            bytes <= self.bounds.ring
        });
        older.saturating_sub(kept.count())
    }

    /// Number of the first record that stays when so many files go.
    pub(super) fn first_after(&self, files: usize) -> Option<u64> {
        self.segments.get(files).map(|segment| segment.first)
    }

    /// Removes the oldest files.
    ///
    /// # Errors
    /// When one cannot be removed; it is tried again with the next file.
    pub(super) fn drop_oldest(&mut self, files: usize) -> io::Result<()> {
        for _ in 0..files {
            if let Some(oldest) = self.segments.front().copied() {
                self.directory.remove(&name(oldest.first))?;
                self.segments.pop_front();
            }
        }
        Ok(())
    }

    /// Adds a line and waits until the disk has it.
    ///
    /// # Errors
    /// When the disk does not take it; then the record ends as before.
    pub(super) fn append(&mut self, line: &[u8]) -> io::Result<()> {
        let (Some(file), Some(newest)) = (&self.current, self.segments.back_mut()) else {
            return Err(io::Error::other("no file was begun"));
        };
        if !self.is_clean {
            file.set_len(newest.bytes)?;
        }
        self.is_clean = false;
        let written = file
            .write_all_at(line, newest.bytes)
            .and_then(|()| file.sync_data());
        if let Err(error) = written {
            // Or a part of a record would be in the way of the next one.
            self.is_clean = file.set_len(newest.bytes).is_ok();
            return Err(error);
        }
        self.is_clean = true;
        newest.bytes = newest
            .bytes
            .saturating_add(u64::try_from(line.len()).unwrap_or_default());
        Ok(())
    }
}

/// Numbers of the first records of all files, ascending. Other files are not touched.
pub(super) fn firsts(directory: &Directory) -> io::Result<Vec<u64>> {
    let names = directory.names()?;
    let firsts = names.iter().filter_map(|found| {
        let number = found.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let number = number.parse().ok()?;
        (name(number) == *found).then_some(number)
    });
    Ok(firsts.collect())
}

/// Names of files with what was torn.
pub(super) fn torn(directory: &Directory) -> io::Result<Vec<String>> {
    let mut names = directory.names()?;
    names.retain(|name| name.starts_with(PREFIX) && name.ends_with(TORN_SUFFIX));
    Ok(names)
}

/// All bytes of the file whose first record has this number.
pub(super) fn read(directory: &Directory, first: u64) -> io::Result<Vec<u8>> {
    let mut file = directory.file_to_read(&name(first))?.take(READ_LIMIT);
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    if file.limit() == 0 {
        return Err(io::Error::other("it is too large to be one of ours"));
    }
    Ok(bytes)
}

/// Twenty digits, so that the order of names is that of numbers.
pub(super) fn name(first: u64) -> String {
    format!("{PREFIX}{first:020}{SUFFIX}")
}

fn torn_name(next: u64) -> String {
    format!("{PREFIX}{next:020}{TORN_SUFFIX}")
}

// A line always fits into a file that is read.
const _: () = assert!(LINE_LIMIT < 1 << 20);
