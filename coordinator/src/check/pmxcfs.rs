//! Whether the file system of the cluster, `/etc/pve`, answers on each node.
//!
//! The agent reads `/etc/pve/.members` and `/etc/pve/.version` every ten seconds,
//! each within two: what it cannot read is its word on pmxcfs. How long a good
//! read took is not judged yet.

use pvelens_proto::agent::v1::FailureKind;

use super::{Check, Failure, Input, Outcome, Remedy, Scope, Timing, Unknown, gate, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{CollectorFailure, Node, NodeIndex, Subject},
};

const MOUNT_POINT: &str = "/etc/pve";
/// Collectors that read nothing else, and their files.
const READERS: [(&str, &str); 2] = [
    ("config_versions", "/etc/pve/.version"),
    ("members", "/etc/pve/.members"),
];
const UNIT: &str = "pve-cluster.service";

pub(super) const UNRESPONSIVE: Check = Check {
    id: "cluster.pmxcfs.unresponsive",
    title: "The cluster file system does not answer",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Node,
    timing: Timing::STATE,
    mappings: &["OPS"],
    remediation: Remedy {
        diagnose: &[
            "timeout 5 cat /etc/pve/.version",
            "systemctl status pve-cluster",
            "journalctl -u pve-cluster -n 50",
        ],
        fix: "Repair quorum or the root disk, whatever the log names. Only then restart the service pve-cluster, with HA guests moved away first.",
        impact: "Until then nothing on the node can be configured or started, and its HA manager cannot renew its lock. The restart interrupts the API and may make HA restart the node.",
        risk: Risk::High,
        way_back: "",
    },
    run: |input, verdicts| {
        for (index, node) in input.view.nodes() {
            verdicts.push(Subject::Node(index), judge(input, index, node));
        }
    },
    ..Check::HEALTH
};

fn judge(input: &Input<'_>, index: NodeIndex, node: &Node) -> Outcome {
    if !gate::is_pve(node) {
        return Outcome::NotApplicable(gate::NOT_PVE);
    }
    if let Err(why) = gate::agent(input, node) {
        return Outcome::Unknown(why);
    }
    let limit = input.params.limits.state_age;
    let failure = node
        .failures
        .iter()
        .filter(|failure| input.is_recent(failure.at, limit))
        .find_map(|failure| Some((failure, how(failure)?)));
    if let Some((failure, how)) = failure {
        return Outcome::Fail(Box::new(failed(input, (index, node), failure, how)));
    }
    let facts = &node.facts;
    let read = [
        facts.config_versions.as_ref().map(|fact| fact.at),
        facts.members.as_ref().map(|fact| fact.at),
    ];
    match read.into_iter().flatten().max() {
        Some(at) if input.is_recent(at, limit) => Outcome::Pass,
        Some(since) => Outcome::Unknown(
            READERS
                .iter()
                .find_map(|(reader, _)| gate::failed(node, reader))
                .unwrap_or(Unknown::Stale { since }),
        ),
        None => Outcome::Unknown(Unknown::NotReported),
    }
}

/// What is wrong, if the failure says that the file system is at fault and not
/// the file.
fn how(failure: &CollectorFailure) -> Option<&'static str> {
    let (_, file) = READERS
        .iter()
        .find(|(reader, _)| *failure.collector == **reader)?;
    let is_its_file = failure.path.is_empty() || failure.path == *file;
    match failure.kind {
        _ if !is_its_file => None,
        FailureKind::TimedOut | FailureKind::InProgress => Some("does not answer"),
        FailureKind::Disconnected => Some("is dead"),
        // The directory is there, what pmxcfs shows in it is not.
        FailureKind::NotFound => Some("is not mounted"),
        FailureKind::Io => Some("gives errors"),
        _ => None,
    }
}

fn failed(
    input: &Input<'_>,
    (index, node): (NodeIndex, &Node),
    failure: &CollectorFailure,
    how: &str,
) -> Failure {
    let unit = node.facts.units.as_ref().and_then(|units| {
        let mut all = units.value.units.iter();
        Some((all.find(|unit| unit.name == UNIT)?, units.at))
    });
    let service = match unit {
        Some((unit, _)) if unit.active_state != "active" => {
            format!(" ({UNIT} is {})", untrusted::name(&unit.active_state))
        }
        _ => String::new(),
    };
    let summary = format!(
        "The cluster file system {MOUNT_POINT} of {} {how}{service}: nothing can be configured or started there.",
        words::node(input.view, index)
    );
    let file = READERS
        .iter()
        .find(|(reader, _)| *failure.collector == **reader)
        .map_or(MOUNT_POINT, |(_, file)| file);
    let mut evidence =
        vec![Evidence::new("reading", failure.detail.as_str(), file).seen(&node.name, failure.at)];
    if let Some(members) = &node.facts.members {
        let last = Evidence::new("last read", members.at.to_string(), "/etc/pve/.members");
        evidence.push(last.seen(&node.name, members.at));
    }
    if let Some((unit, at)) = unit {
        let state = Evidence::new("state", unit.active_state.as_str(), UNIT);
        evidence.push(state.seen(&node.name, at));
    }
    Failure::new(Severity::Critical, summary).proof(evidence)
}

#[cfg(test)]
mod tests;
