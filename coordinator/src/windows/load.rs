//! Reads the windows from the store, some series at a time.
//!
//! Many guests have many blocks, and whoever writes or asks comes in between.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::Timestamp;

use super::{Course, Day, Form, Percentiles, STEP_SECONDS, Windows, course::is_covered};
use crate::{
    history::ObjectKey,
    metric::Metric,
    store::{
        Store, StoreError,
        block::SeriesKey,
        bucket::Bucket,
        query::{self, Span},
        sketch::Sketch,
        tier::{PARTITION, Tier},
    },
};

/// Partitions of series that are read at once: below a tenth of a second of work.
const AT_ONCE: usize = 32;
/// Steps of an hour.
const HOUR: i64 = 12;

/// A series that a check looks back at.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) series: SeriesKey,
    pub(crate) object: ObjectKey,
    pub(crate) metric: Metric,
    pub(crate) part: Arc<str>,
    pub(crate) form: Form,
}

/// Windows on their way from the store.
#[derive(Debug)]
pub(crate) struct Loading {
    at: Timestamp,
    windows: Windows,
    /// By form and partition.
    left: BTreeMap<(Form, u32), BTreeMap<SeriesKey, Wanted>>,
}

impl Loading {
    pub(crate) fn of(wanted: impl IntoIterator<Item = Wanted>, at: Timestamp) -> Self {
        let mut left: BTreeMap<_, BTreeMap<SeriesKey, Wanted>> = BTreeMap::new();
        let (mut courses, mut days) = (0, 0);
        for one in wanted {
            let count = match one.form {
                Form::Course => &mut courses,
                Form::Day => &mut days,
            };
            *count += 1;
            if *count <= one.form.most() {
                let place = (one.form, one.series.series / PARTITION);
                left.entry(place).or_default().insert(one.series, one);
            }
        }
        Self {
            at,
            windows: Windows::read_at(at),
            left,
        }
    }

    /// Reads some more. Whether that was all.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) fn step(&mut self, store: &Store) -> Result<bool, StoreError> {
        for _ in 0..AT_ONCE {
            let Some(((form, _), wanted)) = self.left.pop_first() else {
                break;
            };
            let last = self.at.as_second().div_euclid(STEP_SECONDS);
            let first = last - form.steps() + 1;
            let span = Span {
                from: second(first * STEP_SECONDS),
                until: second((last + 1) * STEP_SECONDS),
                tier: Tier::FiveMinutes,
            };
            let keys: BTreeSet<SeriesKey> = wanted.keys().copied().collect();
            let found = store.read(|reader| query::values(reader, &keys, &span))?;
            for (key, values) in found.series {
                if let Some(wanted) = wanted.get(&key) {
                    self.add(wanted, &values.buckets, first);
                }
            }
        }
        Ok(self.left.is_empty())
    }

    /// What was read.
    pub(crate) fn finish(self) -> Windows {
        self.windows
    }

    fn add(&mut self, wanted: &Wanted, buckets: &[Bucket], first: i64) {
        let (object, metric) = (wanted.object, wanted.metric);
        match wanted.form {
            Form::Course => {
                let steps = buckets.iter().filter_map(|bucket| {
                    let place = u16::try_from(bucket.index - first).ok()?;
                    Some((place, narrow(bucket.mean)))
                });
                let course = Course::of(steps);
                let part = Arc::clone(&wanted.part);
                self.windows.add_course(object, metric, part, course);
            }
            Form::Day => self.windows.add_day(object, metric, day(buckets, first)),
        }
    }
}

/// A day of buckets, of which the first may be missing.
fn day(buckets: &[Bucket], first: i64) -> Day {
    let last = first + Form::Day.steps() - 1;
    let hour: Vec<f32> = buckets
        .iter()
        .filter(|bucket| bucket.index > last - HOUR)
        .map(|bucket| narrow(bucket.mean))
        .collect();
    let hour = is_covered(hour.len(), HOUR)
        .then(|| hour.into_iter().reduce(f32::max))
        .flatten();
    let percentiles = is_covered(buckets.len(), Form::Day.steps())
        .then(|| percentiles(buckets))
        .flatten();
    Day { percentiles, hour }
}

/// Of all values together: percentiles of parts have no mean.
fn percentiles(buckets: &[Bucket]) -> Option<Percentiles> {
    let mut all = Sketch::default();
    for bucket in buckets {
        all.merge(&bucket.sketch);
    }
    let highest = buckets.iter().map(|bucket| bucket.maximum);
    let highest = highest.reduce(f64::max)?;
    // A sketch may answer somewhat more than there was.
    let at = |share| Some(narrow(all.quantile(share)?.min(highest)));
    Some(Percentiles {
        p50: at(0.50)?,
        p95: at(0.95)?,
        p99: at(0.99)?,
    })
}

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or_default()
}

fn narrow(value: f64) -> f32 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "six digits are enough to judge a threshold"
    )]
    let value = value as f32;
    value
}
