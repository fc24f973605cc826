//! The ring: segments of updates, above the base into which the oldest sinks.

use std::{collections::VecDeque, io};

use prost::Message;
use pvelens_proto::agent::v1::{Cursor, NodeUpdate, Sample, sample::Payload};
use tracing::warn;

use super::{
    base::{Base, Frames},
    contents::Contents,
    disk::Disk,
    records::{Flaw, Kind, Records, frame},
};

/// Into how many segments a full ring is cut: what goes at once when a new
/// update needs room.
const SEGMENTS: u64 = 16;
/// Short segments come from kills; each has an open file.
const SEGMENTS_AT_MOST: usize = 64;
/// Encoded bytes that one call of [`Ring::read_from`] gives, unless a single
/// update has more.
pub(super) const PORTION: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Ring {
    epoch: String,
    /// Bytes of segments and base, in memory and in files.
    limit: u64,
    /// Oldest first; each has at least one update.
    segments: VecDeque<Segment>,
    base: Base,
    contents: Contents,
    /// Sequence of the newest update; 0 before the first.
    newest: u64,
    /// What was before is lost in part: the next update refers to none of it.
    severed: bool,
    disk: Option<Disk>,
}

/// Updates without a gap.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) kind: Kind,
    pub(super) first: u64,
    pub(super) records: Records,
}

/// What was found in files.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) segments: VecDeque<Segment>,
    pub(super) base: Base,
    pub(super) contents: Contents,
    pub(super) newest: u64,
    pub(super) severed: bool,
}

impl Ring {
    pub(super) fn in_memory(epoch: String, limit: usize) -> Self {
        Self {
            epoch,
            limit: u64::try_from(limit).unwrap_or(u64::MAX),
            segments: VecDeque::new(),
            base: Base::empty(),
            contents: Contents::default(),
            newest: 0,
            severed: false,
            disk: None,
        }
    }

    /// An empty one whose updates go to files.
    pub(super) fn on(mut disk: Disk, epoch: String, limit: usize) -> Self {
        let mut ring = Self::in_memory(epoch, limit);
        match disk.count_again(0).and_then(|()| disk.base(1, [])) {
            Ok(records) => ring.base = Base::new(Vec::new(), records),
            Err(error) => disk.failed(&error),
        }
        ring.disk = Some(disk);
        ring
    }

    /// One that goes on with what was kept.
    pub(super) fn go_on(disk: Disk, epoch: String, limit: usize, kept: Kept) -> Self {
        let mut ring = Self {
            segments: kept.segments,
            base: kept.base,
            contents: kept.contents,
            newest: kept.newest,
            severed: kept.severed,
            disk: Some(disk),
            ..Self::in_memory(epoch, limit)
        };
        ring.trim();
        ring
    }

