//! Of every collector the last full payload that is older than the ring.
//!
//! Each is an update of one sample, with the sequence that the payload had. The
//! sample is the newest one, older than the ring, that found it so.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::Sample;

use super::{
    latest::Latest,
    records::{Flaw, Records, frame},
};

/// Framed records by collector.
pub(super) type Frames = BTreeMap<String, Vec<u8>>;

#[derive(Debug)]
pub(super) struct Base {
    records: Records,
    /// Index of the record of each collector.
    places: BTreeMap<String, usize>,
}

impl Base {
    pub(super) fn empty() -> Self {
        Self::new([], Records::in_memory())
    }

    /// Records, in the order of the collectors they are of.
    pub(super) fn new(collectors: impl IntoIterator<Item = String>, records: Records) -> Self {
        let places = collectors.into_iter().zip(0..).collect();
        Self { records, places }
    }

    /// What it will be when a segment has sunk into it.
    pub(super) fn with(&self, segment: &Records) -> Result<Frames, Flaw> {
        let mut latest = self.latest()?;
        for position in 0..segment.len() {
            latest.take(segment.read(position)?);
        }
        let updates = latest.into_updates();
        Ok(updates
            .map(|(collector, update)| (collector, frame(&update)))
            .collect())
    }

    /// What the collectors had said when the ring began.
    pub(super) fn latest(&self) -> Result<Latest, Flaw> {
        let mut latest = Latest::default();
        for position in self.places.values() {
            latest.take(self.records.read(*position)?);
        }
        Ok(latest)
    }

    pub(super) fn sample(&self, collector: &str) -> Result<Option<Sample>, Flaw> {
        let Some(position) = self.places.get(collector) else {
            return Ok(None);
        };
        Ok(self.records.read(*position)?.samples.pop())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.records.bytes()
    }

    pub(super) fn load(&mut self) {
        self.records.load();
    }
}
