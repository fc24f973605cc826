//! The files of one epoch: a segment for each stretch of updates, the base, and
//! the newest number that was given.
//!
//! A record is written before its number is counted, and counted before a reader
//! gets it. So a number that a reader knows is never given again, whatever was
//! cut off. A base is written beside the old one and takes its place before the
//! segment that sank into it goes.

use std::{fs::File, io, os::unix::fs::FileExt};

use tracing::{info, warn};

use super::{
    directory::Directory,
    records::{Flaw, Header, Kind, Records, checksum},
};

pub(super) const BASE: &str = "base";
pub(super) const NEWEST: &str = "newest";
const NEW_BASE: &str = "base.new";
const SEGMENT_PREFIX: &str = "segment-";
/// A number and its checksum.
const NEWEST_BYTES: usize = 8 + 4;

#[derive(Debug)]
pub(super) struct Disk {
    directory: Directory,
    epoch: String,
    newest: Option<File>,
    failing: bool,
}

impl Disk {
    /// Nothing of an earlier epoch stays. What cannot be written yet is written
    /// by [`Disk::count_again`].
    pub(super) fn begin(directory: Directory, epoch: String) -> io::Result<Self> {
        for name in directory.names()? {
            if name == BASE || name == NEW_BASE || name == NEWEST || is_segment(&name) {
                directory.remove(&name)?;
            }
        }
        Ok(Self {
            directory,
            epoch,
            newest: None,
            failing: false,
        })
    }

    /// The files of an epoch that goes on.
    pub(super) fn go_on(directory: Directory, epoch: String, newest: File) -> Self {
        Self {
            directory,
            epoch,
            newest: Some(newest),
            failing: false,
        }
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing
    }

    pub(super) fn failed(&mut self, error: &io::Error) {
        if !self.failing {
            warn!(%error, "the spool cannot be written; new samples are kept in memory only");
        }
        self.failing = true;
    }

    pub(super) fn works(&mut self) {
        if self.failing {
            info!("the spool is written again");
        }
        self.failing = false;
    }

    pub(super) fn has_room(&self, bytes: u64) -> bool {
        self.directory.room().is_ok_and(|room| room > bytes)
    }

    /// Makes sure that the number is never given again. Needs no room once the
    /// file is there.
    pub(super) fn count(&mut self, newest: u64) {
        let Some(file) = &self.newest else {
            return;
        };
        if let Err(error) = file.write_all_at(&counted(newest, &self.epoch), 0) {
            // Without this file the next start begins a new epoch.
            self.newest = None;
            self.directory.remove(NEWEST).ok();
            self.failed(&error);
        }
    }

    /// Counts in a file, if that could not be done before.
    pub(super) fn count_again(&mut self, newest: u64) -> io::Result<()> {
        if self.newest.is_none() {
            let file = self.directory.create(NEWEST)?;
            file.write_all_at(&counted(newest, &self.epoch), 0)?;
            self.newest = Some(file);
        }
        Ok(())
    }

    /// A new segment with its first records.
    pub(super) fn segment(
        &self,
        kind: Kind,
        first: u64,
        frames: &[Vec<u8>],
    ) -> io::Result<Records> {
        let name = segment_name(first);
        let records = self.write(&name, kind, first, frames);
        if records.is_err() {
            self.directory.remove(&name).ok();
        }
        records
    }

    /// A new base in place of the old one; `first` is the update after it.
    pub(super) fn base<'a>(
        &self,
        first: u64,
        frames: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> io::Result<Records> {
        let written = self
            .write(NEW_BASE, Kind::Base, first, frames)
            .and_then(|records| {
                self.directory.rename(NEW_BASE, BASE)?;
                Ok(records)
            });
        if written.is_err() {
            self.directory.remove(NEW_BASE).ok();
        }
        written
    }

    fn write<'a>(
        &self,
        name: &str,
        kind: Kind,
        first: u64,
        frames: impl IntoIterator<Item = &'a Vec<u8>>,
    ) -> io::Result<Records> {
        let header = Header {
            kind,
            first,
            epoch: self.epoch.clone(),
        };
        let mut records = Records::in_file(self.directory.create(name)?, &header)?;
        for frame in frames {
            records.append(frame)?;
        }
        Ok(records)
    }

    /// A segment that stays behind is known by the base to be older.
    pub(super) fn drop_segment(&self, first: u64) {
        self.directory.remove(&segment_name(first)).ok();
    }
}

/// The number that was counted last, if it belongs to the epoch.
pub(super) fn read_newest(file: &File, epoch: &str) -> Result<u64, Flaw> {
    let mut bytes = [0; NEWEST_BYTES];
    file.read_exact_at(&mut bytes, 0)?;
    let newest = bytes.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
    if bytes == counted(newest, epoch).as_slice() {
        Ok(newest)
    } else {
        Err(Flaw::Damaged("its checksum does not fit"))
    }
}

fn counted(newest: u64, epoch: &str) -> Vec<u8> {
    let number = newest.to_le_bytes();
    let mut bytes = number.to_vec();
    bytes.extend_from_slice(epoch.as_bytes());
    let checksum = checksum(&bytes).to_le_bytes();
    [number.as_slice(), &checksum].concat()
}

/// Twenty digits, so that the order of names is that of numbers.
pub(super) fn segment_name(first: u64) -> String {
    format!("{SEGMENT_PREFIX}{first:020}")
}

pub(super) fn is_segment(name: &str) -> bool {
    name.strip_prefix(SEGMENT_PREFIX)
        .and_then(|number| number.parse().ok())
        .is_some_and(|first| segment_name(first) == name)
}
