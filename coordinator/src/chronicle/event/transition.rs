//! What changed between two views.
//!
//! The first view tells nothing: what it shows may have been so for long. What was so
//! when a coordinator looked last is [kept](kept), and compared with what the next finds.

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use super::{Dated, Event, EventKind, Level, text};
use crate::view::{ClusterId, Guest, GuestStatus, Name, Node, NodeStatus, View};

mod kept;

use kept::Object;

/// Guests that are remembered: more than a site has.
const GUESTS: usize = 200_000;
/// Of these, that are gone.
const GONE: usize = 1000;
/// In this time nodes send what they kept while nobody looked.
const SETTLE: SignedDuration = SignedDuration::from_secs(60);

/// What was so the last time.
#[derive(Debug, Default)]
pub(crate) struct Last {
    is_known: bool,
    /// Whether a cluster has quorum.
    quorate: HashMap<ClusterId, bool>,
    nodes: HashMap<(ClusterId, Name), LastNode>,
    guests: HashMap<(ClusterId, u32), LastGuest>,
    /// State of nodes and services as the HA manager has it.
    ha: HashMap<(ClusterId, String), String>,
    /// What the store does not have yet.
    changed: HashSet<(ClusterId, Object)>,
    /// Known from the store, and not seen since.
    restored: HashSet<(ClusterId, Object)>,
    /// When this coordinator did, if there was anything to see.
    looked: Option<Timestamp>,
    /// When a coordinator looked last before this one.
    away_since: Option<Timestamp>,
    /// For how long nobody looked before the first view, in words.
    gap: Option<String>,
    /// When nodes have sent what they kept meanwhile, which shows first what was so.
    settled_from: Option<Timestamp>,
    is_settled: bool,
}

#[derive(Debug)]
struct LastNode {
    /// Unknown does not replace what was known.
    status: NodeStatus,
    is_connected: Option<bool>,
    boot_id: String,
}

#[derive(Debug)]
struct LastGuest {
    generation: u32,
    status: GuestStatus,
    node: Name,
}

/// A cluster's event.
pub(crate) type Told = (ClusterId, Dated);

impl Last {
    /// What happened until this view, in order of clusters and names.
    pub(crate) fn compare(&mut self, view: &View) -> Vec<Told> {
        let mut told = Vec::new();
        self.back(view, &mut told);
        self.is_settled = self.settled_from.is_none_or(|from| view.at >= from);
        self.clusters(view, &mut told);
        for node in &view.nodes {
            self.node(view, node, &mut told);
        }
        for guest in &view.guests {
            self.guest(view, guest, &mut told);
        }
        self.forget(view);
        if !view.nodes.is_empty() {
            self.looked = Some(view.at);
        }
        if !self.is_known {
            self.is_known = !view.nodes.is_empty();
            told.clear();
        }
        told
    }

    /// A gap on the line of time is told there.
    fn back(&mut self, view: &View, told: &mut Vec<Told>) {
        let Some(gap) = self.gap(view.at) else {
            return;
        };
        self.away_since = None;
        let clusters = self.nodes.keys().map(|(cluster, _)| cluster);
        let mut clusters: Vec<_> = clusters.map(ClusterId::clone).collect();
        clusters.sort();
        clusters.dedup();
        for cluster in clusters {
            let said = format!("nobody looked for {gap}: what the nodes kept is added as it comes");
            let event = event(EventKind::Agent, Level::Warning, "", said);
            told.push((cluster, dated(view, "cluster", event)));
        }
        self.gap = Some(gap);
        self.settled_from = view.at.checked_add(SETTLE).ok();
    }

    /// What is to be said beside a change of an object that is seen for the first time
    /// since nobody looked.
    fn meanwhile(&mut self, cluster: &ClusterId, object: &Object, is_other: bool) -> String {
        let object = (ClusterId::clone(cluster), object.clone());
        let is_restored = self.restored.contains(&object);
        if is_other || self.is_settled {
            self.restored.remove(&object);
        }
        match self.gap.as_ref().filter(|_| is_restored && is_other) {
            Some(gap) => format!(" (may be older: nobody looked for {gap})"),
            None => String::new(),
        }
    }

