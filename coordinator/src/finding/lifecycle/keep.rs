//! What of findings outlives the coordinator: those that are open, and a record of
//! each time that one opened, changed or ended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{
    Key, Lifecycle,
    entry::{Entry, Past},
};
use crate::{
    check::CHECKS,
    finding::{Finding, FindingState, Severity},
    store::row::{Change, NewRecord, RecordKind, StateKind, StateRow},
    view::Name,
};

/// Changes that wait for a store which takes none.
const CHANGES: usize = 20_000;

/// What is kept of an entry.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    finding: Finding,
    generation: u32,
    past: Past,
}

/// A finding opened, changed or ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FindingEvent {
    /// As it was then.
    pub finding: Finding,
    /// What it was before; absent = it was not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub was: Option<(FindingState, Severity)>,
}

/// Changes on their way to the store.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    changes: Vec<Change>,
}

impl Lifecycle {
    /// Goes on with what an earlier coordinator knew; from here on it is written
    /// down what happens to findings.
    pub fn restore(&mut self, rows: Vec<StateRow>) {
        self.outbox = Some(Outbox::default());
        for row in rows {
            let kept: Kept = match serde_json::from_slice(&row.body) {
                Ok(kept) => kept,
                Err(error) => {
                    warn!(key = row.key, %error, "a finding of the store is unreadable");
                    continue;
                }
            };
            // A check that this version does not have any more judges nothing.
            let Some(check) = CHECKS.iter().find(|check| check.id == kept.finding.check) else {
                continue;
            };
            let key = Key {
                check: check.id,
                cluster: kept.finding.cluster.as_str().into(),
                subject: kept.finding.subject.clone(),
                generation: kept.generation,
                discriminator: kept.finding.discriminator.clone(),
            };
            let mut entry = Entry::restored(check, kept.finding, kept.past);
            // Nothing was seen since.
            entry.finding.unverified = true;
            self.entries.insert(key, entry);
        }
    }

    /// Hands over what the store is to get.
    pub fn take_changes(&mut self) -> Vec<Change> {
        let outbox = self.outbox.as_mut();
        outbox.map_or_else(Vec::new, |outbox| std::mem::take(&mut outbox.changes))
    }

    /// Writes down what has changed.
    pub(super) fn note_changes(&mut self, at: Timestamp) {
        if let Some(outbox) = &mut self.outbox {
            for (key, entry) in &mut self.entries {
                outbox.note(key, entry, at);
            }
        }
    }
}

impl Outbox {
    fn note(&mut self, key: &Key, entry: &mut Entry, at: Timestamp) {
        let mark = entry.mark();
        let (state, _) = mark;
        // What is pending has not happened yet.
        let is_news = entry.kept != Some(mark)
            && !(entry.kept.is_none()
                && matches!(state, FindingState::Pending | FindingState::Resolved));
        if !is_news {
            return;
        }
        let event = FindingEvent {
            finding: entry.finding.clone(),
            was: entry.kept,
        };
        self.add(record(&event, at));
        let kept = Kept {
            finding: event.finding,
            generation: key.generation,
            past: entry.past(),
        };
        self.add(Change::PutState(StateRow {
            kind: StateKind::Finding,
            key: state_key(key),
            body: json(&kept),
        }));
        entry.kept = Some(mark);
    }

    /// It is forgotten: it ended, and long ago.
    pub(super) fn forget(&mut self, key: &Key, entry: &mut Entry, at: Timestamp) {
        self.note(key, entry, at);
        if entry.kept.is_some() {
            self.add(Change::DropState(StateKind::Finding, state_key(key)));
        }
    }

    fn add(&mut self, change: Change) {
        self.changes.push(change);
        self.bound();
    }

    fn bound(&mut self) {
        let over = self.changes.len().saturating_sub(CHANGES);
        if over > 0 {
            self.changes.drain(..over);
        }
    }
}

fn record(event: &FindingEvent, at: Timestamp) -> Change {
    Change::AddRecord(NewRecord {
        kind: RecordKind::Finding,
        at,
        cluster: Name::from(event.finding.cluster.as_str()),
        subject: Name::from(event.finding.subject.as_str()),
        key: String::new(),
        body: json(event),
    })
}

/// The fingerprint alone names a finding, but only together with its generation an
/// entry.
fn state_key(key: &Key) -> String {
    let Key {
        check,
        cluster,
        subject,
        generation,
        discriminator,
    } = key;
    let parts = BTreeMap::from([
        ("check", *check),
        ("cluster", cluster),
        ("discriminator", discriminator),
        ("subject", subject),
    ]);
    format!("{generation} {}", String::from_utf8_lossy(&json(&parts)))
}

/// Structures with string keys always serialise.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
