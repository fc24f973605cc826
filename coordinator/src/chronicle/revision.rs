//! When a configuration became another one.
//!
//! Contents are kept once, by their digest. A head says which content a
//! configuration has now; a record says when it came, and from which content. What
//! was found at the first reading is no change: it has a head and no record.
//!
//! Every member of a cluster reads the same files, each a moment earlier or later.
//! So the first that reads something new makes the revision, and others that say the
//! same confirm it.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Weak},
};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1 as wire;
use serde::{Deserialize, Serialize};
use tracing::warn;

pub(crate) mod author;
pub(crate) mod content;
pub(crate) mod guests;
pub(crate) mod piece;
mod sweep;
#[cfg(test)]
mod tests;

pub(crate) use sweep::sweep;

use piece::{Piece, Report, Source};

use crate::{
    live::seen::Seen,
    store::row::{Change, NewRecord, RecordKind, StateKind, StateRow},
    view::{ClusterId, Name},
};

/// A member that still reads the content before is late, not another change.
const LATE: SignedDuration = SignedDuration::from_secs(30);
/// Configurations of one cluster.
const SUBJECTS: usize = 200_000;
/// Begins the subject of a head that says that a report was read.
const READ: &str = "read:";

/// What is kept of a revision beside its time, cluster and subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Digest of the content before; none = there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Digest of the content now; none = it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// When the content before was read last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// Node whose agent saw it first.
    pub node: Name,
    /// Another version of the agent read it: perhaps only more was read.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_read_anew: bool,
}

/// What a configuration is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// None = it is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// The content before, while it may still be told by a member that is late.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    before: Option<String>,
    pub(crate) since: Timestamp,
    /// When it was read for the first time.
    pub(crate) known_since: Timestamp,
    /// The report it was in.
    of: Name,
    /// Who read it first: version of the agent, and node.
    reader: Name,
    node: Name,
}

/// Heads of all clusters.
#[derive(Debug, Default)]
pub(super) struct Heads {
    clusters: HashMap<ClusterId, HashMap<Name, Known>>,
}

#[derive(Debug)]
struct Known {
    head: Head,
    /// The guest's message: while the same one is told nothing has changed.
    message: Weak<wire::GuestConfig>,
}

