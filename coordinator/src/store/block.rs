//! Many series over one span of time, in few bytes.
//!
//! A block holds the points of series or their buckets, sorted by metric and then
//! by series, so that what is alike lies together. It is cut into frames of some
//! thousand values, each with a checksum: who wants one series reads the header
//! and the directory, and then the one frame that has it.
//!
//! ```text
//! header     16 bytes: "PVB", version, kind, three zeros, length and checksum of
//!            the directory
//! directory  the times that series share, and of each frame: first and last key,
//!            bytes, checksum
//! frames     one after another
//! ```
//!
//! Within a frame every figure is a column over all its series. Numbers come back
//! bit for bit; the mean of a bucket is kept to the precision of an `f32`. Times
//! are kept once for all series that have the same, since a collector reads many
//! figures at once.
//!
//! The bytes come from a disk that may be damaged: whatever they are, reading
//! them gives data or an error. Every count has a limit, and is compared with it
//! before anything is allocated.

mod bins;
mod buckets;
mod bytes;
mod directory;
mod grid;
mod head;
mod integers;
mod means;
mod points;
mod scale;
mod timelines;
mod walk;

use pco::errors::PcoError;

pub use directory::{Directory, Frame};

use super::bucket::{Bucket, Point};
use timelines::Timelines;

/// Values after which a frame is cut. A series is never divided.
const FRAME_VALUES: usize = 4096;
/// The same of points. A question reads many blocks of them, a frame of each, while an
/// hour is not rolled up; and they are not kept for long.
const FRAME_POINTS: usize = 1024;
/// Bins of sketches that count as one value of a frame: most of the time to read
/// it is theirs.
const BINS_PER_VALUE: usize = 2;
/// Values of one series in a block.
pub const MOST_VALUES: usize = 1 << 16;
/// Series of one block.
pub const MOST_SERIES: usize = 1 << 20;
/// Bins of the sketches of one frame.
const MOST_BINS: usize = 1 << 20;

/// Names a series. The metric comes first in the order of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesKey {
    pub metric: u16,
    pub series: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Points,
    Buckets,
}

/// A series of one block or frame, with its points or buckets.
pub type Series<T> = (SeriesKey, Vec<T>);

