//! Recent values of the figures that checks judge over time.
//!
//! Half an hour in slots of 30 s, in memory: enough for every hold time of the
//! metric checks, and small enough for 50,000 guests. Each slot is the mean of
//! what was recorded in it; a slot in which nothing was recorded is missing and
//! never interpolated.
//!
//! A clone shares the series and is cheap: checks read one while new samples are
//! recorded in the original.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;

use crate::metric::Metric;

/// Length of one slot.
pub const SLOT_SECONDS: i64 = 30;
/// Slots kept: 32 minutes.
const SLOTS: usize = 64;
const SLOTS_I64: i64 = 64;
/// How far back a window reaches at most.
pub(crate) const KEPT_SECONDS: i64 = SLOTS_I64 * SLOT_SECONDS;
/// Disks and mount points of one object. A node can name others in every
/// sample; what is beyond this has no series.
const PARTS: u32 = 4096;

/// An object that has series; given out with the newest samples, stable while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey(pub u32);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct SeriesKey {
    object: ObjectKey,
    metric: Metric,
    /// Disk or mount point; empty for the object itself.
    part: Arc<str>,
}

#[derive(Debug, Clone)]
struct Series {
    /// Number of the newest slot since the epoch.
    newest: i64,
    sums: [f32; SLOTS],
    counts: [u16; SLOTS],
}

/// All series.
#[derive(Debug, Clone, Default)]
pub struct History {
    series: HashMap<SeriesKey, Arc<Series>>,
    /// Number of series of parts, by object.
    parts: HashMap<ObjectKey, u32>,
    whole: Arc<str>,
}

/// The slots of a series that lie within a span of time, oldest first.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    values: Vec<f32>,
    expected: usize,
}

impl History {
    /// Records a value of the object itself.
    pub fn record(&mut self, object: ObjectKey, metric: Metric, at: Timestamp, value: f64) {
        let part = Arc::clone(&self.whole);
        self.record_part(object, metric, &part, at, value);
    }

    /// Records a value of a part of the object: a disk, a mount point.
    pub fn record_part(
        &mut self,
        object: ObjectKey,
        metric: Metric,
        part: &Arc<str>,
        at: Timestamp,
        value: f64,
    ) {
        if !value.is_finite() {
            return;
        }
        let slot = at.as_second().div_euclid(SLOT_SECONDS);
        let key = SeriesKey {
            object,
            metric,
            part: Arc::clone(part),
        };
        let series = match self.series.entry(key) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                if !part.is_empty() {
                    let parts = self.parts.entry(object).or_default();
                    if *parts >= PARTS {
                        return;
                    }
                    *parts += 1;
                }
                new.insert(Arc::new(Series {
                    newest: slot,
                    sums: [0.0; SLOTS],
                    counts: [0; SLOTS],
                }))
            }
        };
        Arc::make_mut(series).record(slot, value);
    }

    /// The values of the last `length` before `at`.
    #[must_use]
    pub fn window(
        &self,
        object: ObjectKey,
        metric: Metric,
        at: Timestamp,
        length: Duration,
    ) -> Window {
        self.window_of_part(object, metric, "", at, length)
    }

    /// The values of a part over the last `length` before `at`.
    #[must_use]
    pub fn window_of_part(
        &self,
        object: ObjectKey,
        metric: Metric,
        part: &str,
        at: Timestamp,
        length: Duration,
    ) -> Window {
        let expected = slots_in(length);
        let key = SeriesKey {
            object,
            metric,
            part: if part.is_empty() {
                Arc::clone(&self.whole)
            } else {
                part.into()
            },
        };
        let last = at.as_second().div_euclid(SLOT_SECONDS);
        let values = self
            .series
            .get(&key)
            .map(|series| series.values(last, expected))
            .unwrap_or_default();
        Window { values, expected }
    }

    /// Forgets what was recorded before `at` less the length of the ring, and
    /// series that have nothing left. So it does with series that reach beyond
    /// `at`: the clock was set back, and nothing could be added until then.
    pub fn forget_before(&mut self, at: Timestamp) {
        let newest = at.as_second().div_euclid(SLOT_SECONDS);
        let span = (newest - SLOTS_I64 + 1)..=(newest + 1);
        self.series
            .retain(|_, series| span.contains(&series.newest));
        self.parts.clear();
        for key in self.series.keys().filter(|key| !key.part.is_empty()) {
            *self.parts.entry(key.object).or_default() += 1;
        }
    }

    /// Number of series held.
    #[must_use]
    pub fn series_count(&self) -> usize {
        self.series.len()
    }
}

