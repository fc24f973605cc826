//! This coordinator as its agents show it.
//!
//! Nodes do not fall silent all at once; a coordinator that lost its network, its
//! certificate or its clock sees just that.

use std::{collections::BTreeSet, time::Duration};

use jiff::{SignedDuration, Timestamp};

use super::{Check, Failure, Input, Remedy, Scope, Timing, Verdicts, words};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{NodeIndex, Subject},
};

mod store;
mod stranger;

/// Agents that must vanish before it is no matter of the nodes.
const AGENTS: usize = 3;
/// They vanish together when their last words lie within this time.
const TOGETHER: SignedDuration = SignedDuration::from_secs(60);
/// Seconds by which all clocks must differ from the one here, and how far they
/// may differ from each other.
const CLOCK_OFF: f64 = 30.0;
const CLOCKS_AGREE: f64 = 5.0;
const CLOCK: &str = "clock";
const CLOCK_TITLE: &str = "The clock of the coordinator is wrong";
const CLOCK_REMEDY: Remedy = Remedy {
    diagnose: &["timedatectl", "chronyc tracking"],
    fix: "Give the host of the coordinator the time sources of the nodes, then step its clock: chronyc makestep.",
    impact: "Times of the nodes are corrected by the offset until then; certificates and times in reports are judged by the wrong clock.",
    risk: Risk::Low,
    way_back: "",
};

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
    if let Some((first, _)) = input.view.clusters().next() {
        for failure in stranger::failures(input).chain(store::failures(input)) {
            verdicts.fail(Subject::Cluster(first), failure);
        }
    }
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
    let clock = clock(input);
    for (index, _) in input.view.clusters() {
        let subject = Subject::Cluster(index);
        if index.get() == 0
            && let Some(failure) = &clock
        {
            verdicts.fail(subject, failure.clone());
        }
        match &lost {
            Some(lost) if first == Some(index) => {
                verdicts.fail(subject, failure(input, lost));
            }
            _ => verdicts.pass(subject),
        }
    }
}

/// All clocks differ from the one here, and not from each other.
fn clock(input: &Input<'_>) -> Option<Failure> {
    let limit = input.params.limits.agent_silent;
    let offsets: Vec<f64> = input
        .view
        .nodes()
        .filter_map(|(_, node)| node.agent.as_ref())
        .filter(|agent| input.is_recent(agent.last_update_at, limit))
        .filter_map(|agent| agent.clock_offset_seconds)
        .collect();
    let least = offsets.iter().copied().reduce(f64::min)?;
    let most = offsets.iter().copied().reduce(f64::max)?;
    let is_off = least > CLOCK_OFF || most < -CLOCK_OFF;
    if offsets.len() < AGENTS || !is_off || most - least > CLOCKS_AGREE {
        return None;
    }
    let direction = if least > 0.0 { "behind" } else { "ahead of" };
    let summary = format!(
        "The clock of this coordinator is {} {direction} those of all {} agents, which agree.",
        figure::duration(
            Duration::try_from_secs_f64(least.abs().min(most.abs())).unwrap_or(Duration::MAX)
        ),
        offsets.len(),
    );
    let evidence = [("least offset", least), ("greatest offset", most)];
    let mut failure = Failure::new(Severity::Warning, summary).about(CLOCK).proof(
        evidence
            .map(|(name, offset)| Evidence::new(name, offset, "agent heartbeat").unit("seconds")),
    );
    failure.instead = Some((CLOCK_TITLE, &CLOCK_REMEDY));
    Some(failure)
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