#[derive(Debug, thiserror::Error)]
pub enum BlockError {
    #[error("a number is not finite")]
    NotFinite,
    #[error("the series are not in the order of their keys")]
    KeysNotAscending,
    #[error("the values of a series are not in the order of their times")]
    TimesNotAscending,
    #[error("a bucket contradicts itself")]
    Inconsistent,
    #[error("there are too many {0}")]
    TooMany(&'static str),
    #[error("it is not a block")]
    NotABlock,
    #[error("it is of version {0}")]
    Version(u8),
    #[error("it holds something else")]
    Kind,
    #[error("a checksum does not fit")]
    Checksum,
    #[error("it ends too early")]
    Short,
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
    #[error("a column")]
    Column(#[source] PcoError),
}

/// A block of points. The keys of the series ascend, and so do the times of the
/// points of each.
pub fn encode_points(series: &[Series<Point>]) -> Result<Vec<u8>, BlockError> {
    let bad = |point: &Point| !point.value.is_finite();
    if series.iter().any(|(_, points)| points.iter().any(bad)) {
        return Err(BlockError::NotFinite);
    }
    let timelines = Timelines::of(series, |point| point.at_millis)?;
    let weight = |points: &[Point]| points.len();
    let cut = FRAME_POINTS;
    encode(Kind::Points, series, &timelines, cut, weight, points::put)
}

/// A block of buckets. The keys of the series ascend, and so do the indices of
/// the buckets of each. All have the same step, which the block does not tell.
pub fn encode_buckets(series: &[Series<Bucket>]) -> Result<Vec<u8>, BlockError> {
    for bucket in series.iter().flat_map(|(_, buckets)| buckets) {
        buckets::check(bucket)?;
    }
    let timelines = Timelines::of(series, |bucket| bucket.index)?;
    let weight = |buckets: &[Bucket]| {
        let bins: usize = buckets
            .iter()
            .map(|bucket| bucket.sketch.bins().len())
            .sum();
        buckets.len() + bins / BINS_PER_VALUE
    };
    let cut = FRAME_VALUES;
    encode(Kind::Buckets, series, &timelines, cut, weight, buckets::put)
}

type PutFrame<T> = fn(&mut Vec<u8>, &[Series<T>], &[usize]) -> Result<(), BlockError>;

fn encode<T>(
    kind: Kind,
    series: &[Series<T>],
    timelines: &Timelines,
    frame_values: usize,
    weight: impl Fn(&[T]) -> usize,
    put: PutFrame<T>,
) -> Result<Vec<u8>, BlockError> {
    if !series.is_sorted_by(|(one, _), (next, _)| one < next) {
        return Err(BlockError::KeysNotAscending);
    }
    if series.len() > MOST_SERIES {
        return Err(BlockError::TooMany("series"));
    }
    if series.iter().any(|(_, values)| values.len() > MOST_VALUES) {
        return Err(BlockError::TooMany("values in a series"));
    }
    let mut frames = Vec::new();
    let mut content = Vec::new();
    let mut series = series;
    let mut numbers = timelines.numbers();
    while !series.is_empty() {
        let mut values = 0;
        let fitting = series.iter().take_while(|(_, of_series)| {
            values += weight(of_series).max(1);
            values <= frame_values
        });
        let cut = fitting.count().max(1);
        let (mine, others) = series.split_at(cut);
        let (my_numbers, other_numbers) = numbers.split_at_checked(cut).ok_or(BlockError::Short)?;
        let begin = content.len();
        put(&mut content, mine, my_numbers)?;
        let bytes = content.get(begin..).unwrap_or_default();
        if let (Some((first, _)), Some((last, _))) = (mine.first(), mine.last()) {
            frames.push(Frame::of(*first, *last, begin, bytes));
        }
        (series, numbers) = (others, other_numbers);
    }
    let mut block = directory::encode(kind, &frames, timelines)?;
    block.append(&mut content);
    Ok(block)
}

/// The points of one frame whose keys are wanted.
pub fn decode_points(
    directory: &Directory,
    frame: &Frame,
    bytes: &[u8],
    wanted: impl Fn(SeriesKey) -> bool,
) -> Result<Vec<Series<Point>>, BlockError> {
    directory.expect(Kind::Points)?;
    frame.check(bytes)?;
    points::take(bytes, directory.timelines(), &wanted)
}

/// The buckets of one frame whose keys are wanted.
pub fn decode_buckets(
    directory: &Directory,
    frame: &Frame,
    bytes: &[u8],
    wanted: impl Fn(SeriesKey) -> bool,
) -> Result<Vec<Series<Bucket>>, BlockError> {
    directory.expect(Kind::Buckets)?;
    frame.check(bytes)?;
    buckets::take(bytes, directory.timelines(), &wanted)
}

/// All points of a whole block.
pub fn decode_all_points(block: &[u8]) -> Result<Vec<Series<Point>>, BlockError> {
    decode_all(block, Kind::Points, points::take)
}

/// All buckets of a whole block.
pub fn decode_all_buckets(block: &[u8]) -> Result<Vec<Series<Bucket>>, BlockError> {
    decode_all(block, Kind::Buckets, buckets::take)
}

type TakeFrame<T> =
    fn(&[u8], &[Vec<i64>], &dyn Fn(SeriesKey) -> bool) -> Result<Vec<Series<T>>, BlockError>;

fn decode_all<T>(
    block: &[u8],
    kind: Kind,
    take: TakeFrame<T>,
) -> Result<Vec<Series<T>>, BlockError> {
    let directory = Directory::parse(block)?;
    directory.expect(kind)?;
    let mut series = Vec::new();
    for frame in directory.frames() {
        let bytes = block.get(frame.range()).ok_or(BlockError::Short)?;
        frame.check(bytes)?;
        series.append(&mut take(bytes, directory.timelines(), &|_| true)?);
    }
    Ok(series)
}

#[cfg(test)]
mod tests;
