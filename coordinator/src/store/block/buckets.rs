//! Frames of buckets.
//!
//! Of a bucket whose extremes are equal there is only one number: its mean and
//! its last value are the same, and its sketch follows from it.

use std::collections::HashMap;

use super::{
    BlockError, Series, SeriesKey,
    bins::{self, Outline},
    bytes::{Reader, wide},
    grid::Grid,
    head::{self, Head},
    integers, means,
    points::STEPS,
    scale::{Scale, scales},
};
use crate::store::bucket::Bucket;

/// Whether a bucket can be kept.
pub(super) fn check(bucket: &Bucket) -> Result<(), BlockError> {
    let numbers = [bucket.minimum, bucket.maximum, bucket.mean, bucket.last];
    if numbers.iter().any(|number| !number.is_finite()) {
        return Err(BlockError::NotFinite);
    }
    // In the total order, where numbers that are equal have the same bits.
    let within = |number: f64| {
        bucket.minimum.total_cmp(&number).is_le() && number.total_cmp(&bucket.maximum).is_le()
    };
    if bucket.count > 0 && within(bucket.mean) && within(bucket.last) {
        Ok(())
    } else {
        Err(BlockError::Inconsistent)
    }
}

pub(super) fn put(
    out: &mut Vec<u8>,
    series: &[Series<Bucket>],
    timelines: &[usize],
) -> Result<(), BlockError> {
    let constant: Vec<bool> = series
        .iter()
        .map(|(_, buckets)| is_constant(buckets))
        .collect();
    head::put(out, series, timelines, &constant, |bucket| bucket.flags)?;
    put_counts(out, series)?;
    let mut constant = constant.as_slice();
    for run in series.chunk_by(|(one, _), (next, _)| one.metric == next.metric) {
        let (mine, others) = constant
            .split_at_checked(run.len())
            .ok_or(BlockError::Short)?;
        constant = others;
        put_run(out, run, mine)?;
    }
    let buckets: Vec<&Bucket> = series.iter().flat_map(|(_, buckets)| buckets).collect();
    bins::put(out, &buckets)
}

pub(super) fn take(
    bytes: &[u8],
    timelines: &[Vec<i64>],
    wanted: &dyn Fn(SeriesKey) -> bool,
) -> Result<Vec<Series<Bucket>>, BlockError> {
    let mut reader = Reader::new(bytes);
    let head = head::take(&mut reader, timelines)?;
    let counts = take_counts(&mut reader, &head)?;
    let mut figures = Vec::new();
    let mut begin = 0;
    for run in head.keys.chunk_by(|one, next| one.metric == next.metric) {
        let end = begin + run.len();
        take_run(&mut reader, &head, &counts, begin..end, &mut figures)?;
        begin = end;
    }
    let is_wanted: Vec<bool> = head.keys.iter().map(|key| wanted(*key)).collect();
    let each = head.times.iter().zip(&is_wanted);
    let by_bucket: Vec<bool> = each
        .flat_map(|(times, wanted)| times.iter().map(|_| *wanted))
        .collect();
    let outlines: Vec<Outline> = figures.iter().map(|figures| figures.outline).collect();
    let mut sketches = bins::take(&mut reader, &outlines, &by_bucket)?.into_iter();
    reader.end()?;
    let mut figures = figures.into_iter();
    let mut series = Vec::new();
    for (((key, times), flags), wanted) in head
        .keys
        .iter()
        .zip(&head.times)
        .zip(&head.flags)
        .zip(is_wanted)
    {
        let mut buckets = Vec::with_capacity(if wanted { times.len() } else { 0 });
        for (position, index) in times.iter().enumerate() {
            let figures = figures.next().ok_or(BlockError::Short)?;
            let sketch = sketches.next();
            if wanted {
                buckets.push(Bucket {
                    index: *index,
                    count: figures.outline.count,
                    minimum: figures.outline.minimum,
                    maximum: figures.outline.maximum,
                    mean: figures.mean,
                    last: figures.last,
                    flags: flags.at(position),
                    sketch: sketch.ok_or(BlockError::Short)?,
                });
            }
        }
        if wanted {
            series.push((*key, buckets));
        }
    }
    Ok(series)
}

