//! The means of the buckets of a run, to the precision of an `f32`.
//!
//! Where the values are integers on a scale their sum is one too, and is mostly
//! smaller than a mean with all its digits: the sum less what it would be if
//! all values but one, the maximum, were the minimum. Otherwise it is the mean itself, rounded.

use super::{
    BlockError,
    bins::Outline,
    bytes::Reader,
    integers,
    scale::{LARGEST, Scale},
};
use crate::store::bucket::Bucket;

const SUMS: u8 = 0;
const ROUNDED: u8 = 1;

/// Bits that a mean has less than an `f64`, so that it is as precise as an `f32`
/// but has the range of the former.
const DROPPED: u8 = 29;
/// One step of an `f32`, relative to the number.
const TOLERANCE: f64 = 1.0 / 8_388_608.0;

#[derive(Debug)]
pub(super) struct Column {
    form: u8,
    pub(super) values: Vec<u64>,
}

impl Column {
    /// The means of buckets with what minimum and spread are on the scale.
    pub(super) fn of(scale: Scale, buckets: &[(&Bucket, i64, u64)]) -> Self {
        let sums = || -> Option<Vec<u64>> {
            let each = buckets.iter();
            each.map(|(bucket, lowest, spread)| sum(scale, bucket, *lowest, *spread))
                .collect()
        };
        let kept = if scale.is_linear() { sums() } else { None };
        if let Some(values) = kept {
            return Self { form: SUMS, values };
        }
        let above = |(bucket, _, _): &(&Bucket, i64, u64)| {
            let lowest = rounded_integer(bucket.minimum);
            rounded_integer(bucket.mean)
                .wrapping_sub(lowest)
                .cast_unsigned()
        };
        Self {
            form: ROUNDED,
            values: buckets.iter().map(above).collect(),
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), BlockError> {
        if self.values.is_empty() {
            return Ok(());
        }
        out.push(self.form);
        integers::put(out, &self.values)
    }
}

/// Means that were read.
#[derive(Debug)]
pub(super) struct Means {
    form: u8,
    values: std::vec::IntoIter<u64>,
}

pub(super) fn take(reader: &mut Reader<'_>, count: usize) -> Result<Means, BlockError> {
    let form = if count == 0 { SUMS } else { reader.byte()? };
    if form > ROUNDED {
        return Err(BlockError::Damaged("means have an unknown form"));
    }
    let values = integers::take(reader, count)?.into_iter();
    Ok(Means { form, values })
}

impl Means {
    pub(super) fn next(
        &mut self,
        scale: Scale,
        lowest: i64,
        spread: u64,
        outline: Outline,
    ) -> Result<f64, BlockError> {
        const WRONG: BlockError = BlockError::Damaged("a sum is beyond its limit");
        let value = self.values.next().ok_or(BlockError::Short)?;
        let mean = if self.form == SUMS {
            let least = least_sum(lowest, spread, outline.count).ok_or(WRONG)?;
            mean_of_sum(scale, least, outline.count, value)
        } else {
            let lowest = rounded_integer(outline.minimum);
            ROUNDED_SCALE.number(lowest.wrapping_add_unsigned(value))
        };
        let mean = mean.max(outline.minimum).min(outline.maximum);
        if mean.is_finite() {
            Ok(mean)
        } else {
            Err(BlockError::NotFinite)
        }
    }
}

const ROUNDED_SCALE: Scale = Scale::Bits(DROPPED);

/// What the sum is above the least it can be, if the mean comes back from it.
#[expect(
    clippy::cast_possible_truncation,
    reason = "compared with its limits before"
)]
fn sum(scale: Scale, bucket: &Bucket, lowest: i64, spread: u64) -> Option<u64> {
    let sum = (scale.fraction(bucket.mean) * f64::from(bucket.count)).round();
    let sum = (sum.abs() < LARGEST).then_some(sum as i64)?;
    let least = least_sum(lowest, spread, bucket.count)?;
    // A mean that was rounded before may be a little too low.
    let above = sum.checked_sub(least)?.max(0).cast_unsigned();
    let mean = mean_of_sum(scale, least, bucket.count, above);
    ((mean - bucket.mean).abs() <= bucket.mean.abs() * TOLERANCE).then_some(above)
}

/// All values but one are the minimum.
fn least_sum(lowest: i64, spread: u64, count: u32) -> Option<i64> {
    let lowest = lowest.checked_mul(i64::from(count))?;
    lowest.checked_add_unsigned(spread)
}

fn mean_of_sum(scale: Scale, least: i64, count: u32, above: u64) -> f64 {
    let sum = least.wrapping_add_unsigned(above);
    rounded(scale.number(sum) / f64::from(count))
}

/// A number with the precision of an `f32`, as an integer.
fn rounded_integer(number: f64) -> i64 {
    ROUNDED_SCALE.integer(rounded(number)).unwrap_or(0)
}

/// To the nearest number that has the precision of an `f32`.
fn rounded(number: f64) -> f64 {
    let half = 1_u64 << (DROPPED - 1);
    let bits = number.to_bits().wrapping_add(half);
    f64::from_bits(bits & !((half << 1) - 1))
}
