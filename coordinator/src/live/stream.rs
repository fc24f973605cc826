//! Which updates of an agent were kept.
//!
//! Delivery is at least once. Each update has an epoch and a sequence number, and
//! what was kept of each epoch is remembered as ranges: an update counts once
//! however often, in whatever order and over however many links it comes.

use std::{
    collections::VecDeque,
    hash::{DefaultHasher, Hash, Hasher},
};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1::{Cursor, NodeUpdate};

use super::{clock::plausible, limit};
use crate::view::{Doubled, Name};

pub(super) mod ranges;
#[cfg(test)]
mod tests;

use ranges::Ranges;

/// Earlier epochs that are remembered. The updates of an older one would count
/// again if its agent came back.
const PAST_EPOCHS: usize = 8;
/// An earlier epoch goes on when the present one has been quiet for this long.
const QUIET: SignedDuration = SignedDuration::from_secs(60);
/// Updates whose content is remembered in short, to know one that is another.
const DIGESTS: usize = 32;
/// Times that an earlier epoch comes back before it is no matter of order.
const RETURNS: u32 = 3;
/// For this long a second agent of one name is remembered.
pub(crate) const DOUBLED: SignedDuration = SignedDuration::from_mins(10);

/// Names an epoch of one agent within this process.
pub(super) type EpochId = u32;

/// Place in the stream of an agent.
#[derive(Debug, Default)]
pub(super) struct Stream {
    present: Epoch,
    /// Oldest first.
    past: VecDeque<Epoch>,
    next_id: EpochId,
    /// Updates that came again after they had been kept.
    repeated: u64,
    /// When an earlier epoch came back last, and how often it did lately.
    returned: Option<(Timestamp, u32)>,
    doubled: Option<Doubled>,
    /// Where the agent of an epoch was reached. Oldest first.
    addresses: VecDeque<(Name, Name)>,
}

#[derive(Debug)]
struct Epoch {
    id: EpochId,
    name: Name,
    kept: Ranges,
    /// The agent is known to hold nothing older that was not delivered.
    skipped_to: u64,
    /// By the clock of its node.
    first_observed: Option<Timestamp>,
    newest_observed: Option<Timestamp>,
    /// When its newest update was received.
    received: Timestamp,
    /// Number and content, in short, of the newest updates.
    digests: VecDeque<(u64, u64)>,
}

/// What an update is to its stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It was already kept.
    Kept,
    /// It follows everything that was kept.
    Next,
    /// It was never kept, but newer ones were, or it belongs to an epoch that
    /// has ended: it counts, and a sample is taken if it is newer than what is
    /// known.
    Late,
    /// Current content that is repeated: only what is newer counts.
    Baseline,
}

/// An update in its stream.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placed {
    pub(super) place: Place,
    pub(super) epoch: EpochId,
    /// Updates that the agent dropped before this one, counted once.
    pub(super) skipped: u64,
}

impl Default for Epoch {
    fn default() -> Self {
        Self {
            id: 0,
            name: "".into(),
            kept: Ranges::default(),
            skipped_to: 0,
            first_observed: None,
            newest_observed: None,
            received: Timestamp::UNIX_EPOCH,
            digests: VecDeque::new(),
        }
    }
}

