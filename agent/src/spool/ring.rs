//! The ring: segments of updates, above the base into which the oldest sinks.

use std::{collections::VecDeque, io};

use prost::Message;
use pvelens_proto::agent::v1::{Cursor, NodeUpdate, Sample, SpoolReport, sample::Payload};
use tracing::warn;

use super::{
    base::{Base, Frames},
    contents::{Contents, is_full},
    files::Files,
    latest::LookBack,
    records::{Flaw, Records, frame},
};

/// Into how many segments a full ring is cut: what goes at once when a new
/// update needs room.
const SEGMENTS: usize = 16;
/// A ring that was kept under a smaller limit has more; each is an open file.
const SEGMENTS_AT_MOST: usize = 4 * SEGMENTS;
/// Encoded bytes that one call of [`Ring::read_from`] gives, or of
/// [`Ring::look_back`] reads, unless a single update has more.
pub(super) const PORTION: usize = 1 << 20;

#[derive(Debug)]
pub(super) struct Ring {
    epoch: String,
    /// Bytes of segments and base.
    limit: usize,
    /// Oldest first, without a gap; each has at least one update.
    segments: VecDeque<Segment>,
    base: Base,
    contents: Contents,
    /// Sequence of the newest update; 0 before the first.
    newest: u64,
    /// Updates that sank since this process began.
    dropped: u64,
    /// `None` when everything is in memory.
    files: Option<Files>,
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) first: u64,
    pub(super) records: Records,
}

/// What was found in files.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) epoch: String,
    pub(super) segments: VecDeque<Segment>,
    pub(super) base: Base,
    pub(super) contents: Contents,
    pub(super) newest: u64,
}

impl Ring {
    pub(super) fn in_memory(epoch: String, limit: usize) -> Self {
        Self {
            epoch,
            limit,
            segments: VecDeque::new(),
            base: Base::empty(),
            contents: Contents::default(),
            newest: 0,
            dropped: 0,
            files: None,
        }
    }

    /// An empty one in files.
    pub(super) fn on(files: Files, epoch: String, limit: usize) -> Self {
        Self {
            files: Some(files),
            ..Self::in_memory(epoch, limit)
        }
    }

    /// One that goes on with what was kept.
    pub(super) fn go_on(files: Files, kept: Kept, limit: usize) -> Self {
        let mut ring = Self {
            epoch: kept.epoch,
            limit,
            segments: kept.segments,
            base: kept.base,
            contents: kept.contents,
            newest: kept.newest,
            dropped: 0,
            files: Some(files),
        };
        ring.trim();
        ring
    }

    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    pub(super) fn cursor(&self, sequence: u64) -> Cursor {
        Cursor {
            epoch: self.epoch.clone(),
            sequence,
        }
    }

    /// What it holds, and what went.
    pub(super) fn report(&self) -> SpoolReport {
        let updates = self.segments.iter().map(|segment| segment.records.len());
        // What cannot be read back is found out by the next reader of updates.
        let oldest = self.segments.front().map(|segment| segment.records.read(0));
        let oldest = oldest.and_then(Result::ok);
        SpoolReport {
            bytes: wide(self.bytes()),
            limit_bytes: wide(self.limit),
            updates: wide(updates.sum()),
            oldest_at: oldest.and_then(|update| update.samples.first()?.observed_at),
            dropped_updates_total: self.dropped,
            is_in_files: self.files.is_some(),
            epoch: self.epoch.clone(),
            newest_sequence: self.newest,
        }
    }

    /// Keeps samples as the next update.
    pub(super) fn append(&mut self, mut samples: Vec<Sample>) -> NodeUpdate {
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
        let frame = frame(&update);
        if let Err(error) = self.keep(&frame) {
            self.leave_files(&error);
            // Memory takes every record.
            self.keep(&frame).ok();
        }
        if let Some(files) = &self.files
            && let Err(error) = files.count(self.newest)
        {
            self.leave_files(&error);
        }
        self.trim();
        update
    }

    /// The newest full payload of a collector.
    pub(super) fn newest_payload(&self, collector: &str) -> Result<Option<Payload>, Flaw> {
        match self.contents.sequence(collector) {
            Some(sequence) => self.payload_of(collector, sequence),
            None => Ok(None),
        }
    }

