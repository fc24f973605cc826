//! The newest samples of every agent, and the series derived from them.
//!
//! Everything is in memory: after a restart the agents' spools fill it again.
//! An update comes from a node that may be hostile, so every list and text in
//! it has a bound, and nothing in it can displace what another agent said.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{Cursor, DescribeResponse, NodeUpdate};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    history::History,
    view::{ClusterId, GuestIndex, Name, View},
};

pub(crate) mod agent;
pub(crate) mod broadcast;
pub(crate) mod clock;
pub(crate) mod digest;
pub(crate) mod facts;
#[cfg(test)]
pub(crate) mod fixture;
mod generations;
mod ingest;
pub(crate) mod keys;
mod limit;
pub(crate) mod series;
mod stream;
#[cfg(test)]
mod tests;

use agent::Agent;
use broadcast::Broadcasts;
use facts::Stamp;
use generations::Generations;
use ingest::{Configs, Shared};
use keys::{Keys, Recorder};
use stream::Place;

/// Seconds between two rounds of forgetting.
const SWEEP_SECONDS: i64 = 60;

/// Begins the id of what stands for the cluster of a machine that is in none.
pub(crate) const NO_CLUSTER: &str = "host:";

/// Keeps what agents delivered.
#[derive(Debug, Default)]
pub struct Store {
    clusters: BTreeMap<ClusterId, ClusterStore>,
    recorder: Recorder,
    /// Addresses at which no agent ever answered, and why.
    unreached: BTreeMap<String, String>,
    /// What is wrong with who an agent says it is that has delivered nothing yet,
    /// by cluster and node.
    strangers: BTreeMap<(ClusterId, Name), (Name, Timestamp)>,
    swept_at: Timestamp,
}

/// What the agents of one cluster delivered.
#[derive(Debug, Default)]
pub(crate) struct ClusterStore {
    pub(crate) agents: BTreeMap<Name, Agent>,
    pub(crate) broadcasts: Broadcasts,
    pub(crate) keys: Keys,
    configs: Configs,
    generations: Generations,
}

/// An agent as the store knows it. Sorted by cluster, then node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentRecord {
    /// As `View` names it; empty for an address where none ever answered.
    pub cluster: String,
    pub node: String,
    pub version: String,
    pub is_pve_node: bool,
    /// Socket or address it is reached at.
    pub address: String,
    pub connected: bool,
    pub last_update_at: Option<Timestamp>,
    /// Positive when the node's clock is ahead.
    pub clock_offset_seconds: Option<f64>,
    pub updates_total: u64,
    pub skipped_updates_total: u64,
    /// Why the last connection ended; empty while connected.
    pub last_error: String,
    /// Newest entry of its record of guest commands. The store does not know it.
    pub audit_sequence: Option<u64>,
    /// What does not fit in that record; empty = nothing.
    pub audit_problem: String,
    pub transport: Transport,
    /// End of the certificate of its link.
    pub certificate_expires_at: Option<Timestamp>,
    /// What was kept of its stream, the present epoch first.
    pub kept_updates: Vec<KeptUpdates>,
    /// Updates that came again after they had been kept.
    pub repeated_updates_total: u64,
    /// Time that its updates had to wait, since they were more than a node may send.
    pub throttled_seconds_total: f64,
    /// What is wrong with who it says it is; empty = nothing.
    pub identity_problem: String,
}

/// How an agent is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A socket on the coordinator's own host.
    #[default]
    Local,
    /// It dialled in and shows a certificate.
    Link,
}

/// Sequence numbers that were kept of one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeptUpdates {
    pub epoch: String,
    /// Sorted, without overlap; both ends included.
    pub ranges: Vec<(u64, u64)>,
    /// Oldest ranges that are not remembered, since there were too many. Numbers
    /// up to the end of the last of them count as kept.
    pub given_up_ranges_total: u64,
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    Accepted,
    /// Nothing in it was new: its sequence number was already kept.
    Duplicate,
}

