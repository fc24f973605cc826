//! What was sampled, kept for readers that come later or come back.
//!
//! A ring in memory of at most 24 MiB of encoded updates; the oldest go first.
//! Below the ring lies its base: of every collector the last full payload that
//! fell out of the ring. So every [`Unchanged`] in the ring refers to a payload
//! that is in the ring or in the base, and the newest content of a collector is
//! never lost, however long it has not changed.
//!
//! A reader that comes without a place in this ring, or whose place fell out of
//! it, gets the base first and then the ring. The ring does not outlive the
//! process yet: a restarted agent begins a new epoch.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use prost::Message;
use pvelens_proto::agent::v1::{Cursor, NodeUpdate, Sample, Unchanged, sample::Payload};
use tokio::sync::watch;

/// Encoded bytes of the ring.
const RING_LIMIT: usize = 24 << 20;
/// Encoded bytes that one call of [`Spool::read_from`] gives, unless a single
/// update has more.
const PORTION: usize = 1 << 20;

/// The updates of one node, numbered from 1.
#[derive(Debug)]
pub struct Spool {
    epoch: String,
    limit: usize,
    state: Mutex<State>,
    newest: watch::Sender<u64>,
}

#[derive(Debug, Default)]
struct State {
    ring: VecDeque<Entry>,
    ring_bytes: usize,
    /// Sequence of the newest update; 0 before the first.
    newest: u64,
    /// Last full payload of every collector.
    last: HashMap<String, Full>,
    /// Samples by collector: the last full payloads older than the ring.
    base: BTreeMap<String, Sample>,
}

#[derive(Debug)]
struct Entry {
    update: Arc<NodeUpdate>,
    bytes: usize,
}

/// A full payload, by the update that carries it. Compared by its encoding's
/// hash and kept nowhere twice.
#[derive(Debug)]
struct Full {
    sequence: u64,
    digest: [u8; 32],
}

impl Spool {
    /// An empty spool. The epoch must differ from that of every earlier one.
    #[must_use]
    pub fn new(epoch: String) -> Self {
        Self::with_limit(epoch, RING_LIMIT)
    }

    /// As [`Spool::new`], with a limit of encoded bytes for the ring.
    #[must_use]
    pub fn with_limit(epoch: String, limit: usize) -> Self {
        Self {
            epoch,
            limit,
            state: Mutex::default(),
            newest: watch::Sender::new(0),
        }
    }

    #[must_use]
    pub fn epoch(&self) -> &str {
        &self.epoch
    }

    /// Keeps samples as the next update and gives it back as it was kept: a
    /// payload that equals the collector's last full one is only referred to.
    pub fn append(&self, mut samples: Vec<Sample>) -> NodeUpdate {
        samples.sort_by_key(|sample| {
            sample
                .observed_at
                .as_ref()
                .map(|time| (time.seconds, time.nanos))
        });
        let mut state = self.lock();
        state.newest = state.newest.saturating_add(1);
        let sequence = state.newest;
        for sample in &mut samples {
            state.refer(sample, sequence);
        }
        let update = NodeUpdate {
            cursor: Some(self.cursor(sequence)),
            samples,
            baseline: false,
            skipped_updates: 0,
        };
        let bytes = update.encoded_len();
        state.ring.push_back(Entry {
            update: Arc::new(update.clone()),
            bytes,
        });
        state.ring_bytes = state.ring_bytes.saturating_add(bytes);
        // The newest update stays even if it is larger than the ring.
        while state.ring_bytes > self.limit && state.ring.len() > 1 {
            state.drop_oldest();
        }
        drop(state);
        self.newest.send_replace(sequence);
        update
    }

    /// Place of the newest update; sequence 0 when there is none.
    #[must_use]
    pub fn newest(&self) -> Cursor {
        self.cursor(self.lock().newest)
    }

