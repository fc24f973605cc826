//! The files of one epoch.
//!
//! - `newest`: the version, the number that was given last, and the epoch.
//! - `segment-N`: the updates from number N on, without a gap.
//! - `base`: the base of the ring, and as its end an update without samples that
//!   has the number of the newest update it covers. It is not there before
//!   something fell out of the ring.
//!
//! A record is written before its number is counted in `newest`, and counted
//! before a reader gets it. So what a reader knows is in the files, or they are
//! seen to be damaged. A base is written beside the old one, and takes its place
//! before the segment goes that sank into it.

use std::{fs::File, io, os::unix::fs::FileExt};

use pvelens_proto::agent::v1::{Cursor, NodeUpdate};

use super::{
    base::Frames,
    directory::Directory,
    records::{Flaw, Records, frame},
};

pub(super) const NEWEST: &str = "newest";
pub(super) const BASE: &str = "base";
const NEW_BASE: &str = "base.new";
const SEGMENT_PREFIX: &str = "segment-";

const MAGIC: &[u8; 16] = b"pvelens spool 1\n";
/// What the magic of every version begins with.
const FAMILY: &[u8] = b"pvelens spool ";
/// Far more than an epoch needs.
const NEWEST_AT_MOST: u64 = 512;

#[derive(Debug)]
pub(super) struct Files {
    directory: Directory,
    newest: File,
    epoch: String,
}

impl Files {
    /// Nothing of an earlier epoch stays.
    pub(super) fn begin(directory: Directory, epoch: String) -> io::Result<Self> {
        clear(&directory)?;
        let files = Self {
            newest: directory.create(NEWEST)?,
            directory,
            epoch,
        };
        if let Err(error) = files.count(0) {
            // An empty file would be taken for damage.
            files.forget();
            return Err(error);
        }
        Ok(files)
    }

    /// The files of an epoch that goes on.
    pub(super) fn go_on(directory: Directory, newest: File, epoch: String) -> Self {
        Self {
            directory,
            newest,
            epoch,
        }
    }

    /// Makes sure that the number is never given again. One write within a page,
    /// so a kill leaves the old or the new.
    pub(super) fn count(&self, sequence: u64) -> io::Result<()> {
        write_newest(&self.newest, sequence, &self.epoch)
    }

    pub(super) fn segment(&self, first: u64) -> io::Result<Records> {
        self.directory
            .create(&segment_name(first))
            .map(Records::in_file)
    }

    pub(super) fn drop_segment(&self, first: u64) -> io::Result<()> {
        self.directory.remove(&segment_name(first))
    }

    /// A base that covers all until a number, in place of the one before.
    pub(super) fn base(&self, frames: &Frames, sequence: u64) -> io::Result<Records> {
        let mut records = Records::in_file(self.directory.create(NEW_BASE)?);
        for frame in frames.values() {
            records.append(frame)?;
        }
        let end = NodeUpdate {
            cursor: Some(Cursor {
                epoch: self.epoch.clone(),
                sequence,
            }),
            ..NodeUpdate::default()
        };
        records.append(&frame(&end))?;
        self.directory.rename(NEW_BASE, BASE)?;
        Ok(records)
    }

    /// Removes everything, so that nobody goes on with it. What is open can still
    /// be read.
    pub(super) fn forget(self) {
        // Either is enough.
        self.newest.set_len(0).ok();
        clear(&self.directory).ok();
    }
}

/// Without `newest`, which goes first, the rest is nothing.
fn clear(directory: &Directory) -> io::Result<()> {
    directory.remove(NEWEST)?;
    for name in directory.names()? {
        if name == BASE || name == NEW_BASE || segment_first(&name).is_some() {
            directory.remove(&name)?;
        }
    }
    Ok(())
}

pub(super) fn write_newest(file: &File, sequence: u64, epoch: &str) -> io::Result<()> {
    file.write_all_at(&newest(sequence, epoch), 0)
}

/// The number that was given last, and the epoch.
pub(super) fn read_newest(file: &File) -> Result<(u64, String), Flaw> {
    let length = file.metadata()?.len().min(NEWEST_AT_MOST);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
    file.read_exact_at(&mut bytes, 0)?;
    parse_newest(&bytes).ok_or(if bytes.starts_with(FAMILY) && !bytes.starts_with(MAGIC) {
        Flaw::Version
    } else {
        Flaw::Damaged("it is not what was written")
    })
}

fn parse_newest(bytes: &[u8]) -> Option<(u64, String)> {
    let (sequence, rest) = bytes.strip_prefix(MAGIC)?.split_first_chunk()?;
    let (epoch, _) = rest.split_last_chunk::<4>()?;
    let sequence = u64::from_le_bytes(*sequence);
    let epoch = str::from_utf8(epoch).ok()?;
    (newest(sequence, epoch) == bytes).then(|| (sequence, epoch.to_owned()))
}

fn newest(sequence: u64, epoch: &str) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&sequence.to_le_bytes());
    bytes.extend_from_slice(epoch.as_bytes());
    let checksum = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    bytes
}

/// Twenty digits, so that the order of names is that of numbers.
pub(super) fn segment_name(first: u64) -> String {
    format!("{SEGMENT_PREFIX}{first:020}")
}

/// The number of the first update in the segment of that name.
pub(super) fn segment_first(name: &str) -> Option<u64> {
    let first = name.strip_prefix(SEGMENT_PREFIX)?.parse().ok()?;
    (segment_name(first) == name).then_some(first)
}