    fn clusters(&mut self, view: &View, told: &mut Vec<Told>) {
        for cluster in &view.clusters {
            let mut words = cluster.memberships.iter().filter_map(|one| one.quorate);
            let Some(first) = words.next() else { continue };
            let quorate = first || words.any(|quorate| quorate);
            let before = self.quorate.insert(ClusterId::clone(&cluster.id), quorate);
            let is_other = before != Some(quorate);
            let meanwhile = self.meanwhile(&cluster.id, &Object::Cluster, is_other);
            if is_other {
                self.change(&cluster.id, Object::Cluster);
            }
            if before.is_some_and(|before| before != quorate) {
                let (level, said) = match quorate {
                    true => (Level::Info, "the cluster has quorum again"),
                    false => (Level::Error, "the cluster lost its quorum"),
                };
                let said = format!("{said}{meanwhile}");
                let event = event(EventKind::Quorum, level, "", said);
                told.push((ClusterId::clone(&cluster.id), dated(view, "cluster", event)));
            }
        }
    }

    fn node(&mut self, view: &View, node: &Node, told: &mut Vec<Told>) {
        let cluster = &view.cluster(node.cluster).id;
        let host = node.facts.host.as_ref();
        let boot_id = host.map_or_else(String::new, |host| host.value.boot_id.clone());
        let now = LastNode {
            status: node.status,
            is_connected: node.agent.as_ref().map(|agent| agent.connected),
            boot_id,
        };
        let key = (ClusterId::clone(cluster), Name::clone(&node.name));
        let object = Object::Node(Name::clone(&node.name));
        let Some(before) = self.nodes.get(&key) else {
            self.nodes.insert(key, now);
            self.change(cluster, object);
            return;
        };
        let is_other = (before.status, &before.boot_id) != (now.status, &now.boot_id);
        let meanwhile = match now.status {
            NodeStatus::Unknown => String::new(),
            _ => self.meanwhile(cluster, &object, is_other),
        };
        if is_other {
            self.change(cluster, object);
        }
        let Some(last) = self.nodes.get_mut(&key) else {
            return;
        };
        let subject = format!("node/{}", node.name);
        let mut tell = |kind, level, said: &str| {
            let event = event(kind, level, &node.name, format!("{said}{meanwhile}"));
            told.push((ClusterId::clone(cluster), dated(view, &subject, event)));
        };
        match (last.status, now.status) {
            (NodeStatus::Online, NodeStatus::Offline) => {
                tell(EventKind::Node, Level::Error, "the node went offline");
            }
            (NodeStatus::Offline, NodeStatus::Online) => {
                tell(EventKind::Node, Level::Info, "the node is online again");
            }
            _ => {}
        }
        if !last.boot_id.is_empty() && !now.boot_id.is_empty() && last.boot_id != now.boot_id {
            tell(EventKind::Node, Level::Warning, "the node was started anew");
        }
        match (last.is_connected, now.is_connected) {
            (Some(true), Some(false)) => {
                tell(
                    EventKind::Agent,
                    Level::Warning,
                    "the agent is not heard any more",
                );
            }
            (Some(false), Some(true)) => {
                tell(EventKind::Agent, Level::Info, "the agent is heard again");
            }
            _ => {}
        }
        if now.status != NodeStatus::Unknown {
            last.status = now.status;
        }
        last.is_connected = now.is_connected.or(last.is_connected);
        if !now.boot_id.is_empty() {
            last.boot_id = now.boot_id;
        }
        self.ha(view, node, cluster, told);
    }

    /// As the node's copy of the manager's word has it; the newest counts.
    fn ha(&mut self, view: &View, node: &Node, cluster: &ClusterId, told: &mut Vec<Told>) {
        let Some(state) = node.facts.ha_state.as_ref().map(|state| &state.value) else {
            return;
        };
        // One copy is enough: the master's own node, else whoever is first.
        if *state.master_node != *node.name {
            return;
        }
        let nodes = state.nodes.iter().map(|one| {
            let subject = format!("node/{}", text(&one.name));
            (subject, one.state.clone(), text(&one.name))
        });
        let services = state.services.iter().map(|one| {
            let id = one.sid.split_once(':').map_or(&*one.sid, |(_, id)| id);
            (
                format!("guest/{}", text(id)),
                one.state.clone(),
                text(&one.node),
            )
        });
        for (subject, now, at_node) in nodes.chain(services) {
            let key = (ClusterId::clone(cluster), subject.clone());
            let before = self.ha.insert(key, now.clone());
            let object = Object::Ha(subject.clone());
            let is_other = before.as_ref() != Some(&now);
            let meanwhile = self.meanwhile(cluster, &object, is_other);
            if !is_other {
                continue;
            }
            self.change(cluster, object);
            if before.is_none() {
                continue;
            }
            let (level, said) = match &*now {
                "fence" => (Level::Error, "is being fenced".to_owned()),
                "recovery" => (
                    Level::Warning,
                    "is being recovered on another node".to_owned(),
                ),
                "error" => (Level::Error, "is in error, HA leaves it alone".to_owned()),
                "gone" => (Level::Warning, "is gone".to_owned()),
                "maintenance" => (Level::Info, "is in maintenance".to_owned()),
                _ if matches!(before.as_deref(), Some("fence" | "recovery" | "error")) => {
                    (Level::Info, format!("is {} again", text(&now)))
                }
                _ => continue,
            };
            let event = event(
                EventKind::Ha,
                level,
                &at_node,
                format!("HA: {subject} {said}{meanwhile}"),
            );
            told.push((ClusterId::clone(cluster), dated(view, &subject, event)));
        }
    }

