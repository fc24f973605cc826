//! What the coarsest tier has where a finer one has nothing yet.
//!
//! Values of a series are kept fine for some time and coarse for longer, and what a
//! node itself had kept is there as hours alone. So what lies before the first value of
//! the tier that is asked for is taken from the coarsest one.

use std::collections::{BTreeMap, BTreeSet};

use super::{Scan, Span, Values};
use crate::store::{
    block::{self, SeriesKey},
    bucket::{Bucket, roll_buckets},
    engine::{Reader, StoreError},
    import::width_seconds,
    roll::{joined, step},
    row::{BlockQuery, Source},
    tier::{PARTITION, Tier},
};

const HOUR: i64 = 3600;
const HOUR_MILLIS: i64 = 1000 * HOUR;

/// The hour of the first value that there is of each series, whatever its source.
/// Series without values are left out.
///
/// # Errors
/// When the store cannot be read.
pub fn first_hours<R: Reader + ?Sized>(
    reader: &mut R,
    keys: &BTreeSet<SeriesKey>,
) -> Result<BTreeMap<SeriesKey, i64>, StoreError> {
    let span = Span {
        from: jiff::Timestamp::MIN,
        until: jiff::Timestamp::MAX,
        tier: Tier::Hour,
    };
    let mut firsts = BTreeMap::new();
    let partitions: BTreeSet<u32> = keys.iter().map(|key| key.series / PARTITION).collect();
    for partition in partitions {
        let of_partition: BTreeSet<SeriesKey> = keys
            .iter()
            .copied()
            .filter(|key| key.series / PARTITION == partition)
            .collect();
        for tier in [Tier::Hour, Tier::Raw] {
            let blocks = reader.blocks(&BlockQuery {
                tier: Some(tier),
                partition: Some(partition),
                // What is rolled up is in the coarser tier.
                only_fresh: tier == Tier::Raw,
                ..BlockQuery::default()
            })?;
            let mut sought = of_partition.clone();
            for of_span in blocks.chunk_by(|one, next| one.place.begin == next.place.begin) {
                let mut scan = Scan {
                    reader: &mut *reader,
                    keys: &sought,
                    span: &span,
                    damaged_blocks: 0,
                };
                let mut found: BTreeMap<SeriesKey, i64> = BTreeMap::new();
                for row in of_span {
                    let hours: Vec<(SeriesKey, i64)> = match tier {
                        Tier::Raw => scan
                            .frames(row, |d, f, b, w| block::decode_points(d, f, b, w))?
                            .iter()
                            .filter_map(|(key, points)| Some((*key, points.first()?.at_millis)))
                            .map(|(key, millis)| (key, millis.div_euclid(HOUR_MILLIS)))
                            .collect(),
                        _ => scan
                            .frames(row, |d, f, b, w| block::decode_buckets(d, f, b, w))?
                            .iter()
                            .filter_map(|(key, buckets)| Some((*key, buckets.first()?.index)))
                            .collect(),
                    };
                    for (key, hour) in hours {
                        found
                            .entry(key)
                            .and_modify(|first| *first = hour.min(*first))
                            .or_insert(hour);
                    }
                }
                for (key, hour) in found {
                    sought.remove(&key);
                    firsts
                        .entry(key)
                        .and_modify(|first: &mut i64| *first = hour.min(*first))
                        .or_insert(hour);
                }
                if sought.is_empty() {
                    break;
                }
            }
        }
    }
    Ok(firsts)
}

