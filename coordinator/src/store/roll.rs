//! From raw values to coarser ones.
//!
//! Roll-ups are made from raw values once an hour is over, in one transaction
//! with the mark that these are rolled up. What comes later makes a further piece
//! of the same place: see [`join`](super::join).

use std::{collections::BTreeMap, num::NonZeroU32};

use jiff::Timestamp;
use tracing::warn;

use super::{
    block::{self, Series, SeriesKey},
    bucket::{Bucket, Point, roll_points},
    engine::{Engine, Reader, StoreError},
    row::{BlockQuery, BlockRow, Change, NewBlock, Place},
    tier::Tier,
    write::{defect, in_order},
};

/// How long after its end an hour or day is rolled up: what was on its way then
/// has arrived.
pub(super) const GRACE_SECONDS: i64 = 300;

/// Rolls one complete hour of one partition up. Whether there was one.
pub(super) fn roll_up(engine: &mut dyn Engine, now: Timestamp) -> Result<bool, StoreError> {
    let complete = now.as_second() - GRACE_SECONDS - Tier::Raw.span_seconds();
    let fresh = engine.blocks(&BlockQuery {
        tier: Some(Tier::Raw),
        until: Some(complete + 1),
        only_fresh: true,
        ..BlockQuery::default()
    })?;
    let Some(first) = fresh.first() else {
        return Ok(false);
    };
    let (place, source) = (first.place, first.source);
    let of_place: Vec<_> = fresh
        .iter()
        .take_while(|block| block.place == place && block.source == source)
        .collect();
    let mut changes = Vec::new();
    let points = points(engine, &of_place, |_| true)?;
    for tier in Tier::ROLLED_UP {
        let series: Vec<Series<Bucket>> = points
            .iter()
            .map(|(key, points)| (*key, roll_points(points, step(tier))))
            .collect();
        let place = Place {
            tier,
            begin: tier.span_of(place.begin),
            partition: place.partition,
        };
        changes.push(Change::AddBlock(NewBlock {
            place,
            source,
            values: count(&series),
            is_rolled_up: true,
            bytes: block::encode_buckets(&series).map_err(defect)?,
        }));
    }
    changes.extend(of_place.iter().map(|block| Change::RolledUp(block.id)));
    engine.commit(&changes)?;
    Ok(true)
}

/// The values of raw blocks, by series and time. Damaged blocks are left out: the rest
/// is worth having.
pub(super) fn points<R: Reader + ?Sized>(
    reader: &mut R,
    blocks: &[&BlockRow],
    wanted: impl Fn(SeriesKey) -> bool,
) -> Result<BTreeMap<SeriesKey, Vec<Point>>, StoreError> {
    let mut all: BTreeMap<SeriesKey, Vec<Point>> = BTreeMap::new();
    for row in blocks {
        let bytes = whole(reader, row)?;
        match block::decode_all_points(&bytes) {
            Ok(series) => {
                for (key, mut points) in series.into_iter().filter(|(key, _)| wanted(*key)) {
                    all.entry(key).or_default().append(&mut points);
                }
            }
            Err(error) => damaged(row, &error),
        }
    }
    let all = all.into_iter();
    Ok(all.map(|(key, points)| (key, in_order(points))).collect())
}

/// The buckets of pieces, joined, by series and time. Damaged pieces are left out.
pub(super) fn buckets<R: Reader + ?Sized>(
    reader: &mut R,
    blocks: &[&BlockRow],
) -> Result<BTreeMap<SeriesKey, Vec<Bucket>>, StoreError> {
    let mut all: BTreeMap<SeriesKey, Vec<Bucket>> = BTreeMap::new();
    for row in blocks {
        let bytes = whole(reader, row)?;
        match block::decode_all_buckets(&bytes) {
            Ok(series) => {
                for (key, mut buckets) in series {
                    all.entry(key).or_default().append(&mut buckets);
                }
            }
            Err(error) => damaged(row, &error),
        }
    }
    let all = all.into_iter();
    Ok(all.map(|(key, buckets)| (key, joined(buckets))).collect())
}

/// Says what could not be read back.
pub(super) fn damaged(row: &BlockRow, error: &block::BlockError) {
    let (tier, begin) = (row.place.tier, row.place.begin);
    warn!(?tier, begin, values = row.values, %error, "values of the store are damaged");
}

/// Buckets of several pieces, the earlier piece first, as one for each step.
pub(super) fn joined(mut buckets: Vec<Bucket>) -> Vec<Bucket> {
    if buckets.is_sorted_by(|one, next| one.index < next.index) {
        return buckets;
    }
    // Stable: pieces of a step stay in their order.
    buckets.sort_by_key(|bucket| bucket.index);
    let mut joined: Vec<Bucket> = Vec::with_capacity(buckets.len());
    for bucket in buckets {
        match joined.last_mut() {
            Some(last) if last.index == bucket.index => last.merge(&bucket),
            _ => joined.push(bucket),
        }
    }
    joined
}

/// Milliseconds of one value of a tier.
pub(super) fn step(tier: Tier) -> NonZeroU32 {
    let millis = u32::try_from(tier.step_seconds().saturating_mul(1000)).unwrap_or(u32::MAX);
    NonZeroU32::new(millis).unwrap_or(NonZeroU32::MIN)
}

fn whole<R: Reader + ?Sized>(reader: &mut R, row: &BlockRow) -> Result<Vec<u8>, StoreError> {
    reader.block(row.id, 0, usize::try_from(row.bytes).unwrap_or(usize::MAX))
}

pub(super) fn count<T>(series: &[Series<T>]) -> u32 {
    let values: usize = series.iter().map(|(_, values)| values.len()).sum();
    u32::try_from(values).unwrap_or(u32::MAX)
}
