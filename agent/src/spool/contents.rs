//! The last full payload of every collector, by the update that carries it.
//! Compared by its encoding's hash and kept nowhere twice.

use std::collections::HashMap;

use pvelens_proto::agent::v1::{NodeUpdate, Sample, Unchanged, sample::Payload};
use sha2::{Digest, Sha256};

use super::sequence_of;

#[derive(Debug, Default)]
pub(super) struct Contents {
    last: HashMap<String, Full>,
}

#[derive(Debug)]
struct Full {
    sequence: u64,
    digest: [u8; 32],
}

impl Contents {
    /// Replaces a payload by a reference to an equal one. A source that has
    /// nothing is never referred to: that is as short, and a reader need not
    /// remember it.
    pub(super) fn refer(&mut self, sample: &mut Sample, sequence: u64) {
        let Some(payload) = &sample.payload else {
            return;
        };
        let digest = digest(payload);
        match self.last.get(&sample.collector) {
            Some(last) if last.digest == digest && !matches!(payload, Payload::NoData(_)) => {
                sample.payload = Some(Payload::Unchanged(Unchanged {
                    since_sequence: last.sequence,
                }));
            }
            _ => {
                let full = Full { sequence, digest };
                self.last.insert(sample.collector.clone(), full);
            }
        }
    }

    /// Takes over an update that was kept earlier. `false` when it refers to
    /// something else than the last full payload.
    pub(super) fn learn(&mut self, update: &NodeUpdate) -> bool {
        let sequence = sequence_of(update);
        update.samples.iter().all(|sample| match &sample.payload {
            None => true,
            Some(Payload::Unchanged(unchanged)) => {
                self.sequence(&sample.collector) == Some(unchanged.since_sequence)
            }
            Some(payload) => {
                let digest = digest(payload);
                let full = Full { sequence, digest };
                self.last.insert(sample.collector.clone(), full);
                true
            }
        })
    }

    /// The update with the last full payload of a collector.
    pub(super) fn sequence(&self, collector: &str) -> Option<u64> {
        self.last.get(collector).map(|full| full.sequence)
    }
}

/// Whether a later sample may refer to this one.
pub(super) fn is_full(sample: &Sample) -> bool {
    !matches!(sample.payload, None | Some(Payload::Unchanged(_)))
}

fn digest(payload: &Payload) -> [u8; 32] {
    let mut bytes = Vec::with_capacity(payload.encoded_len());
    payload.encode(&mut bytes);
    Sha256::digest(bytes).into()
}
