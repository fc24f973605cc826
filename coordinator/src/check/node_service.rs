//! Services of Proxmox VE on a node, seen by what they write.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::timestamp_to_millis;

use super::{
    Check, Failure, Input, Intended, Remedy, Scope, Timing, Unknown, Verdicts, gate, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    view::{Node, Subject},
};

pub(super) const PVESTATD_STALE: Check = Check {
    id: "node.pvestatd.stale",
    title: "The node's status service hangs",
    category: Category::Health,
    severity: Severity::Warning,
    scope: Scope::Node,
    timing: Timing::STATE,
    intents: &[Intended::Maintenance(Severity::Info)],
    mappings: &["OPS"],
    remediation: Remedy {
        diagnose: &[
            "journalctl -u pvestatd -n 30",
            "ps -eo pid,state,wchan:30,cmd | grep -E ' D '",
        ],
        fix: "Find the storage that hangs and disable it: pvesm set STORAGE --disable 1.",
        impact: "The storage cannot be used until it is enabled again.",
        risk: Risk::Medium,
        way_back: "pvesm set STORAGE --disable 0",
    },
    run: pvestatd_stale,
    ..Check::HEALTH
};

/// How long an update took is in the log, which is not collected yet.
fn pvestatd_stale(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let limit = input.params.limits.pvestatd_age;
    let limit = SignedDuration::try_from(limit).unwrap_or_default();
    for (index, node) in input.view.nodes() {
        let subject = Subject::Node(index);
        if !gate::is_pve(node) {
            verdicts.not_applicable(subject, gate::NOT_PVE);
            continue;
        }
        if let Err(why) = gate::agent(input, node) {
            verdicts.unknown(subject, why);
            continue;
        }
        let Some((written, read, source)) = newest(node) else {
            verdicts.unknown(subject, Unknown::NotReported);
            continue;
        };
        // The figures' age is judged at the time they were read, if that was
        // recent: an agent that cannot read them says nothing about the service.
        if !input.is_recent(read, input.params.limits.state_age) {
            verdicts.unknown(subject, Unknown::Stale { since: read });
            continue;
        }
        let age = read.duration_since(written);
        if age <= limit {
            verdicts.pass(subject);
            continue;
        }
        let shown = figure::duration(age.unsigned_abs());
        let failure = Failure::new(
            Severity::Warning,
            format!(
                "The figures of {} have not been updated for {shown}; it shows question marks instead.",
                words::node(input.view, index)
            ),
        )
        .proof([Evidence::new("last update", written.to_string(), source).seen(&node.name, read)]);
        verdicts.fail(subject, failure);
    }
}

/// When pvestatd wrote its newest figures (by a correct clock), when those were
/// read, and where.
fn newest(node: &Node) -> Option<(Timestamp, Timestamp, &'static str)> {
    let offset = node
        .agent
        .as_ref()
        .and_then(|agent| agent.clock_offset_seconds)
        .and_then(|offset| SignedDuration::try_from_secs_f64(offset).ok())
        .unwrap_or_default();
    let written = |computed: Option<&pvelens_proto::Timestamp>| {
        let computed = Timestamp::from_millisecond(timestamp_to_millis(computed?)).ok()?;
        computed.checked_sub(offset).ok()
    };
    let local = node.facts.pve_status.as_ref().and_then(|status| {
        let figures = status.value.node.as_ref()?;
        Some((
            written(figures.computed_at.as_ref())?,
            status.at,
            "/run/pve/metrics",
        ))
    });
    let broadcast = node.broadcast.as_ref().and_then(|broadcast| {
        Some((
            written(broadcast.value.computed_at.as_ref())?,
            broadcast.at,
            "/etc/pve/.rrd",
        ))
    });
    local.into_iter().chain(broadcast).max()
}

#[cfg(test)]
mod tests;
