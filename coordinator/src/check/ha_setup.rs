//! What high availability stands on: enough votes, and a watchdog.

use pvelens_proto::agent::v1 as wire;

use super::{
    Check, Failure, Input, Outcome, Remedy, Scope, Timing, Unknown, Verdicts, gate, ha,
    quorum::{COROSYNC, Votes},
    words,
};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Cluster, Node, NodeIndex, NodeStatus, Subject},
};

/// With fewer votes the loss of one stops everything.
const VOTES: u32 = 3;
/// Resources that evidence lists.
const RESOURCES_SHOWN: usize = 20;
const WATCHDOG_UNIT: &str = "watchdog-mux.service";

pub(super) const QUORUM_TOO_SMALL: Check = Check {
    id: "ha.quorum_too_small",
    title: "High availability with too few votes",
    category: Category::Ha,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    timing: Timing::T0 { evaluations: 1 },
    mappings: &["RESIL"],
    remediation: Remedy {
        diagnose: &["pvecm status", "ha-manager status"],
        fix: "Add a third node, or run corosync-qnetd on a machine outside the cluster and add it: pvecm qdevice setup ADDRESS.",
        impact: "When one node fails, the other loses quorum too and its watchdog restarts it: HA stops the guests that it should save.",
        risk: Risk::Low,
        way_back: "pvecm qdevice remove",
    },
    run: |input, verdicts| {
        for (index, cluster) in input.view.clusters() {
            let outcome = votes(input, cluster).unwrap_or_else(|other| other);
            verdicts.push(Subject::Cluster(index), outcome);
        }
    },
    ..Check::HEALTH
};

fn votes(input: &Input<'_>, cluster: &Cluster) -> Result<Outcome, Outcome> {
    let wanted = ha::in_use(input, cluster)?;
    let config = gate::config(input, cluster.corosync.as_ref()).map_err(Outcome::Unknown)?;
    let votes = Votes::of(&config.value);
    if votes.expected >= VOTES {
        return Ok(Outcome::Pass);
    }
    let resources: Vec<&wire::HaResource> = ha::resources(wanted.value).collect();
    let summary = format!(
        "High availability cares for {} with {}: when one node fails, the rest cannot act.",
        words::count(resources.len(), "guest"),
        words::count(usize::try_from(votes.expected).unwrap_or_default(), "vote"),
    );
    let evidence = [
        Evidence::new("votes expected", votes.expected, COROSYNC),
        Evidence::new("two_node", votes.two_node, COROSYNC),
        Evidence::new(
            "wait_for_all",
            config.value.wait_for_all.unwrap_or(votes.two_node),
            COROSYNC,
        ),
        Evidence::new("QDevice", votes.device.is_some(), COROSYNC),
    ];
    let listed = resources.iter().take(RESOURCES_SHOWN).map(|resource| {
        let sid = untrusted::name(&resource.sid);
        Evidence::new(&sid, resource.state.as_str(), "/etc/pve/ha/resources.cfg")
            .seen(&wanted.reporter.name, wanted.at)
    });
    let failure =
        Failure::new(Severity::Critical, summary).proof(evidence.into_iter().chain(listed));
    Ok(Outcome::Fail(Box::new(failure)))
}

pub(super) const WATCHDOG: Check = Check {
    id: "ha.watchdog",
    title: "The watchdog of high availability does not run",
    category: Category::Ha,
    severity: Severity::Info,
    scope: Scope::Node,
    timing: Timing::T0 { evaluations: 1 },
    mappings: &["RESIL"],
    remediation: Remedy {
        diagnose: &[
            "systemctl status watchdog-mux",
            "lsmod | grep -E 'wdt|softdog'",
        ],
        fix: "Move the HA guests away, then start the service watchdog-mux and read its log.",
        impact: "Without it a node that lost its lock is not restarted: a guest may run twice.",
        risk: Risk::High,
        way_back: "",
    },
    run: watchdog,
    ..Check::HEALTH
};

/// Who else holds the device is not collected, and that the software watchdog is
/// the only one is advice, not a fault.
fn watchdog(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (_, cluster) in input.view.clusters() {
        let used = ha::in_use(input, cluster).map(|_| ());
        for (index, node) in input.view.nodes_of(cluster) {
            let outcome = match &used {
                _ if !gate::is_pve(node) => Outcome::NotApplicable(gate::NOT_PVE),
                // Whatever is asked for, a node that is silent is not known.
                _ if node.agent.is_some() && gate::agent(input, node).is_err() => Outcome::Unknown(
                    gate::agent(input, node)
                        .err()
                        .unwrap_or(Unknown::NotReported),
                ),
                Ok(()) => multiplexer(input, index, node),
                Err(outcome) => outcome.clone(),
            };
            verdicts.push(Subject::Node(index), outcome);
        }
    }
}

fn multiplexer(input: &Input<'_>, index: NodeIndex, node: &Node) -> Outcome {
    if node.status == NodeStatus::Offline {
        return Outcome::NotApplicable(ha::OFFLINE);
    }
    let units = match gate::node_fact(input, node, node.facts.units.as_ref(), "units") {
        Ok(units) => units,
        Err(why) => return Outcome::Unknown(why),
    };
    let mut all = units.value.units.iter();
    let Some(unit) = all.find(|unit| unit.name == WATCHDOG_UNIT) else {
        return Outcome::Unknown(Unknown::NotReported);
    };
    match unit.active_state.as_str() {
        "active" => return Outcome::Pass,
        "activating" | "reloading" => return Outcome::Unknown(Unknown::Coverage),
        _ => {}
    }
    let summary = format!(
        "{WATCHDOG_UNIT} does not run on {} ({}): nothing would restart the node when it loses its lock.",
        words::node(input.view, index),
        untrusted::name(&unit.active_state),
    );
    let seen = |evidence: Evidence| evidence.seen(&node.name, units.at);
    let mut evidence = vec![
        seen(Evidence::new(
            "state",
            unit.active_state.as_str(),
            WATCHDOG_UNIT,
        )),
        seen(Evidence::new("result", unit.result.as_str(), WATCHDOG_UNIT)),
    ];
    if let Some(state) = &node.facts.ha_state {
        for watchdog in &state.value.watchdogs {
            let name = untrusted::name(&watchdog.name);
            let found = Evidence::new(&name, watchdog.identity.as_str(), "/sys/class/watchdog");
            evidence.push(found.seen(&node.name, state.at));
        }
    }
    let failure = Failure::new(Severity::Critical, summary).proof(evidence);
    Outcome::Fail(Box::new(failure))
}

#[cfg(test)]
mod tests;