    pub(super) fn epoch(&self) -> &str {
        &self.epoch
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Keeps samples as the next update.
    pub(super) fn append(&mut self, mut samples: Vec<Sample>) -> NodeUpdate {
        self.settle();
        self.newest = self.newest.saturating_add(1);
        for sample in &mut samples {
            self.contents.refer(sample, self.newest);
        }
        let update = NodeUpdate {
            cursor: Some(self.cursor(self.newest)),
            samples,
            baseline: false,
            skipped_updates: 0,
        };
        self.keep(frame(&update.encode_to_vec()));
        if let Some(disk) = &mut self.disk {
            disk.count(self.newest);
        }
        self.trim();
        update
    }

    /// The newest full payload of a collector.
    pub(super) fn newest_payload(&self, collector: &str) -> Result<Option<Payload>, Flaw> {
        let Some(sequence) = self.contents.sequence(collector) else {
            return Ok(None);
        };
        let segment = self.segments.iter().rfind(|segment| segment.first <= sequence);
        let sample = match segment {
            None => self.base.sample(collector)?,
            Some(segment) => {
                let update = segment.records.read(segment.position(sequence))?;
                let mut samples = update.samples.into_iter();
                samples.rfind(|sample| sample.collector == collector)
            }
        };
        Ok(sample.and_then(|sample| sample.payload))
    }

    /// What comes after a reader's place; see [`super::Spool::read_from`].
    /// Never fails twice: what cannot be read back is lost then.
    pub(super) fn read_from(&mut self, cursor: Option<&Cursor>) -> Vec<NodeUpdate> {
        self.after(cursor).unwrap_or_else(|flaw| {
            self.lose(&flaw);
            self.after(cursor).unwrap_or_default()
        })
    }

    fn after(&self, cursor: Option<&Cursor>) -> Result<Vec<NodeUpdate>, Flaw> {
        let known = cursor
            .filter(|cursor| cursor.epoch == self.epoch && cursor.sequence <= self.newest)
            .map(|cursor| cursor.sequence);
        let before_ring = self.oldest().saturating_sub(1);
        let mut updates = Vec::new();
        let mut bytes = 0_usize;
        let mut skipped = known.map_or(0, |known| before_ring.saturating_sub(known));
        // Sequence 0 is the place of a reader that has nothing.
        let behind = known.is_none_or(|known| known < before_ring || known == 0);
        if behind && !self.base.is_empty() {
            let baseline = NodeUpdate {
                cursor: Some(self.cursor(before_ring)),
                samples: self.base.samples()?,
                baseline: true,
                skipped_updates: skipped,
            };
            skipped = 0;
            bytes = baseline.encoded_len();
            updates.push(baseline);
        }
        // The reader's place, with what it has and what it cannot have.
        let mut place = known.unwrap_or(0).max(before_ring);
        for segment in &self.segments {
            let from = segment.first.max(place.saturating_add(1));
            for position in segment.position(from)..segment.records.len() {
                bytes = bytes.saturating_add(segment.records.bytes_of(position));
                if bytes > PORTION && !updates.is_empty() {
                    return Ok(updates);
                }
                let mut update = segment.records.read(position)?;
                let sequence = segment.sequence(position);
                let gap = sequence.saturating_sub(place.saturating_add(1));
                update.skipped_updates = std::mem::take(&mut skipped).saturating_add(gap);
                place = sequence;
                updates.push(update);
            }
        }
        Ok(updates)
    }

    pub(super) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor {
            epoch: self.epoch.clone(),
            sequence,
        }
    }

