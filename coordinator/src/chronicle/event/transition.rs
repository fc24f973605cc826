//! What changed between two views.
//!
//! The first view tells nothing: what it shows may have been so for long.

use std::collections::HashMap;

use super::{Dated, Event, EventKind, Level, text};
use crate::view::{ClusterId, Guest, GuestStatus, Name, Node, NodeStatus, View};

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
        self.clusters(view, &mut told);
        for node in &view.nodes {
            self.node(view, node, &mut told);
        }
        for guest in &view.guests {
            self.guest(view, guest, &mut told);
        }
        self.forget(view);
        if !self.is_known {
            self.is_known = !view.nodes.is_empty();
            told.clear();
        }
        told
    }

    fn clusters(&mut self, view: &View, told: &mut Vec<Told>) {
        for cluster in &view.clusters {
            let mut words = cluster.memberships.iter().filter_map(|one| one.quorate);
            let Some(first) = words.next() else { continue };
            let quorate = first || words.any(|quorate| quorate);
            let before = self.quorate.insert(ClusterId::clone(&cluster.id), quorate);
            if before.is_some_and(|before| before != quorate) {
                let (level, said) = match quorate {
                    true => (Level::Info, "the cluster has quorum again"),
                    false => (Level::Error, "the cluster lost its quorum"),
                };
                let event = event(EventKind::Quorum, level, "", said.to_owned());
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
        let Some(last) = self.nodes.get_mut(&key) else {
            self.nodes.insert(key, now);
            return;
        };
        let subject = format!("node/{}", node.name);
        let mut tell = |kind, level, said: &str| {
            let event = event(kind, level, &node.name, said.to_owned());
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
            if before.as_deref().is_none_or(|before| before == now) {
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
                format!("HA: {subject} {said}"),
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
        let Some(last) = self.guests.get_mut(&key) else {
            self.guests.insert(key, now);
            return;
        };
        if last.generation != now.generation {
            *last = now;
            return;
        }
        let mut tell = |level, said: String| {
            let event = event(EventKind::Guest, level, node, said);
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

    /// What is in no view any more would only be remembered for ever.
    fn forget(&mut self, view: &View) {
        if self.guests.len() > view.guests.len().saturating_mul(2) {
            self.guests.retain(|(cluster, vmid), _| {
                let cluster = view.find_cluster(cluster);
                cluster.is_some_and(|cluster| view.find_guest(cluster, *vmid).is_some())
            });
        }
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
