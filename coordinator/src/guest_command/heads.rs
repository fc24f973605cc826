//! Where the audit record of each node ends, as its agent last said.
//!
//! A node keeps the record of what ran in its guests, and each entry carries the
//! hash of the one before it. Whoever owns the node can still cut the record or write
//! it anew; not so that it fits the end that is kept here. The highest entry of each
//! node is remembered over restarts. A record that ends before it, or has another
//! hash there, is a problem that stays until somebody removes the node from the file.
//!
//! A heartbeat may have been under way while a result came that says more, so an end
//! that goes back is not believed by itself: the agent is asked, and what it answers
//! then came later.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{AuditHead, ListAuditResponse};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::{task, time::sleep};
use tracing::{error, warn};

use crate::coordinator::Coordinator;

mod file;
#[cfg(test)]
mod tests;

/// Between a change and its way to the disk.
const DELAY: Duration = Duration::from_secs(1);
/// Hexadecimal digits of a SHA-256.
const DIGITS: usize = 64;
/// Nodes that are remembered; no site has as many.
const NODES: usize = 10_000;
/// What is between the hashed part of an entry and its hash, and after it.
const BEFORE_HASH: &str = ",\"hash\":\"";
const AFTER_HASH: &str = "\"}";

/// The ends of all records.
#[derive(Debug, Default)]
pub struct Heads {
    /// Absent: nothing is kept over a restart.
    path: Option<PathBuf>,
    nodes: Mutex<BTreeMap<Place, Head>>,
    /// Held while the file is written, so that the newest state is written last.
    writing: Mutex<()>,
    /// Somebody is about to write.
    is_waiting: AtomicBool,
}

/// Writes what is known within a second, once for all that happens meanwhile: a node
/// may say something new as often as it likes. Must be called inside a runtime.
pub(crate) fn save_soon(coordinator: &Arc<Coordinator>) {
    let heads = coordinator.guest_commands().heads();
    if heads.path.is_none() || heads.is_waiting.swap(true, Ordering::SeqCst) {
        return;
    }
    let coordinator = Arc::clone(coordinator);
    tokio::spawn(async move {
        sleep(DELAY).await;
        let saved = task::spawn_blocking(move || {
            coordinator.guest_commands().heads().save_pending();
        });
        // It says itself what goes wrong.
        saved.await.ok();
    });
}

/// A node.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub cluster: String,
    pub node: String,
}

/// Where the record of one node ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    pub sequence: u64,
    /// SHA-256 in hexadecimal.
    pub hash: String,
    /// When this end was heard of, by the coordinator's clock.
    pub noted_at: Timestamp,
    /// What does not fit, in words; empty = nothing.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub problem: String,
}

/// What a head means beside the one that was known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    Unchanged,
    /// The record grew, or was not known; the end before, if it can be compared.
    Ahead(Option<Head>),
    /// It ends before the one that is known: the agent is to be asked.
    Doubtful(Head),
    /// It cannot be the record that was known.
    Problem,
}

impl Heads {
    /// Reads what is known from a directory, and keeps it there. A file that cannot
    /// be used is put aside: what it knew is gone, which is said in the log.
    #[must_use]
    pub fn load(directory: &Path) -> Self {
        let path = directory.join(file::NAME);
        let nodes = file::read(&path).unwrap_or_else(|error| {
            let shown = path.display();
            error!(path = %shown, %error, "the ends of audit records are not known any more");
            file::put_aside(&path);
            BTreeMap::new()
        });
        Self {
            path: Some(path),
            nodes: Mutex::new(nodes),
            writing: Mutex::default(),
            is_waiting: AtomicBool::new(false),
        }
    }

    /// Where the record of a node ends, as far as that is known.
    #[must_use]
    pub fn of(&self, place: &Place) -> Option<Head> {
        self.lock().get(place).cloned()
    }

