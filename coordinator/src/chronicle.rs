//! What happened and what was changed, written down as it is heard.
//!
//! ```text
//! live ── seen ─┬─► events (tasks, logs, journal) ─┐
//!               └─► revisions of configurations ───┤
//! view ─────────► transitions ─────────────────────┼─► outbox ─ commit ─► store
//! lifecycle ────► findings opened and ended ───────┤
//! analyses ─────► the health of each cluster ──────┘
//! ```
//!
//! What waits for the store can be read here meanwhile. Nodes repeat what they said,
//! so every event has a key, and the store takes none twice.

use std::collections::HashMap;

use jiff::{SignedDuration, Timestamp};
use tracing::warn;

pub(crate) mod event;
mod outbox;
pub(crate) mod revision;
#[cfg(test)]
mod tests;

pub use event::{Event, EventKind, Level};
pub use revision::Revision;

use event::{Dated, Told, act, cluster_log, journal, task, transition::Last};
use outbox::Outbox;
use revision::{Head, Heads, guests::GuestHead};

use crate::{
    live::seen::{Seen, What},
    log::audit::Act,
    store::row::{Change, NewRecord, RecordKind, RecordQuery, StateRow},
    view::{ClusterId, Name, View},
};

/// What one node may have written down in an hour: a node that is taken over must not
/// fill the disk.
const RECORDS_AN_HOUR: usize = 5_000;
const BYTES_AN_HOUR: usize = 64 << 20;
const HOUR: SignedDuration = SignedDuration::from_hours(1);
/// Older than this nothing is kept.
const KEPT: SignedDuration = SignedDuration::from_hours(400 * 24);

/// Writes down what happens.
#[derive(Debug, Default)]
pub struct Chronicle {
    /// There is a store.
    is_kept: bool,
    told: Told,
    last: Last,
    heads: Heads,
    outbox: Outbox,
    spent: HashMap<(ClusterId, Name), Spent>,
}

/// What a node has had written down since.
#[derive(Debug, Default)]
struct Spent {
    since: Timestamp,
    records: usize,
    bytes: usize,
    is_over: bool,
}

impl Chronicle {
    /// Goes on with what the store has; from here on it is written.
    pub fn load(&mut self, heads: Vec<StateRow>, last: Vec<StateRow>) {
        self.is_kept = true;
        self.heads.load(heads);
        self.last.load(last);
    }

    /// Writes down what agents said.
    pub fn note(&mut self, seen: Vec<Seen>, now: Timestamp) {
        if !self.is_kept {
            return;
        }
        for one in seen {
            let changes = match &one.what {
                What::Tasks(tasks) => self.events(&one, task::events(tasks, &one.node), now),
                What::ClusterLog(log) => self.events(&one, cluster_log::events(log), now),
                What::Journal(journal) => {
                    self.events(&one, journal::events(journal, &one.node).into_iter(), now)
                }
                _ if self.is_over(&one, now) => continue,
                _ => self.heads.read(&one),
            };
            self.spend(&one, changes, now);
        }
    }

    /// Writes down what became otherwise since the view before.
    pub fn compare(&mut self, view: &View) {
        let told = self.last.compare(view);
        if self.is_kept {
            for (cluster, dated) in told {
                self.outbox.add(Change::AddRecord(dated.record(&cluster)));
            }
            let changes = self.last.take_changes();
            self.add(changes);
        }
    }

    /// Writes down what somebody else has made of it.
    pub fn add(&mut self, changes: Vec<Change>) {
        for change in changes {
            self.outbox.add(change);
        }
    }

    /// Writes down records that somebody else has made.
    pub fn add_records(&mut self, records: Vec<NewRecord>) {
        self.add(records.into_iter().map(Change::AddRecord).collect());
    }

    /// Writes down what was done with the coordinator.
    pub fn audit(&mut self, acts: &[Act]) {
        if !self.is_kept {
            return;
        }
        for act in acts {
            let cluster = act.fields.get("cluster").map_or("", |cluster| cluster);
            self.outbox.add(Change::AddRecord(NewRecord {
                kind: RecordKind::Audit,
                at: act.at,
                cluster: cluster.into(),
                subject: act::subject(act).into(),
                key: String::new(),
                // Names and numbers always serialise.
                body: serde_json::to_vec(&act::event(act)).unwrap_or_default(),
            }));
        }
    }