impl Stream {
    /// Keeps the update, unless it was kept before.
    pub(super) fn place(&mut self, update: &NodeUpdate, received: Timestamp) -> Placed {
        let nothing = Cursor::default();
        let cursor = update.cursor.as_ref().unwrap_or(&nothing);
        let name = limit::cut(&cursor.epoch, limit::NAME);
        if *self.present.name != *name {
            let past = self.past.iter().position(|past| *past.name == *name);
            if let Some(position) = past {
                return self.place_past(position, cursor.sequence, update, received);
            }
            if self.is_overtaken(update, received) {
                // The last words of an agent, after the first of its successor.
                let late = self.begin(name);
                self.remember(late);
                let position = self.past.len().saturating_sub(1);
                return self.place_past(position, cursor.sequence, update, received);
            }
            let begun = self.begin(name);
            let ended = std::mem::replace(&mut self.present, begun);
            self.remember(ended);
        }
        let epoch = &mut self.present;
        if update.baseline {
            return epoch.placed(Place::Baseline, cursor.sequence, update);
        }
        let digest = digest(update);
        if !epoch.kept.insert(cursor.sequence) {
            if epoch.contradicts(cursor.sequence, digest) {
                let names = [Name::clone(&epoch.name), Name::clone(&epoch.name)];
                self.double(names, received);
            }
            return self.repeat();
        }
        epoch.note(cursor.sequence, digest, update, received);
        let place = if epoch.kept.last() == Some(cursor.sequence) {
            Place::Next
        } else {
            Place::Late
        };
        epoch.placed(place, cursor.sequence, update)
    }

    /// An update of an epoch that had ended.
    fn place_past(
        &mut self,
        position: usize,
        sequence: u64,
        update: &NodeUpdate,
        received: Timestamp,
    ) -> Placed {
        let Some(epoch) = self.past.get_mut(position) else {
            return self.repeat();
        };
        if update.baseline {
            return epoch.placed(Place::Baseline, sequence, update);
        }
        if !epoch.kept.insert(sequence) {
            return self.repeat();
        }
        epoch.note(sequence, digest(update), update, received);
        let names = [Name::clone(&self.present.name), Name::clone(&epoch.name)];
        let goes_on = epoch.kept.last() == Some(sequence);
        let placed = epoch.placed(Place::Late, sequence, update);
        if self.lives_beside(update, received) {
            self.double(names, received);
        }
        if goes_on
            && received.duration_since(self.present.received) >= QUIET
            && let Some(epoch) = self.past.remove(position)
        {
            let ended = std::mem::replace(&mut self.present, epoch);
            self.past.push_back(ended);
            return Placed {
                place: Place::Next,
                ..placed
            };
        }
        placed
    }

    /// Whether an earlier epoch that comes back is the work of another agent,
    /// rather than the last words of the one that was restarted.
    fn lives_beside(&mut self, update: &NodeUpdate, received: Timestamp) -> bool {
        let count = match self.returned {
            Some((last, count)) if received.duration_since(last) < DOUBLED => {
                count.saturating_add(1)
            }
            _ => 1,
        };
        self.returned = Some((received, count));
        let after = newest(update)
            .zip(self.present.first_observed)
            .is_some_and(|(observed, began)| observed > began);
        after || count >= RETURNS
    }

    fn double(&mut self, epochs: [Name; 2], at: Timestamp) {
        let addresses = self.addresses.iter();
        let mut addresses: Vec<Name> = addresses
            .filter(|(epoch, _)| epochs.contains(epoch))
            .map(|(_, address)| Name::clone(address))
            .collect();
        addresses.sort_unstable();
        addresses.dedup();
        let since = self.doubled_at(at).map_or(at, |doubled| doubled.since);
        self.doubled = Some(Doubled {
            since,
            at,
            epochs,
            addresses,
        });
    }

    /// The second agent of this name, if one was seen lately.
    pub(super) fn doubled_at(&self, at: Timestamp) -> Option<&Doubled> {
        let doubled = self.doubled.as_ref()?;
        (at.duration_since(doubled.at) <= DOUBLED).then_some(doubled)
    }

    fn repeat(&mut self) -> Placed {
        self.repeated = self.repeated.saturating_add(1);
        Placed {
            place: Place::Kept,
            epoch: self.present.id,
            skipped: 0,
        }
    }

    /// Whether a new epoch is older than the present one, which goes on.
    fn is_overtaken(&self, update: &NodeUpdate, received: Timestamp) -> bool {
        received.duration_since(self.present.received) < QUIET
            && newest(update)
                .zip(self.present.newest_observed)
                .is_some_and(|(observed, newest)| observed < newest)
    }

