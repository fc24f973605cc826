//! This coordinator as its agents show it.
//!
//! Nodes do not fall silent all at once; a coordinator that lost its network, its
//! certificate or its clock sees just that.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{Check, Failure, Input, Remedy, Scope, Timing, Verdicts, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{NodeIndex, Subject},
};

/// Agents that must vanish before it is no matter of the nodes.
const AGENTS: usize = 3;
/// They vanish together when their last words lie within this time.
const TOGETHER: SignedDuration = SignedDuration::from_secs(60);

pub(super) const HEARTBEAT: Check = Check {
    id: "observability.coordinator_heartbeat",
    title: "The coordinator lost its agents all at once",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    timing: Timing::T1 {
        hold: Duration::from_secs(30),
        clear: Duration::from_secs(60),
    },
    mappings: &["MON"],
    remediation: Remedy {
        diagnose: &[
            "pvelens doctor",
            "journalctl -u pvelens -n 50",
            "ip -brief address",
            "timedatectl",
        ],
        fix: "Look at the host of the coordinator first: its network, the name and address by which agents reach it, its certificate, its clock.",
        impact: "Nobody watches the nodes until the agents are back. What is known of them is old: they are not known to be well.",
        risk: Risk::Low,
        way_back: "",
    },
    run: heartbeat,
    ..Check::HEALTH
};

/// Agents that fell silent together.
pub(super) struct Lost {
    pub(super) nodes: BTreeSet<NodeIndex>,
    /// All that spoke until then.
    agents: usize,
    /// Last word of the last of them.
    since: Timestamp,
}

/// All agents, or nine in ten, if they fell silent together.
pub(super) fn lost(input: &Input<'_>) -> Option<Lost> {
    let limit = input.params.limits.agent_silent;
    let heard = input.view.nodes().filter_map(|(index, node)| {
        let agent = node.agent.as_ref()?;
        Some((index, agent.last_update_at))
    });
    let (speaking, silent): (Vec<_>, Vec<_>) =
        heard.partition(|(_, heard)| input.is_recent(*heard, limit));
    let since = silent.iter().map(|(_, heard)| *heard).max()?;
    let nodes: BTreeSet<NodeIndex> = silent
        .into_iter()
        .filter(|(_, heard)| since.duration_since(*heard) <= TOGETHER)
        .map(|(index, _)| index)
        .collect();
    let agents = nodes.len() + speaking.len();
    (nodes.len() >= AGENTS && nodes.len() * 10 >= agents * 9).then_some(Lost {
        nodes,
        agents,
        since,
    })
}

/// One failure however many clusters there are: it is about none of them.
fn heartbeat(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let agents = input.view.nodes().filter(|(_, node)| node.agent.is_some());
    if agents.count() < AGENTS {
        for (index, _) in input.view.clusters() {
            verdicts.not_applicable(Subject::Cluster(index), "there are fewer than three agents");
        }
        return;
    }
    let lost = lost(input);
    let first = lost.as_ref().and_then(|lost| {
        let node = lost.nodes.first()?;
        Some(input.view.node(*node).cluster)
    });
    for (index, _) in input.view.clusters() {
        let subject = Subject::Cluster(index);
        match &lost {
            Some(lost) if first == Some(index) => {
                verdicts.fail(subject, failure(input, lost));
            }
            _ => verdicts.pass(subject),
        }
    }
}

fn failure(input: &Input<'_>, lost: &Lost) -> Failure {
    let whom = if lost.nodes.len() == lost.agents {
        format!("all {} agents", lost.agents)
    } else {
        format!("{} of {} agents", lost.nodes.len(), lost.agents)
    };
    let summary = format!(
        "This coordinator lost {whom} at once: its own network, name, certificate or clock is the likely cause. Nothing is known of their nodes since."
    );
    let silence = input.at.duration_since(lost.since).unsigned_abs();
    let errors: BTreeSet<&str> = lost
        .nodes
        .iter()
        .filter_map(|node| input.view.node(*node).agent.as_ref())
        .map(|agent| &*agent.last_error)
        .filter(|error| !error.is_empty())
        .collect();
    let nodes: Vec<NodeIndex> = lost.nodes.iter().copied().collect();
    Failure::new(Severity::Critical, summary)
        .confidence(0.8)
        .proof([
            Evidence::new("silent for", silence.as_secs_f64(), "agents").unit("seconds"),
            Evidence::new("nodes", words::nodes(input.view, &nodes), "agents"),
        ])
        .proof(errors.into_iter().take(3).map(|error| {
            let error = untrusted::line(error, 120).into_owned();
            Evidence::new("last error", error, "link")
        }))
}

#[cfg(test)]
mod tests;
