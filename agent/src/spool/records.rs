//! Updates, or other messages, in a row, in a file or in memory.
//!
//! Each is framed by its length and a checksum over length and content: eight
//! bytes and four, little-endian.

use std::{fs::File, io, os::unix::fs::FileExt};

use crc32fast::Hasher;
use prost::Message;
use pvelens_proto::agent::v1::NodeUpdate;

/// Length and checksum.
const FRAME: usize = 8 + 4;
const TOO_SHORT: &str = "it has fewer records than it had";

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Flaw {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("it is of another version")]
    Version,
    #[error("{0}")]
    Damaged(&'static str),
}

#[derive(Debug)]
pub(crate) struct Records {
    place: Place,
    /// Where the frame of each record ends.
    ends: Vec<usize>,
}

#[derive(Debug)]
enum Place {
    File(File),
    Memory(Vec<u8>),
}

impl Records {
    pub(super) fn in_memory() -> Self {
        Self {
            place: Place::Memory(Vec::new()),
            ends: Vec::new(),
        }
    }

    /// None so far, in an empty file.
    pub(crate) fn in_file(file: File) -> Self {
        Self {
            place: Place::File(file),
            ends: Vec::new(),
        }
    }

    /// Finds the records of a file, and tells how many bytes at its end are no
    /// whole one. Nothing is read of a file that is longer than the limit.
    pub(crate) fn scan<M: Message + Default>(
        file: File,
        limit: usize,
        mut visit: impl FnMut(M) -> Result<(), Flaw>,
    ) -> Result<(Self, usize), Flaw> {
        let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
        if length > limit {
            return Err(Flaw::Damaged("it is larger than all that is kept"));
        }
        let mut ends = Vec::new();
        let mut at = 0;
        let mut frame = Vec::new();
        while let Some(end) = read_frame(&file, at, length, &mut frame)? {
            visit(decode(&frame)?)?;
            ends.push(end);
            at = end;
        }
        let place = Place::File(file);
        Ok((Self { place, ends }, length.saturating_sub(at)))
    }

    /// Adds a framed record. Memory takes every one.
    pub(crate) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        let at = self.bytes();
        match &mut self.place {
            Place::Memory(bytes) => bytes.extend_from_slice(frame),
            Place::File(file) => file.write_all_at(frame, offset(at))?,
        }
        self.ends.push(at.saturating_add(frame.len()));
        Ok(())
    }

    /// The frame of one record, checked.
    pub(super) fn frame(&self, position: usize) -> Result<Vec<u8>, Flaw> {
        let (begin, end) = self.bounds(position).ok_or(Flaw::Damaged(TOO_SHORT))?;
        let frame = match &self.place {
            Place::Memory(bytes) => {
                let frame = bytes.get(begin..end);
                frame.ok_or(Flaw::Damaged(TOO_SHORT))?.to_vec()
            }
            Place::File(file) => {
                let mut frame = vec![0; end.saturating_sub(begin)];
                file.read_exact_at(&mut frame, offset(begin))?;
                frame
            }
        };
        content(&frame)?;
        Ok(frame)
    }

    pub(super) fn read(&self, position: usize) -> Result<NodeUpdate, Flaw> {
        decode(&self.frame(position)?)
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.ends.last().copied().unwrap_or_default()
    }

    /// Bytes of one record with its frame.
    pub(super) fn bytes_of(&self, position: usize) -> usize {
        self.bounds(position)
            .map_or(0, |(begin, end)| end.saturating_sub(begin))
    }

    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// Takes the records from their file into memory. If they cannot be read,
    /// they stay where they are, and who reads them later finds that out.
    pub(super) fn load(&mut self) {
        if let Place::File(file) = &self.place {
            let mut bytes = vec![0; self.bytes()];
            if file.read_exact_at(&mut bytes, 0).is_ok() {
                self.place = Place::Memory(bytes);
            }
        }
    }

    /// Waits until the disk has it. Memory has nothing to wait for.
    pub(crate) fn sync(&self) -> io::Result<()> {
        match &self.place {
            Place::File(file) => file.sync_data(),
            Place::Memory(_) => Ok(()),
        }
    }

    /// Cuts off what is torn.
    pub(super) fn mend(&self) -> io::Result<()> {
        match &self.place {
            Place::File(file) => file.set_len(offset(self.bytes())),
            Place::Memory(_) => Ok(()),
        }
    }

    fn bounds(&self, position: usize) -> Option<(usize, usize)> {
        let begin = match position.checked_sub(1) {
            Some(before) => *self.ends.get(before)?,
            None => 0,
        };
        Some((begin, *self.ends.get(position)?))
    }
}

/// A message as it is kept.
pub(crate) fn frame(message: &impl Message) -> Vec<u8> {
    frame_of(&message.encode_to_vec())
}

/// Content with its length and its checksum.
pub(crate) fn frame_of(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(FRAME.saturating_add(content.len()));
    frame.extend_from_slice(&head(content));
    frame.extend_from_slice(content);
    frame
}

fn head(content: &[u8]) -> [u8; FRAME] {
    let length = offset(content.len()).to_le_bytes();
    let mut hasher = Hasher::new();
    hasher.update(&length);
    hasher.update(content);
    let mut head = [0; FRAME];
    let (front, back) = head.split_at_mut(length.len());
    front.copy_from_slice(&length);
    back.copy_from_slice(&hasher.finalize().to_le_bytes());
    head
}

/// The content of a whole frame.
fn content(frame: &[u8]) -> Result<&[u8], Flaw> {
    match frame.split_first_chunk() {
        Some((found, content)) if *found == head(content) => Ok(content),
        _ => Err(Flaw::Damaged("a checksum does not fit")),
    }
}

fn decode<M: Message + Default>(frame: &[u8]) -> Result<M, Flaw> {
    M::decode(content(frame)?).map_err(|_| Flaw::Damaged("a record is not one of ours"))
}

/// Reads the frame at a place of a file, and tells where it ends; `None` when
/// the file ends before.
fn read_frame(
    file: &File,
    at: usize,
    end: usize,
    frame: &mut Vec<u8>,
) -> Result<Option<usize>, Flaw> {
    let Some(room) = end.saturating_sub(at).checked_sub(FRAME) else {
        return Ok(None);
    };
    let mut length = [0; 8];
    file.read_exact_at(&mut length, offset(at))?;
    // Not more than the file has, so memory is bounded by what is there.
    let length = usize::try_from(u64::from_le_bytes(length)).unwrap_or(usize::MAX);
    if length > room {
        return Ok(None);
    }
    frame.resize(FRAME.saturating_add(length), 0);
    file.read_exact_at(frame, offset(at))?;
    Ok(Some(at.saturating_add(frame.len())))
}

/// 64 bits hold every size in memory.
fn offset(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}