impl Heads {
    pub(super) fn load(&mut self, rows: Vec<StateRow>) {
        for row in rows {
            let Some((cluster, subject)) = row.key.split_once(' ') else {
                continue;
            };
            match serde_json::from_slice::<Head>(&row.body) {
                Ok(head) => {
                    let known = Known {
                        head,
                        message: Weak::new(),
                    };
                    let heads = self.clusters.entry(cluster.into()).or_default();
                    heads.insert(subject.into(), known);
                }
                // It is read anew, as for the first time.
                Err(error) => warn!(key = row.key, %error, "a revision of the store is unreadable"),
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<Head> {
        let (cluster, subject) = key.split_once(' ')?;
        let known = self.clusters.get(cluster)?.get(subject)?;
        Some(known.head.clone())
    }

    /// What a report of configuration changes.
    pub(super) fn read(&mut self, seen: &Seen) -> Vec<Change> {
        let Some(report) = piece::report(&seen.what, &seen.node) else {
            return Vec::new();
        };
        // A member that was cut off reads what was so before.
        if report.is_shared && !seen.is_quorate {
            return Vec::new();
        }
        let heads = self
            .clusters
            .entry(ClusterId::clone(&seen.cluster))
            .or_default();
        let mut changes = Vec::new();
        let read: Name = format!("{READ}{}", report.of).into();
        let is_first = !heads.contains_key(&read);
        if is_first {
            let head = Head::new(None, seen, &report, None);
            changes.push(put_head(&seen.cluster, &read, &head));
            heads.insert(read, Known::new(head));
        }
        for piece in &report.pieces {
            if heads.len() >= SUBJECTS && !heads.contains_key(&piece.subject) {
                continue;
            }
            of_piece(heads, seen, &report, piece, is_first, &mut changes);
        }
        if seen.is_whole {
            gone(heads, seen, &report, &mut changes);
        }
        changes
    }
}

fn of_piece(
    heads: &mut HashMap<Name, Known>,
    seen: &Seen,
    report: &Report,
    piece: &Piece,
    is_first: bool,
    changes: &mut Vec<Change>,
) {
    let known = heads.get_mut(&piece.subject);
    let message = match &piece.content {
        Source::Guest(config) => Arc::downgrade(config),
        Source::Made(_) => Weak::new(),
    };
    if let (Source::Guest(_), Some(known)) = (&piece.content, &known)
        && known.message.ptr_eq(&message)
    {
        return;
    }
    let content = piece.content.content();
    let digest = content.digest();
    let before = match known {
        Some(known) => {
            if known.head.digest.as_ref() == Some(&digest) {
                known.message = message;
                return;
            }
            if known.head.outranks(seen, Some(&digest)) {
                return;
            }
            Some(known.head.clone())
        }
        None => None,
    };
    let is_first = is_first && before.is_none();
    let head = Head::new(Some(digest.clone()), seen, report, before.as_ref());
    changes.push(Change::PutState(StateRow {
        kind: StateKind::Content,
        key: digest,
        body: content.bytes().to_vec(),
    }));
    changes.push(put_head(&seen.cluster, &piece.subject, &head));
    if !is_first {
        changes.push(record(seen, &piece.subject, before.as_ref(), &head));
    }
    let known = Known { head, message };
    heads.insert(Name::clone(&piece.subject), known);
}

/// What the report had and has no more.
fn gone(heads: &mut HashMap<Name, Known>, seen: &Seen, report: &Report, changes: &mut Vec<Change>) {
    let here: HashSet<&Name> = report.pieces.iter().map(|piece| &piece.subject).collect();
    let mut missing: Vec<(&Name, &mut Known)> = heads
        .iter_mut()
        .filter(|(subject, known)| {
            known.head.of == report.of
                && known.head.digest.is_some()
                && !here.contains(subject)
                && !known.head.outranks(seen, None)
        })
        .collect();
    missing.sort_by_key(|(subject, _)| Name::clone(subject));
    for (subject, known) in missing {
        let head = Head::new(None, seen, report, Some(&known.head));
        changes.push(put_head(&seen.cluster, subject, &head));
        changes.push(record(seen, subject, Some(&known.head), &head));
        *known = Known::new(head);
    }
}

impl Known {
    fn new(head: Head) -> Self {
        Self {
            head,
            message: Weak::new(),
        }
    }
}

impl Head {
    fn new(digest: Option<String>, seen: &Seen, report: &Report, before: Option<&Self>) -> Self {
        Self {
            digest,
            before: before.and_then(|before| before.digest.clone()),
            since: seen.at,
            known_since: before.map_or(seen.at, |before| before.known_since),
            of: Name::clone(&report.of),
            reader: Name::clone(&seen.reader),
            node: Name::clone(&seen.node),
        }
    }

    /// Whether what is known is newer than what was read.
    fn outranks(&self, seen: &Seen, digest: Option<&String>) -> bool {
        if seen.at < self.since {
            return true;
        }
        // Clocks differ by less than can be measured.
        self.before.as_ref() == digest
            && self.node != seen.node
            && seen.at.duration_since(self.since) < LATE
    }
}

fn put_head(cluster: &ClusterId, subject: &Name, head: &Head) -> Change {
    Change::PutState(StateRow {
        kind: StateKind::Head,
        key: head_key(cluster, subject),
        body: json(head),
    })
}

/// The key of a head. Ids of clusters have no spaces.
pub(crate) fn head_key(cluster: &str, subject: &str) -> String {
    format!("{} {subject}", cluster.replace(' ', "_"))
}

fn record(seen: &Seen, subject: &Name, before: Option<&Head>, head: &Head) -> Change {
    let revision = Revision {
        before: before.and_then(|before| before.digest.clone()),
        after: head.digest.clone(),
        not_before: seen.before,
        node: Name::clone(&seen.node),
        is_read_anew: before.is_some_and(|before| before.reader != seen.reader),
    };
    Change::AddRecord(NewRecord {
        kind: RecordKind::Revision,
        at: seen.at,
        cluster: Name::clone(&seen.cluster),
        subject: Name::clone(subject),
        key: format!(
            "{} {subject} {} {}",
            seen.cluster,
            seen.at.as_millisecond(),
            revision.after.as_deref().unwrap_or("gone")
        ),
        body: json(&revision),
    })
}

/// Structures with string keys always serialise.
fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).unwrap_or_default()
}
