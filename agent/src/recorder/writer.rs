//! Carries out orders: takes from the spool what is not on disk yet, and writes what
//! of it tells how the node fared.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use jiff::{SignedDuration, Timestamp};
use prost::Message;
use pvelens_proto::agent::v1::{Cursor, NodeUpdate, Sample, sample::Payload};
use tracing::{info, warn};

use super::{
    bounds::{BEFORE, Bounds, Budget},
    files::{Files, WriteError},
    order::{Order, Pace},
    record::{Mark, Record, time, wire},
};
use crate::spool::{Spool, records::frame};

/// What is recorded, the most telling first: when there is not room for all, the
/// last are left out. Configuration is not in it, and lists of guests or packages
/// neither. Of all others it is only recorded that they failed.
const TELLING: &[&str] = &[
    "members",
    "ha_state",
    "load",
    "pressure",
    "memory",
    "corosync_state",
    "units",
    "bonds",
    "network_mounts",
    "time_sync",
    "config_versions",
    "cpu",
    "disk",
    "network",
    "zfs",
    "hardware_errors",
    "journal_events",
    "guest_runtime",
];
/// A slow record: one round of all that is sampled every 30 seconds, now and then.
const SLOW: Duration = Duration::from_secs(300);
const ROUND: Duration = Duration::from_secs(35);
/// Bytes of a record besides its samples.
const MARGIN: usize = 1024;
/// Failures of one sample that are kept.
const FAILURES: usize = 5;

#[derive(Debug)]
pub(super) struct Writer {
    directory: PathBuf,
    spool: Arc<Spool>,
    bounds: Bounds,
    budget: Budget,
    /// Only in an emergency.
    session: Option<Session>,
    /// What is on disk, until where.
    written: Option<Cursor>,
    last_write: Option<Duration>,
    left_out_samples: u64,
    /// Why nothing could be written last, so that only changes are logged.
    failed: Option<String>,
}

#[derive(Debug)]
struct Session {
    files: Files,
    emergency: i64,
    /// By collector, the sequence by which updates refer to the payload that the
    /// current file has last.
    full: BTreeMap<String, u64>,
}

impl Writer {
    pub(super) fn new(directory: PathBuf, limit: usize, spool: Arc<Spool>) -> Self {
        let bounds = Bounds::of(limit);
        Self {
            directory,
            spool,
            budget: Budget::new(&bounds),
            bounds,
            session: None,
            written: None,
            last_write: None,
            left_out_samples: 0,
            failed: None,
        }
    }

    /// Writes and syncs; what could not be written is tried again with the next
    /// order.
    pub(super) fn carry_out(&mut self, order: &Order) {
        let failed = self.write(order).err().map(|error| error.to_string());
        if failed.is_some() {
            self.session = None;
        }
        if failed != self.failed {
            let directory = self.directory.display();
            match &failed {
                Some(error) => {
                    warn!(%directory, error, "the flight recorder cannot write; this emergency leaves no record");
                }
                None => info!(%directory, "the flight recorder writes again"),
            }
            self.failed = failed;
        }
    }

