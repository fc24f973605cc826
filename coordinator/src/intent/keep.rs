//! Statements that commands make: kept in the store, with a record of each one that was
//! made, withdrawn or came to its end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{error, warn};

use super::{Declared, Intent, Statement};
use crate::{
    figure::hex,
    store::{
        Batch, Store, StoreError,
        row::{Change, NewRecord, RecordKind, RecordQuery, RecordRow, StateKind, StateRow},
    },
    view::Name,
};

/// Statements that are kept: more than anybody keeps an eye on.
pub const MOST: usize = 1000;
/// Hexadecimal digits of an id, which people type.
const ID_DIGITS: usize = 8;

/// What is stated now.
#[derive(Debug, Default)]
pub struct Intents {
    stated: Mutex<Stated>,
    /// Held while the store is written: one change after the other.
    writing: Mutex<()>,
}

#[derive(Debug, Default)]
struct Stated {
    declared: Declared,
    /// By id.
    made: BTreeMap<String, Arc<Statement>>,
}

/// What became of a statement, as the record of the store says it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub what: Became,
    /// Who did it; empty = time.
    pub by: String,
    /// Why it was withdrawn, if that was said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub why: String,
    pub statement: Statement,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Became {
    Made,
    Withdrawn,
    Ended,
}

/// Why a statement was not made or withdrawn.
#[derive(Debug, thiserror::Error)]
pub enum IntentError {
    #[error(
        "nothing that this coordinator is told would outlive it: it has no store. Statements in \
         intent.toml hold without one"
    )]
    NoStore,
    #[error("no statement {0:?}")]
    NotFound(String),
    #[error("{0} stands in intent.toml: take it out there, then reload the coordinator")]
    Declared(String),
    #[error("there are {MOST} statements already")]
    TooMany,
    #[error("the statement could not be kept")]
    Store(#[from] StoreError),
}

impl Intents {
    /// What the file says from now on.
    pub fn declare(&self, declared: Declared) {
        lock(&self.stated).declared = declared;
    }

