//! What is kept at once: values, as blocks, and where their streams stand.

use std::collections::BTreeMap;

use super::{
    block::{self, SeriesKey},
    bucket::Point,
    catalog::NewRows,
    engine::StoreError,
    journal::Recorded,
    row::{Change, NewBlock, Place, Source, StateRow},
    tier::{PARTITION, Tier},
};

/// Marks a value whose time had to be corrected.
pub const CORRECTED: u8 = 1;

/// What one transaction keeps.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Batch {
    pub rows: NewRows,
    pub values: Vec<Recorded>,
    /// Places in streams, findings: replaced.
    pub states: Vec<StateRow>,
    /// Whatever else.
    pub changes: Vec<Change>,
}

impl Batch {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.rows == NewRows::default()
            && self.values.is_empty()
            && self.states.is_empty()
            && self.changes.is_empty()
    }

    /// The steps of its transaction.
    pub(super) fn changes(&self) -> Result<Vec<Change>, StoreError> {
        let mut changes = Vec::new();
        changes.extend(self.rows.objects.iter().cloned().map(Change::PutObject));
        changes.extend(self.rows.series.iter().cloned().map(Change::PutSeries));
        changes.extend(blocks(&self.values)?.into_iter().map(Change::AddBlock));
        changes.extend(self.states.iter().cloned().map(Change::PutState));
        changes.extend(self.changes.iter().cloned());
        Ok(changes)
    }
}

/// Raw values as blocks, one for each hour and partition.
fn blocks(values: &[Recorded]) -> Result<Vec<NewBlock>, StoreError> {
    let mut places: BTreeMap<Place, BTreeMap<SeriesKey, Vec<Point>>> = BTreeMap::new();
    for value in values {
        let place = Place {
            tier: Tier::Raw,
            begin: Tier::Raw.span_of(value.at_millis.div_euclid(1000)),
            partition: value.series / PARTITION,
        };
        let key = SeriesKey {
            metric: value.metric,
            series: value.series,
        };
        let points = places.entry(place).or_default().entry(key).or_default();
        points.push(Point {
            at_millis: value.at_millis,
            value: value.value,
            flags: if value.is_corrected { CORRECTED } else { 0 },
        });
    }
    let mut blocks = Vec::new();
    for (place, series) in places {
        let mut count = 0_u32;
        let series: Vec<_> = series
            .into_iter()
            .map(|(key, points)| {
                let points = in_order(points);
                count = count.saturating_add(u32::try_from(points.len()).unwrap_or(u32::MAX));
                (key, points)
            })
            .collect();
        let bytes = block::encode_points(&series).map_err(defect)?;
        blocks.push(NewBlock {
            place,
            source: Source::Agent,
            values: count,
            is_rolled_up: false,
            bytes,
        });
    }
    Ok(blocks)
}

/// Sorted by time; of two at one time the later word counts.
pub(super) fn in_order(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by_key(|point| point.at_millis);
    points.reverse();
    points.dedup_by_key(|point| point.at_millis);
    points.reverse();
    points
}

/// What was made here cannot be encoded.
pub(super) fn defect(error: block::BlockError) -> StoreError {
    StoreError::Other(format!("encoding values: {error}"))
}