    fn write(&mut self, order: &Order) -> Result<(), WriteError> {
        let is_too_early = order.pace == Pace::Slow
            && order.mark.is_none()
            && self.session.is_some()
            && self
                .last_write
                .is_some_and(|last| order.now.saturating_sub(last) < SLOW);
        if is_too_early {
            return Ok(());
        }
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.begin(order)?,
        };
        let written = self.bring_up(&mut session, order);
        if written.is_ok() && order.mark != Some(Mark::Ended) {
            self.session = Some(session);
        }
        written
    }

    /// Opens the files. An emergency during which the agent was restarted, and not
    /// the node, goes on: the spool has the same epoch.
    fn begin(&mut self, order: &Order) -> Result<Session, WriteError> {
        let files = Files::open(&self.directory, self.bounds)?;
        let mut emergency = order.emergency.as_millisecond();
        if self.written.is_none() {
            let tail = files.tail();
            let epoch = self.spool.epoch();
            self.written = tail.cursor.filter(|cursor| cursor.epoch == epoch);
            if let (Some(before), false, true) =
                (tail.emergency, tail.is_ended, self.written.is_some())
            {
                emergency = before;
            }
        }
        Ok(Session {
            files,
            emergency,
            full: BTreeMap::new(),
        })
    }

    fn bring_up(&mut self, session: &mut Session, order: &Order) -> Result<(), WriteError> {
        if let Some(mark @ (Mark::Began | Mark::Worse)) = order.mark {
            self.put_mark(session, order, mark)?;
        }
        let epoch = self.spool.epoch();
        for sequence in self.missing(order, &epoch) {
            if let Some(update) = self.spool.update(sequence) {
                self.put_update(session, order, &update)?;
            }
            self.written = Some(Cursor {
                epoch: epoch.clone(),
                sequence,
            });
        }
        if order.mark == Some(Mark::Ended) {
            self.put_mark(session, order, Mark::Ended)?;
        }
        self.last_write = Some(order.now);
        Ok(session.files.sync()?)
    }

    /// The updates that are to be written: not on disk, not too old, not too many.
    fn missing(&self, order: &Order, epoch: &str) -> std::ops::RangeInclusive<u64> {
        let window = match order.pace {
            Pace::Slow if order.mark.is_none() => ROUND,
            _ => BEFORE,
        };
        let window = SignedDuration::try_from(window).unwrap_or_default();
        let oldest = order.at.checked_sub(window).unwrap_or(Timestamp::MIN);
        let written = self.written.as_ref().filter(|cursor| cursor.epoch == epoch);
        let low = written.map_or(1, |cursor| cursor.sequence.saturating_add(1));
        let mut bytes = 0_usize;
        let mut from = order.until.saturating_add(1);
        while from > low {
            let Some(update) = self.spool.update(from.saturating_sub(1)) else {
                break;
            };
            bytes = bytes.saturating_add(self.size(&update));
            let is_old = update.samples.iter().all(|sample| {
                let at = sample.observed_at.as_ref().and_then(time);
                at.is_some_and(|at| at < oldest)
            });
            if is_old || bytes > self.bounds.before {
                break;
            }
            from = from.saturating_sub(1);
        }
        from..=order.until
    }

    /// About what an update will take.
    fn size(&self, update: &NodeUpdate) -> usize {
        let samples = update.samples.iter().filter(|s| is_telling(s));
        samples.fold(0, |bytes, sample| {
            bytes.saturating_add(sample.encoded_len())
        })
    }

    fn put_update(
        &mut self,
        session: &mut Session,
        order: &Order,
        update: &NodeUpdate,
    ) -> Result<(), WriteError> {
        // In a new file nothing can be referred to.
        for _ in 0..2 {
            let left = self.budget.at(order.now, &self.bounds);
            let limit = left.min(self.bounds.file.saturating_sub(MARGIN));
            let mut full = session.full.clone();
            let (samples, left_out) = self.chosen(update, &mut full, limit);
            if samples.is_empty() {
                self.left_out_samples = self.left_out_samples.saturating_add(left_out);
                return Ok(());
            }
            let frame = frame(&Record {
                emergency: session.emergency,
                at: Some(wire(order.at)),
                left_out_samples: self.left_out_samples.saturating_add(left_out),
                update: Some(NodeUpdate {
                    cursor: update.cursor.clone(),
                    samples,
                    ..NodeUpdate::default()
                }),
                ..Record::default()
            });
            if session.files.has_room(frame.len()) {
                session.files.append(&frame)?;
                session.full = full;
                self.budget.spend(frame.len());
                self.left_out_samples = 0;
                return Ok(());
            }
            self.next_file(session, order, Mark::Continued)?;
        }
        Ok(())
    }

    /// The samples that are written of an update, and how many find no room.
    fn chosen(
        &self,
        update: &NodeUpdate,
        full: &mut BTreeMap<String, u64>,
        limit: usize,
    ) -> (Vec<Sample>, u64) {
        let sequence = update.cursor.as_ref().map_or(0, |cursor| cursor.sequence);
        let mut samples: Vec<&Sample> = update.samples.iter().collect();
        samples.sort_by_key(|sample| rank(sample));
        let (mut chosen, mut left_out, mut bytes) = (Vec::new(), 0_u64, MARGIN);
        for sample in samples.into_iter().filter(|sample| is_telling(sample)) {
            let origin = match &sample.payload {
                Some(Payload::Unchanged(unchanged)) => unchanged.since_sequence,
                _ => sequence,
            };
            let sample = self.telling(sample, full);
            bytes = bytes.saturating_add(sample.encoded_len()).saturating_add(8);
            if bytes > limit {
                left_out = left_out.saturating_add(1);
                continue;
            }
            if !matches!(sample.payload, None | Some(Payload::Unchanged(_))) {
                full.insert(sample.collector.clone(), origin);
            }
            chosen.push(sample);
        }
        (chosen, left_out)
    }

    /// A sample as it is written: a payload that refers to one that is not in the
    /// file takes its place.
    fn telling(&self, sample: &Sample, full: &BTreeMap<String, u64>) -> Sample {
        let payload = match &sample.payload {
            _ if rank(sample) == TELLING.len() => None,
            Some(Payload::Unchanged(unchanged))
                if full.get(&sample.collector) != Some(&unchanged.since_sequence) =>
            {
                let since = unchanged.since_sequence;
                self.spool.payload_of(&sample.collector, since)
            }
            payload => payload.clone(),
        };
        Sample {
            failures: sample.failures.iter().take(FAILURES).cloned().collect(),
            payload,
            ..sample.clone()
        }
    }

    fn put_mark(
        &mut self,
        session: &mut Session,
        order: &Order,
        mark: Mark,
    ) -> Result<(), WriteError> {
        if mark == Mark::Began {
            return self.next_file(session, order, mark);
        }
        let frame = frame(&self.marked(session, order, mark));
        if !session.files.has_room(frame.len()) {
            self.next_file(session, order, Mark::Continued)?;
        }
        Ok(session.files.append(&frame)?)
    }

    /// Each file says first what it is about.
    fn next_file(
        &mut self,
        session: &mut Session,
        order: &Order,
        mark: Mark,
    ) -> Result<(), WriteError> {
        session.files.next()?;
        session.full.clear();
        let head = frame(&self.marked(session, order, mark));
        Ok(session.files.append(&head)?)
    }

    fn marked(&self, session: &Session, order: &Order, mark: Mark) -> Record {
        Record {
            emergency: session.emergency,
            at: Some(wire(order.at)),
            mark: mark.into(),
            signs: order
                .signs
                .iter()
                .map(|sign| sign.name().to_owned())
                .collect(),
            ..Record::default()
        }
    }
}

/// Place in the list; its length for what is not in it.
fn rank(sample: &Sample) -> usize {
    let place = TELLING.iter().position(|name| *name == sample.collector);
    place.unwrap_or(TELLING.len())
}

fn is_telling(sample: &Sample) -> bool {
    rank(sample) < TELLING.len() || !sample.failures.is_empty()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::collector::COLLECTORS;

    #[test]
    fn what_is_recorded_is_collected() {
        let names: BTreeSet<_> = COLLECTORS.iter().map(|collector| collector.name).collect();
        for name in TELLING {
            assert!(names.contains(name), "{name}");
        }
    }
}