impl Store {
    /// Keeps an update of the agent that described itself so.
    pub fn append(
        &mut self,
        agent: &DescribeResponse,
        update: NodeUpdate,
        received_at: Timestamp,
    ) -> Appended {
        self.sweep(received_at);
        let Some((cluster, node)) = self.admit(agent, received_at) else {
            return Appended::Duplicate;
        };
        let Self {
            clusters, recorder, ..
        } = self;
        // `admit` has just made both.
        let Some(cluster) = clusters.get_mut(&cluster) else {
            return Appended::Duplicate;
        };
        cluster.append(&node, update, received_at, recorder)
    }

    /// An agent answered at `address`. Returns under which names it is known, unless
    /// there are too many agents.
    pub fn connected(
        &mut self,
        agent: &DescribeResponse,
        address: &str,
        at: Timestamp,
    ) -> Option<(ClusterId, Name)> {
        self.unreached.remove(address);
        // A node that was renamed or joined a cluster is another agent there.
        self.lose(address, "another agent answers at its address");
        self.forget_moved(agent, address);
        let (cluster, node) = self.admit(agent, at)?;
        let known = self.clusters.get_mut(&cluster)?.agents.get_mut(&node)?;
        let address = limit::cut(address, limit::DETAIL);
        known.reach(address);
        known.refused(agent, at);
        known.stream.reached(&agent.epoch, address);
        Some((cluster, node))
    }

    /// By what way a connected agent is reached, and until when its certificate is good.
    pub fn reached(
        &mut self,
        (cluster, node): &(ClusterId, Name),
        transport: Transport,
        certificate_expires_at: Option<Timestamp>,
    ) {
        let cluster = self.clusters.get_mut(cluster);
        if let Some(agent) = cluster.and_then(|cluster| cluster.agents.get_mut(node)) {
            agent.transport = transport;
            agent.certificate_expires_at = certificate_expires_at;
        }
    }

    /// The agents that belong here, all of them: one that was never heard is missed, and
    /// one that does not belong here any more is forgotten.
    pub fn enrolled(&mut self, nodes: &BTreeSet<(ClusterId, Name)>, at: Timestamp) {
        for (id, cluster) in &mut self.clusters {
            cluster.agents.retain(|name, agent| {
                !agent.is_enrolled || nodes.contains(&(ClusterId::clone(id), Name::clone(name)))
            });
        }
        self.clusters
            .retain(|_, cluster| !cluster.agents.is_empty());
        for (cluster, node) in nodes {
            let described = DescribeResponse {
                node_name: node.to_string(),
                cluster_id: cluster.to_string(),
                ..DescribeResponse::default()
            };
            if let Some(agent) = self.agent_mut(&described, at) {
                agent.is_enrolled = true;
            }
        }
    }

    /// What the link of an agent found wrong with who it says it is; `None` =
    /// nothing any more. The agent may not be known yet.
    pub fn identity_problem(
        &mut self,
        cluster: &str,
        node: &str,
        problem: Option<String>,
        at: Timestamp,
    ) {
        let cluster = limit::cut(cluster, limit::NAME);
        let node = limit::cut(node, limit::NAME);
        let problem = problem.filter(|problem| !problem.is_empty());
        let problem = problem.map(|problem| (limit::cut(&problem, limit::DETAIL).into(), at));
        let known = self
            .clusters
            .get_mut(cluster)
            .and_then(|cluster| cluster.agents.get_mut(node));
        if let Some(agent) = known {
            agent.identity_problem = problem;
            return;
        }
        let key = (cluster.into(), node.into());
        match problem {
            None => {
                self.strangers.remove(&key);
            }
            Some(problem) => {
                if self.strangers.len() < limit::ADDRESSES || self.strangers.contains_key(&key) {
                    self.strangers.insert(key, problem);
                }
            }
        }
    }

    /// Updates of an agent had to wait so long, since they were more than a node may
    /// send.
    pub fn throttled(&mut self, agent: &DescribeResponse, time: Duration, at: Timestamp) {
        if let Some(known) = self.agent_mut(agent, at) {
            known.throttled = known.throttled.saturating_add(time);
        }
    }