    /// An update in the ring.
    pub(super) fn update(&self, sequence: u64) -> Result<Option<NodeUpdate>, Flaw> {
        match self.segment(sequence) {
            Some(segment) if sequence <= self.newest => {
                segment.records.read(segment.position(sequence)).map(Some)
            }
            _ => Ok(None),
        }
    }

    /// The full payload of a collector, as an update carries it.
    pub(super) fn payload_of(
        &self,
        collector: &str,
        sequence: u64,
    ) -> Result<Option<Payload>, Flaw> {
        let sample = match self.segment(sequence) {
            None => self.base.sample(collector)?,
            Some(segment) => {
                let update = segment.records.read(segment.position(sequence))?;
                let mut samples = update.samples.into_iter();
                samples.rfind(|sample| sample.collector == collector && is_full(sample))
            }
        };
        Ok(sample.and_then(|sample| sample.payload))
    }

    /// The segment that holds an update, if it is not older than the ring.
    fn segment(&self, sequence: u64) -> Option<&Segment> {
        let mut segments = self.segments.iter();
        segments.rfind(|segment| segment.first <= sequence)
    }

    /// What comes after a reader's place; see [`super::Spool::read_from`].
    pub(super) fn read_from(&mut self, cursor: Option<&Cursor>) -> Vec<NodeUpdate> {
        self.after(cursor).unwrap_or_else(|flaw| {
            self.lose(&flaw);
            Vec::new()
        })
    }

    fn after(&self, cursor: Option<&Cursor>) -> Result<Vec<NodeUpdate>, Flaw> {
        let known = cursor.and_then(|cursor| self.known(cursor));
        let before_ring = self.before_ring();
        let mut updates = Vec::new();
        let mut bytes = 0_usize;
        let mut skipped = known.map_or(0, |known| before_ring.saturating_sub(known));
        // Sequence 0 is the place of a reader that has nothing.
        let behind = known.is_none_or(|known| known < before_ring || known == 0);
        if behind && !self.base.is_empty() {
            let baseline = NodeUpdate {
                cursor: Some(self.cursor(before_ring)),
                samples: self.base.latest()?.into_samples(),
                baseline: true,
                skipped_updates: skipped,
            };
            skipped = 0;
            bytes = baseline.encoded_len();
            updates.push(baseline);
        }
        let from = known.unwrap_or(0).max(before_ring).saturating_add(1);
        for segment in &self.segments {
            for position in segment.position(from)..segment.records.len() {
                bytes = bytes.saturating_add(segment.records.bytes_of(position));
                if bytes > PORTION && !updates.is_empty() {
                    return Ok(updates);
                }
                let mut update = segment.records.read(position)?;
                update.skipped_updates = std::mem::take(&mut skipped);
                updates.push(update);
            }
        }
        Ok(updates)
    }

    /// Reads a portion of what the collectors had said at a reader's place; see
    /// [`super::Spool::contents_at`]. `true` when that was the last.
    pub(super) fn look_back(&mut self, cursor: &Cursor, seen: &mut LookBack) -> Option<bool> {
        // One that has nothing, or that fell behind, is sent the base.
        let before_ring = self.before_ring();
        let known = self.known(cursor)?;
        if known == 0 || known < before_ring {
            return None;
        }
        match self.look_on(known, seen) {
            Ok(is_all) => Some(is_all),
            Err(flaw) => {
                self.lose(&flaw);
                None
            }
        }
    }

    fn look_on(&self, known: u64, seen: &mut LookBack) -> Result<bool, Flaw> {
        let before_ring = self.before_ring();
        // At the start, or when what comes next has sunk since the last portion.
        if seen.sequence < before_ring {
            seen.latest = self.base.latest()?;
            seen.sequence = before_ring;
        }
        let mut bytes = 0_usize;
        for segment in &self.segments {
            let begin = segment.position(seen.sequence.saturating_add(1));
            let end = segment.position(known.saturating_add(1));
            for position in begin..end.min(segment.records.len()) {
                if bytes >= PORTION {
                    return Ok(false);
                }
                bytes = bytes.saturating_add(segment.records.bytes_of(position));
                seen.latest.take(segment.records.read(position)?);
                seen.sequence = seen.sequence.saturating_add(1);
            }
        }
        Ok(true)
    }