    fn guest(&mut self, view: &View, guest: &Guest, told: &mut Vec<Told>) {
        let cluster = &view.cluster(guest.cluster).id;
        let node = &view.node(guest.node).name;
        let key = (ClusterId::clone(cluster), guest.vmid);
        let now = LastGuest {
            generation: guest.generation,
            status: guest.status.clone(),
            node: Name::clone(node),
        };
        let object = Object::Guest(guest.vmid);
        let is_unknown = now.status == GuestStatus::Unknown;
        let before = self.guests.get(&key);
        let is_same = before.is_some_and(|last| last.generation == now.generation);
        if !is_same {
            if before.is_some() || self.guests.len() < GUESTS {
                self.guests.insert(key, now);
                self.restored
                    .remove(&(ClusterId::clone(cluster), object.clone()));
                self.change(cluster, object);
            }
            return;
        }
        let is_other = before.is_some_and(|last| {
            last.node != now.node || (!is_unknown && last.status != now.status)
        });
        let meanwhile = match is_unknown {
            true => String::new(),
            false => self.meanwhile(cluster, &object, is_other),
        };
        if is_other {
            self.change(cluster, object);
        }
        let Some(last) = self.guests.get_mut(&key) else {
            return;
        };
        let mut tell = |level, said: String| {
            let event = event(EventKind::Guest, level, node, format!("{said}{meanwhile}"));
            let subject = format!("guest/{}", guest.vmid);
            told.push((ClusterId::clone(cluster), dated(view, &subject, event)));
        };
        if last.node != now.node {
            tell(Level::Info, format!("moved from {} to {node}", last.node));
            last.node = now.node;
        }
        if now.status == GuestStatus::Unknown || last.status == now.status {
            return;
        }
        if last.status != GuestStatus::Unknown {
            match &now.status {
                GuestStatus::Running => tell(Level::Info, "runs".to_owned()),
                GuestStatus::Stopped => tell(Level::Info, "stopped".to_owned()),
                GuestStatus::Other(word) => {
                    let level = match &**word {
                        "io-error" | "guest-panicked" | "internal-error" => Level::Error,
                        _ => Level::Info,
                    };
                    tell(level, text(word));
                }
                GuestStatus::Unknown => {}
            }
        }
        last.status = now.status;
    }

    /// What is on no list any more would only be remembered for ever. Of some it is good
    /// to know: their VMIDs may be given again.
    fn forget(&mut self, view: &View) {
        if self.guests.len() <= view.guests.len().saturating_mul(2).saturating_add(GONE) {
            return;
        }
        // A list that does not count, or that was not heard yet, says of none that it
        // is gone.
        let is_gone = |(cluster, vmid): &(ClusterId, u32)| {
            let cluster = view.find_cluster(cluster);
            cluster.is_some_and(|index| {
                view.cluster(index).guest_list_counts && view.find_guest(index, *vmid).is_none()
            })
        };
        let gone: Vec<_> = self.guests.extract_if(|key, _| is_gone(key)).collect();
        for ((cluster, vmid), _) in gone {
            self.change(&cluster, Object::Guest(vmid));
        }
    }

    fn change(&mut self, cluster: &ClusterId, object: Object) {
        self.changed.insert((ClusterId::clone(cluster), object));
    }
}

fn dated(view: &View, subject: &str, event: Event) -> Dated {
    Dated {
        at: view.at,
        subject: subject.into(),
        key: format!("view {subject} {:?} {} {}", event.kind, view.at, event.text),
        event,
    }
}

fn event(kind: EventKind, level: Level, node: &str, text: String) -> Event {
    Event {
        kind,
        level,
        node: node.into(),
        text,
        user: String::new(),
        until: None,
        task: String::new(),
    }
}
