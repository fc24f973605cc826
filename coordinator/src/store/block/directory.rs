//! Header and directory of a block.

use std::ops::{Range, RangeInclusive};

use super::{
    BlockError, Kind, MOST_SERIES, SeriesKey,
    bytes::{Reader, put_amount, put_number, wide},
    timelines::{self, Timelines},
};

const MAGIC: [u8; 3] = *b"PVB";
const VERSION: u8 = 1;
/// Bytes of the header.
const HEADER: usize = 16;
/// What the checksum covers of the header.
const COVERED: usize = 12;
/// Bytes of a directory or a frame.
const MOST_BYTES: usize = 1 << 28;

/// Where the series of a block are.
#[derive(Debug, Clone, PartialEq)]
pub struct Directory {
    kind: Kind,
    frames: Vec<Frame>,
    timelines: Vec<Vec<i64>>,
}

/// Consecutive series of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    first: SeriesKey,
    last: SeriesKey,
    /// From the begin of the block; from the end of the directory while that is
    /// not known.
    begin: usize,
    length: usize,
    checksum: u32,
}

impl Frame {
    pub(super) fn of(first: SeriesKey, last: SeriesKey, begin: usize, bytes: &[u8]) -> Self {
        Self {
            first,
            last,
            begin,
            length: bytes.len(),
            checksum: crc32fast::hash(bytes),
        }
    }

    /// Its bytes within the block.
    #[must_use]
    pub fn range(&self) -> Range<usize> {
        self.begin..self.begin.saturating_add(self.length)
    }

    /// The first and the last key.
    #[must_use]
    pub fn keys(&self) -> RangeInclusive<SeriesKey> {
        self.first..=self.last
    }

    pub(super) fn check(&self, bytes: &[u8]) -> Result<(), BlockError> {
        if bytes.len() < self.length {
            return Err(BlockError::Short);
        }
        if bytes.len() == self.length && crc32fast::hash(bytes) == self.checksum {
            Ok(())
        } else {
            Err(BlockError::Checksum)
        }
    }
}

impl Directory {
    /// Bytes from the begin of the block to the end of its directory; the first
    /// 16 are enough to tell.
    pub fn bytes(prefix: &[u8]) -> Result<usize, BlockError> {
        header(prefix).map(|(_, length, _)| HEADER.saturating_add(length))
    }

    /// Reads header and directory from the begin of a block. What follows may be
    /// missing.
    pub fn parse(prefix: &[u8]) -> Result<Self, BlockError> {
        let (kind, length, checksum) = header(prefix)?;
        let end = HEADER.saturating_add(length);
        let covered = prefix.get(..COVERED).ok_or(BlockError::Short)?;
        let content = prefix.get(HEADER..end).ok_or(BlockError::Short)?;
        if checksum_of(covered, content) != checksum {
            return Err(BlockError::Checksum);
        }
        let mut reader = Reader::new(content);
        let timelines = timelines::take(&mut reader)?;
        let frames = take_frames(&mut reader, end)?;
        reader.end()?;
        Ok(Self {
            kind,
            frames,
            timelines,
        })
    }

    #[must_use]
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// In the order of their keys.
    #[must_use]
    pub fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Frames that may have one of these keys.
    pub fn frames_of(&self, keys: RangeInclusive<SeriesKey>) -> impl Iterator<Item = &Frame> {
        let (first, last) = keys.into_inner();
        let skipped = self.frames.partition_point(|frame| frame.last < first);
        self.frames
            .iter()
            .skip(skipped)
            .take_while(move |frame| frame.first <= last)
    }

    pub(super) fn timelines(&self) -> &[Vec<i64>] {
        &self.timelines
    }

    pub(super) fn expect(&self, kind: Kind) -> Result<(), BlockError> {
        if self.kind == kind {
            Ok(())
        } else {
            Err(BlockError::Kind)
        }
    }
}

/// Header and directory of these frames.
pub(super) fn encode(
    kind: Kind,
    frames: &[Frame],
    timelines: &Timelines,
) -> Result<Vec<u8>, BlockError> {
    let mut content = Vec::new();
    timelines.put(&mut content)?;
    put_amount(&mut content, frames.len());
    for frame in frames {
        if frame.length > MOST_BYTES {
            return Err(BlockError::TooMany("bytes in a frame"));
        }
        put_key(&mut content, frame.first);
        put_key(&mut content, frame.last);
        put_amount(&mut content, frame.length);
        content.extend_from_slice(&frame.checksum.to_le_bytes());
    }
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    if content.len() > MOST_BYTES {
        return Err(BlockError::TooMany("bytes in the directory"));
    }
    let mut block = Vec::with_capacity(HEADER + content.len());
    block.extend_from_slice(&MAGIC);
    let kind = match kind {
        Kind::Points => 0,
        Kind::Buckets => 1,
    };
    block.extend_from_slice(&[VERSION, kind, 0, 0, 0]);
    block.extend_from_slice(&length.to_le_bytes());
    let checksum = checksum_of(&block, &content);
    block.extend_from_slice(&checksum.to_le_bytes());
    block.append(&mut content);
    Ok(block)
}

/// Kind, and length and checksum of the directory.
fn header(prefix: &[u8]) -> Result<(Kind, usize, u32), BlockError> {
    let mut reader = Reader::new(prefix);
    if reader.array::<3>()? != MAGIC {
        return Err(BlockError::NotABlock);
    }
    let version = reader.byte()?;
    if version != VERSION {
        return Err(BlockError::Version(version));
    }
    let [kind, _, _, _] = reader.array()?;
    let kind = match kind {
        0 => Kind::Points,
        1 => Kind::Buckets,
        _ => return Err(BlockError::Damaged("an unknown kind")),
    };
    let length = u32::from_le_bytes(reader.array()?);
    let length = super::bytes::amount(u64::from(length), MOST_BYTES)?;
    Ok((kind, length, u32::from_le_bytes(reader.array()?)))
}

fn take_frames(reader: &mut Reader<'_>, end: usize) -> Result<Vec<Frame>, BlockError> {
    let count = reader.amount(MOST_SERIES)?;
    let mut frames: Vec<Frame> = Vec::new();
    let mut begin = end;
    for _ in 0..count {
        let (first, last) = (take_key(reader)?, take_key(reader)?);
        let length = reader.amount(MOST_BYTES)?;
        let checksum = u32::from_le_bytes(reader.array()?);
        if first > last || frames.last().is_some_and(|frame| frame.last >= first) {
            return Err(BlockError::KeysNotAscending);
        }
        frames.push(Frame {
            first,
            last,
            begin,
            length,
            checksum,
        });
        begin = begin.saturating_add(length);
    }
    Ok(frames)
}

fn put_key(out: &mut Vec<u8>, key: SeriesKey) {
    put_number(out, u64::from(key.metric));
    put_number(out, u64::from(key.series));
}

fn take_key(reader: &mut Reader<'_>) -> Result<SeriesKey, BlockError> {
    key(reader.number()?, reader.number()?)
}

pub(super) fn key(metric: u64, series: u64) -> Result<SeriesKey, BlockError> {
    match (metric.try_into(), series.try_into()) {
        (Ok(metric), Ok(series)) => Ok(SeriesKey { metric, series }),
        _ => Err(BlockError::Damaged("a key is beyond its limit")),
    }
}

fn checksum_of(header: &[u8], content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(header);
    hasher.update(&wide(content.len()).to_le_bytes());
    hasher.update(content);
    hasher.finalize()
}
