//! What an engine does, said in maps.

use std::collections::BTreeMap;

use crate::store::{
    engine::{Reader, StoreError},
    row::{
        BlockQuery, BlockRow, Change, NewBlock, NewRecord, ObjectRow, RecordQuery, RecordRow,
        SeriesRow, StateKind, StateRow,
    },
};

#[derive(Debug, Default)]
pub(super) struct Model {
    objects: BTreeMap<u32, ObjectRow>,
    series: BTreeMap<u32, SeriesRow>,
    blocks: BTreeMap<i64, NewBlock>,
    states: BTreeMap<(StateKind, String), Vec<u8>>,
    records: BTreeMap<i64, NewRecord>,
}

impl Model {
    pub(super) fn commit(&mut self, changes: &[Change]) {
        for change in changes {
            self.make(change.clone());
        }
    }

    fn make(&mut self, change: Change) {
        match change {
            Change::PutObject(row) => {
                self.objects
                    .entry(row.id)
                    .and_modify(|known| known.used_at = row.used_at)
                    .or_insert(row);
            }
            Change::PutSeries(row) => {
                self.series.entry(row.id).or_insert(row);
            }
            Change::AddBlock(block) => {
                let next = self.blocks.keys().last().map_or(1, |last| last + 1);
                self.blocks.insert(next, block);
            }
            Change::DropBlock(id) => {
                self.blocks.remove(&id);
            }
            Change::RolledUp(id) => {
                if let Some(block) = self.blocks.get_mut(&id) {
                    block.is_rolled_up = true;
                }
            }
            Change::PutState(row) => {
                self.states.insert((row.kind, row.key), row.body);
            }
            Change::DropState(kind, key) => {
                self.states.remove(&(kind, key));
            }
            Change::AddRecord(record) => {
                let known = |known: &NewRecord| {
                    !record.key.is_empty() && known.kind == record.kind && known.key == record.key
                };
                if !self.records.values().any(known) {
                    let next = self.records.keys().last().map_or(1, |last| last + 1);
                    self.records.insert(next, record);
                }
            }
            Change::DropRecords(kind, before) => {
                self.records
                    .retain(|_, record| record.kind != kind || record.at >= before);
            }
            Change::DropObjects(before) => {
                let old = |object: &ObjectRow| object.used_at < before;
                let objects = &self.objects;
                self.series
                    .retain(|_, series| !objects.get(&series.object).is_some_and(old));
                self.objects.retain(|_, object| !old(object));
            }
        }
    }
}

impl Reader for Model {
    fn objects(&mut self) -> Result<Vec<ObjectRow>, StoreError> {
        Ok(self.objects.values().cloned().collect())
    }

    fn objects_named(&mut self, name: &str) -> Result<Vec<ObjectRow>, StoreError> {
        let named = self
            .objects
            .values()
            .filter(|row| &*row.object.name == name);
        Ok(named.cloned().collect())
    }

    fn series(&mut self, object: Option<u32>) -> Result<Vec<SeriesRow>, StoreError> {
        let of = |row: &&SeriesRow| object.is_none_or(|object| row.object == object);
        Ok(self.series.values().filter(of).cloned().collect())
    }

    fn blocks(&mut self, query: &BlockQuery) -> Result<Vec<BlockRow>, StoreError> {
        let mut rows: Vec<_> = self
            .blocks
            .iter()
            .filter(|(_, block)| {
                let place = block.place;
                query.tier.is_none_or(|tier| place.tier == tier)
                    && query.from.is_none_or(|from| place.begin >= from)
                    && query.until.is_none_or(|until| place.begin < until)
                    && query.partition.is_none_or(|of| place.partition == of)
                    && !(query.only_fresh && block.is_rolled_up)
            })
            .map(|(id, block)| BlockRow {
                id: *id,
                place: block.place,
                source: block.source,
                values: block.values,
                is_rolled_up: block.is_rolled_up,
                bytes: block.bytes.len() as u64,
            })
            .collect();
        rows.sort_by_key(|row| (row.place, row.id));
        Ok(rows)
    }

    fn block(&mut self, id: i64, offset: usize, length: usize) -> Result<Vec<u8>, StoreError> {
        let bytes = self.blocks.get(&id).map(|block| block.bytes.as_slice());
        let bytes = bytes.unwrap_or_default();
        Ok(bytes.iter().skip(offset).take(length).copied().collect())
    }

    fn states(&mut self, kind: StateKind) -> Result<Vec<StateRow>, StoreError> {
        let of_kind = self.states.iter().filter(|((of, _), _)| *of == kind);
        Ok(of_kind
            .map(|((kind, key), body)| StateRow {
                kind: *kind,
                key: key.clone(),
                body: body.clone(),
            })
            .collect())
    }

    fn state(&mut self, kind: StateKind, key: &str) -> Result<Option<StateRow>, StoreError> {
        let body = self.states.get(&(kind, key.to_owned()));
        Ok(body.map(|body| StateRow {
            kind,
            key: key.to_owned(),
            body: body.clone(),
        }))
    }

    fn state_keys(&mut self, kind: StateKind) -> Result<Vec<String>, StoreError> {
        let of_kind = self.states.keys().filter(|(of, _)| *of == kind);
        Ok(of_kind.map(|(_, key)| key.clone()).collect())
    }

    fn records(&mut self, query: &RecordQuery) -> Result<Vec<RecordRow>, StoreError> {
        let mut rows: Vec<_> = self
            .records
            .iter()
            .filter(|(id, record)| {
                record.kind == query.kind
                    && query.from.is_none_or(|from| record.at >= from)
                    && query.until.is_none_or(|until| record.at < until)
                    && query
                        .cluster
                        .as_ref()
                        .is_none_or(|of| record.cluster == *of)
                    && query
                        .subject
                        .as_ref()
                        .is_none_or(|of| record.subject == *of)
                    && query.before.is_none_or(|before| (record.at, **id) < before)
            })
            .map(|(id, record)| RecordRow {
                id: *id,
                record: record.clone(),
            })
            .collect();
        rows.sort_by_key(|row| std::cmp::Reverse((row.record.at, row.id)));
        rows.truncate(query.limit as usize);
        Ok(rows)
    }
}