    /// What the store is to get; it stays here until [`confirm`](Self::confirm).
    pub fn take(&mut self) -> Vec<Change> {
        let mut changes = self.outbox.take();
        changes.extend(self.last.looked().filter(|_| self.is_kept));
        changes
    }

    /// What was taken is on the disk.
    pub fn confirm(&mut self) {
        self.outbox.confirm();
    }

    /// Records that wait and that a query asks for, newest first.
    #[must_use]
    pub fn waiting(&self, query: &RecordQuery) -> Vec<NewRecord> {
        self.outbox.records(query)
    }

    /// A content that waits.
    #[must_use]
    pub fn content(&self, digest: &str) -> Option<Vec<u8>> {
        self.outbox.content(digest)
    }

    /// The guests that the store knows.
    pub(crate) fn guests(&self) -> Vec<GuestHead> {
        self.heads
            .guests(|cluster, vmid| self.last.generation(cluster, vmid))
    }

    /// What a configuration is now, by the key of its head.
    pub(crate) fn head(&self, key: &str) -> Option<Head> {
        self.heads.get(key)
    }

    /// What is new of a report, as the store gets it.
    fn events(
        &mut self,
        seen: &Seen,
        events: impl Iterator<Item = Dated>,
        now: Timestamp,
    ) -> Vec<Change> {
        let oldest = now.checked_sub(KEPT).unwrap_or(Timestamp::MIN);
        let is_over = self.is_over(seen, now);
        let records = self.spent(seen, now).records;
        let room = RECORDS_AN_HOUR.saturating_sub(records);
        let mut changes = Vec::new();
        for dated in events {
            if is_over || changes.len() >= room {
                break;
            }
            if dated.at >= oldest && self.told.is_new(&seen.cluster, &seen.node, &dated.key) {
                // A time to come is one of a wrong clock.
                let dated = Dated {
                    at: dated.at.min(now),
                    ..dated
                };
                changes.push(Change::AddRecord(dated.record(&seen.cluster)));
            }
        }
        changes
    }

    fn spend(&mut self, seen: &Seen, changes: Vec<Change>, now: Timestamp) {
        // What is read for the first time is as much as the site is large.
        let is_news = changes
            .iter()
            .any(|change| matches!(change, Change::AddRecord(_)));
        let spent = self.spent(seen, now);
        for change in &changes {
            match change {
                Change::AddRecord(record) => {
                    spent.records += 1;
                    spent.bytes += record.body.len();
                }
                Change::PutState(state) if is_news => spent.bytes += state.body.len(),
                _ => {}
            }
        }
        self.add(changes);
    }

    /// Whether a node has said so much that no more of it is written down.
    fn is_over(&mut self, seen: &Seen, now: Timestamp) -> bool {
        let spent = self.spent(seen, now);
        let is_over = spent.records >= RECORDS_AN_HOUR || spent.bytes >= BYTES_AN_HOUR;
        if is_over && !spent.is_over {
            spent.is_over = true;
            let (cluster, node) = (&*seen.cluster, &*seen.node);
            warn!(
                cluster,
                node, "says too much, its events are not kept for an hour"
            );
            // A gap on the line of time is told there.
            let dated = Dated {
                at: now,
                subject: format!("node/{node}").into(),
                key: format!("quiet {node} {now}"),
                event: Event {
                    kind: EventKind::Agent,
                    level: Level::Warning,
                    node: Name::clone(&seen.node),
                    text: "says too much: its events are not kept for up to an hour".to_owned(),
                    user: String::new(),
                    until: None,
                    task: String::new(),
                },
            };
            let record = dated.record(&seen.cluster);
            self.outbox.add(Change::AddRecord(record));
        }
        is_over
    }

    fn spent(&mut self, seen: &Seen, now: Timestamp) -> &mut Spent {
        let key = (ClusterId::clone(&seen.cluster), Name::clone(&seen.node));
        let spent = self.spent.entry(key).or_default();
        // The clock may have been set back.
        if now.duration_since(spent.since).abs() >= HOUR {
            *spent = Spent {
                since: now,
                ..Spent::default()
            };
        }
        spent
    }
}
