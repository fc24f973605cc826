//! The sketches of the buckets of a frame.
//!
//! The lowest bin of a sketch is that of the minimum, the highest that of the
//! maximum, and the counts add up to that of the bucket. So a bucket whose
//! extremes share a bin needs nothing, and the others what is in between, from
//! the highest down: the gap above zero, which is wide, is then never written.
//!
//! The bin of an extreme is computed again when it is read, so a block should be
//! read where logarithms are computed as they were when it was written. On other
//! systems a value on the bound of two bins may be found in the next one.

use super::{
    BlockError, MOST_BINS,
    bytes::{Reader, amount, put_amount, unzigzag, wide, zigzag},
    integers,
    walk::{CLASSES, Span, Walk},
};
use crate::store::{
    bucket::Bucket,
    sketch::{self, Bin, Sketch, bin_of},
};

/// Sketches as described above.
const DERIVED: u8 = 0;
/// Each bin is written, because some sketch is not what its bucket says. One
/// with too many bins is such.
const WRITTEN: u8 = 1;

/// What is known of a bucket before its sketch.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outline {
    pub(super) count: u32,
    pub(super) minimum: f64,
    pub(super) maximum: f64,
}

impl Outline {
    fn span(self) -> Span {
        let lowest = bin_of(self.minimum);
        let highest = if self.minimum.to_bits() == self.maximum.to_bits() {
            lowest
        } else {
            bin_of(self.maximum)
        };
        Span { lowest, highest }
    }
}

pub(super) fn put(out: &mut Vec<u8>, buckets: &[&Bucket]) -> Result<(), BlockError> {
    let bins: usize = buckets
        .iter()
        .map(|bucket| bucket.sketch.bins().len())
        .sum();
    if bins > MOST_BINS {
        return Err(BlockError::TooMany("bins in a frame"));
    }
    let spans: Vec<Span> = buckets
        .iter()
        .map(|bucket| outline(bucket).span())
        .collect();
    let is_derived = |(bucket, span): (&&Bucket, &Span)| {
        let bins = bucket.sketch.bins();
        let ends = bins.first().zip(bins.last());
        ends.is_some_and(|(first, last)| first.index == span.lowest && last.index == span.highest)
            && bucket.sketch.count() == u64::from(bucket.count)
    };
    if !buckets.iter().zip(&spans).all(is_derived) {
        out.push(WRITTEN);
        return put_written(out, buckets);
    }
    out.push(DERIVED);
    let mut between = Vec::new();
    let mut columns = vec![Vec::new(); CLASSES];
    for (bucket, span) in buckets
        .iter()
        .zip(&spans)
        .filter(|(_, span)| !span.is_single())
    {
        let bins = bucket.sketch.bins();
        between.push(wide(bins.len().saturating_sub(2)));
        let mut walk = Walk::of(bucket.count, *span, bins.len().saturating_sub(2));
        let mut above = span.highest;
        for bin in bins.iter().skip(1).rev() {
            let gap = u32::try_from(above - bin.index)
                .unwrap_or(0)
                .saturating_sub(1);
            let mut put = |class: Option<usize>, value: u32| {
                if let Some(column) = class.and_then(|class| columns.get_mut(class)) {
                    column.push(u64::from(value));
                }
            };
            if bin.index != span.highest {
                put(walk.gap_class(), gap);
                walk.pass_gap(gap);
            }
            put(walk.count_class(), bin.count - 1);
            walk.pass_count(bin.count - 1);
            above = bin.index;
        }
    }
    put_amount(out, between.len());
    integers::put(out, &between)?;
    for column in &columns {
        put_amount(out, column.len());
        integers::put(out, column)?;
    }
    Ok(())
}

/// The sketches of buckets that are wanted, and empty ones for the others before
/// the last of these.
pub(super) fn take(
    reader: &mut Reader<'_>,
    buckets: &[Outline],
    wanted: &[bool],
) -> Result<Vec<Sketch>, BlockError> {
    match reader.byte()? {
        DERIVED => {}
        WRITTEN => return take_written(reader, buckets.len()),
        _ => return Err(BlockError::Damaged("sketches have an unknown form")),
    }
    let several = reader.amount(buckets.len())?;
    let between = amounts(integers::take(reader, several)?)?;
    let inner: usize = between.iter().sum();
    if inner > MOST_BINS {
        return Err(BlockError::TooMany("bins in a frame"));
    }
    // No bin has more than a gap and a count.
    let mut room = 2 * inner + several;
    let mut columns = Vec::with_capacity(CLASSES);
    for _ in 0..CLASSES {
        let length = reader.amount(room)?;
        room -= length;
        columns.push(integers::take(reader, length)?.into_iter());
    }
    let mut between = between.into_iter();
    // What comes after the last that is wanted need not be understood.
    let needed = wanted
        .iter()
        .rposition(|wanted| *wanted)
        .map_or(0, |last| last + 1);
    let each = buckets.iter().zip(wanted).take(needed);
    each.map(|(bucket, wanted)| {
        if !wanted && bucket.minimum.to_bits() == bucket.maximum.to_bits() {
            return Ok(Sketch::default());
        }
        let span = bucket.span();
        let inner = if span.is_single() {
            None
        } else {
            Some(between.next().ok_or(BlockError::Short)?)
        };
        if inner.is_some_and(|inner| inner > span.inside()) {
            return Err(CONTRADICTS);
        }
        let mut bins = Vec::with_capacity(if *wanted {
            inner.map_or(1, |inner| inner + 2)
        } else {
            0
        });
        let mut left = bucket.count;
        if let Some(inner) = inner {
            walk(&mut columns, *bucket, span, inner, |bin| {
                left = left.saturating_sub(bin.count);
                if *wanted {
                    bins.push(bin);
                }
            })?;
        }
        if !wanted {
            return Ok(Sketch::default());
        }
        bins.push(Bin {
            index: span.lowest,
            count: left,
        });
        bins.reverse();
        Sketch::from_bins(bins).ok_or(CONTRADICTS)
    })
    .collect()
}