/// So are series without buckets.
fn is_constant(buckets: &[Bucket]) -> bool {
    buckets.first().is_none_or(|first| {
        let value = first.minimum.to_bits();
        let same = |bucket: &Bucket| {
            bucket.minimum.to_bits() == value && bucket.maximum.to_bits() == value
        };
        buckets.iter().all(same)
    })
}

/// Series that are read together have the same counts, which are kept once.
fn put_counts(out: &mut Vec<u8>, series: &[Series<Bucket>]) -> Result<(), BlockError> {
    let mut known: HashMap<Vec<u64>, u64> = HashMap::new();
    let mut numbers = Vec::with_capacity(series.len());
    let mut counts = Vec::new();
    for (_, buckets) in series {
        let list: Vec<u64> = buckets
            .iter()
            .map(|bucket| u64::from(bucket.count))
            .collect();
        let next = wide(known.len());
        let number = *known.entry(list).or_insert_with_key(|list| {
            counts.extend_from_slice(list);
            next
        });
        numbers.push(number);
    }
    integers::put(out, &numbers)?;
    integers::put(out, &counts)
}

fn take_counts(reader: &mut Reader<'_>, head: &Head<'_>) -> Result<Vec<Vec<u32>>, BlockError> {
    const WRONG: BlockError = BlockError::Damaged("there are no such counts");
    let numbers = integers::take(reader, head.times.len())?;
    // A list is as long as the times of the series that has it first.
    let mut lengths: Vec<usize> = Vec::new();
    for (number, times) in numbers.iter().zip(&head.times) {
        match usize::try_from(*number) {
            Ok(number) if number < lengths.len() => {}
            Ok(number) if number == lengths.len() => lengths.push(times.len()),
            _ => return Err(WRONG),
        }
    }
    let mut counts = integers::take(reader, lengths.iter().sum())?.into_iter();
    let mut lists: Vec<Vec<u32>> = Vec::with_capacity(lengths.len());
    for length in lengths {
        let list = counts.by_ref().take(length);
        let valid = |count| u32::try_from(count).ok().filter(|count| *count > 0);
        lists.push(
            list.map(|count| valid(count).ok_or(WRONG))
                .collect::<Result<_, _>>()?,
        );
    }
    let of_series = numbers.iter().zip(&head.times).map(|(number, times)| {
        let list = usize::try_from(*number)
            .ok()
            .and_then(|number| lists.get(number));
        list.filter(|list| list.len() == times.len())
            .cloned()
            .ok_or(WRONG)
    });
    of_series.collect()
}

/// The columns of a run on one scale.
#[derive(Debug)]
struct Columns {
    scale: Scale,
    minimum: Grid,
    /// Maximum less minimum, in series that are not constant.
    spread: Vec<u64>,
    /// Last less minimum, of buckets whose extremes differ, with zero for the one
    /// and one for the other of these.
    last: Vec<u64>,
    mean: means::Column,
}

impl Columns {
    fn of(scale: Scale, run: &[Series<Bucket>], constant: &[bool]) -> Option<Self> {
        let mut minimum = Vec::with_capacity(run.len());
        let mut spread = Vec::new();
        let mut last = Vec::new();
        let mut varying = Vec::new();
        for ((_, buckets), constant) in run.iter().zip(constant) {
            let mut mine = Vec::with_capacity(buckets.len());
            for bucket in buckets {
                let lowest = scale.integer(bucket.minimum)?;
                mine.push(lowest);
                if *constant {
                    continue;
                }
                let above = |number: f64| Some(between(lowest, scale.integer(number)?));
                let highest = above(bucket.maximum)?;
                spread.push(highest);
                if highest > 0 {
                    last.push(ends_first(above(bucket.last)?, highest));
                    varying.push((bucket, lowest, highest));
                }
            }
            minimum.push(mine);
        }
        Some(Self {
            scale,
            minimum: Grid::best(&minimum, constant),
            spread,
            last,
            mean: means::Column::of(scale, &varying),
        })
    }

    fn estimate(&self) -> usize {
        let columns = [&self.spread, &self.last, &self.mean.values];
        let others: usize = columns
            .into_iter()
            .map(|column| integers::estimate(column))
            .sum();
        self.minimum.estimate() + others
    }
}