    /// The connection to the agent at `address` ended or could not be made.
    pub fn disconnected(&mut self, address: &str, reason: &str) {
        let reason = limit::cut(reason, limit::DETAIL);
        let address = limit::cut(address, limit::DETAIL);
        if !self.lose(address, reason)
            && (self.unreached.len() < limit::ADDRESSES || self.unreached.contains_key(address))
        {
            self.unreached.insert(address.to_owned(), reason.to_owned());
        }
    }

    /// The link of an agent at `address` ended, or one that `node` tried to begin was
    /// turned away. Others call, too, from addresses that never come back: what became
    /// of those is only counted.
    pub fn disconnected_link(
        &mut self,
        address: &str,
        node: Option<&(ClusterId, Name)>,
        reason: &str,
    ) {
        let reason = limit::cut(reason, limit::DETAIL);
        if self.lose(address, reason) {
            return;
        }
        let turned_away = node.and_then(|(cluster, node)| {
            let cluster = self.clusters.get_mut(cluster)?;
            cluster.agents.get_mut(node)
        });
        if let Some(agent) = turned_away.filter(|agent| !agent.connected) {
            agent.last_error = reason.into();
        }
    }

    /// Agents at the address are not connected there; whether there were any.
    fn lose(&mut self, address: &str, reason: &str) -> bool {
        let mut known = false;
        let agents = self.clusters.values_mut();
        for agent in agents.flat_map(|cluster| cluster.agents.values_mut()) {
            known |= agent.lose(address, reason);
        }
        known
    }

    /// Whoever is at the address, or has the same stream, under another name or in
    /// another cluster is that machine before it was renamed or joined: no machine
    /// of its own any more. One that is connected is one all the same.
    fn forget_moved(&mut self, described: &DescribeResponse, address: &str) {
        let (cluster, node) = self.identity(described);
        let is_new = self
            .clusters
            .get(&cluster)
            .is_none_or(|known| !known.agents.contains_key(&node));
        self.clusters.retain(|id, known| {
            let stands_alone = known.stands_alone();
            known.agents.retain(|name, agent| {
                if (id, name) == (&cluster, &node) || agent.connected {
                    return true;
                }
                let has_moved = if id.starts_with(NO_CLUSTER) {
                    agent.address == address
                } else {
                    stands_alone
                        && is_new
                        && (*name == node || *id == cluster)
                        && is_same_host(&agent.address, address)
                };
                !has_moved && !agent.stream.is_present(&described.epoch)
            });
            !known.agents.is_empty()
        });
    }

    /// A heartbeat: `sent_at` by the node's clock.
    pub fn heartbeat(
        &mut self,
        agent: &DescribeResponse,
        sent_at: Timestamp,
        received_at: Timestamp,
    ) {
        if let Some(known) = self.agent_mut(agent, received_at) {
            known.clock.heartbeat(sent_at, received_at);
        }
    }

    /// Says of the guests of a new view whether they are those that had their VMIDs
    /// before.
    pub fn tell_guests_apart(&mut self, view: &mut View) {
        let View {
            at,
            clusters,
            guests,
            ..
        } = view;
        for cluster in clusters {
            let Some(store) = self.clusters.get_mut(&cluster.id) else {
                continue;
            };
            let first = GuestIndex(cluster.guests.start).get();
            let end = GuestIndex(cluster.guests.end).get();
            let Some(guests) = guests.get_mut(first..end) else {
                continue;
            };
            let list_at = cluster.guest_list_at.filter(|_| cluster.guest_list_counts);
            store
                .generations
                .observe(guests, list_at, *at, &mut store.keys);
        }
    }

    /// Where to resume the stream of an agent.
    #[must_use]
    pub fn cursor(&self, agent: &DescribeResponse) -> Option<Cursor> {
        let (cluster, node) = self.identity(agent);
        let known = self.clusters.get(&*cluster)?.agents.get(&*node)?;
        known.stream.cursor(&agent.epoch)
    }

