//! What outlives the coordinator: values over time, and what is known and was done.
//!
//! ```text
//! live ── journal ─┐
//!                  ├─ commit ─► engine ─ blocks ─ roll_up ─► coarser blocks ─ retain
//! live ── places ──┘              └─ readers ─► query
//! live ── import ── days of hours ─► engine
//! ```
//!
//! Values and the places in the streams that they came with are committed in one
//! transaction. So after a crash a stream is asked for again from where its values
//! are on the disk, and nothing is missing or there twice.
//!
//! Everything here blocks: call it where that is allowed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub mod block;
pub mod bucket;
pub mod catalog;
#[cfg(test)]
mod conformance;
pub mod engine;
pub mod import;
mod join;
pub mod journal;
mod quarantine;
pub mod query;
mod recent;
mod retain;
mod roll;
pub mod row;
pub mod sketch;
pub mod sqlite;
#[cfg(test)]
mod tests;
pub mod tier;
mod write;

pub use engine::StoreError;
pub use write::{Batch, CORRECTED};

use engine::{Engine, Reader, Size};
use row::{ObjectRow, SeriesRow, StateKind, StateRow};
use sqlite::Sqlite;

use crate::view::Name;

/// The file within the directory of the store.
pub const FILE: &str = "pvelens.db";
/// Where backups are looked for when the file is damaged.
pub const BACKUPS: &str = "backups";
/// Is there while a file is thought to be damaged: the next start looks at all of it.
pub const SUSPECT: &str = "pvelens.db.suspect";
/// For so long it is told that a damaged file was replaced.
pub const REPLACED_TOLD: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Readers that are kept open for the next one.
const READERS: usize = 4;

/// The store of a coordinator.
#[derive(Debug)]
pub struct Store {
    engine: Mutex<Box<dyn Engine>>,
    readers: Mutex<Vec<Box<dyn Reader>>>,
    condition: Mutex<Condition>,
    /// Bytes it may take.
    limit_bytes: u64,
    /// Made when the file turns out to be damaged. None = there is no file.
    suspect: Option<PathBuf>,
}

/// How the store does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Why it takes nothing, and since when.
    pub failing: Option<(StoreError, Timestamp)>,
    /// A damaged file was set aside, lately.
    pub replaced: Option<Replaced>,
    pub size: Size,
    /// It may take so much.
    pub limit_bytes: u64,
    /// When it took something last; absent when it did not since it was opened.
    pub written_at: Option<Timestamp>,
    /// The oldest values had to go before their time, since there was no room: of
    /// these, the newest are from then.
    pub shortened_to: Option<Timestamp>,
    /// Values that were lost since the store took none.
    pub lost_values: u64,
}

/// What became of a damaged file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    pub at: Timestamp,
    /// Where the damaged file is now.
    pub set_aside: PathBuf,
    pub why: String,
    /// The backup that took its place, and its time; none = a new file.
    pub backup: Option<(PathBuf, Timestamp)>,
}

/// What a coordinator that starts goes on with.
#[derive(Debug, Default, PartialEq)]
pub struct Loaded {
    pub objects: Vec<ObjectRow>,
    pub series: Vec<SeriesRow>,
    pub streams: Vec<StateRow>,
    pub findings: Vec<StateRow>,
    /// Which content each configuration has.
    pub heads: Vec<StateRow>,
    /// What was so when a view was looked at last.
    pub last: Vec<StateRow>,
    /// Nodes whose own history is imported.
    pub imported: Vec<StateRow>,
    /// What checks judge, over the time for which they look back.
    pub recent: Vec<RecentValue>,
}

/// A value that a check may look back at.
#[derive(Debug, Clone, PartialEq)]
pub struct RecentValue {
    pub object: u32,
    pub metric: u16,
    pub part: Name,
    pub at_millis: i64,
    pub value: f64,
}

impl Store {
    /// Opens the store of a directory, or makes it. A damaged file is set aside,
    /// and the newest good backup or a new file takes its place.
    ///
    /// # Errors
    /// When another process has it, when it is of a newer version, or when the
    /// directory cannot be used.
    pub fn open(directory: &Path, limit_bytes: u64, now: Timestamp) -> Result<Self, StoreError> {
        fs::create_dir_all(directory)
            .map_err(|error| StoreError::Other(format!("{}: {error}", directory.display())))?;
        let (path, suspect) = (directory.join(FILE), directory.join(SUSPECT));
        let opened = Sqlite::open(&path).and_then(|mut engine| {
            if suspect.exists()
                && let Some(problem) = engine.check()?.into_iter().next()
            {
                return Err(StoreError::Damaged(problem));
            }
            let replaced = quarantine::told(&mut engine, now)?;
            Ok((engine, replaced))
        });
        let (engine, replaced) = match opened {
            Ok(opened) => opened,
            Err(StoreError::Damaged(why)) => {
                let replaced = quarantine::replace(directory, why, now)?;
                let mut engine = Sqlite::open(&path)?;
                quarantine::tell(&mut engine, &replaced);
                (engine, Some(replaced))
            }
            Err(error) => return Err(error),
        };
        // What is there now is good. Where it cannot be removed it is looked at again.
        fs::remove_file(&suspect).unwrap_or_default();
        let mut store = Self::on(Box::new(engine), limit_bytes);
        store.suspect = Some(suspect);
        let size = store.engine().size().unwrap_or_default();
        {
            let mut condition = store.condition_mut();
            (condition.replaced, condition.size) = (replaced, size);
        }
        Ok(store)
    }