    /// Goes on with the statements of the store.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn restore(&self, store: &Store) -> Result<(), StoreError> {
        let rows = store.read(|reader| reader.states(StateKind::Statement))?;
        let made = rows.into_iter().filter_map(|row| {
            // Of a newer version, perhaps: it stays in the store.
            let read = serde_json::from_slice::<Statement>(&row.body).inspect_err(
                |error| warn!(id = row.key, %error, "a statement of the store is unreadable"),
            );
            Some((row.key, Arc::new(read.ok()?)))
        });
        lock(&self.stated).made = made.collect();
        Ok(())
    }

    /// Everything that is stated.
    #[must_use]
    pub fn all(&self) -> Intent {
        let stated = lock(&self.stated);
        let declared = stated.declared.statements.iter();
        Intent {
            tags: stated.declared.tags.clone(),
            statements: declared.chain(stated.made.values()).cloned().collect(),
        }
    }

    /// Makes a statement; gives it its id.
    ///
    /// # Errors
    /// When it cannot be kept.
    pub fn make(
        &self,
        store: Option<&Store>,
        mut statement: Statement,
        now: Timestamp,
    ) -> Result<Arc<Statement>, IntentError> {
        let store = store.ok_or(IntentError::NoStore)?;
        let _writing = lock(&self.writing);
        {
            let stated = lock(&self.stated);
            if stated.made.len() >= MOST {
                return Err(IntentError::TooMany);
            }
            let ids = (0_u32..).map(|attempt| id(&statement, now, attempt));
            let mut free = ids.filter(|id| !stated.made.contains_key(id));
            // There are more ids than statements.
            statement.id = free.next().unwrap_or_default();
        }
        let put = Change::PutState(StateRow {
            kind: StateKind::Statement,
            key: statement.id.clone(),
            body: json(&statement),
        });
        let event = Event {
            what: Became::Made,
            by: statement.author.clone(),
            why: String::new(),
            statement,
        };
        commit(store, vec![put, record(&event, now)], now)?;
        let statement = Arc::new(event.statement);
        let made = &mut lock(&self.stated).made;
        made.insert(statement.id.clone(), Arc::clone(&statement));
        Ok(statement)
    }

    /// Takes a statement back.
    ///
    /// # Errors
    /// When there is none of this id, or that cannot be kept.
    pub fn withdraw(
        &self,
        store: Option<&Store>,
        id: &str,
        (by, why): (&str, &str),
        now: Timestamp,
    ) -> Result<Arc<Statement>, IntentError> {
        let _writing = lock(&self.writing);
        let statement = {
            let stated = lock(&self.stated);
            let mut declared = stated.declared.statements.iter();
            if declared.any(|statement| statement.id == id) {
                return Err(IntentError::Declared(id.to_owned()));
            }
            let found = stated.made.get(id).cloned();
            found.ok_or_else(|| IntentError::NotFound(id.to_owned()))?
        };
        let store = store.ok_or(IntentError::NoStore)?;
        let event = Event {
            what: Became::Withdrawn,
            by: by.to_owned(),
            why: why.to_owned(),
            statement: (*statement).clone(),
        };
        commit(store, vec![drop_state(id), record(&event, now)], now)?;
        lock(&self.stated).made.remove(id);
        Ok(statement)
    }

    /// What became of statements, newest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub fn events(&self, store: &Store, limit: u32) -> Result<Vec<(Timestamp, Event)>, StoreError> {
        let query = RecordQuery {
            kind: RecordKind::Intent,
            from: None,
            until: None,
            cluster: None,
            subject: None,
            before: None,
            limit,
        };
        let rows = store.read(|reader| reader.records(&query))?;
        let read = |row: RecordRow| {
            // Of a newer version, perhaps.
            let event = serde_json::from_slice(&row.record.body).ok()?;
            Some((row.record.at, event))
        };
        Ok(rows.into_iter().filter_map(read).collect())
    }

    /// Lets go of what has ended. What the store does not take is tried again.
    pub fn end(&self, store: &Store, now: Timestamp) {
        let _writing = lock(&self.writing);
        let made = lock(&self.stated).made.clone();
        let ended = made.into_values();
        let ended: Vec<_> = ended.filter(|made| made.has_ended(now)).collect();
        if ended.is_empty() {
            return;
        }
        let changes = ended.iter().flat_map(|statement| {
            let event = Event {
                what: Became::Ended,
                by: String::new(),
                why: String::new(),
                statement: (**statement).clone(),
            };
            [drop_state(&statement.id), record(&event, now)]
        });
        match commit(store, changes.collect(), now) {
            Ok(()) => {
                let made = &mut lock(&self.stated).made;
                made.retain(|_, statement| !statement.has_ended(now));
            }
            Err(error) => error!(%error, "the end of statements could not be written down"),
        }
    }
}

fn commit(store: &Store, changes: Vec<Change>, now: Timestamp) -> Result<(), StoreError> {
    let batch = Batch {
        changes,
        ..Batch::default()
    };
    store.write(&batch, now)
}

fn drop_state(id: &str) -> Change {
    Change::DropState(StateKind::Statement, id.to_owned())
}

fn record(event: &Event, at: Timestamp) -> Change {
    let statement = &event.statement;
    let subject = match statement.objects.as_slice() {
        [object] => object.to_string(),
        _ => String::new(),
    };
    Change::AddRecord(NewRecord {
        kind: RecordKind::Intent,
        at,
        cluster: Name::from(statement.cluster.as_str()),
        subject: Name::from(subject),
        key: String::new(),
        body: json(event),
    })
}

/// Begin of a digest over what is stated and when; another one at each attempt.
fn id(statement: &Statement, now: Timestamp, attempt: u32) -> String {
    let mut hash = Sha256::new();
    hash.update(json(statement));
    hash.update(now.as_nanosecond().to_be_bytes());
    hash.update(attempt.to_be_bytes());
    hex(&hash.finalize()).chars().take(ID_DIGITS).collect()
}

/// Structures with string keys always serialise.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What is stated is replaced whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