    /// Sorted by cluster, then node; addresses without an agent first.
    #[must_use]
    pub fn agents(&self) -> Vec<AgentRecord> {
        let unreached = self.unreached.iter().map(|(address, reason)| AgentRecord {
            address: address.clone(),
            last_error: reason.clone(),
            ..AgentRecord::default()
        });
        let strangers = self
            .strangers
            .iter()
            .map(|((cluster, node), (problem, _))| AgentRecord {
                cluster: cluster.to_string(),
                node: node.to_string(),
                identity_problem: problem.to_string(),
                ..AgentRecord::default()
            });
        let known = self.clusters.iter().flat_map(|(cluster, store)| {
            store
                .agents
                .iter()
                .map(|(node, agent)| agent.record(cluster, node))
        });
        let mut records: Vec<AgentRecord> = unreached.chain(strangers).chain(known).collect();
        // Stable: addresses stay in order.
        records.sort_by(|a, b| (&a.cluster, &a.node).cmp(&(&b.cluster, &b.node)));
        records
    }

    #[must_use]
    pub fn history(&self) -> &History {
        &self.recorder.history
    }

    /// Sorted by id.
    pub(crate) fn clusters(&self) -> &BTreeMap<ClusterId, ClusterStore> {
        &self.clusters
    }

    fn agent_mut(&mut self, described: &DescribeResponse, at: Timestamp) -> Option<&mut Agent> {
        let (cluster, node) = self.admit(described, at)?;
        self.clusters.get_mut(&cluster)?.agents.get_mut(&node)
    }

    /// Cluster and node of an agent. Where the cluster file system is not mounted
    /// there is no cluster to read: the node stays where it was, if only one
    /// cluster has a node of that name.
    fn identity(&self, described: &DescribeResponse) -> (ClusterId, Name) {
        let node: Name = limit::cut(&described.node_name, limit::NAME).into();
        let cluster = limit::cut(&described.cluster_id, limit::NAME);
        if !cluster.is_empty() {
            return (cluster.into(), node);
        }
        let mut of_name = self.clusters.iter().filter(|(id, cluster)| {
            !id.starts_with(NO_CLUSTER) && cluster.agents.contains_key(&node)
        });
        match (of_name.next(), of_name.next()) {
            (Some((id, _)), None) => (ClusterId::clone(id), node),
            _ => (format!("{NO_CLUSTER}{node}").into(), node),
        }
    }

    /// Makes room for the agent if it is new; its identity, unless there are
    /// more agents than any site has.
    fn admit(&mut self, described: &DescribeResponse, at: Timestamp) -> Option<(ClusterId, Name)> {
        let (id, name) = self.identity(described);
        let known = self
            .clusters
            .get_mut(&id)
            .and_then(|cluster| cluster.agents.get_mut(&name));
        if let Some(agent) = known {
            agent.describe(described);
            return Some((id, name));
        }
        let count: usize = self
            .clusters
            .values()
            .map(|cluster| cluster.agents.len())
            .sum();
        if count >= limit::AGENTS {
            tracing::warn!(node = &*name, "too many agents, update refused");
            return None;
        }
        let mut agent = Agent::new(described, at);
        let key = (ClusterId::clone(&id), Name::clone(&name));
        agent.identity_problem = self.strangers.remove(&key);
        let cluster = self.clusters.entry(ClusterId::clone(&id)).or_default();
        cluster.agents.insert(Name::clone(&name), agent);
        Some((id, name))
    }

    /// Forgets, now and then, what has had no news for long.
    fn sweep(&mut self, now: Timestamp) {
        // The clock may have been set back.
        if (-SWEEP_SECONDS..SWEEP_SECONDS).contains(&(now.as_second() - self.swept_at.as_second()))
        {
            return;
        }
        self.swept_at = now;
        self.recorder.sweep(now);
        for cluster in self.clusters.values_mut() {
            cluster.broadcasts.sweep(now);
            cluster.keys.sweep(now);
            cluster.configs.sweep();
        }
    }
}

