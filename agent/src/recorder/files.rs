//! The ring of files, `flight-N`: the newest takes records, the oldest goes when the
//! next one needs room.
//!
//! A file is never gone on with once another process or another emergency began:
//! so a torn end stays what it is, and costs nothing but itself.

use std::{collections::VecDeque, io, path::Path};

use pvelens_proto::agent::v1::Cursor;

use super::{bounds::Bounds, record::Record};
use crate::spool::{
    directory::{Directory, DirectoryError},
    records::{Flaw, Records},
};

const PREFIX: &str = "flight-";

#[derive(Debug)]
pub(super) struct Files {
    directory: Directory,
    bounds: Bounds,
    /// Numbers and sizes of the files before the current one, oldest first.
    older: VecDeque<(u64, usize)>,
    current: Option<(u64, Records)>,
}

/// Why nothing can be written.
#[derive(Debug, thiserror::Error)]
pub(super) enum WriteError {
    #[error("opening the directory: {0}")]
    Directory(#[from] DirectoryError),
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// How the newest file ends.
#[derive(Debug, Default, Clone, PartialEq)]
pub(super) struct Tail {
    pub(super) emergency: Option<i64>,
    pub(super) is_ended: bool,
    /// Of the last update.
    pub(super) cursor: Option<Cursor>,
}

impl Files {
    /// Opens the directory and makes it if it is not there. Nothing in it changes.
    pub(super) fn open(path: &Path, bounds: Bounds) -> Result<Self, WriteError> {
        let directory = Directory::open(path)?;
        let mut older = VecDeque::new();
        for number in numbers(&directory)? {
            if let Some(file) = directory.file(&name(number))? {
                let bytes = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
                older.push_back((number, bytes));
            }
        }
        Ok(Self {
            directory,
            bounds,
            older,
            current: None,
        })
    }

    /// How the newest file ends, as far as it can be read.
    pub(super) fn tail(&self) -> Tail {
        let mut tail = Tail::default();
        let Some((number, _)) = self.older.back() else {
            return tail;
        };
        let Ok(file) = self.directory.file_to_read(&name(*number)) else {
            return tail;
        };
        let read: Result<_, Flaw> = Records::scan(file, self.bounds.ring, |record: Record| {
            tail.emergency = Some(record.emergency);
            tail.is_ended = record.mark() == super::record::Mark::Ended;
            let cursor = record.update.and_then(|update| update.cursor);
            tail.cursor = cursor.or(tail.cursor.take());
            Ok(())
        });
        // What comes after damage is not known; then some is written twice.
        drop(read);
        tail
    }

    /// Whether the current file takes so many bytes more.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        self.current
            .as_ref()
            .is_some_and(|(_, records)| records.bytes().saturating_add(bytes) <= self.bounds.file)
    }

    /// Begins the next file, after the oldest have made room for it.
    pub(super) fn next(&mut self) -> io::Result<()> {
        if let Some((number, records)) = self.current.take() {
            records.sync()?;
            self.older.push_back((number, records.bytes()));
        }
        while let Some((oldest, _)) = self.older.front().copied() {
            let room = self.bounds.ring.saturating_sub(self.bounds.file);
            if self.bytes() <= room && self.older.len() < self.bounds.files() {
                break;
            }
            self.directory.remove(&name(oldest))?;
            self.older.pop_front();
        }
        let number = self.older.back().map_or(0, |(number, _)| *number);
        let number = number.saturating_add(1);
        let file = self.directory.create(&name(number))?;
        self.directory.sync()?;
        self.current = Some((number, Records::in_file(file)));
        Ok(())
    }

    /// Adds a frame to the current file, which has room.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        match &mut self.current {
            Some((_, records)) => records.append(frame),
            None => Err(io::Error::other("no file was begun")),
        }
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        match &self.current {
            Some((_, records)) => records.sync(),
            None => Ok(()),
        }
    }

    fn bytes(&self) -> usize {
        let bytes = self.older.iter().map(|(_, bytes)| *bytes);
        bytes.fold(0, usize::saturating_add)
    }
}

/// The files in a directory by number, oldest first. Others are not touched.
pub(super) fn numbers(directory: &Directory) -> io::Result<Vec<u64>> {
    let names = directory.names()?;
    let numbers = names.iter().filter_map(|found| {
        let number = found.strip_prefix(PREFIX)?.parse().ok()?;
        (name(number) == *found).then_some(number)
    });
    Ok(numbers.collect())
}

/// Twenty digits, so that the order of names is that of numbers.
pub(super) fn name(number: u64) -> String {
    format!("{PREFIX}{number:020}")
}