    /// An agent said where its record ends.
    pub fn note(&self, place: &Place, head: &AuditHead, at: Timestamp) -> Noted {
        if !is_hash(&head.hash) {
            return Noted::Unchanged;
        }
        let mut nodes = self.lock();
        let full = nodes.len() >= NODES;
        let Some(known) = nodes.get_mut(place) else {
            if !full {
                nodes.insert(place.clone(), Head::new(head, at));
            }
            return Noted::Ahead(None);
        };
        if head.sequence > known.sequence {
            let problem = known.problem.clone();
            let next = Head {
                problem,
                ..Head::new(head, at)
            };
            return Noted::Ahead(Some(std::mem::replace(known, next)));
        }
        if !known.problem.is_empty() {
            return Noted::Unchanged;
        }
        if head.sequence < known.sequence {
            return Noted::Doubtful(known.clone());
        }
        if head.hash.eq_ignore_ascii_case(&known.hash) {
            return Noted::Unchanged;
        }
        let why = format!("entry {} has another hash", known.sequence);
        known.complain(place, &why);
        Noted::Problem
    }

    /// Compares a known end with what the agent answered when it was asked for the
    /// entry. Says whether there is news.
    pub fn compare(
        &self,
        place: &Place,
        known: &Head,
        answer: &ListAuditResponse,
        at: Timestamp,
    ) -> bool {
        let ends = answer.head.as_ref().map_or(0, |head| head.sequence);
        let hash = answer.lines.iter().find_map(|line| {
            let (sequence, hash) = entry(line)?;
            (sequence == known.sequence).then_some(hash)
        });
        let why = match hash {
            _ if ends < known.sequence => Some(format!(
                "it ended at {} and now ends at {ends}",
                known.sequence
            )),
            Some(hash) if hash != known.hash.to_ascii_lowercase() => {
                Some(format!("entry {} has another hash", known.sequence))
            }
            // The oldest entries go when a record is full; those say nothing.
            None if (1..=known.sequence).contains(&answer.first_sequence) => {
                Some(format!("entry {} is not in it any more", known.sequence))
            }
            _ => None,
        };
        let mut news = false;
        if let Some(why) = why
            && let Some(head) = self.lock().get_mut(place)
            && head.problem.is_empty()
        {
            head.complain(place, &why);
            news = true;
        }
        if let Some(head) = &answer.head {
            news |= matches!(self.note(place, head, at), Noted::Ahead(_) | Noted::Problem);
        }
        news
    }

    /// Writes what is known, if it is kept. Blocks.
    pub fn save(&self) {
        let Some(path) = &self.path else { return };
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let nodes = self.lock().clone();
        if let Err(error) = file::write(path, &nodes) {
            let path = path.display();
            warn!(%path, %error, "the ends of audit records cannot be kept over a restart");
        }
    }

    /// Writes what waits to be written. Blocks.
    pub fn save_pending(&self) {
        if self.is_waiting.swap(false, Ordering::SeqCst) {
            self.save();
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Head>> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Head {
    fn new(head: &AuditHead, noted_at: Timestamp) -> Self {
        Self {
            sequence: head.sequence,
            hash: head.hash.to_ascii_lowercase(),
            noted_at,
            problem: String::new(),
        }
    }

    fn complain(&mut self, place: &Place, why: &str) {
        let node = &place.node;
        self.problem = format!("audit record of {node} was shortened or rewritten: {why}");
        error!(node, problem = self.problem, "guest commands");
    }
}

/// Number and hash of an entry; nothing when the hash is not that of its content.
fn entry(line: &str) -> Option<(u64, String)> {
    #[derive(Deserialize)]
    struct Numbered {
        sequence: u64,
    }
    let open = line.strip_suffix(AFTER_HASH)?;
    let (open, hash) = open.split_at_checked(open.len().checked_sub(DIGITS)?)?;
    let open = open.strip_suffix(BEFORE_HASH)?;
    let hashed = format!("{open}}}");
    let numbered: Numbered = serde_json::from_str(&hashed).ok()?;
    let digest = Sha256::digest(&hashed);
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    (hex == hash).then_some((numbered.sequence, hex))
}

fn is_hash(text: &str) -> bool {
    text.len() == DIGITS && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
