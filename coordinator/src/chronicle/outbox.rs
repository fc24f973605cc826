//! What waits for the store.

use std::collections::VecDeque;

use crate::store::row::{Change, NewRecord, RecordQuery, StateKind};

/// Changes that wait for a store which takes none: those of the first reading of a
/// large site.
const CHANGES: usize = 400_000;

/// In the order in which they are to be made.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    changes: VecDeque<Change>,
    /// Of these, from the front, so many are on their way.
    taken: usize,
}

impl Outbox {
    pub(super) fn add(&mut self, change: Change) {
        self.changes.push_back(change);
        if self.changes.len() > CHANGES {
            self.changes.pop_front();
            self.taken = self.taken.saturating_sub(1);
        }
    }

    pub(super) fn take(&mut self) -> Vec<Change> {
        self.taken = self.changes.len();
        self.changes.iter().cloned().collect()
    }

    pub(super) fn confirm(&mut self) {
        self.changes.drain(..self.taken.min(self.changes.len()));
        self.taken = 0;
    }

    pub(super) fn records(&self, query: &RecordQuery) -> Vec<NewRecord> {
        let is_asked = |record: &NewRecord| {
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
        };
        let mut records: Vec<NewRecord> = self
            .changes
            .iter()
            .filter_map(|change| match change {
                Change::AddRecord(record) if is_asked(record) => Some(record.clone()),
                _ => None,
            })
            .collect();
        records.reverse();
        // Stable: of one time the later one stays first.
        records.sort_by_key(|record| std::cmp::Reverse(record.at));
        records
    }

    pub(super) fn content(&self, digest: &str) -> Option<Vec<u8>> {
        self.changes.iter().find_map(|change| match change {
            Change::PutState(state) if state.kind == StateKind::Content && state.key == digest => {
                Some(state.body.clone())
            }
            _ => None,
        })
    }
}