const CONTRADICTS: BlockError = BlockError::Damaged("a sketch contradicts its bucket");

/// Visits all bins but the lowest, from the highest down.
fn walk(
    columns: &mut [std::vec::IntoIter<u64>],
    bucket: Outline,
    span: Span,
    inner: usize,
    mut visit: impl FnMut(Bin),
) -> Result<(), BlockError> {
    let mut next = |class: Option<usize>| {
        let Some(class) = class else { return Ok(0) };
        let value = columns.get_mut(class).and_then(Iterator::next);
        let value = value.ok_or(BlockError::Short)?;
        u32::try_from(value).map_err(|_| CONTRADICTS)
    };
    let mut walk = Walk::of(bucket.count, span, inner);
    let mut index = span.highest;
    for position in 0..=inner {
        if position > 0 {
            let gap = next(walk.gap_class())?;
            walk.pass_gap(gap);
            index = index
                .checked_sub_unsigned(gap)
                .ok_or(CONTRADICTS)?
                .saturating_sub(1);
        }
        let more = next(walk.count_class())?;
        walk.pass_count(more);
        visit(Bin {
            index,
            count: more.saturating_add(1),
        });
    }
    Ok(())
}

fn put_written(out: &mut Vec<u8>, buckets: &[&Bucket]) -> Result<(), BlockError> {
    let mut sizes = Vec::with_capacity(buckets.len());
    let mut indices = Vec::new();
    let mut counts = Vec::new();
    for bucket in buckets {
        let bins = bucket.sketch.bins();
        sizes.push(wide(bins.len()));
        indices.extend(bins.first().map(|bin| zigzag(i64::from(bin.index))));
        indices.extend(bins.windows(2).map(gap));
        counts.extend(bins.iter().map(|bin| u64::from(bin.count)));
    }
    integers::put(out, &sizes)?;
    integers::put(out, &indices)?;
    integers::put(out, &counts)
}

fn take_written(reader: &mut Reader<'_>, buckets: usize) -> Result<Vec<Sketch>, BlockError> {
    const WRONG: BlockError = BlockError::Damaged("a sketch has a bin that cannot be");
    let sizes = amounts(integers::take(reader, buckets)?)?;
    let total: usize = sizes.iter().sum();
    if total > MOST_BINS {
        return Err(BlockError::TooMany("bins in a frame"));
    }
    let mut indices = integers::take(reader, total)?.into_iter();
    let mut counts = integers::take(reader, total)?.into_iter();
    let of_bucket = |size| {
        let mut bins: Vec<Bin> = Vec::with_capacity(size);
        for _ in 0..size {
            let step = indices.next().ok_or(BlockError::Short)?;
            let index = match bins.last() {
                Some(before) => i64::try_from(step)
                    .ok()
                    .and_then(|step| step.checked_add(i64::from(before.index))?.checked_add(1)),
                None => Some(unzigzag(step)),
            };
            let index = index
                .and_then(|index| i32::try_from(index).ok())
                .ok_or(WRONG)?;
            let count = counts.next().ok_or(BlockError::Short)?;
            let count = u32::try_from(count).map_err(|_| WRONG)?;
            bins.push(Bin { index, count });
        }
        Sketch::from_bins(bins).ok_or(WRONG)
    };
    sizes.into_iter().map(of_bucket).collect()
}

fn amounts(sizes: Vec<u64>) -> Result<Vec<usize>, BlockError> {
    let most = sketch::MOST_BINS;
    sizes.into_iter().map(|size| amount(size, most)).collect()
}

/// Bins that are empty between two.
fn gap(pair: &[Bin]) -> u64 {
    match pair {
        [one, next] => u64::try_from(next.index - one.index - 1).unwrap_or(0),
        _ => 0,
    }
}

fn outline(bucket: &Bucket) -> Outline {
    Outline {
        count: bucket.count,
        minimum: bucket.minimum,
        maximum: bucket.maximum,
    }
}
