//! Of every collector the last full payload that is older than the ring.
//!
//! Each is an update of one sample, with the sequence it had.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{NodeUpdate, Sample};

use super::{
    contents::is_full,
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
        let mut frames = Frames::new();
        for (collector, position) in &self.places {
            frames.insert(collector.clone(), self.records.frame(*position)?);
        }
        for position in 0..segment.len() {
            let update = segment.read(position)?;
            for sample in update.samples.into_iter().filter(is_full) {
                let collector = sample.collector.clone();
                let single = NodeUpdate {
                    cursor: update.cursor.clone(),
                    samples: vec![sample],
                    ..NodeUpdate::default()
                };
                frames.insert(collector, frame(&single));
            }
        }
        Ok(frames)
    }

    pub(super) fn samples(&self) -> Result<Vec<Sample>, Flaw> {
        let mut samples = Vec::new();
        for position in self.places.values() {
            samples.append(&mut self.records.read(*position)?.samples);
        }
        Ok(samples)
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
