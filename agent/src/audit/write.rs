//! One record after the other, each on the disk before the next.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::PoisonError,
    time::Duration,
};
#[cfg(test)]
use std::{io, sync::atomic::Ordering};

use jiff::Timestamp;
use tracing::{info, warn};

use super::{
    Abandoned, Audit, AuditError, Dropped, Event, Head, Record, TARGET, files::Files, io_error,
    lock,
};

/// Records that are kept where there is no disk.
pub(super) const IN_MEMORY: usize = 4096;
/// How long a record waits for one before it that is being written.
pub(super) const PATIENCE: Duration = Duration::from_secs(5);

/// What one at a time has.
#[derive(Debug, Default)]
pub(super) struct Writer {
    /// `None`: only in memory.
    pub(super) files: Option<Files>,
    pub(super) head: Head,
    /// Events that come before the next one: that the record was opened, and what was
    /// found then.
    pub(super) pending: VecDeque<Event>,
}

impl Audit {
    /// Writes an event down; when this returns, the disk has it.
    ///
    /// # Errors
    /// When the disk does not take it, or hangs with an event before.
    pub fn append(&self, event: Event) -> Result<Head, AuditError> {
        let written = self.turn().and_then(|mut turn| {
            turn.write_pending()?;
            turn.write(event.clone())
        });
        if let Err(error) = &written {
            let event = serde_json::to_string(&event).unwrap_or_default();
            warn!(target: TARGET, %error, %event, "could not be written down");
        }
        written
    }

    /// Waits for the writer, but not for a disk that hangs.
    pub(super) fn turn(&self) -> Result<Turn<'_>, AuditError> {
        let (mut writer, _) = self
            .written
            .wait_timeout_while(lock(&self.writer), PATIENCE, |writer| writer.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        match writer.take() {
            Some(writer) => Ok(Turn {
                audit: self,
                writer,
            }),
            None => Err(AuditError::Hanging),
        }
    }
}

/// The writer, until it is dropped.
pub(super) struct Turn<'a> {
    audit: &'a Audit,
    writer: Writer,
}

impl Turn<'_> {
    pub(super) fn write_pending(&mut self) -> Result<(), AuditError> {
        while let Some(event) = self.writer.pending.front().cloned() {
            self.write(event)?;
            self.writer.pending.pop_front();
        }
        Ok(())
    }

    fn write(&mut self, event: Event) -> Result<Head, AuditError> {
        #[cfg(test)]
        if self.audit.fails.load(Ordering::Acquire) {
            return Err(io_error("writing a record")(
                io::ErrorKind::StorageFull.into(),
            ));
        }
        let record = self.record(event)?;
        let Some(files) = &mut self.writer.files else {
            return Ok(self.keep(record));
        };
        if files.is_full_for(record.bytes().len()) {
            files
                .begin(record.sequence)
                .map_err(io_error("beginning a file"))?;
        }
        let going = files.outgrown();
        let first_kept = files.first_after(going);
        if let (true, true, Some(first_kept)) = (files.is_fresh(), going > 0, first_kept) {
            // It is said before it is done.
            let event = record.event;
            let dropped = self.record(Event::Dropped(Dropped { first_kept }))?;
            self.put(dropped)?;
            let removed = self
                .writer
                .files
                .as_mut()
                .map(|files| files.drop_oldest(going));
            if let Some(Err(error)) = removed {
                warn!(target: TARGET, %error, "old records could not be removed");
            }
            let record = self.record(event)?;
            return self.put(record);
        }
        self.put(record)
    }

    fn record(&self, event: Event) -> Result<Record, AuditError> {
        Record::after(&self.writer.head, Timestamp::now(), event)
            .map_err(|flaw| AuditError::Form(flaw.to_string()))
    }

    fn put(&mut self, record: Record) -> Result<Head, AuditError> {
        if let Some(files) = &mut self.writer.files {
            files
                .append(&record.bytes())
                .map_err(io_error("writing a record"))?;
        }
        Ok(self.keep(record))
    }

    /// It is on the disk, and everybody may know.
    fn keep(&mut self, record: Record) -> Head {
        let head = record.head();
        info!(target: TARGET, record = %record.line(), "written down");
        self.writer.head = head.clone();
        let mut view = self.audit.view();
        view.head = head.clone();
        match &self.writer.files {
            Some(files) => view.firsts = files.segments().collect(),
            None => {
                view.records.push_back(record);
                if view.records.len() > IN_MEMORY {
                    view.records.pop_front();
                }
            }
        }
        head
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        *lock(&self.audit.writer) = Some(std::mem::take(&mut self.writer));
        self.audit.written.notify_one();
    }
}

pub(super) fn pending(opened: Event, under_way: BTreeMap<String, u32>) -> VecDeque<Event> {
    let abandoned = under_way
        .into_iter()
        .map(|(request_id, vmid)| Event::Abandoned(Abandoned { request_id, vmid }));
    std::iter::once(opened).chain(abandoned).collect()
}