    /// Tells the sequence of the newest update whenever there is a new one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The newest full payload of a collector.
    #[must_use]
    pub fn newest_payload(&self, collector: &str) -> Option<Payload> {
        let state = self.lock();
        let sequence = state.last.get(collector)?.sequence;
        // The ring has no gaps.
        let update = sequence
            .checked_sub(state.oldest())
            .and_then(|index| state.ring.get(usize::try_from(index).ok()?));
        update
            .and_then(|entry| {
                let mut samples = entry.update.samples.iter();
                samples.find(|sample| sample.collector == collector)
            })
            .or_else(|| state.base.get(collector))
            .and_then(|sample| sample.payload.clone())
    }

    /// What comes after a reader's place: about 1 MiB of it, nothing when the
    /// reader has everything. Ask again with the cursor of the last update.
    ///
    /// A reader without a place in this spool gets the base first; one that
    /// missed updates as well, with their number.
    #[must_use]
    pub fn read_from(&self, cursor: Option<&Cursor>) -> Vec<NodeUpdate> {
        let state = self.lock();
        let known = cursor
            .filter(|cursor| cursor.epoch == self.epoch && cursor.sequence <= state.newest)
            .map(|cursor| cursor.sequence);
        let oldest = state.oldest();
        let before_ring = oldest.saturating_sub(1);
        let mut updates = Vec::new();
        let mut bytes = 0_usize;
        let mut skipped = known.map_or(0, |known| before_ring.saturating_sub(known));
        // Sequence 0 is the place of a reader that has nothing.
        let behind = known.is_none_or(|known| known < before_ring || known == 0);
        if behind && !state.base.is_empty() {
            let baseline = NodeUpdate {
                cursor: Some(self.cursor(before_ring)),
                samples: state.base.values().cloned().collect(),
                baseline: true,
                skipped_updates: skipped,
            };
            skipped = 0;
            bytes = baseline.encoded_len();
            updates.push(baseline);
        }
        let from = known.unwrap_or(0).max(before_ring);
        let skip = usize::try_from(from.saturating_sub(before_ring)).unwrap_or(usize::MAX);
        for entry in state.ring.iter().skip(skip) {
            bytes = bytes.saturating_add(entry.bytes);
            if bytes > PORTION && !updates.is_empty() {
                break;
            }
            let mut update = NodeUpdate::clone(&entry.update);
            update.skipped_updates = std::mem::take(&mut skipped);
            updates.push(update);
        }
        updates
    }

    fn cursor(&self, sequence: u64) -> Cursor {
        Cursor {
            epoch: self.epoch.clone(),
            sequence,
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code under the lock panics half-way through a change.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Sequence of the oldest update in the ring, or of the next one to come.
    fn oldest(&self) -> u64 {
        self.ring
            .front()
            .map_or(self.newest.saturating_add(1), |entry| {
                sequence_of(&entry.update)
            })
    }

    /// Replaces a payload by a reference to an equal one. A source that has
    /// nothing is never referred to: that is as short, and a reader need not
    /// remember it.
    fn refer(&mut self, sample: &mut Sample, sequence: u64) {
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

    /// Drops the oldest update; its full payloads sink into the base.
    fn drop_oldest(&mut self) {
        let Some(entry) = self.ring.pop_front() else {
            return;
        };
        self.ring_bytes = self.ring_bytes.saturating_sub(entry.bytes);
        for sample in Arc::unwrap_or_clone(entry.update).samples {
            if !matches!(sample.payload, None | Some(Payload::Unchanged(_))) {
                self.base.insert(sample.collector.clone(), sample);
            }
        }
    }
}

fn sequence_of(update: &NodeUpdate) -> u64 {
    update.cursor.as_ref().map_or(0, |cursor| cursor.sequence)
}

fn digest(payload: &Payload) -> [u8; 32] {
    use sha2::{Digest, Sha256};
    let mut bytes = Vec::with_capacity(payload.encoded_len());
    payload.encode(&mut bytes);
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests;
