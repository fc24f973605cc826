//! What every collector said last, up to a place in the stream.
//!
//! Of each the newest sample that gave a payload or found it unchanged, with the
//! payload in it: its time is when the content was last seen to be so. And what
//! failed since then.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{Cursor, NodeUpdate, Sample, sample::Payload};

/// By collector.
#[derive(Debug, Default)]
pub(super) struct Latest {
    given: BTreeMap<String, Given>,
    failed: BTreeMap<String, Sample>,
}

/// What was seen so far on the way to a place.
#[derive(Debug, Default)]
pub(super) struct LookBack {
    pub(super) latest: Latest,
    /// Of the last update that is in it.
    pub(super) sequence: u64,
}

#[derive(Debug)]
struct Given {
    /// Of the update that carried the payload.
    cursor: Option<Cursor>,
    sample: Sample,
}

impl Latest {
    /// Takes the next update.
    pub(super) fn take(&mut self, update: NodeUpdate) {
        for mut sample in update.samples {
            let collector = sample.collector.clone();
            match sample.payload {
                None => {
                    self.failed.insert(collector, sample);
                    continue;
                }
                Some(Payload::Unchanged(_)) => {
                    // Does not happen: what it refers to came before it.
                    let Some(given) = self.given.get_mut(&collector) else {
                        continue;
                    };
                    sample.payload = given.sample.payload.take();
                    given.sample = sample;
                }
                Some(_) => {
                    let cursor = update.cursor.clone();
                    let given = Given { cursor, sample };
                    self.given.insert(collector.clone(), given);
                }
            }
            self.failed.remove(&collector);
        }
    }

    /// In order of observation.
    pub(super) fn into_samples(self) -> Vec<Sample> {
        let given = self.given.into_values().map(|given| given.sample);
        let mut samples: Vec<_> = given.chain(self.failed.into_values()).collect();
        sort(&mut samples);
        samples
    }

    /// Updates of one sample, each with the place of the payload. Failures are
    /// no content.
    pub(super) fn into_updates(self) -> impl Iterator<Item = (String, NodeUpdate)> {
        self.given.into_iter().map(|(collector, given)| {
            let update = NodeUpdate {
                cursor: given.cursor,
                samples: vec![given.sample],
                ..NodeUpdate::default()
            };
            (collector, update)
        })
    }
}

/// Puts samples in order of observation.
pub(super) fn sort(samples: &mut [Sample]) {
    samples.sort_by_key(|sample| {
        sample
            .observed_at
            .as_ref()
            .map(|time| (time.seconds, time.nanos))
    });
}