impl<R: Reader + ?Sized> Scan<'_, R> {
    /// Adds the hours before the first value of each series.
    pub(super) fn hours(
        &mut self,
        partition: u32,
        all: &mut BTreeMap<SeriesKey, Values>,
    ) -> Result<(), StoreError> {
        let tier = self.span.tier;
        let begin = self.span.from.as_second().div_euclid(HOUR);
        let end = self.span.until.as_second().saturating_add(HOUR - 1);
        let end = end.div_euclid(HOUR);
        let first = |key: &SeriesKey| {
            let buckets = all.get(key)?.buckets.iter();
            let index = buckets.map(|bucket| bucket.index).min()?;
            Some(hour_of(index, tier))
        };
        let ends: BTreeMap<SeriesKey, i64> = self
            .keys
            .iter()
            .map(|key| (*key, first(key).unwrap_or(end)))
            .collect();
        let last = ends.values().copied().max().unwrap_or(begin);
        if last <= begin {
            return Ok(());
        }
        let blocks = self.reader.blocks(&BlockQuery {
            tier: Some(Tier::Hour),
            from: Some(Tier::Hour.span_of(begin.saturating_mul(HOUR))),
            until: Some(last.saturating_mul(HOUR)),
            partition: Some(partition),
            only_fresh: false,
        })?;
        let mut measured: BTreeMap<SeriesKey, Vec<Bucket>> = BTreeMap::new();
        let mut imported: BTreeMap<SeriesKey, Vec<Bucket>> = BTreeMap::new();
        for row in &blocks {
            let of_source = match row.source {
                // These are there already.
                Source::Agent if tier == Tier::Hour => continue,
                Source::Agent => &mut measured,
                Source::Rrd => &mut imported,
            };
            for (key, buckets) in
                self.frames(row, |d, f, b, w| block::decode_buckets(d, f, b, w))?
            {
                let end = ends.get(&key).copied().unwrap_or(begin);
                let within = |bucket: &Bucket| (begin..end).contains(&bucket.index);
                let buckets = buckets.into_iter().filter(within);
                of_source.entry(key).or_default().extend(buckets);
            }
        }
        for (key, hours) in measured {
            all.entry(key).or_default().hours = joined(hours);
        }
        for (key, hours) in imported {
            let values = all.entry(key).or_default();
            let measured: BTreeSet<i64> = values.hours.iter().map(|hour| hour.index).collect();
            let hours = joined(hours).into_iter();
            // What an agent measured is better.
            let mut hours: Vec<_> = hours
                .filter(|hour| !measured.contains(&hour.index))
                .collect();
            values.is_imported |= hours.iter().any(|hour| width_seconds(hour.flags).is_some());
            values.hours.append(&mut hours);
            values.hours.sort_by_key(|hour| hour.index);
        }
        Ok(())
    }
}

impl Values {
    /// All of it in steps, of at least those of the tier, oldest first. An hour is in
    /// each step of its own where these are shorter.
    #[must_use]
    pub fn steps(&self, span: &Span, step_seconds: i64) -> Vec<Bucket> {
        let step_seconds = step_seconds.max(1);
        let millis = u32::try_from(step_seconds.saturating_mul(1000)).unwrap_or(u32::MAX);
        let coarse = std::num::NonZeroU32::new(millis).unwrap_or(std::num::NonZeroU32::MIN);
        // The index of a raw value is its time.
        let fine = match span.tier {
            Tier::Raw => std::num::NonZeroU32::MIN,
            tier => step(tier),
        };
        let mut steps = if step_seconds >= HOUR {
            roll_buckets(&self.hours, step(Tier::Hour), coarse)
        } else {
            let hours = self.hours.iter();
            hours
                .flat_map(|hour| spread(hour, span, step_seconds))
                .collect()
        };
        let rolled = roll_buckets(&self.buckets, fine, coarse);
        if step_seconds < HOUR {
            let measured: BTreeSet<i64> = rolled.iter().map(|step| step.index).collect();
            steps.retain(|step| !measured.contains(&step.index));
        }
        steps.extend(rolled);
        joined(steps)
    }
}

/// The steps of an hour, as far as they begin within the span.
fn spread(hour: &Bucket, span: &Span, step_seconds: i64) -> impl Iterator<Item = Bucket> {
    let begin = hour.index.saturating_mul(HOUR);
    let from = span.from.as_second().max(begin);
    let until = span.until.as_second().min(begin.saturating_add(HOUR));
    let first = from.div_euclid(step_seconds);
    let end = until
        .saturating_add(step_seconds - 1)
        .div_euclid(step_seconds);
    (first..end).map(|index| Bucket {
        index,
        ..hour.clone()
    })
}

fn hour_of(index: i64, tier: Tier) -> i64 {
    match tier {
        Tier::Raw => index.div_euclid(HOUR_MILLIS),
        tier => index.saturating_mul(tier.step_seconds()).div_euclid(HOUR),
    }
}
