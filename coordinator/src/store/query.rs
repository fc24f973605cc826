//! Values of series over a span of time, from wherever they are.
//!
//! Coarse values come from the roll-ups, and those of the hour at hand, which is
//! not rolled up yet, from the raw values. Of a block only the frames that have
//! one of the series are read. What lies before the first value of a tier comes from
//! the coarsest one.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    block::{self, BlockError, Directory, Frame, Series, SeriesKey},
    bucket::{Bucket, Point, roll_points},
    engine::{Reader, StoreError},
    roll::{damaged, joined, step},
    row::{BlockQuery, BlockRow, Source},
    tier::{PARTITION, Tier},
    write::in_order,
};

mod past;

pub use past::first_hours;

/// The begin of a block that is read first: header and directory of most.
const PREFIX_BYTES: usize = 4096;

/// Which values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    pub from: Timestamp,
    /// Not included.
    pub until: Timestamp,
    pub tier: Tier,
}

/// The values of one series, oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Values {
    /// One for each step of the tier that has values; of the raw tier one for
    /// each value, whose index is its time in milliseconds.
    pub buckets: Vec<Bucket>,
    /// One for each hour before those that has values: of these the tier has nothing.
    pub hours: Vec<Bucket>,
    /// Some come from the node's own history, which had averages alone.
    pub is_imported: bool,
}

/// What the store has of the series that were asked for.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Found {
    /// Series without values are left out.
    pub series: BTreeMap<SeriesKey, Values>,
    /// Blocks that cannot be read back: what they had is missing.
    pub damaged_blocks: u32,
}

impl Span {
    /// The finest tier whose values are kept for long enough, and not finer than
    /// `step_seconds`.
    #[must_use]
    pub fn tier(from: Timestamp, now: Timestamp, step_seconds: i64) -> Tier {
        let age = now.as_second().saturating_sub(from.as_second());
        let fitting = Tier::ALL.into_iter().filter(|tier| {
            tier.kept_seconds().saturating_add(tier.span_seconds()) >= age
                && tier.step_seconds() <= step_seconds.max(Tier::Raw.step_seconds())
        });
        fitting.max().unwrap_or_else(|| {
            let long = Tier::ALL
                .into_iter()
                .find(|tier| tier.kept_seconds() >= age);
            long.unwrap_or(Tier::Hour)
        })
    }

    fn millis(&self) -> std::ops::Range<i64> {
        self.from.as_millisecond()..self.until.as_millisecond()
    }
}

/// The values of these series.
///
/// # Errors
/// When the store cannot be read.
pub fn values<R: Reader + ?Sized>(
    reader: &mut R,
    keys: &BTreeSet<SeriesKey>,
    span: &Span,
) -> Result<Found, StoreError> {
    let partitions: BTreeSet<u32> = keys.iter().map(|key| key.series / PARTITION).collect();
    let mut found = Found::default();
    for partition in partitions {
        let of_partition: BTreeSet<SeriesKey> = keys
            .iter()
            .copied()
            .filter(|key| key.series / PARTITION == partition)
            .collect();
        let mut scan = Scan {
            reader: &mut *reader,
            keys: &of_partition,
            span,
            damaged_blocks: 0,
        };
        if span.tier != Tier::Raw {
            scan.rolled_up(partition, &mut found.series)?;
        }
        scan.raw(partition, &mut found.series)?;
        scan.hours(partition, &mut found.series)?;
        found.damaged_blocks = found.damaged_blocks.saturating_add(scan.damaged_blocks);
    }
    for values in found.series.values_mut() {
        values.buckets = joined(std::mem::take(&mut values.buckets));
    }
    found
        .series
        .retain(|_, values| !values.buckets.is_empty() || !values.hours.is_empty());
    Ok(found)
}

/// Reads what is wanted of the blocks of one partition.
struct Scan<'a, R: ?Sized> {
    reader: &'a mut R,
    keys: &'a BTreeSet<SeriesKey>,
    span: &'a Span,
    damaged_blocks: u32,
}

