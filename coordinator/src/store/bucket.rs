//! Points of one series, and what remains of them in a step of time.
//!
//! A bucket of a coarse step made from buckets of a finer one is the same as one
//! made from the points: count, extremes, last value, flags and sketch exactly,
//! the mean but for the error of adding floating-point numbers.

use std::{collections::BTreeMap, num::NonZeroU32};

use super::sketch::Sketch;

/// One value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub at_millis: i64,
    pub value: f64,
    pub flags: u8,
}

/// The values of one step of time.
#[derive(Debug, Clone, PartialEq)]
pub struct Bucket {
    /// Number of the step since the epoch: it starts at `index` steps.
    pub index: i64,
    pub count: u32,
    pub minimum: f64,
    pub maximum: f64,
    /// Exact while in memory, and rounded to the precision of an `f32` when it is
    /// stored.
    pub mean: f64,
    pub last: f64,
    /// Every flag that any of the points had.
    pub flags: u8,
    pub sketch: Sketch,
}

/// A bucket that takes points in any order.
#[derive(Debug, Clone)]
pub struct BucketBuilder {
    bucket: Bucket,
    last_at: i64,
}

impl Bucket {
    /// The bucket of a single point, whose value must be finite.
    #[must_use]
    pub fn of(index: i64, point: &Point) -> Self {
        let mut sketch = Sketch::default();
        let value = unsigned_zero(point.value);
        sketch.add(value);
        Self {
            index,
            count: 1,
            minimum: value,
            maximum: value,
            mean: value,
            last: value,
            flags: point.flags,
            sketch,
        }
    }

    /// Adds what a later bucket, or a later part of the same one, has.
    pub fn merge(&mut self, later: &Self) {
        self.combine(later);
        self.last = later.last;
    }

    /// All but the last value.
    fn combine(&mut self, other: &Self) {
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        self.count = self.count.saturating_add(other.count);
        // Parts rather than sums, which could be beyond all numbers.
        let share = f64::from(other.count) / f64::from(self.count.max(1));
        self.mean = self.mean * (1.0 - share) + other.mean * share;
        self.mean = self.mean.max(self.minimum).min(self.maximum);
        self.flags |= other.flags;
        self.sketch.merge(&other.sketch);
    }
}

impl BucketBuilder {
    /// Begins with a point, whose value must be finite.
    #[must_use]
    pub fn of(index: i64, point: &Point) -> Self {
        Self {
            bucket: Bucket::of(index, point),
            last_at: point.at_millis,
        }
    }

    /// Adds a point; of points of the same time the one added later is the last.
    /// A value that is not finite is left out.
    pub fn add(&mut self, point: &Point) {
        if !point.value.is_finite() {
            return;
        }
        let bucket = &mut self.bucket;
        let value = unsigned_zero(point.value);
        bucket.minimum = bucket.minimum.min(value);
        bucket.maximum = bucket.maximum.max(value);
        bucket.count = bucket.count.saturating_add(1);
        let count = f64::from(bucket.count);
        bucket.mean = bucket.mean * ((count - 1.0) / count) + value / count;
        bucket.mean = bucket.mean.max(bucket.minimum).min(bucket.maximum);
        bucket.flags |= point.flags;
        bucket.sketch.add(value);
        if point.at_millis >= self.last_at {
            self.last_at = point.at_millis;
            bucket.last = value;
        }
    }

    /// Adds what another builder of the same step has.
    pub fn merge(&mut self, other: &Self) {
        self.bucket.combine(&other.bucket);
        if other.last_at >= self.last_at {
            self.last_at = other.last_at;
            self.bucket.last = other.bucket.last;
        }
    }

    #[must_use]
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    #[must_use]
    pub fn finish(self) -> Bucket {
        self.bucket
    }
}

/// Buckets of the points of one series, oldest first. The points may come in any
/// order.
#[must_use]
pub fn roll_points(points: &[Point], step_millis: NonZeroU32) -> Vec<Bucket> {
    let mut steps: BTreeMap<i64, BucketBuilder> = BTreeMap::new();
    for point in points.iter().filter(|point| point.value.is_finite()) {
        let index = step_of(point.at_millis, step_millis);
        steps
            .entry(index)
            .and_modify(|builder| builder.add(point))
            .or_insert_with(|| BucketBuilder::of(index, point));
    }
    steps.into_values().map(BucketBuilder::finish).collect()
}

/// Buckets of a coarse step from those of a fine one, oldest first. The fine
/// step should divide the coarse one: a bucket goes where it starts.
#[must_use]
pub fn roll_buckets(
    buckets: &[Bucket],
    fine_millis: NonZeroU32,
    coarse_millis: NonZeroU32,
) -> Vec<Bucket> {
    let mut sorted: Vec<&Bucket> = buckets.iter().collect();
    sorted.sort_by_key(|bucket| bucket.index);
    let mut rolled: Vec<Bucket> = Vec::new();
    for bucket in sorted {
        let start = bucket.index.saturating_mul(i64::from(fine_millis.get()));
        let index = step_of(start, coarse_millis);
        match rolled.last_mut() {
            Some(last) if last.index == index => last.merge(bucket),
            _ => rolled.push(Bucket {
                index,
                ..bucket.clone()
            }),
        }
    }
    rolled
}

/// The step that a time falls into.
#[must_use]
pub fn step_of(at_millis: i64, step_millis: NonZeroU32) -> i64 {
    at_millis.div_euclid(i64::from(step_millis.get()))
}

/// There is one zero in a bucket, so that equal extremes have the same bits.
fn unsigned_zero(value: f64) -> f64 {
    value + 0.0
}

#[cfg(test)]
mod tests;
