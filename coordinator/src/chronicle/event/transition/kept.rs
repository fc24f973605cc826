//! What was so the last time, as the store has it: a coordinator that starts anew tells
//! what became otherwise while none ran.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Last, LastGuest, LastNode};
use crate::{
    figure,
    inventory::word,
    store::row::{Change, StateKind, StateRow},
    view::{ClusterId, GuestStatus, Name, NodeStatus},
};

/// Of what is kept, the time of the last look.
const LOOKED: &str = "looked";
/// A shorter time without a look is no gap.
const GAP: SignedDuration = SignedDuration::from_secs(60);

/// One object: of what kind it is its key tells.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    quorate: Option<bool>,
    /// Of nodes, guests, and what HA manages.
    #[serde(skip_serializing_if = "String::is_empty")]
    status: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    boot_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    generation: Option<u32>,
    #[serde(skip_serializing_if = "str::is_empty")]
    node: Name,
}

/// Which object a row is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Object {
    Cluster,
    Node(Name),
    Guest(u32),
    /// As HA names it: `node/pve1`, `guest/101`.
    Ha(String),
}

impl Object {
    fn key(&self, cluster: &str) -> String {
        // Ids of clusters have no spaces.
        let cluster = cluster.replace(' ', "_");
        match self {
            Self::Cluster => format!("{cluster} cluster"),
            Self::Node(name) => format!("{cluster} node/{name}"),
            Self::Guest(vmid) => format!("{cluster} guest/{vmid}"),
            Self::Ha(subject) => format!("{cluster} ha:{subject}"),
        }
    }

    fn of_key(key: &str) -> Option<(ClusterId, Self)> {
        let (cluster, object) = key.split_once(' ')?;
        let object = if object == "cluster" {
            Self::Cluster
        } else if let Some(subject) = object.strip_prefix("ha:") {
            Self::Ha(subject.to_owned())
        } else {
            match object.split_once('/')? {
                ("node", name) => Self::Node(name.into()),
                ("guest", vmid) => Self::Guest(vmid.parse().ok()?),
                _ => return None,
            }
        };
        Some((cluster.into(), object))
    }
}

impl Last {
    /// Goes on with what was so when a coordinator looked last.
    pub(crate) fn load(&mut self, rows: Vec<StateRow>) {
        for row in rows {
            let kept = match serde_json::from_slice::<Kept>(&row.body) {
                Ok(kept) => kept,
                // It is as if it was seen for the first time.
                Err(error) => {
                    warn!(key = row.key, %error, "what was so last is unreadable in the store");
                    continue;
                }
            };
            if row.key == LOOKED {
                self.away_since = kept.at;
                continue;
            }
            if let Some((cluster, object)) = Object::of_key(&row.key) {
                self.restore(cluster, object, kept);
            }
        }
        self.is_known = !self.nodes.is_empty();
    }

    /// Which guest of a VMID was seen last, from one.
    pub(crate) fn generation(&self, cluster: &ClusterId, vmid: u32) -> u32 {
        let guest = self.guests.get(&(ClusterId::clone(cluster), vmid));
        guest.map_or(1, |guest| guest.generation)
    }

    fn restore(&mut self, cluster: ClusterId, object: Object, kept: Kept) {
        let of_store = (ClusterId::clone(&cluster), object.clone());
        self.restored.insert(of_store);
        match object {
            Object::Cluster => {
                if let Some(quorate) = kept.quorate {
                    self.quorate.insert(cluster, quorate);
                }
            }
            Object::Node(name) => {
                let node = LastNode {
                    status: match &*kept.status {
                        "online" => NodeStatus::Online,
                        "offline" => NodeStatus::Offline,
                        _ => NodeStatus::Unknown,
                    },
                    // A coordinator that starts hears nobody at first.
                    is_connected: None,
                    boot_id: kept.boot_id,
                };
                self.nodes.insert((cluster, name), node);
            }
            Object::Guest(vmid) => {
                let guest = LastGuest {
                    generation: kept.generation.unwrap_or(1),
                    status: match &*kept.status {
                        "running" => GuestStatus::Running,
                        "stopped" => GuestStatus::Stopped,
                        "unknown" | "" => GuestStatus::Unknown,
                        word => GuestStatus::Other(word.into()),
                    },
                    node: kept.node,
                };
                self.guests.insert((cluster, vmid), guest);
            }
            Object::Ha(subject) => {
                self.ha.insert((cluster, subject), kept.status);
            }
        }
    }

    /// What the store is to get of an object; none = it is forgotten.
    fn kept(&self, cluster: &ClusterId, object: &Object) -> Option<Kept> {
        let cluster = ClusterId::clone(cluster);
        match object {
            Object::Cluster => {
                let quorate = Some(*self.quorate.get(&cluster)?);
                Some(Kept {
                    quorate,
                    ..Kept::default()
                })
            }
            Object::Node(name) => {
                let node = self.nodes.get(&(cluster, Name::clone(name)))?;
                Some(Kept {
                    status: word::node_status(node.status).to_owned(),
                    boot_id: node.boot_id.clone(),
                    ..Kept::default()
                })
            }
            Object::Guest(vmid) => {
                let guest = self.guests.get(&(cluster, *vmid))?;
                Some(Kept {
                    status: word::guest_status(&guest.status),
                    generation: Some(guest.generation),
                    node: Name::clone(&guest.node),
                    ..Kept::default()
                })
            }
            Object::Ha(subject) => {
                let status = self.ha.get(&(cluster, subject.clone()))?.clone();
                Some(Kept {
                    status,
                    ..Kept::default()
                })
            }
        }
    }

    /// What became otherwise since it was taken the last time, for the store.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        let changed = std::mem::take(&mut self.changed);
        let change = |(cluster, object): (ClusterId, Object)| {
            let key = object.key(&cluster);
            match self.kept(&cluster, &object) {
                Some(kept) => put(key, &kept),
                None => Change::DropState(StateKind::Last, key),
            }
        };
        changed.into_iter().map(change).collect()
    }

    /// Until when all that became otherwise was seen, for the store.
    pub(crate) fn looked(&self) -> Option<Change> {
        let kept = Kept {
            at: Some(self.looked?),
            ..Kept::default()
        };
        Some(put(LOOKED.to_owned(), &kept))
    }

    /// How long nobody looked before this time, if that was long.
    pub(super) fn gap(&self, now: Timestamp) -> Option<String> {
        let gap = now.duration_since(self.away_since?);
        (gap > GAP).then(|| figure::duration(gap.unsigned_abs()))
    }
}

fn put(key: String, kept: &Kept) -> Change {
    Change::PutState(StateRow {
        kind: StateKind::Last,
        key,
        // Names and numbers always serialise.
        body: serde_json::to_vec(kept).unwrap_or_default(),
    })
}