impl Series {
    fn record(&mut self, slot: i64, value: f64) {
        if slot > self.newest {
            let steps = (slot - self.newest).min(SLOTS_I64);
            for offset in 0..steps {
                let position = position(slot - offset);
                self.sums[position] = 0.0;
                self.counts[position] = 0;
            }
            self.newest = slot;
        }
        // A late value is kept while its slot is still in the ring.
        if self.newest - slot < SLOTS_I64 {
            let position = position(slot);
            #[expect(
                clippy::cast_possible_truncation,
                reason = "six digits are enough to judge a threshold"
            )]
            let value = value as f32;
            self.sums[position] += value;
            self.counts[position] = self.counts[position].saturating_add(1);
        }
    }

    fn values(&self, last: i64, slots: usize) -> Vec<f32> {
        let slots = i64::try_from(slots.min(SLOTS)).unwrap_or(SLOTS_I64);
        ((last - slots + 1)..=last)
            .filter(|slot| *slot <= self.newest && self.newest - slot < SLOTS_I64)
            .map(position)
            .filter(|position| self.counts[*position] > 0)
            .map(|position| self.sums[position] / f32::from(self.counts[position]))
            .collect()
    }
}

/// Place of a slot in the ring.
fn position(slot: i64) -> usize {
    // rem_euclid of a positive divisor lies within 0..SLOTS.
    usize::try_from(slot.rem_euclid(SLOTS_I64)).unwrap_or(0)
}

fn slots_in(length: Duration) -> usize {
    let slots = length.as_secs() / SLOT_SECONDS.unsigned_abs();
    usize::try_from(slots).unwrap_or(SLOTS).clamp(1, SLOTS)
}

impl Window {
    /// Share of the expected slots that hold a value, 0 to 1. The newest slot
    /// may still be empty and does not count against it.
    #[must_use]
    pub fn coverage(&self) -> f64 {
        let expected = self.expected.saturating_sub(1).max(1);
        (ratio(self.values.len(), expected)).min(1.0)
    }

    /// Rule G3: at least 80 % of the expected values.
    #[must_use]
    pub fn is_covered(&self) -> bool {
        self.coverage() >= 0.8
    }

    /// Share of the values above the threshold, 0 to 1.
    #[must_use]
    pub fn share_above(&self, threshold: f64) -> f64 {
        self.share(|value| value > threshold)
    }

    /// Share of the values below the threshold, 0 to 1.
    #[must_use]
    pub fn share_below(&self, threshold: f64) -> f64 {
        self.share(|value| value < threshold)
    }

    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        let sum: f64 = self.values.iter().copied().map(f64::from).sum();
        (!self.values.is_empty()).then(|| sum / ratio(self.values.len(), 1))
    }

    #[must_use]
    pub fn maximum(&self) -> Option<f64> {
        self.values.iter().copied().map(f64::from).reduce(f64::max)
    }

    #[must_use]
    pub fn latest(&self) -> Option<f64> {
        self.values.last().copied().map(f64::from)
    }

    /// Value below which `share` (0 to 1) of the values lie, nearest rank.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let mut sorted = self.values.clone();
        sorted.sort_by(f32::total_cmp);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank within at most 64 values; the cast saturates"
        )]
        let rank = (share.clamp(0.0, 1.0) * ratio(sorted.len(), 1)).ceil() as usize;
        sorted.get(rank.saturating_sub(1)).copied().map(f64::from)
    }

    fn share(&self, hit: impl Fn(f64) -> bool) -> f64 {
        if self.values.is_empty() {
            return 0.0;
        }
        let hits = self.values.iter().filter(|value| hit(f64::from(**value)));
        ratio(hits.count(), self.values.len())
    }
}

/// Counts here are at most 64, exact in a double.
#[expect(clippy::cast_precision_loss, reason = "at most 64")]
fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests;