    /// Sequence of the oldest update in the ring, or of the next one to come.
    fn oldest(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.newest.saturating_add(1), |segment| segment.first)
    }

    fn keep(&mut self, frame: Vec<u8>) {
        let bytes = self.limit / SEGMENTS;
        if !self.severed
            && let Some(segment) = self.segments.back_mut()
            && segment.records.takes(&frame, bytes)
        {
            match (segment.records.append(&frame), &mut self.disk) {
                (Ok(()), _) => return,
                (Err(error), Some(disk)) => disk.failed(&error),
                // Memory takes every record.
                (Err(_), None) => {}
            }
        }
        let kind = if self.severed {
            Kind::FreshSegment
        } else {
            Kind::Segment
        };
        self.severed = false;
        let records = self.begin(kind, &[frame]);
        self.segments.push_back(Segment {
            kind,
            first: self.newest,
            records,
        });
    }

    /// Records of a new segment, in a file if that can be.
    fn begin(&mut self, kind: Kind, frames: &[Vec<u8>]) -> Records {
        if let Some(disk) = self.disk.as_mut().filter(|disk| !disk.is_failing()) {
            match disk.segment(kind, self.newest, frames) {
                Ok(records) => return records,
                Err(error) => disk.failed(&error),
            }
        }
        Records::in_memory(frames)
    }

    /// The newest update stays even if it is larger than the ring.
    fn trim(&mut self) {
        while self.segments.len() > 1
            && (self.room() > self.limit || self.segments.len() > SEGMENTS_AT_MOST)
        {
            if let Err(flaw) = self.sink() {
                self.lose(&flaw);
            }
        }
    }

    /// The base counts twice, since it is there twice while it is written anew.
    fn room(&self) -> u64 {
        let segments = self.segments.iter().map(|segment| segment.records.room());
        let room: u64 = segments.sum();
        room.saturating_add(self.base.room().saturating_mul(2))
    }

    /// Drops the oldest segment; its full payloads sink into the base.
    fn sink(&mut self) -> Result<(), Flaw> {
        let Some(oldest) = self.segments.front() else {
            return Ok(());
        };
        let frames = self.base.with(&oldest.records)?;
        let dropped = oldest.first;
        self.segments.pop_front();
        let first = self.oldest();
        self.base = self.sunk(dropped, first, frames);
        if let Some(disk) = &self.disk {
            disk.drop_segment(dropped);
        }
        Ok(())
    }

    fn sunk(&mut self, dropped: u64, first: u64, frames: Frames) -> Base {
        if let Some(disk) = self.disk.as_mut().filter(|disk| !disk.is_failing()) {
            let written = disk.base(first, frames.values()).or_else(|_| {
                // There may be room without what goes anyway.
                disk.drop_segment(dropped);
                disk.base(first, frames.values())
            });
            match written {
                Ok(records) => return Base::new(frames.into_keys().collect(), records),
                Err(error) => disk.failed(&error),
            }
        }
        Base::in_memory(frames)
    }

    /// Moves to files what had to stay in memory, once there is ample room.
    fn settle(&mut self) {
        if !self.disk.as_ref().is_some_and(Disk::is_failing) {
            return;
        }
        // It fails again: that is known.
        if matches!(self.move_to_files(), Ok(true))
            && let Some(disk) = &mut self.disk
        {
            disk.works();
        }
    }

    /// `false` when there is no room. The order matters: on the disk a segment
    /// never follows one that is missing there.
    fn move_to_files(&mut self) -> io::Result<bool> {
        let first = self.oldest();
        let Some(disk) = &mut self.disk else {
            return Ok(false);
        };
        let in_memory = || {
            let segments = self.segments.iter().map(|segment| &segment.records);
            segments.filter(|records| records.is_in_memory())
        };
        let bytes: u64 = in_memory().map(Records::room).sum();
        let bytes = bytes.saturating_add(self.base.room());
        if !disk.has_room(bytes.saturating_mul(2)) {
            return Ok(false);
        }
        disk.count_again(self.newest)?;
        if self.base.is_in_memory() {
            let frames = self.base.frames().map_err(io::Error::other)?;
            let records = disk.base(first, frames.values())?;
            self.base = Base::new(frames.into_keys().collect(), records);
        }
        for segment in &mut self.segments {
            if segment.records.is_in_memory() {
                let frames = segment.records.frames().map_err(io::Error::other)?;
                segment.records = disk.segment(segment.kind, segment.first, &frames)?;
            }
        }
        Ok(true)
    }

    /// Gives up all that was kept, since some of it cannot be read back; the
    /// rest may refer to that.
    fn lose(&mut self, flaw: &Flaw) {
        warn!(%flaw, "the spool cannot be read back; what it held is lost");
        if let Some(disk) = &self.disk {
            for segment in &self.segments {
                disk.drop_segment(segment.first);
            }
        }
        self.segments.clear();
        self.contents.forget();
        self.severed = true;
        self.base = self.sunk(self.newest, self.oldest(), Frames::new());
    }
}

impl Segment {
    /// Index of an update.
    fn position(&self, sequence: u64) -> usize {
        usize::try_from(sequence.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }

    /// Number of the update at an index.
    pub(super) fn sequence(&self, position: usize) -> u64 {
        let position = u64::try_from(position).unwrap_or(u64::MAX);
        self.first.saturating_add(position)
    }
}