    /// The sequence of a place that this ring gave.
    fn known(&self, cursor: &Cursor) -> Option<u64> {
        let is_known = cursor.epoch == self.epoch && cursor.sequence <= self.newest;
        is_known.then_some(cursor.sequence)
    }

    /// Sequence of the newest update that is no longer in the ring.
    fn before_ring(&self) -> u64 {
        self.segments
            .front()
            .map_or(self.newest, |segment| segment.first.saturating_sub(1))
    }

    /// Adds a record to the last segment, or begins one with it.
    fn keep(&mut self, frame: &[u8]) -> io::Result<()> {
        let full = self.limit / SEGMENTS;
        // One that could not be loaded stays in a file which takes no more.
        if let Some(segment) = self.segments.back_mut()
            && segment.records.is_in_memory() == self.files.is_none()
            && segment.records.bytes().saturating_add(frame.len()) <= full
        {
            return segment.records.append(frame);
        }
        let mut records = match &self.files {
            Some(files) => files.segment(self.newest)?,
            None => Records::in_memory(),
        };
        records.append(frame)?;
        self.segments.push_back(Segment {
            first: self.newest,
            records,
        });
        Ok(())
    }

    /// The newest update stays even if it is larger than the ring.
    fn trim(&mut self) {
        while self.segments.len() > 1
            && (self.bytes() > self.limit || self.segments.len() > SEGMENTS_AT_MOST)
        {
            if let Err(flaw) = self.sink() {
                self.lose(&flaw);
            }
        }
    }

    /// The base counts twice, since it is there twice while it is written anew.
    fn bytes(&self) -> usize {
        let segments = self.segments.iter().map(|segment| segment.records.bytes());
        segments.fold(self.base.bytes().saturating_mul(2), usize::saturating_add)
    }

    /// Drops the oldest segment; its full payloads sink into the base.
    fn sink(&mut self) -> Result<(), Flaw> {
        let Some(oldest) = self.segments.front() else {
            return Ok(());
        };
        let frames = self.base.with(&oldest.records)?;
        let dropped = oldest.first;
        self.dropped = self.dropped.saturating_add(wide(oldest.records.len()));
        self.segments.pop_front();
        let records = match self.sunk(&frames, dropped) {
            Ok(records) => records,
            Err(error) => {
                self.leave_files(&error);
                self.sunk(&frames, dropped)?
            }
        };
        self.base = Base::new(frames.into_keys(), records);
        Ok(())
    }

    /// The records of the base that covers all below the ring.
    fn sunk(&self, frames: &Frames, dropped: u64) -> io::Result<Records> {
        if let Some(files) = &self.files {
            let records = files.base(frames, self.before_ring())?;
            files.drop_segment(dropped)?;
            return Ok(records);
        }
        let mut records = Records::in_memory();
        for frame in frames.values() {
            records.append(frame)?;
        }
        Ok(records)
    }

    /// From here on everything is in memory. The files go, and so the next start
    /// begins a new epoch: it could not know which numbers were given.
    fn leave_files(&mut self, error: &io::Error) {
        let Some(files) = self.files.take() else {
            return;
        };
        warn!(%error, "the spool cannot be written; it is in memory until the agent starts anew");
        files.forget();
        self.base.load();
        for segment in &mut self.segments {
            segment.records.load();
        }
    }

    /// Begins a new epoch in memory, since some of what was kept cannot be read
    /// back, and the rest may refer to that.
    fn lose(&mut self, flaw: &Flaw) {
        warn!(%flaw, "the spool cannot be read back; a new one begins, in memory");
        if let Some(files) = self.files.take() {
            files.forget();
        }
        let dropped = self.dropped;
        *self = Self::in_memory(format!("{}-again", self.epoch), self.limit);
        self.dropped = dropped;
    }
}

impl Segment {
    /// Index of an update; that of the first for an earlier one.
    fn position(&self, sequence: u64) -> usize {
        usize::try_from(sequence.saturating_sub(self.first)).unwrap_or(usize::MAX)
    }
}

/// 64 bits hold every size in memory.
fn wide(size: usize) -> u64 {
    u64::try_from(size).unwrap_or(u64::MAX)
}
