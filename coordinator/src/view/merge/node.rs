//! Nodes: their agents' facts, else what others broadcast about them.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1::FailureKind;

use super::{FRESH, Member, Scene, held};
use crate::{
    live::{
        agent::Agent,
        facts::{Held, Stamp},
    },
    view::{
        AgentState, CollectorFailure, CoverageLevel, Dated, Fact, Name, Node, NodeFacts, NodeRates,
        NodeStatus, Nothing,
    },
};

impl Scene<'_> {
    /// Sorted by name. Guests are counted later.
    pub(super) fn view_nodes(&self) -> impl Iterator<Item = Node> {
        self.names
            .iter()
            .zip(&self.nodes)
            .zip(self.statuses())
            .map(|((name, member), status)| self.node(name, member, status))
    }

    fn node(&self, name: &Name, member: &Member<'_>, status: NodeStatus) -> Node {
        let (node_id, ip_address) = self.place_of(name);
        let agent = member
            .agent
            .filter(|agent| agent.last_update_at.is_some() || agent.connected || agent.is_enrolled);
        let reported = agent.is_some_and(|agent| agent.last_update_at.is_some());
        Node {
            key: self.live.keys.node(name),
            cluster: self.cluster,
            name: Name::clone(name),
            coverage: if reported {
                CoverageLevel::Full
            } else if member.announced || member.broadcast.is_some() {
                CoverageLevel::Basic
            } else {
                CoverageLevel::None
            },
            agent: agent.map(|agent| state(agent, self.at)),
            status,
            node_id,
            ip_address,
            facts: agent.map(|agent| self.facts(agent)).unwrap_or_default(),
            rates: agent.and_then(|agent| self.rates(agent)),
            broadcast: member.broadcast.map(|(broadcast, at)| Dated {
                value: broadcast.value.clone(),
                at,
            }),
            failures: agent.map(|agent| self.failures(agent)).unwrap_or_default(),
            nothing: agent.map(|agent| self.nothing(agent)).unwrap_or_default(),
            guests_running: 0,
            guests_total: 0,
        }
    }

    fn facts(&self, agent: &Agent) -> NodeFacts {
        let facts = &agent.facts;
        NodeFacts {
            cpu: self.fact(agent, facts.cpu.as_ref()),
            pressure: self.fact(agent, facts.pressure.as_ref()),
            memory: self.fact(agent, facts.memory.as_ref()),
            load: self.fact(agent, facts.load.as_ref()),
            disks: self.fact(agent, facts.disks.as_ref()),
            filesystems: self.fact(agent, facts.filesystems.as_ref()),
            network: self.fact(agent, facts.network.as_ref()),
            interfaces: self.fact(agent, facts.interface_states.as_ref()),
            sensors: self.fact(agent, facts.sensors.as_ref()),
            host: self.fact(agent, facts.host.as_ref()),
            pve_status: self.fact(agent, facts.pve_status.as_ref()),
            members: self.fact(agent, facts.members.as_ref()),
            config_versions: self.fact(agent, facts.config_versions.as_ref()),
            corosync_state: self.fact(agent, facts.corosync_state.as_ref()),
            access_config: self.fact(agent, facts.access_config.as_ref()),
            ha_config: self.fact(agent, facts.ha_config.as_ref()),
            ha_state: self.fact(agent, facts.ha_state.as_ref()),
            units: self.fact(agent, facts.units.as_ref()),
            network_mounts: self.fact(agent, facts.network_mounts.as_ref()),
            lvm: self.fact(agent, facts.lvm.as_ref()),
        }
    }

    fn fact<T>(&self, agent: &Agent, slot: Option<&Held<T>>) -> Fact<T> {
        let held = held(agent, slot, self.at)?;
        Some(Dated {
            value: Arc::clone(&held.value.value),
            at: held.at,
        })
    }

    /// Sorted by collector and path.
    fn failures(&self, agent: &Agent) -> Vec<CollectorFailure> {
        let doubled = agent.doubled_at(self.at).map(|doubled| CollectorFailure {
            collector: "agent".into(),
            path: String::new(),
            kind: FailureKind::Unspecified,
            detail: doubled.to_string(),
            at: doubled.at,
        });
        let mut failures: Vec<_> = agent.failures().cloned().chain(doubled).collect();
        failures.sort_by(|a, b| (&a.collector, &a.path).cmp(&(&b.collector, &b.path)));
        failures
    }

    /// Sorted by collector.
    fn nothing(&self, agent: &Agent) -> Vec<Nothing> {
        agent
            .nothing()
            .filter(|nothing| super::is_before(nothing.at, self.at))
            .collect()
    }

    /// The parts come from different collectors: one that stopped is left out
    /// rather than dated like the others.
    fn rates(&self, agent: &Agent) -> Option<Dated<Arc<NodeRates>>> {
        let rates = &agent.rates;
        let times = [
            self.time(agent, rates.cpu.as_ref()),
            self.time(agent, rates.pressure.as_ref()),
            self.time(agent, rates.paging.as_ref()),
            self.time(agent, rates.disks.as_ref()),
            self.time(agent, rates.interfaces.as_ref()),
        ];
        let newest = times.into_iter().flatten().max()?;
        let [cpu, pressure, paging, disks, interfaces] =
            times.map(|time| time.is_some_and(|time| newest.duration_since(time) <= FRESH));
        let cpu = part(rates.cpu.as_ref(), cpu);
        let paging = part(rates.paging.as_ref(), paging);
        let value = NodeRates {
            cpu_ratio: cpu.map(|cpu| cpu.busy),
            iowait_ratio: cpu.map(|cpu| cpu.iowait),
            steal_ratio: cpu.map(|cpu| cpu.steal),
            pressure: part(rates.pressure.as_ref(), pressure)
                .copied()
                .unwrap_or_default(),
            swapped_in_pages_per_second: paging.and_then(|p| p.swapped_in_pages_per_second),
            swapped_out_pages_per_second: paging.and_then(|p| p.swapped_out_pages_per_second),
            oom_kills: paging.and_then(|paging| paging.oom_kills),
            disks: part(rates.disks.as_ref(), disks)
                .cloned()
                .unwrap_or_default(),
            interfaces: part(rates.interfaces.as_ref(), interfaces)
                .cloned()
                .unwrap_or_default(),
        };
        Some(Dated {
            value: Arc::new(value),
            at: newest,
        })
    }

    fn time<T>(&self, agent: &Agent, part: Option<&(T, Stamp)>) -> Option<Timestamp> {
        let (_, stamp) = part?;
        let at = agent.clock.correct(stamp.observed, stamp.received);
        super::is_before(at, self.at).then_some(at)
    }
}

fn part<T>(part: Option<&(T, Stamp)>, recent: bool) -> Option<&T> {
    part.filter(|_| recent).map(|(value, _)| value)
}

fn state(agent: &Agent, at: Timestamp) -> AgentState {
    AgentState {
        version: Name::clone(&agent.version),
        connected: agent.connected,
        last_update_at: agent.last_update_at.unwrap_or(agent.known_since),
        clock_offset_seconds: agent.clock.offset().map(|offset| offset.as_secs_f64()),
        is_pve_node: agent.is_pve_node,
        last_error: Name::clone(&agent.last_error),
        doubled: agent.doubled_at(at).cloned(),
        identity_problem: agent.identity_problem.clone(),
        refused_coordinator: agent.refused_coordinator.clone(),
    }
}
