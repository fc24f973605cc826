//! What was sampled, kept for readers that come later or come back.
//!
//! A ring of at most 24 MiB of encoded updates; the oldest go first, a segment
//! at a time. Below the ring lies its base: of every collector the last full
//! payload that fell out of the ring. So every [`Unchanged`] in the ring refers
//! to a payload that is in the ring or in the base, and the newest content of a
//! collector is never lost, however long it has not changed.
//!
//! A reader that comes without a place in this ring, or whose place fell out of
//! it, gets the base first and then the ring. One that kept all up to its place,
//! but does not hold what the collectors said, gets that first.
//!
//! With a directory, ring and base are files there, and the process holds only
//! an index: in memory as well they would take their room twice. A restarted
//! agent goes on with epoch and sequence. The directory is in `/run`: no sample
//! reaches a disk, and nothing is synced, since only the process is outlived.
//! Whatever does not fit together begins a new epoch; when the files cannot be
//! written, the ring moves to memory and they go, so that no number is given
//! twice.
//!
//! [`Unchanged`]: pvelens_proto::agent::v1::Unchanged

use std::{
    path::Path,
    sync::{Mutex, MutexGuard, PoisonError},
};

use pvelens_proto::agent::v1::{Cursor, NodeUpdate, Sample, SpoolReport, sample::Payload};
use tokio::{sync::watch, task::yield_now};

mod base;
mod contents;
pub(crate) mod directory;
mod files;
mod latest;
pub(crate) mod records;
mod recover;
mod ring;

use latest::LookBack;
use ring::Ring;

/// Bytes of ring and base.
const LIMIT: usize = 24 << 20;

/// The updates of one node, numbered from 1.
#[derive(Debug)]
pub struct Spool {
    ring: Mutex<Ring>,
    newest: watch::Sender<u64>,
}

impl Spool {
    /// An empty spool in memory. The epoch must differ from that of every
    /// earlier one.
    #[must_use]
    pub fn new(epoch: String) -> Self {
        Self::with_limit(epoch, LIMIT)
    }

    /// As [`Spool::new`], with a limit of bytes.
    #[must_use]
    pub fn with_limit(epoch: String, limit: usize) -> Self {
        Self::of(Ring::in_memory(epoch, limit))
    }

    /// The spool of a directory, which is made if it is not there. It goes on
    /// with the epoch that it finds; else the given one begins. A directory that
    /// cannot be used is said in the log, and the spool is in memory.
    #[must_use]
    pub fn open(directory: &Path, epoch: String, limit: usize) -> Self {
        Self::of(recover::open(directory, epoch, limit))
    }

    fn of(ring: Ring) -> Self {
        Self {
            newest: watch::Sender::new(ring.newest()),
            ring: Mutex::new(ring),
        }
    }

    /// What the numbers count in. It changes when updates cannot be read back.
    #[must_use]
    pub fn epoch(&self) -> String {
        self.newest().epoch
    }

    /// Keeps samples as the next update and gives it back as it was kept: a
    /// payload that equals the collector's last full one is only referred to.
    pub fn append(&self, mut samples: Vec<Sample>) -> NodeUpdate {
        latest::sort(&mut samples);
        let mut ring = self.lock();
        let update = ring.append(samples);
        let newest = ring.newest();
        drop(ring);
        self.newest.send_replace(newest);
        update
    }

    /// Place of the newest update; sequence 0 when there is none.
    #[must_use]
    pub fn newest(&self) -> Cursor {
        let ring = self.lock();
        ring.cursor(ring.newest())
    }

    /// How full it is, and what it had to drop.
    #[must_use]
    pub fn report(&self) -> SpoolReport {
        self.lock().report()
    }

    /// Tells the sequence of the newest update whenever there is a new one.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.newest.subscribe()
    }

    /// The newest full payload of a collector.
    #[must_use]
    pub fn newest_payload(&self, collector: &str) -> Option<Payload> {
        // What cannot be read back is found out by the next reader of updates.
        self.lock().newest_payload(collector).ok().flatten()
    }

    /// One update of this epoch, if it is in the ring and can be read back.
    pub(crate) fn update(&self, sequence: u64) -> Option<NodeUpdate> {
        self.lock().update(sequence).ok().flatten()
    }

    /// The full payload of a collector that an update carried, from the ring or,
    /// if it is the last of those that sank, from the base.
    pub(crate) fn payload_of(&self, collector: &str, sequence: u64) -> Option<Payload> {
        self.lock().payload_of(collector, sequence).ok().flatten()
    }

    /// What comes after a reader's place: about 1 MiB of it, nothing when the
    /// reader has everything. Ask again with the cursor of the last update.
    ///
    /// A reader without a place in this spool gets the base first; one that
    /// missed updates as well, with their number.
    #[must_use]
    pub fn read_from(&self, cursor: Option<&Cursor>) -> Vec<NodeUpdate> {
        self.lock().read_from(cursor)
    }

    /// What the collectors had said at a reader's place, as baseline with that
    /// place: [`Spool::read_from`] goes on from there. `None` when the place is
    /// not of this spool, or when the reader gets the base anyway.
    ///
    /// It reads the ring up to there, in portions: others have their turn between.
    pub async fn contents_at(&self, cursor: &Cursor) -> Option<NodeUpdate> {
        let mut seen = LookBack::default();
        while !self.lock().look_back(cursor, &mut seen)? {
            yield_now().await;
        }
        Some(NodeUpdate {
            cursor: Some(cursor.clone()),
            samples: seen.latest.into_samples(),
            baseline: true,
            skipped_updates: 0,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        // No code under the lock panics half-way through a change.
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn sequence_of(update: &NodeUpdate) -> u64 {
    update.cursor.as_ref().map_or(0, |cursor| cursor.sequence)
}

#[cfg(test)]
mod tests;