impl<R: Reader + ?Sized> Scan<'_, R> {
    fn rolled_up(
        &mut self,
        partition: u32,
        all: &mut BTreeMap<SeriesKey, Values>,
    ) -> Result<(), StoreError> {
        let tier = self.span.tier;
        let blocks = self.reader.blocks(&BlockQuery {
            tier: Some(tier),
            from: Some(tier.span_of(self.span.from.as_second())),
            until: Some(self.span.until.as_second().saturating_add(1)),
            partition: Some(partition),
            only_fresh: false,
        })?;
        let millis = self.span.millis();
        let step = i64::from(step(tier).get());
        // What was imported is looked at where nothing was measured.
        for row in blocks.iter().filter(|row| row.source == Source::Agent) {
            for (key, buckets) in
                self.frames(row, |d, f, b, w| block::decode_buckets(d, f, b, w))?
            {
                let values = all.entry(key).or_default();
                let within = |bucket: &Bucket| millis.contains(&bucket.index.saturating_mul(step));
                values.buckets.extend(buckets.into_iter().filter(within));
            }
        }
        Ok(())
    }

    fn raw(
        &mut self,
        partition: u32,
        all: &mut BTreeMap<SeriesKey, Values>,
    ) -> Result<(), StoreError> {
        let tier = self.span.tier;
        let blocks = self.reader.blocks(&BlockQuery {
            tier: Some(Tier::Raw),
            from: Some(Tier::Raw.span_of(self.span.from.as_second())),
            until: Some(self.span.until.as_second().saturating_add(1)),
            partition: Some(partition),
            // What is rolled up is in the coarser tier.
            only_fresh: tier != Tier::Raw,
        })?;
        let mut points: BTreeMap<SeriesKey, Vec<Point>> = BTreeMap::new();
        for row in &blocks {
            for (key, mut some) in
                self.frames(row, |d, f, b, w| block::decode_points(d, f, b, w))?
            {
                points.entry(key).or_default().append(&mut some);
            }
        }
        let millis = self.span.millis();
        for (key, points) in points {
            let points = in_order(points);
            let buckets = &mut all.entry(key).or_default().buckets;
            if tier == Tier::Raw {
                let within = points
                    .iter()
                    .filter(|point| millis.contains(&point.at_millis));
                buckets.extend(within.map(|point| Bucket::of(point.at_millis, point)));
            } else {
                let step = step(tier);
                let within = |bucket: &Bucket| {
                    millis.contains(&bucket.index.saturating_mul(i64::from(step.get())))
                };
                buckets.extend(roll_points(&points, step).into_iter().filter(within));
            }
        }
        Ok(())
    }

    /// What the wanted series have in one block; nothing of one that is damaged.
    fn frames<T>(
        &mut self,
        row: &BlockRow,
        decode: impl Fn(&Directory, &Frame, &[u8], &Wanted<'_>) -> Decoded<T>,
    ) -> Result<Vec<Series<T>>, StoreError> {
        let read = self.wanted_of(row, decode)?;
        Ok(read.unwrap_or_else(|error| {
            damaged(row, &error);
            self.damaged_blocks = self.damaged_blocks.saturating_add(1);
            Vec::new()
        }))
    }

    fn wanted_of<T>(
        &mut self,
        row: &BlockRow,
        decode: impl Fn(&Directory, &Frame, &[u8], &Wanted<'_>) -> Decoded<T>,
    ) -> Result<Decoded<T>, StoreError> {
        let (Some(first), Some(last)) = (self.keys.first(), self.keys.last()) else {
            return Ok(Ok(Vec::new()));
        };
        let mut prefix = self.reader.block(row.id, 0, PREFIX_BYTES)?;
        if prefix.is_empty() {
            // Let go since it was listed.
            return Ok(Ok(Vec::new()));
        }
        let length = match Directory::bytes(&prefix) {
            Ok(length) => length,
            Err(error) => return Ok(Err(error)),
        };
        if length > prefix.len() {
            prefix = self.reader.block(row.id, 0, length)?;
        }
        let directory = match Directory::parse(&prefix) {
            Ok(directory) => directory,
            Err(error) => return Ok(Err(error)),
        };
        let wanted = |key: SeriesKey| self.keys.contains(&key);
        let mut found = Vec::new();
        for frame in directory.frames_of(*first..=*last) {
            // Many series of one metric are far apart from those of the next.
            if self.keys.range(frame.keys()).next().is_none() {
                continue;
            }
            let range = frame.range();
            let bytes = match prefix.get(range.clone()) {
                Some(bytes) => bytes.to_vec(),
                None => self.reader.block(row.id, range.start, range.len())?,
            };
            match decode(&directory, frame, &bytes, &wanted) {
                Ok(mut series) => found.append(&mut series),
                Err(error) => return Ok(Err(error)),
            }
        }
        Ok(Ok(found))
    }
}

type Wanted<'a> = dyn Fn(SeriesKey) -> bool + 'a;
type Decoded<T> = Result<Vec<Series<T>>, BlockError>;
