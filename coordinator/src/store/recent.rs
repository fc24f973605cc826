//! What checks look back at, when a coordinator starts.

use std::collections::HashMap;

use jiff::Timestamp;

use super::{
    RecentValue,
    engine::{Reader, StoreError},
    roll,
    row::{BlockQuery, SeriesRow},
    tier::Tier,
};
use crate::{history, metric::Metric};

/// Values at most, so that a large site starts soon; the newest are taken.
const VALUES: usize = 20_000_000;

pub(super) fn values<R: Reader + ?Sized>(
    reader: &mut R,
    series: &[SeriesRow],
    now: Timestamp,
) -> Result<Vec<RecentValue>, StoreError> {
    let judged: HashMap<u32, &SeriesRow> = series
        .iter()
        .filter(|row| Metric::numbered(row.metric).is_some_and(|m| m.info().is_judged))
        .map(|row| (row.id, row))
        .collect();
    let since = now.as_second().saturating_sub(history::KEPT_SECONDS);
    let blocks = reader.blocks(&BlockQuery {
        tier: Some(Tier::Raw),
        from: Some(Tier::Raw.span_of(since)),
        ..BlockQuery::default()
    })?;
    let mut recent = Vec::new();
    for block in blocks.iter().rev() {
        let points = roll::points(reader, &[block], |key| judged.contains_key(&key.series))?;
        for (key, points) in points {
            let Some(row) = judged.get(&key.series) else {
                continue;
            };
            recent.extend(
                points
                    .into_iter()
                    .filter(|point| point.at_millis >= since.saturating_mul(1000))
                    .map(|point| RecentValue {
                        object: row.object,
                        metric: row.metric,
                        part: row.part.clone(),
                        at_millis: point.at_millis,
                        value: point.value,
                    }),
            );
        }
        if recent.len() >= VALUES {
            break;
        }
    }
    Ok(recent)
}
