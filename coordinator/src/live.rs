//! The newest samples of every agent, and the series derived from them.
//!
//! Everything is in memory: after a restart the agents send it again, and the store
//! what is older.
//! An update comes from a node that may be hostile, so every list and text in
//! it has a bound, and nothing in it can displace what another agent said.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pvelens_proto::agent::v1::{Cursor, DescribeResponse, NodeUpdate};

use crate::{
    chronicle::revision::guests::KnownGuest,
    history::History,
    view::{ClusterId, GuestIndex, Name, View},
};

pub(crate) mod agent;
pub(crate) mod broadcast;
pub(crate) mod clock;
mod contact;
pub(crate) mod digest;
pub(crate) mod facts;
#[cfg(test)]
pub(crate) mod fixture;
mod generations;
mod import;
mod ingest;
mod keep;
pub(crate) mod keys;
mod limit;
mod record;
pub mod seen;
pub(crate) mod series;
mod stored;
mod stream;
#[cfg(test)]
mod tests;
mod wanted;

pub use keep::{Resume, Taken};
pub use record::{AgentRecord, KeptUpdates, Transport};

use agent::Agent;
use broadcast::Broadcasts;
use facts::Stamp;
use generations::Generations;
use ingest::{Configs, Shared};
use keys::{Keys, Recorder};
use stored::Stored;
use stream::Place;

/// Seconds between two rounds of forgetting.
const SWEEP_SECONDS: i64 = 60;

/// Begins the id of what stands for the cluster of a machine that is in none.
pub(crate) const NO_CLUSTER: &str = "host:";

/// Keeps what agents delivered.
#[derive(Debug, Default)]
pub struct Live {
    clusters: BTreeMap<ClusterId, ClusterLive>,
    recorder: Recorder,
    /// Addresses at which no agent ever answered, and why.
    unreached: BTreeMap<String, String>,
    /// What is wrong with who an agent says it is that has delivered nothing yet,
    /// by cluster and node.
    strangers: BTreeMap<(ClusterId, Name), (Name, Timestamp)>,
    /// What the store has of agents that were not heard yet, by cluster and node.
    remembered: BTreeMap<(ClusterId, Name), Stored>,
    /// The guests that the store knows of clusters that were not heard yet.
    known_guests: BTreeMap<ClusterId, Vec<KnownGuest>>,
    swept_at: Timestamp,
}

/// What the agents of one cluster delivered.
#[derive(Debug)]
pub(crate) struct ClusterLive {
    pub(crate) agents: BTreeMap<Name, Agent>,
    pub(crate) broadcasts: Broadcasts,
    pub(crate) keys: Keys,
    configs: Configs,
    generations: Generations,
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    Accepted,
    /// Nothing in it was new: its sequence number was already kept.
    Duplicate,
}

impl Live {
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

    /// Goes on with the guests that the store knows, so that a VMID which was given again
    /// while no coordinator ran is found to be another guest's.
    pub(crate) fn recognise(&mut self, guests: Vec<KnownGuest>) {
        for guest in guests {
            let of_cluster = self.known_guests.entry(ClusterId::clone(&guest.cluster));
            of_cluster.or_default().push(guest);
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
            let Some(live) = self.clusters.get_mut(&cluster.id) else {
                continue;
            };
            let first = GuestIndex(cluster.guests.start).get();
            let end = GuestIndex(cluster.guests.end).get();
            let Some(guests) = guests.get_mut(first..end) else {
                continue;
            };
            let list_at = cluster.guest_list_at.filter(|_| cluster.guest_list_counts);
            live.generations
                .observe(guests, list_at, *at, &mut live.keys);
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
        let known = self.clusters.iter().flat_map(|(cluster, live)| {
            live.agents
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
    pub(crate) fn clusters(&self) -> &BTreeMap<ClusterId, ClusterLive> {
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
        agent.stored = self.remembered.remove(&key).unwrap_or_default();
        agent.updates_total = agent.stored.total();
        let (recorder, known_guests) = (&self.recorder, &mut self.known_guests);
        let cluster = self
            .clusters
            .entry(ClusterId::clone(&id))
            .or_insert_with(|| {
                let guests = known_guests.remove(&id).unwrap_or_default();
                ClusterLive::new(ClusterId::clone(&id), recorder, guests)
            });
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

impl ClusterLive {
    fn new(id: ClusterId, recorder: &Recorder, guests: Vec<KnownGuest>) -> Self {
        let mut keys = Keys::new(id, recorder);
        Self {
            agents: BTreeMap::new(),
            broadcasts: Broadcasts::default(),
            generations: Generations::of(guests, &mut keys),
            keys,
            configs: Configs::default(),
        }
    }

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
            sequence: update.cursor.as_ref().map_or(0, |cursor| cursor.sequence),
        };
        // What is repeated or was recorded before is not recorded again.
        recorder.is_muted = place == Place::Baseline
            || !update
                .cursor
                .as_ref()
                .is_some_and(|cursor| agent.stored.record(&cursor.epoch, cursor.sequence));
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