fn put_run(out: &mut Vec<u8>, run: &[Series<Bucket>], constant: &[bool]) -> Result<(), BlockError> {
    let mut numbers = Vec::new();
    for ((_, buckets), constant) in run.iter().zip(constant) {
        for bucket in buckets.iter().take(if *constant { 1 } else { usize::MAX }) {
            numbers.extend([bucket.minimum, bucket.maximum, bucket.last]);
        }
    }
    let columns = scales(&numbers)
        .into_iter()
        .filter_map(|scale| Columns::of(scale, run, constant))
        .min_by_key(Columns::estimate)
        .ok_or(BlockError::NotFinite)?;
    out.push(columns.scale.tag() | if columns.minimum.steps { STEPS } else { 0 });
    columns.minimum.put(out)?;
    integers::put(out, &columns.spread)?;
    integers::put(out, &columns.last)?;
    columns.mean.put(out)
}

/// Numbers of a bucket.
#[derive(Debug)]
struct Figures {
    outline: Outline,
    mean: f64,
    last: f64,
}

fn take_run(
    reader: &mut Reader<'_>,
    head: &Head<'_>,
    counts: &[Vec<u32>],
    range: std::ops::Range<usize>,
    figures: &mut Vec<Figures>,
) -> Result<(), BlockError> {
    let constant = head.constant.get(range.clone()).ok_or(BlockError::Short)?;
    let counts = counts.get(range).ok_or(BlockError::Short)?;
    let tag = reader.byte()?;
    let scale = Scale::from_tag(tag & !STEPS)?;
    // A series without buckets has no values.
    let filled: Vec<(&Vec<u32>, bool)> = counts
        .iter()
        .zip(constant.iter().copied())
        .filter(|(counts, _)| !counts.is_empty())
        .collect();
    let lengths: Vec<usize> = filled.iter().map(|(counts, _)| counts.len()).collect();
    let constant: Vec<bool> = filled.iter().map(|(_, constant)| *constant).collect();
    let minimum = Grid::take(reader, &lengths, &constant, tag & STEPS != 0)?;
    let varying = filled.iter().filter(|(_, constant)| !constant);
    let spread = integers::take(reader, varying.map(|(counts, _)| counts.len()).sum())?;
    let differing = spread.iter().filter(|spread| **spread > 0).count();
    let mut last = integers::take(reader, differing)?.into_iter();
    let mut means = means::take(reader, differing)?;
    let mut spread = spread.into_iter();
    for ((counts, constant), minimum) in filled.into_iter().zip(minimum) {
        for (position, count) in counts.iter().enumerate() {
            let lowest = minimum.get(position).or(minimum.first());
            let lowest = *lowest.ok_or(BlockError::Short)?;
            let above = if constant { Some(0) } else { spread.next() };
            let above = above.ok_or(BlockError::Short)?;
            let minimum = scale.checked_number(lowest)?;
            let mut outline = Outline {
                count: *count,
                minimum,
                maximum: minimum,
            };
            if above == 0 {
                figures.push(Figures {
                    outline,
                    mean: minimum,
                    last: minimum,
                });
                continue;
            }
            outline.maximum = scale.checked_number(lowest.wrapping_add_unsigned(above))?;
            let last = from_ends_first(last.next().ok_or(BlockError::Short)?, above);
            let last = scale.checked_number(lowest.wrapping_add_unsigned(last))?;
            let mean = means.next(scale, lowest, above, outline)?;
            if minimum > outline.maximum || last < minimum || last > outline.maximum {
                return Err(BlockError::Inconsistent);
            }
            figures.push(Figures {
                outline,
                mean,
                last,
            });
        }
    }
    Ok(())
}

/// The last value is one of the extremes more often than any other.
fn ends_first(above: u64, spread: u64) -> u64 {
    if above == 0 {
        0
    } else if above == spread {
        1
    } else {
        above.wrapping_add(1)
    }
}

fn from_ends_first(number: u64, spread: u64) -> u64 {
    match number {
        0 => 0,
        1 => spread,
        above => above - 1,
    }
}

/// From one integer to one that is not below it. 64 bits have room for any two.
fn between(one: i64, other: i64) -> u64 {
    other.wrapping_sub(one).cast_unsigned()
}
