//! Guests that high availability has given up, or cannot get to work.

use std::collections::HashMap;

use jiff::SignedDuration;
use pvelens_proto::agent::v1 as wire;

use super::{
    Check, Failure, Input, Outcome, Remedy, Scope, Timing, Unknown, Verdicts, gate,
    ha::{self, MANAGER, Word},
    words,
};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Cluster, ClusterIndex, Guest, Subject},
};

pub(super) const ERROR: Check = Check {
    id: "ha.service.error",
    title: "High availability cannot run a guest",
    category: Category::Ha,
    severity: Severity::Critical,
    scope: Scope::Guest,
    timing: Timing::STATE,
    mappings: &["RESIL", "OPS"],
    remediation: Remedy {
        diagnose: &[
            "ha-manager status",
            "journalctl -n 200 -u pve-ha-lrm",
            "journalctl -n 200 -u pve-ha-crm",
        ],
        fix: "Remove the cause first. For a guest in the state error then: ha-manager set SID --state disabled, and after that --state started.",
        impact: "The guest stays down meanwhile, and HA does not touch it.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: error,
    ..Check::HEALTH
};

fn error(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, cluster) in input.view.clusters() {
        let known = services(input, index, cluster);
        for (guest_index, guest) in input.view.guests_of(cluster) {
            let outcome = match &known {
                Ok(known) => match known.by_vmid.get(&guest.vmid) {
                    Some(service) => judge(input, index, guest, service, known),
                    None => Outcome::NotApplicable("high availability does not manage it"),
                },
                Err(outcome) => outcome.clone(),
            };
            verdicts.push(Subject::Guest(guest_index), outcome);
        }
    }
}

struct Services<'a> {
    state: Word<'a, wire::HaState>,
    by_vmid: HashMap<u32, &'a wire::HaServiceState>,
    /// The master stopped writing: what it wrote proves nothing good.
    stopped: Option<jiff::Timestamp>,
}

fn services<'a>(
    input: &Input<'a>,
    index: ClusterIndex,
    cluster: &Cluster,
) -> Result<Services<'a>, Outcome> {
    if cluster.standalone {
        return Err(Outcome::NotApplicable(gate::STANDALONE));
    }
    let state = ha::state(input, cluster).map_err(Outcome::Unknown)?;
    let by_vmid = state
        .value
        .services
        .iter()
        .filter_map(|service| Some((vmid(&service.sid)?, service)))
        .collect();
    let stopped = ha::silent_master(input, index, &state).map(|(written, _)| written);
    Ok(Services {
        state,
        by_vmid,
        stopped,
    })
}

/// `vm:100` and `ct:101`.
fn vmid(sid: &str) -> Option<u32> {
    sid.split_once(':')?.1.parse().ok()
}

fn judge(
    input: &Input<'_>,
    cluster: ClusterIndex,
    guest: &Guest,
    service: &wire::HaServiceState,
    known: &Services<'_>,
) -> Outcome {
    let limits = &input.params.limits;
    let shown = words::guest(guest);
    let node = untrusted::name(&service.node);
    let (severity, hold, summary) = match service.state.as_str() {
        "error" => (
            Severity::Critical,
            None,
            format!(
                "High availability has given up {shown} on {node}: it is in the state error and is not touched any more."
            ),
        ),
        "fence" => (
            Severity::Critical,
            Some(limits.ha_recovery),
            format!("{shown} waits until {node} is fenced, and does not run."),
        ),
        "recovery" => (
            Severity::Critical,
            Some(limits.ha_recovery),
            format!("High availability finds no node for {shown}, which was on {node}."),
        ),
        "freeze" if restarts(input, cluster, service, known) => {
            return Outcome::NotApplicable("its node restarts");
        }
        "freeze" => (
            Severity::Warning,
            Some(limits.ha_freeze),
            format!("{shown} is frozen on {node}: high availability does nothing for it."),
        ),
        _ => {
            return known.stopped.map_or(Outcome::Pass, |since| {
                Outcome::Unknown(Unknown::Stale { since })
            });
        }
    };
    let seen = |evidence: Evidence| evidence.seen(&known.state.reporter.name, known.state.at);
    let failed = words::list(
        service
            .failed_nodes
            .iter()
            .map(|node| untrusted::name(node)),
    );
    let evidence = [
        Evidence::new("state", service.state.as_str(), MANAGER),
        Evidence::new("node", service.node.as_str(), MANAGER),
        Evidence::new("nodes where it failed", failed, MANAGER),
    ];
    let severity = ha::severity(known.state.value, severity);
    let mut failure = Failure::new(severity, summary).proof(evidence.map(seen));
    failure.hold = hold;
    Outcome::Fail(Box::new(failure))
}

/// Whether the node is going down or has just come up: guests are frozen meanwhile.
fn restarts(
    input: &Input<'_>,
    cluster: ClusterIndex,
    service: &wire::HaServiceState,
    known: &Services<'_>,
) -> bool {
    let mut managers = known.state.value.local_managers.iter();
    let goes_down = managers
        .find(|manager| manager.node == service.node)
        .is_some_and(|manager| matches!(manager.mode.as_str(), "restart" | "shutdown"));
    let node = input.view.find_node(cluster, &service.node);
    let booted = node.and_then(|node| ha::booted(input.view.node(node)));
    let warm_up = SignedDuration::try_from(input.params.limits.warm_up).unwrap_or_default();
    goes_down || booted.is_some_and(|booted| input.at.duration_since(booted) < warm_up)
}

#[cfg(test)]
mod tests;
