//! The past that a node had kept itself becomes values of the coarsest tier.
//!
//! A row of half an hour is a value within its hour. A row of more than an hour
//! becomes the same value in each of its hours, marked with how long it is the
//! mean of: so a mean over any span weighs all hours alike, a drawing has no holes,
//! and an answer can say how coarse it is. One value at the begin of the row was
//! rejected, since a week would then weigh as much as half an hour.
//!
//! The count of an hour is that of the minutes that RRDtool had put together.
//!
//! Days are imported from the newest to the oldest, some in each transaction, and
//! of a series only what lies before the first value that the store has of it. So
//! what was interrupted goes on where it stood when the node sends its history
//! again, what two nodes have of one guest is there once, and nothing overlaps what
//! an agent measured. The last transaction says that the node is done.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{
    Batch, Store, StoreError,
    block::{self, Series, SeriesKey},
    bucket::Bucket,
    query,
    row::{Change, NewBlock, Place, Source, StateKind, StateRow},
    tier::{PARTITION, Tier},
    write::defect,
};

mod rows;

pub use rows::{Archive, Column, Formula, Past, PastObject, WIDTHS};

/// Values of one transaction, roughly: well below a second of work.
const STEP_VALUES: usize = 200_000;
const HOUR: i64 = 3600;
const HOURS: i64 = 24;

/// How long the mean lasts at most that a value with these flags is; none of what
/// an agent measured.
#[must_use]
pub fn width_seconds(flags: u8) -> Option<i64> {
    let coarsest = WIDTHS.iter().rev().find(|(flag, _)| flags & flag != 0);
    coarsest.map(|(_, seconds)| *seconds)
}

/// The past of one node on its way into the store.
#[derive(Debug)]
pub struct Import {
    /// Names the node in the store.
    key: String,
    /// By key.
    pasts: Vec<(SeriesKey, Past)>,
    /// Nothing from this hour on.
    end: i64,
    /// The first hour that is not imported, by series; absent until it is known.
    ends: Option<BTreeMap<SeriesKey, i64>>,
    /// The day that comes next, and the last one.
    day: i64,
    oldest: i64,
    values: u64,
}

impl Import {
    /// What was kept until `received_at`, the time that the node sent it. The rows of
    /// the series must be in the store before the first step.
    #[must_use]
    pub fn new(key: String, mut pasts: Vec<(SeriesKey, Past)>, received_at: Timestamp) -> Self {
        pasts.sort_by_key(|(key, _)| *key);
        pasts.dedup_by_key(|(key, _)| *key);
        let end = received_at.as_second().div_euclid(HOUR);
        let kept = Tier::Hour.kept_seconds() / HOUR;
        let begins = pasts.iter().filter_map(|(_, past)| past.begin());
        let begin = begins.min().unwrap_or(end).max(end.saturating_sub(kept));
        Self {
            key,
            pasts,
            end,
            ends: None,
            day: end.saturating_sub(1).div_euclid(HOURS),
            oldest: begin.div_euclid(HOURS),
            values: 0,
        }
    }

    /// Values that were imported so far.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.values
    }

    /// Names the node.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// Imports some days. Whether all is done.
    ///
    /// # Errors
    /// When the store does not take it. What was imported stays, and the rest can be
    /// imported by another one.
    pub fn step(&mut self, store: &Store, now: Timestamp) -> Result<bool, StoreError> {
        let ends = match self.ends.take() {
            Some(ends) => ends,
            None => {
                let keys: BTreeSet<_> = self.pasts.iter().map(|(key, _)| *key).collect();
                store.read(|reader| query::first_hours(reader, &keys))?
            }
        };
        let mut batch = Batch::default();
        let mut values = 0_usize;
        while self.day >= self.oldest && values < STEP_VALUES {
            for (partition, series) in self.day(&ends) {
                let count: usize = series.iter().map(|(_, buckets)| buckets.len()).sum();
                values = values.saturating_add(count);
                batch.changes.push(Change::AddBlock(NewBlock {
                    place: Place {
                        tier: Tier::Hour,
                        begin: self.day.saturating_mul(Tier::Hour.span_seconds()),
                        partition,
                    },
                    source: Source::Rrd,
                    values: u32::try_from(count).unwrap_or(u32::MAX),
                    is_rolled_up: true,
                    bytes: block::encode_buckets(&series).map_err(defect)?,
                }));
            }
            self.day = self.day.saturating_sub(1);
        }
        let is_done = self.day < self.oldest;
        self.values = self
            .values
            .saturating_add(u64::try_from(values).unwrap_or(u64::MAX));
        if is_done {
            batch.states.push(StateRow {
                kind: StateKind::Imported,
                key: self.key.clone(),
                body: now.to_string().into_bytes(),
            });
        }
        self.ends = Some(ends);
        store.write(&batch, now)?;
        Ok(is_done)
    }

    /// The values of the day at hand, by partition.
    fn day(&self, ends: &BTreeMap<SeriesKey, i64>) -> BTreeMap<u32, Vec<Series<Bucket>>> {
        let begin = self.day.saturating_mul(HOURS);
        let mut partitions: BTreeMap<u32, Vec<Series<Bucket>>> = BTreeMap::new();
        for (key, past) in &self.pasts {
            let first = ends.get(key).copied().unwrap_or(i64::MAX);
            let end = begin.saturating_add(HOURS).min(self.end).min(first);
            let buckets: Vec<_> = (begin..end).filter_map(|hour| past.bucket(hour)).collect();
            if !buckets.is_empty() {
                let partition = partitions.entry(key.series / PARTITION).or_default();
                partition.push((*key, buckets));
            }
        }
        partitions
    }
}

#[cfg(test)]
mod tests;