    /// A store on an engine.
    #[must_use]
    pub fn on(engine: Box<dyn Engine>, limit_bytes: u64) -> Self {
        Self {
            engine: Mutex::new(engine),
            readers: Mutex::default(),
            condition: Mutex::new(Condition {
                limit_bytes,
                ..Condition::default()
            }),
            limit_bytes,
            suspect: None,
        }
    }

    /// What was known when the last coordinator ended.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn load(&self, now: Timestamp) -> Result<Loaded, StoreError> {
        let loaded = self.load_all(now);
        self.note(&loaded.as_ref().map(drop).map_err(Clone::clone), now);
        loaded
    }

    fn load_all(&self, now: Timestamp) -> Result<Loaded, StoreError> {
        let mut engine = self.engine();
        let series = engine.series(None)?;
        let recent = recent::values(&mut **engine, &series, now)?;
        Ok(Loaded {
            objects: engine.objects()?,
            series,
            recent,
            streams: engine.states(StateKind::Stream)?,
            findings: engine.states(StateKind::Finding)?,
            heads: engine.states(StateKind::Head)?,
            last: engine.states(StateKind::Last)?,
            imported: engine.states(StateKind::Imported)?,
        })
    }

    /// Keeps a batch, whole and synced, or nothing of it.
    ///
    /// # Errors
    /// When the store takes nothing; [`condition`](Self::condition) says so, too.
    pub fn write(&self, batch: &Batch, now: Timestamp) -> Result<(), StoreError> {
        let written = batch
            .changes()
            .and_then(|changes| self.engine().commit(&changes));
        self.note(&written, now);
        if written.is_ok() {
            self.condition_mut().written_at = Some(now);
        }
        written
    }

    /// Rolls up what is complete, lets go of what is too old or too much. To be
    /// called every few minutes.
    ///
    /// # Errors
    /// When the store cannot be read or written.
    pub fn maintain(&self, now: Timestamp) -> Result<(), StoreError> {
        let done = self.roll_and_retain(now);
        self.note(&done, now);
        done
    }

    fn roll_and_retain(&self, now: Timestamp) -> Result<(), StoreError> {
        // One step at a time, so that a write comes in between.
        while roll::roll_up(&mut **self.engine(), now)? {}
        let due = join::due(&mut **self.engine(), now)?;
        for pieces in due {
            join::replace(&mut **self.engine(), &pieces)?;
        }
        retain::drop_old(&mut **self.engine(), now)?;
        let mut shortened = None;
        while let Some(gone) = retain::make_room(&mut **self.engine(), self.limit_bytes)? {
            shortened = shortened.max(Some(gone));
        }
        let size = self.engine().size()?;
        let mut condition = self.condition_mut();
        condition.size = size;
        condition.shortened_to = shortened.or(condition.shortened_to);
        Ok(())
    }

    /// Reads; beside whatever is written. Damage that shows is looked at by the next
    /// start.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn read<T>(
        &self,
        work: impl FnOnce(&mut dyn Reader) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let idle = lock(&self.readers).pop();
        let mut reader = match idle {
            Some(reader) => reader,
            None => self.engine().reader()?,
        };
        let answer = work(&mut *reader);
        if matches!(answer, Err(StoreError::Damaged(_))) {
            self.suspect();
        }
        let answer = answer?;
        let mut readers = lock(&self.readers);
        if readers.len() < READERS {
            readers.push(reader);
        }
        Ok(answer)
    }

    /// How it does.
    #[must_use]
    pub fn condition(&self) -> Condition {
        self.condition_mut().clone()
    }

    /// Says how many values were lost for want of a store that takes them.
    pub fn lost(&self, values: u64) {
        self.condition_mut().lost_values = values;
    }

    /// The next start looks at all of the file.
    fn suspect(&self) {
        if let Some(suspect) = &self.suspect {
            // Where nothing can be written it is found out at the next start, if at all.
            fs::write(suspect, []).unwrap_or_default();
        }
    }

    fn note(&self, done: &Result<(), StoreError>, now: Timestamp) {
        if matches!(done, Err(StoreError::Damaged(_))) {
            self.suspect();
        }
        let mut condition = self.condition_mut();
        condition.failing = match (done, condition.failing.take()) {
            (Ok(()), _) => None,
            (Err(error), Some((_, since))) => Some((error.clone(), since)),
            (Err(error), None) => Some((error.clone(), now)),
        };
    }

    fn engine(&self) -> MutexGuard<'_, Box<dyn Engine>> {
        lock(&self.engine)
    }

    fn condition_mut(&self) -> MutexGuard<'_, Condition> {
        lock(&self.condition)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A transaction that was not committed is undone.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
