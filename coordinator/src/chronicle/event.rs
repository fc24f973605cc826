//! Something that happened, in the terms of people.

use std::collections::{HashMap, HashSet, VecDeque};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{
    store::row::{NewRecord, RecordKind},
    untrusted,
    view::{ClusterId, Name},
};

pub(crate) mod act;
pub(crate) mod cluster_log;
pub(super) mod journal;
pub(crate) mod task;
pub(super) mod transition;

/// Characters of a text.
pub(super) const TEXT: usize = 200;

/// What an event is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum EventKind {
    /// Work that somebody or a schedule had Proxmox VE do.
    Task,
    /// A word of the cluster's log.
    Log,
    /// Somebody logged in, or tried.
    Login,
    /// Kernel and hardware: memory, disks, processors.
    Kernel,
    /// Links of network and corosync.
    Link,
    /// Who is in the cluster, and whether it has quorum.
    Quorum,
    /// High availability: fencing, recovery.
    Ha,
    /// A node came, went or was restarted.
    Node,
    /// A guest started, stopped or moved.
    Guest,
    /// The connection to an agent.
    Agent,
    /// A configuration became another one.
    Config,
    /// A finding opened, changed or ended.
    Finding,
    /// An operator said what is meant, or took it back.
    Intent,
    /// Somebody used the coordinator to do something.
    Audit,
    /// The health of a cluster became another one.
    Health,
}

/// How much an event matters by itself.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Level {
    Info,
    Warning,
    Error,
}

/// What is kept of an event beside its time, cluster and subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub kind: EventKind,
    pub level: Level,
    /// Where; empty = on no node in particular.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub node: Name,
    pub text: String,
    /// Who had it done, as Proxmox VE says; empty = not told.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub user: String,
    /// When it ended, of what takes time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Of tasks: `qmconfig`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub task: String,
}

/// An event with its time and place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dated {
    pub(super) at: Timestamp,
    pub(super) subject: Name,
    /// Same for the same event in another report.
    pub(super) key: String,
    pub(super) event: Event,
}

impl Dated {
    pub(super) fn record(&self, cluster: &ClusterId) -> NewRecord {
        NewRecord {
            kind: RecordKind::Event,
            at: self.at,
            cluster: Name::clone(cluster),
            subject: Name::clone(&self.subject),
            key: format!("{cluster} {}", self.key),
            // Names and numbers always serialise.
            body: serde_json::to_vec(&self.event).unwrap_or_default(),
        }
    }
}

/// Keys that were told lately, so that what reports repeat is told once. What is
/// forgotten here and comes again the store does not take twice.
#[derive(Debug, Default)]
pub(super) struct Told {
    sources: HashMap<(ClusterId, Name), Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    known: HashSet<u64>,
    order: VecDeque<u64>,
}

/// Keys of one source: more than one report has.
const KEYS: usize = 4096;
/// Nodes, and more than there are.
const SOURCES: usize = 4096;

impl Told {
    /// Whether it is new; from now on it is not.
    pub(super) fn is_new(&mut self, cluster: &ClusterId, source: &Name, key: &str) -> bool {
        let of = (ClusterId::clone(cluster), Name::clone(source));
        if self.sources.len() >= SOURCES && !self.sources.contains_key(&of) {
            self.sources.clear();
        }
        let keys = self.sources.entry(of).or_default();
        let hash = Sha256::digest(key.as_bytes());
        let hash = hash
            .iter()
            .take(8)
            .fold(0, |all, byte| (all << 8) | u64::from(*byte));
        if !keys.known.insert(hash) {
            return false;
        }
        keys.order.push_back(hash);
        if keys.order.len() > KEYS
            && let Some(oldest) = keys.order.pop_front()
        {
            keys.known.remove(&oldest);
        }
        true
    }
}

/// Text of another machine, made safe to show.
pub(super) fn text(text: &str) -> String {
    untrusted::line(text, TEXT).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_repeated_is_told_once() {
        let mut told = Told::default();
        let (cluster, node): (ClusterId, Name) = ("c".into(), "pve1".into());
        assert!(told.is_new(&cluster, &node, "a"));
        assert!(!told.is_new(&cluster, &node, "a"));
        assert!(told.is_new(&cluster, &"pve2".into(), "a"));
        for other in 0..KEYS {
            assert!(told.is_new(&cluster, &node, &other.to_string()));
        }
        // The oldest is forgotten.
        assert!(told.is_new(&cluster, &node, "a"));
    }
}
