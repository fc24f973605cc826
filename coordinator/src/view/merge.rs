//! Building a view from the newest samples.
//!
//! Per cluster: who may speak for it, which nodes there are, then guests and
//! storages joined to the nodes by index. Lists come sorted,
//! so joining is a walk or a binary search, never a scan per object.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1 as wire;

use super::{Cluster, ClusterId, ClusterIndex, Dated, Name, NodeIndex, View};
use crate::live::{
    ClusterLive, Live,
    agent::Agent,
    broadcast::Broadcast,
    facts::{Held, KnownConfigs, StorageEntries},
};

mod authority;
mod copies;
mod figures;
mod guest;
mod measured;
mod node;
mod storage;
#[cfg(test)]
mod tests;

use authority::Words;

/// The word of an agent counts this long, and so does a node's own figure.
const FRESH: SignedDuration = SignedDuration::from_mins(2);
/// pmxcfs forgets a broadcast, and PVE a storage, after this time.
const BROADCAST_FRESH: SignedDuration = SignedDuration::from_mins(5);
/// How much newer than the view a fact may be.
const SKEW: SignedDuration = SignedDuration::from_secs(5);

/// The view of all newest samples, as of `at`.
#[must_use]
pub fn build(live: &Live, at: Timestamp) -> View {
    let mut view = View {
        at,
        ..View::default()
    };
    view.guests
        .reserve(live.clusters().values().map(ClusterLive::guests).sum());
    for (id, cluster) in live.clusters() {
        // More clusters, nodes or guests than 32 bits count do not fit in memory.
        let index = ClusterIndex(length(view.clusters.len()));
        let scene = Scene::new(cluster, index, length(view.nodes.len()), at);
        scene.add(id, &mut view);
    }
    view
}

/// One cluster while it is being merged.
struct Scene<'a> {
    live: &'a ClusterLive,
    cluster: ClusterIndex,
    at: Timestamp,
    words: Words<'a>,
    /// Sorted; the position plus `first_node` is the index in the view.
    names: Vec<Name>,
    first_node: u32,
    /// By position in `names`.
    nodes: Vec<Member<'a>>,
    corosync: Option<Dated<Arc<wire::CorosyncConfig>>>,
    guest_list: Option<Dated<Arc<wire::GuestList>>>,
    guest_list_counts: bool,
    guest_configs: Option<Dated<Arc<KnownConfigs>>>,
    storages: Option<Dated<Arc<StorageEntries>>>,
}

/// One node while its cluster is being merged.
struct Member<'a> {
    agent: Option<&'a Agent>,
    /// Some member's list or a broadcast names it.
    announced: bool,
    broadcast: Option<(&'a Broadcast<wire::BroadcastNode>, Timestamp)>,
    pve_status: Option<Dated<&'a Held<wire::PveStatus>>>,
    runtimes: Option<Dated<&'a Held<wire::GuestRuntimes>>>,
}

impl<'a> Scene<'a> {
    fn new(live: &'a ClusterLive, cluster: ClusterIndex, first_node: u32, at: Timestamp) -> Self {
        let words = Words::new(&live.agents, at);
        let corosync = words.best(|agent| agent.facts.corosync.as_ref());
        let (guest_list_counts, guest_list) = words
            .ranked_best(|agent| agent.facts.guest_list.as_ref())
            .map_or((false, None), |(counts, list)| (counts, Some(list)));
        let mut names: BTreeMap<&str, Member<'a>> = live
            .agents
            .iter()
            .map(|(name, agent)| (&**name, Member::new(Some(agent), at)))
            .collect();
        for name in words.announced() {
            names
                .entry(name)
                .or_insert_with(|| Member::new(None, at))
                .announced = true;
        }
        if words.is_silent() {
            for name in live.broadcasts.nodes.keys() {
                names
                    .entry(name)
                    .or_insert_with(|| Member::new(None, at))
                    .announced = true;
            }
        }
        // A member that is down since before the agents came, and the directory
        // of a removed node that still holds guests.
        let mut named = BTreeSet::new();
        if let Some(corosync) = &corosync {
            named.extend(corosync.value.nodes.iter().map(|node| node.name.as_str()));
        }
        if let Some(list) = &guest_list {
            named.extend(list.value.guests.iter().map(|guest| guest.node.as_str()));
        }
        named.retain(|name| !name.is_empty() && !names.contains_key(name));
        // Nobody lists it, its agent is gone: it was removed or renamed.
        let is_left = |name: &str, member: &Member<'_>| {
            words.anyone_counts()
                && !member.announced
                && member.agent.is_some_and(|agent| {
                    let heard = agent.last_update_at.unwrap_or(agent.known_since);
                    !agent.connected && at.duration_since(heard) > FRESH
                })
                && corosync.as_ref().is_none_or(|corosync| {
                    corosync.value.nodes.iter().all(|node| node.name != name)
                })
        };
        let mut nodes: Vec<(Name, Member<'a>)> = names
            .into_iter()
            .filter(|(name, member)| !is_left(name, member))
            .map(|(name, member)| {
                let known = live.agents.get_key_value(name);
                let name = known.map_or_else(|| name.into(), |(name, _)| Name::clone(name));
                (name, member)
            })
            .chain(
                named
                    .into_iter()
                    .map(|name| (name.into(), Member::new(None, at))),
            )
            .collect();
        nodes.sort_by(|a, b| a.0.cmp(&b.0));
        for (name, member) in &mut nodes {
            member.broadcast = live
                .broadcasts
                .nodes
                .get(name)
                .and_then(|broadcast| Some((broadcast, heard(broadcast, member.agent, at)?)));
        }
        let (names, nodes) = nodes.into_iter().unzip();
        Self {
            guest_configs: words.best(|agent| agent.facts.guest_configs.as_ref()),
            storages: words.best(|agent| agent.facts.storages.as_ref()),
            live,
            cluster,
            at,
            words,
            names,
            first_node,
            nodes,
            corosync,
            guest_list,
            guest_list_counts,
        }
    }

