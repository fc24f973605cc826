//! Of every collector the last full payload that is older than the ring.
//!
//! Each is an update of one sample, with the sequence it had.

use std::collections::BTreeMap;

use prost::Message;
use pvelens_proto::agent::v1::{Cursor, NodeUpdate, Sample};

use super::{
    contents::is_full,
    records::{Flaw, Records, frame},
    sequence_of,
};

/// Framed records by collector.
pub(super) type Frames = BTreeMap<String, Vec<u8>>;

#[derive(Debug)]
pub(super) struct Base {
    records: Records,
    places: BTreeMap<String, usize>,
}

impl Base {
    pub(super) fn empty() -> Self {
        Self::new(Vec::new(), Records::in_memory(&[]))
    }

    /// Records by the collectors they are of.
    pub(super) fn new(collectors: Vec<String>, records: Records) -> Self {
        let places = collectors.into_iter().zip(0..).collect();
        Self { records, places }
    }

    pub(super) fn in_memory(frames: Frames) -> Self {
        let (collectors, frames): (Vec<_>, Vec<_>) = frames.into_iter().unzip();
        Self::new(collectors, Records::in_memory(&frames))
    }

    /// What is left when a segment sinks into it.
    pub(super) fn with(&self, segment: &Records) -> Result<Frames, Flaw> {
        let mut frames = Frames::new();
        for position in 0..segment.len() {
            let update = segment.read(position)?;
            let sequence = sequence_of(&update);
            for sample in update.samples.into_iter().filter(is_full) {
                let collector = sample.collector.clone();
                let single = NodeUpdate {
                    cursor: Some(Cursor {
                        epoch: String::new(),
                        sequence,
                    }),
                    samples: vec![sample],
                    ..NodeUpdate::default()
                };
                frames.insert(collector, frame(&single.encode_to_vec()));
            }
        }
        for (collector, position) in &self.places {
            if !frames.contains_key(collector) {
                frames.insert(collector.clone(), self.records.frame(*position)?);
            }
        }
        Ok(frames)
    }

    /// All of it, as it is.
    pub(super) fn frames(&self) -> Result<Frames, Flaw> {
        self.with(&Records::in_memory(&[]))
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

    pub(super) fn is_in_memory(&self) -> bool {
        self.records.is_in_memory()
    }

    pub(super) fn room(&self) -> u64 {
        self.records.room()
    }
}
