//! Which numbers objects and series have in the store.
//!
//! All in memory, since every value that arrives asks. Numbers are given here and
//! reach the store with the first values; they are never given twice. An object
//! that had no values for long is not loaded again: if it comes back it gets a new
//! number, and a query joins both.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;

use super::row::{Object, ObjectId, ObjectRow, SeriesId, SeriesRow};
use crate::{metric::Metric, view::Name};

/// Series of one object: a node may name other disks in every sample.
const SERIES_PER_OBJECT: u32 = 8192;
/// Series in memory: 50,000 guests and their nodes have a million.
const SERIES: usize = 4_000_000;
/// How old the stored time of last use of an object may become.
const USE_SECONDS: i64 = 86_400;

/// Numbers of objects and series.
#[derive(Debug, Default)]
pub(crate) struct Catalog {
    objects: HashMap<Object, KnownObject>,
    by_id: HashMap<ObjectId, Object>,
    series: HashMap<(ObjectId, Metric, Arc<str>), SeriesId>,
    /// Number of series, by object.
    counts: HashMap<ObjectId, u32>,
    next_object: ObjectId,
    next_series: SeriesId,
    /// What the store does not know yet.
    new: NewRows,
}

#[derive(Debug)]
struct KnownObject {
    id: ObjectId,
    used_at: Timestamp,
}

/// Rows that the store is to get.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct NewRows {
    pub objects: Vec<ObjectRow>,
    pub series: Vec<SeriesRow>,
}

impl Catalog {
    /// Goes on with what the store has. Objects that were used last before `since`
    /// are left out; their numbers are not given again.
    pub(crate) fn load(objects: Vec<ObjectRow>, series: Vec<SeriesRow>, since: Timestamp) -> Self {
        let mut catalog = Self::default();
        for row in objects {
            catalog.next_object = catalog.next_object.max(row.id.saturating_add(1));
            if row.used_at < since {
                continue;
            }
            let known = KnownObject {
                id: row.id,
                used_at: row.used_at,
            };
            catalog.by_id.insert(row.id, row.object.clone());
            // Of two, the later one goes on.
            catalog.objects.insert(row.object, known);
        }
        let mut parts: HashMap<Name, Arc<str>> = HashMap::new();
        for row in series {
            catalog.next_series = catalog.next_series.max(row.id.saturating_add(1));
            let Some(metric) = Metric::numbered(row.metric) else {
                continue;
            };
            if !catalog.by_id.contains_key(&row.object) {
                continue;
            }
            let part = parts
                .entry(Name::clone(&row.part))
                .or_insert_with(|| Arc::from(&*row.part));
            let key = (row.object, metric, Arc::clone(part));
            catalog.series.insert(key, row.id);
            *catalog.counts.entry(row.object).or_default() += 1;
        }
        catalog
    }

    /// The number of an object that gets a value now.
    pub(crate) fn object(&mut self, object: Object, at: Timestamp) -> ObjectId {
        if let Some(known) = self.objects.get_mut(&object) {
            if at.as_second().saturating_sub(known.used_at.as_second()) >= USE_SECONDS {
                known.used_at = at;
                let id = known.id;
                self.new.objects.push(ObjectRow {
                    id,
                    object,
                    used_at: at,
                });
                return id;
            }
            return known.id;
        }
        let id = self.next_object;
        self.next_object = self.next_object.saturating_add(1);
        self.by_id.insert(id, object.clone());
        self.objects
            .insert(object.clone(), KnownObject { id, used_at: at });
        self.new.objects.push(ObjectRow {
            id,
            object,
            used_at: at,
        });
        id
    }

    /// The number of a series; none when there are too many.
    pub(crate) fn series(
        &mut self,
        object: ObjectId,
        metric: Metric,
        part: &Arc<str>,
    ) -> Option<SeriesId> {
        let key = (object, metric, Arc::clone(part));
        if let Some(id) = self.series.get(&key) {
            return Some(*id);
        }
        let count = self.counts.entry(object).or_default();
        if *count >= SERIES_PER_OBJECT || self.series.len() >= SERIES {
            return None;
        }
        *count += 1;
        let id = self.next_series;
        self.next_series = self.next_series.checked_add(1)?;
        self.series.insert(key, id);
        self.new.series.push(SeriesRow {
            id,
            object,
            metric: metric.number(),
            part: (&**part).into(),
        });
        Some(id)
    }

    /// The number of a series that has one.
    pub(crate) fn known_series(
        &self,
        object: ObjectId,
        metric: Metric,
        part: &Arc<str>,
    ) -> Option<SeriesId> {
        let key = (object, metric, Arc::clone(part));
        self.series.get(&key).copied()
    }

    /// The highest generation that was given to guests of the cluster, by VMID.
    pub(crate) fn generations(&self, cluster: &str) -> HashMap<u32, u32> {
        let mut generations = HashMap::new();
        for object in self.objects.keys() {
            if *object.cluster == *cluster
                && object.generation > 0
                && let Ok(vmid) = object.name.parse()
            {
                let highest: &mut u32 = generations.entry(vmid).or_default();
                *highest = object.generation.max(*highest);
            }
        }
        generations
    }

    /// Hands over what the store does not know yet.
    pub(crate) fn take_new(&mut self) -> NewRows {
        std::mem::take(&mut self.new)
    }

    /// The store could not take them: they come first with the next ones.
    pub(crate) fn put_back(&mut self, mut rows: NewRows) {
        rows.objects.append(&mut self.new.objects);
        rows.series.append(&mut self.new.series);
        self.new = rows;
    }
}