    fn begin(&mut self, name: &str) -> Epoch {
        self.next_id = self.next_id.wrapping_add(1);
        Epoch {
            id: self.next_id,
            name: name.into(),
            ..Epoch::default()
        }
    }

    fn remember(&mut self, ended: Epoch) {
        // Nothing is known of the one before the first.
        if ended.id > 0 {
            self.past.push_back(ended);
            if self.past.len() > PAST_EPOCHS {
                self.past.pop_front();
            }
        }
    }

    /// The agent of this epoch was reached there.
    pub(super) fn reached(&mut self, epoch: &str, address: &str) {
        let epoch = limit::cut(epoch, limit::NAME);
        let known = |(of, at): &(Name, Name)| **of == *epoch && **at == *address;
        if self.addresses.iter().any(known) {
            return;
        }
        self.addresses.push_back((epoch.into(), address.into()));
        if self.addresses.len() > 2 * PAST_EPOCHS {
            self.addresses.pop_front();
        }
    }

    /// Whether something was kept of this epoch, and it is the present one.
    pub(super) fn is_present(&self, epoch: &str) -> bool {
        let epoch = limit::cut(epoch, limit::NAME);
        !epoch.is_empty() && *self.present.name == *epoch
    }

    /// Where to resume an epoch; the current one when it has no name.
    pub(super) fn cursor(&self, epoch: &str) -> Option<Cursor> {
        let epoch = limit::cut(epoch, limit::NAME);
        let found = if epoch.is_empty() {
            Some(&self.present)
        } else {
            self.epochs().find(|known| *known.name == *epoch)
        };
        found.and_then(|found| {
            Some(Cursor {
                epoch: found.name.to_string(),
                sequence: found.kept.last()?,
            })
        })
    }

    pub(super) fn repeated(&self) -> u64 {
        self.repeated
    }

    fn epochs(&self) -> impl Iterator<Item = &Epoch> {
        std::iter::once(&self.present).chain(self.past.iter().rev())
    }
}

impl Epoch {
    fn placed(&mut self, place: Place, sequence: u64, update: &NodeUpdate) -> Placed {
        // What a reader has missed is said again to each that asks from there.
        let is_news = update.skipped_updates > 0
            && sequence > self.skipped_to
            && (!update.baseline || self.kept.last().is_none_or(|last| sequence > last));
        if is_news {
            self.skipped_to = sequence;
        }
        Placed {
            place,
            epoch: self.id,
            skipped: if is_news { update.skipped_updates } else { 0 },
        }
    }

    fn note(&mut self, sequence: u64, digest: u64, update: &NodeUpdate, received: Timestamp) {
        self.received = received;
        let newest = newest(update);
        self.first_observed = self.first_observed.or(newest);
        self.newest_observed = self.newest_observed.max(newest);
        self.digests.push_back((sequence, digest));
        if self.digests.len() > DIGESTS {
            self.digests.pop_front();
        }
    }

    /// Whether another update was kept under this number.
    fn contradicts(&self, sequence: u64, digest: u64) -> bool {
        let mut digests = self.digests.iter().rev();
        digests
            .find(|(known, _)| *known == sequence)
            .is_some_and(|(_, known)| *known != digest)
    }
}

/// By the clock of the node.
pub(super) fn newest(update: &NodeUpdate) -> Option<Timestamp> {
    let samples = update.samples.iter().take(limit::SAMPLES);
    samples
        .filter_map(|sample| plausible(sample.observed_at.as_ref()))
        .max()
}

/// What tells two updates apart: whose samples they are, and of when.
fn digest(update: &NodeUpdate) -> u64 {
    let mut hasher = DefaultHasher::new();
    for sample in update.samples.iter().take(limit::SAMPLES) {
        sample.collector.hash(&mut hasher);
        let time = sample.observed_at.as_ref();
        time.map(|time| (time.seconds, time.nanos))
            .hash(&mut hasher);
    }
    hasher.finish()
}
