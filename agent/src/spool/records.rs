//! Records in a row, in a file or in memory.
//!
//! A file begins with its magic, which carries the version, and a header; then
//! come the records. Header and records are framed by length and checksum:
//! eight bytes and four, little-endian, the checksum over length and content. In
//! memory there are only the framed records.

use std::{
    fs::File,
    io,
    os::unix::fs::FileExt,
};

use crc32fast::Hasher;
use prost::Message;
use pvelens_proto::agent::v1::NodeUpdate;

const MAGIC: &[u8; 16] = b"pvelens spool 1\n";
/// What the magic of every version begins with.
const FAMILY: &[u8] = b"pvelens spool ";
/// Length and checksum.
const FRAME: u64 = 8 + 4;
/// Room in a file system is given out in pages.
const PAGE: u64 = 4096;

/// What a file is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    /// Sequence of the first update of a segment; that of the first one after
    /// a base.
    pub(super) first: u64,
    pub(super) epoch: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Base,
    /// May refer to what is before it.
    Segment,
    /// Refers to nothing before it: that may be lost.
    FreshSegment,
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
pub(super) enum Flaw {
    #[error("{0}")]
    Read(#[from] io::Error),
    #[error("of another version")]
    Version,
    #[error("damaged: {0}")]
    Damaged(&'static str),
    #[error("missing")]
    Missing,
}

#[derive(Debug)]
pub(super) struct Records {
    place: Place,
    begin: u64,
    /// Where the frame of each record ends.
    ends: Vec<u64>,
}

#[derive(Debug)]
enum Place {
    File(File),
    Memory(Vec<u8>),
}

/// What was found in a file.
#[derive(Debug)]
pub(super) struct Scanned {
    /// `None` when the file is so short that even its header is torn.
    pub(super) whole: Option<(Header, Records)>,
    /// Bytes at the end that make no whole record.
    pub(super) torn_bytes: u64,
}

impl Records {
    pub(super) fn in_memory(frames: &[Vec<u8>]) -> Self {
        let mut records = Self {
            place: Place::Memory(Vec::new()),
            begin: 0,
            ends: Vec::new(),
        };
        for frame in frames {
            records.extend(frame);
        }
        records
    }

    /// None so far, in an empty file.
    pub(super) fn in_file(file: File, header: &Header) -> io::Result<Self> {
        let begin = header.encode();
        file.write_all_at(&begin, 0)?;
        Ok(Self {
            place: Place::File(file),
            begin: length(&begin),
            ends: Vec::new(),
        })
    }

    /// Looks at every record of a file.
    pub(super) fn scan(
        file: File,
        mut visit: impl FnMut(&Header, NodeUpdate) -> Result<(), Flaw>,
    ) -> Result<Scanned, Flaw> {
        let end = file.metadata()?.len();
        let mut magic = [0; MAGIC.len()];
        let begin = length(&magic).min(end);
        let magic = magic.get_mut(..index(begin)).unwrap_or_default();
        file.read_exact_at(magic, 0)?;
        if !MAGIC.starts_with(magic) {
            return Err(if magic.starts_with(FAMILY) {
                Flaw::Version
            } else {
                Flaw::Damaged("it is no file of a spool")
            });
        }
        let torn = Scanned {
            whole: None,
            torn_bytes: end,
        };
        if magic.len() < MAGIC.len() {
            return Ok(torn);
        }
        let mut frame = Vec::new();
        let Some(begin) = read_frame(&file, begin, end, &mut frame)? else {
            return Ok(torn);
        };
        let header = Header::decode(content(&frame)?)?;
        let mut records = Self {
            place: Place::File(file),
            begin,
            ends: Vec::new(),
        };
        let mut at = begin;
        while let Place::File(file) = &records.place
            && let Some(next) = read_frame(file, at, end, &mut frame)?
        {
            visit(&header, decode(&frame)?)?;
            records.ends.push(next);
            at = next;
        }
        Ok(Scanned {
            whole: Some((header, records)),
            torn_bytes: end - at,
        })
    }

    /// Adds a framed record. When that fails, the records are as before.
    pub(super) fn append(&mut self, frame: &[u8]) -> io::Result<()> {
        let at = self.end();
        if let Place::File(file) = &self.place
            && let Err(error) = file.write_all_at(frame, at)
        {
            // What stays behind is as torn as after a kill.
            file.set_len(at).ok();
            return Err(error);
        }
        self.extend(frame);
        Ok(())
    }

    fn extend(&mut self, frame: &[u8]) {
        if let Place::Memory(bytes) = &mut self.place {
            bytes.extend_from_slice(frame);
        }
        self.ends.push(self.end().saturating_add(length(frame)));
    }

    /// Whether a record fits into so many bytes with those that are there.
    pub(super) fn takes(&self, frame: &[u8], bytes: u64) -> bool {
        self.end().saturating_add(length(frame)) <= bytes
    }

    /// The frame of one record, checked.
    pub(super) fn frame(&self, position: usize) -> Result<Vec<u8>, Flaw> {
        let end = *self.ends.get(position).ok_or(Flaw::Missing)?;
        let begin = match position.checked_sub(1) {
            Some(before) => *self.ends.get(before).ok_or(Flaw::Missing)?,
            None => self.begin,
        };
        let frame = match &self.place {
            Place::Memory(bytes) => {
                let frame = bytes.get(index(begin)..index(end));
                frame.ok_or(Flaw::Missing)?.to_vec()
            }
            Place::File(file) => {
                let mut frame = vec![0; index(end.saturating_sub(begin))];
                file.read_exact_at(&mut frame, begin)?;
                frame
            }
        };
        content(&frame)?;
        Ok(frame)
    }

    pub(super) fn read(&self, position: usize) -> Result<NodeUpdate, Flaw> {
        decode(&self.frame(position)?)
    }

    pub(super) fn frames(&self) -> Result<Vec<Vec<u8>>, Flaw> {
        (0..self.len()).map(|position| self.frame(position)).collect()
    }

    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    pub(super) fn is_in_memory(&self) -> bool {
        matches!(self.place, Place::Memory(_))
    }

    /// Room that they take.
    pub(super) fn room(&self) -> u64 {
        match self.place {
            Place::Memory(_) => self.end(),
            Place::File(_) => self.end().next_multiple_of(PAGE),
        }
    }

    /// Bytes of one record with its frame.
    pub(super) fn bytes_of(&self, position: usize) -> usize {
        let end = |position: usize| self.ends.get(position).copied();
        let begin = position.checked_sub(1).and_then(end).unwrap_or(self.begin);
        index(end(position).unwrap_or(begin).saturating_sub(begin))
    }

    /// Cuts off what is torn.
    pub(super) fn mend(&self) -> io::Result<()> {
        match &self.place {
            Place::File(file) => file.set_len(self.end()),
            Place::Memory(_) => Ok(()),
        }
    }

    fn end(&self) -> u64 {
        self.ends.last().copied().unwrap_or(self.begin)
    }
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let mut content = vec![match self.kind {
            Kind::Base => b'b',
            Kind::Segment => b's',
            Kind::FreshSegment => b'f',
        }];
        content.extend_from_slice(&self.first.to_le_bytes());
        content.extend_from_slice(self.epoch.as_bytes());
        let mut bytes = MAGIC.to_vec();
        bytes.append(&mut frame(&content));
        bytes
    }

    fn decode(content: &[u8]) -> Result<Self, Flaw> {
        let strange = Flaw::Damaged("its header is strange");
        let Some((kind, rest)) = content.split_first() else {
            return Err(strange);
        };
        let Some((first, epoch)) = rest.split_first_chunk() else {
            return Err(strange);
        };
        let kind = match kind {
            b'b' => Kind::Base,
            b's' => Kind::Segment,
            b'f' => Kind::FreshSegment,
            _ => return Err(strange),
        };
        Ok(Self {
            kind,
            first: u64::from_le_bytes(*first),
            epoch: String::from_utf8(epoch.to_vec()).map_err(|_| strange)?,
        })
    }
}

/// A record as it is kept.
pub(super) fn frame(content: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(index(FRAME).saturating_add(content.len()));
    frame.extend_from_slice(&length(content).to_le_bytes());
    frame.extend_from_slice(&checksum(content).to_le_bytes());
    frame.extend_from_slice(content);
    frame
}

/// Over the content and its length.
pub(super) fn checksum(content: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(&length(content).to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}

/// The content of a whole frame.
fn content(frame: &[u8]) -> Result<&[u8], Flaw> {
    let damaged = Flaw::Damaged("a checksum does not fit");
    let Some((head, content)) = frame.split_at_checked(index(FRAME)) else {
        return Err(damaged);
    };
    let mut expected = length(content).to_le_bytes().to_vec();
    expected.extend_from_slice(&checksum(content).to_le_bytes());
    if head == expected {
        Ok(content)
    } else {
        Err(damaged)
    }
}

fn decode(frame: &[u8]) -> Result<NodeUpdate, Flaw> {
    NodeUpdate::decode(content(frame)?).map_err(|_| Flaw::Damaged("a record is no update"))
}

/// Reads the frame at a place of a file, and tells where it ends; `None` when
/// the file ends before.
fn read_frame(file: &File, at: u64, end: u64, frame: &mut Vec<u8>) -> Result<Option<u64>, Flaw> {
    let mut content_length = [0; 8];
    let Some(room) = end.saturating_sub(at).checked_sub(FRAME) else {
        return Ok(None);
    };
    file.read_exact_at(&mut content_length, at)?;
    // Not more than the file has, so memory is bounded by what is there.
    let content_length = u64::from_le_bytes(content_length);
    if content_length > room {
        return Ok(None);
    }
    let bytes = FRAME + content_length;
    frame.clear();
    frame.resize(index(bytes), 0);
    file.read_exact_at(frame, at)?;
    content(frame)?;
    Ok(Some(at + bytes))
}

/// Sizes in memory fit; 64 bits hold them.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// On a machine of 64 bits every place in a file is an index.
fn index(place: u64) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}