/// Whether both are of one host; the port of who dialled means nothing.
fn is_same_host(a: &str, b: &str) -> bool {
    let host = |address: &str| {
        address
            .parse::<SocketAddr>()
            .ok()
            .map(|address| address.ip())
    };
    a == b || host(a).is_some_and(|known| host(b) == Some(known))
}

impl ClusterStore {
    /// Its only member says that there is no cluster.
    fn stands_alone(&self) -> bool {
        let members = self
            .agents
            .values()
            .filter_map(|agent| agent.facts.members.as_ref());
        let mut members = members.peekable();
        members.peek().is_some() && members.all(|members| members.value.cluster.is_none())
    }

    /// About how many guests there are, for making room.
    pub(crate) fn guests(&self) -> usize {
        let lists = self
            .agents
            .values()
            .filter_map(|agent| agent.facts.guest_list.as_ref());
        lists.map(|list| list.value.guests.len()).max().unwrap_or(0)
    }

    fn append(
        &mut self,
        node: &Name,
        update: NodeUpdate,
        received: Timestamp,
        recorder: &mut Recorder,
    ) -> Appended {
        let Some(agent) = self.agents.get_mut(node) else {
            return Appended::Duplicate;
        };
        let placed = agent.stream.place(&update, received);
        let place = placed.place;
        agent.skipped_updates_total = agent.skipped_updates_total.saturating_add(placed.skipped);
        if place == Place::Kept {
            return Appended::Duplicate;
        }
        if place == Place::Next
            && let Some(newest) = stream::newest(&update)
        {
            agent.clock.measure(newest, received);
        }
        let stamp = Stamp {
            observed: received,
            received,
            epoch: placed.epoch,
            // Of repeated content: not later than this.
            sequence: update.cursor.map_or(0, |cursor| cursor.sequence),
        };
        let mut counted = place != Place::Baseline;
        let mut delivered = Vec::new();
        for sample in update.samples.into_iter().take(limit::SAMPLES) {
            let mut shared = Shared {
                node,
                keys: &mut self.keys,
                recorder,
                configs: &mut self.configs,
                broadcasts: &self.broadcasts,
            };
            let (counts, broadcast) = agent.ingest(sample, place, stamp, &mut shared);
            counted |= counts;
            delivered.extend(broadcast);
        }
        if counted {
            agent.updates_total = agent.updates_total.saturating_add(1);
            // Not the later of two: the clock here may have been set back.
            agent.last_update_at = Some(received);
        }
        for broadcast in delivered {
            let covered = |node: &str| {
                self.agents
                    .get(node)
                    .is_some_and(|agent| agent.facts.pve_status.is_some())
            };
            let series = broadcast::Series {
                covered,
                keys: &mut self.keys,
                recorder,
            };
            self.broadcasts.merge(broadcast, received, series);
        }
        if counted {
            Appended::Accepted
        } else {
            Appended::Duplicate
        }
    }
}

impl Agent {
    fn record(&self, cluster: &str, node: &str) -> AgentRecord {
        AgentRecord {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            version: self.version.to_string(),
            is_pve_node: self.is_pve_node,
            address: self.address.clone(),
            connected: self.connected,
            last_update_at: self.last_update_at,
            clock_offset_seconds: self.clock.offset().map(|offset| offset.as_secs_f64()),
            updates_total: self.updates_total,
            skipped_updates_total: self.skipped_updates_total,
            last_error: self.last_error.to_string(),
            audit_sequence: None,
            audit_problem: String::new(),
            transport: self.transport,
            certificate_expires_at: self.certificate_expires_at,
            kept_updates: self.stream.kept(),
            repeated_updates_total: self.stream.repeated(),
            throttled_seconds_total: self.throttled.as_secs_f64(),
            identity_problem: self.identity_problem(),
        }
    }
}
