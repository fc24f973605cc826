//! Who is there: how agents are reached and lost, which belong here, and what is wrong
//! with who they say they are.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use jiff::Timestamp;
use pvelens_proto::agent::v1::DescribeResponse;

use super::{Live, NO_CLUSTER, limit, record::Transport};
use crate::view::{ClusterId, Name};

impl Live {
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