    fn add(&self, id: &ClusterId, view: &mut View) {
        let (guests, storages) = (view.guests.len(), view.storages.len());
        view.nodes.extend(self.view_nodes());
        self.add_guests(view);
        view.storages.extend(self.view_storages());
        view.clusters.push(Cluster {
            id: ClusterId::clone(id),
            name: self.cluster_name(id),
            standalone: self.corosync.is_none() && !self.words.name_a_cluster(),
            memberships: self.memberships(),
            guest_list_at: self.guest_list.as_ref().map(|list| list.at),
            guest_list_counts: self.guest_list_counts,
            storage_config_at: self.storages.as_ref().map(|storages| storages.at),
            guest_configs_at: self.guest_configs.as_ref().map(|configs| configs.at),
            nodes: self.first_node..length(view.nodes.len()),
            guests: length(guests)..length(view.guests.len()),
            storages: length(storages)..length(view.storages.len()),
            subscribed: self.subscribed(),
            shared_files: self.shared_files(),
            corosync: self.corosync.clone(),
        });
    }

    fn cluster_name(&self, id: &str) -> Name {
        let configured = self
            .corosync
            .as_ref()
            .map(|corosync| corosync.value.cluster_name.as_str());
        let named = configured.or_else(|| self.words.cluster_name());
        match (named.filter(|name| !name.is_empty()), self.names.as_slice()) {
            (Some(name), _) => name.into(),
            (None, [only]) => Name::clone(only),
            (None, _) => id.get(..12).unwrap_or(id).into(),
        }
    }

    /// Nodes announce the level of their subscription; nothing means none.
    fn subscribed(&self) -> Option<bool> {
        let mut heard = self
            .nodes
            .iter()
            .filter_map(|node| node.broadcast)
            .peekable();
        heard.peek()?;
        Some(heard.any(|(node, _)| !node.value.subscription_level.is_empty()))
    }

    fn index(&self, position: usize) -> NodeIndex {
        NodeIndex(self.first_node + length(position))
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.names
            .binary_search_by(|known| (**known).cmp(name))
            .ok()
    }

    fn is_recent(&self, at: Timestamp, age: SignedDuration) -> bool {
        self.at.duration_since(at) <= age
    }
}

impl<'a> Member<'a> {
    fn new(agent: Option<&'a Agent>, at: Timestamp) -> Self {
        Self {
            agent,
            announced: false,
            broadcast: None,
            pve_status: agent.and_then(|agent| held(agent, agent.facts.pve_status.as_ref(), at)),
            runtimes: agent.and_then(|agent| held(agent, agent.facts.guest_runtimes.as_ref(), at)),
        }
    }
}

/// What the agent holds, unless it is from after the view.
fn held<'a, T>(
    agent: &Agent,
    held: Option<&'a Held<T>>,
    at: Timestamp,
) -> Option<Dated<&'a Held<T>>> {
    let held = held?;
    let observed = held.at(&agent.clock);
    is_before(observed, at).then_some(Dated {
        value: held,
        at: observed,
    })
}

/// When a broadcast was computed, by the coordinator's clock as far as the
/// clock of its node is known; absent when that is after the view.
fn heard<T>(broadcast: &Broadcast<T>, node: Option<&Agent>, at: Timestamp) -> Option<Timestamp> {
    let computed = match node {
        Some(agent) => agent.clock.correct(broadcast.computed, broadcast.received),
        None => broadcast.computed.min(broadcast.received),
    };
    is_before(computed, at).then_some(computed)
}

fn is_before(observed: Timestamp, at: Timestamp) -> bool {
    observed.duration_since(at) <= SKEW
}

/// Indices are 32 bits wide; see `build`.
fn length(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
