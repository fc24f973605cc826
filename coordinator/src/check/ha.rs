//! The managers of high availability: the master of the cluster, and the one of
//! each node.
//!
//! What they write lies in `/etc/pve`, so every member shows the same; the newest
//! word of a member with quorum counts. Times in it are by the clock of the node
//! that wrote it.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{agent::v1 as wire, timestamp_to_millis};

use super::{
    Check, Failure, Input, Intended, Outcome, Remedy, Scope, Timing, Unknown, Verdicts, gate, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    view::{Cluster, ClusterIndex, Dated, Node, NodeIndex, NodeStatus, Subject},
};

pub(super) const MANAGER: &str = "/etc/pve/ha/manager_status";
const RESOURCES: &str = "/etc/pve/ha/resources.cfg";
pub(super) const NOT_USED: &str = "high availability is not in use";
pub(super) const OFFLINE: &str = "the node is offline";

/// A member's word on something that all members share.
pub(super) struct Word<'a, T> {
    pub(super) value: &'a T,
    pub(super) at: Timestamp,
    pub(super) reporter: &'a Node,
}

/// What is asked of high availability.
pub(super) fn config<'a>(
    input: &Input<'a>,
    cluster: &Cluster,
) -> Result<Word<'a, wire::HaConfig>, Unknown> {
    word(input, cluster, |node| {
        let fact = node.facts.ha_config.as_ref();
        // Configuration that did not change is read every ten minutes.
        gate::agent(input, node)?;
        let fact = gate::config(input, fact)?;
        gate::unless_unread(node, ("ha_config", RESOURCES))?;
        Ok(fact)
    })
}

/// What the managers last wrote.
pub(super) fn state<'a>(
    input: &Input<'a>,
    cluster: &Cluster,
) -> Result<Word<'a, wire::HaState>, Unknown> {
    word(input, cluster, |node| {
        let fact = gate::node_fact(input, node, node.facts.ha_state.as_ref(), "ha_state")?;
        gate::unless_unread(node, ("ha_state", MANAGER))?;
        Ok(fact)
    })
}

type Read<'a, T> = Result<&'a Dated<std::sync::Arc<T>>, Unknown>;

fn word<'a, T>(
    input: &Input<'a>,
    cluster: &Cluster,
    read: impl Fn(&'a Node) -> Read<'a, T>,
) -> Result<Word<'a, T>, Unknown> {
    let mut why = Unknown::NotReported;
    let mut best: Option<(bool, Word<'a, T>)> = None;
    for (index, node) in input.view.nodes_of(cluster) {
        let fact = match read(node) {
            Ok(fact) => fact,
            Err(Unknown::NotReported) => continue,
            Err(other) => {
                why = other;
                continue;
            }
        };
        let quorate = cluster
            .memberships
            .iter()
            .any(|seen| seen.reporter == index && seen.quorate == Some(true));
        let is_better =
            |(known, word): &(bool, Word<'_, T>)| (quorate, fact.at) > (*known, word.at);
        if best.as_ref().is_none_or(is_better) {
            let word = Word {
                value: &*fact.value,
                at: fact.at,
                reporter: node,
            };
            best = Some((quorate, word));
        }
    }
    best.map(|(_, word)| word).ok_or(why)
}

/// The resources that high availability is to care for.
pub(super) fn resources(config: &wire::HaConfig) -> impl Iterator<Item = &wire::HaResource> {
    let resources = config.resources.iter();
    resources.filter(|resource| !matches!(resource.state.as_str(), "disabled" | "ignored"))
}

/// Whether high availability has anything to care for.
///
/// # Errors
/// The verdict to give when it has not, or when nobody says.
pub(super) fn in_use<'a>(
    input: &Input<'a>,
    cluster: &Cluster,
) -> Result<Word<'a, wire::HaConfig>, Outcome> {
    if cluster.standalone {
        return Err(Outcome::NotApplicable(gate::STANDALONE));
    }
    let config = config(input, cluster).map_err(Outcome::Unknown)?;
    if resources(config.value).next().is_none() {
        return Err(Outcome::NotApplicable(NOT_USED));
    }
    Ok(config)
}

/// Whether the cluster may act.
fn is_quorate(input: &Input<'_>, cluster: &Cluster) -> Result<bool, Unknown> {
    let reports = gate::memberships(input, cluster)?;
    let said = |word| reports.iter().any(|report| report.quorate == Some(word));
    match (said(true), said(false)) {
        (true, _) => Ok(true),
        (false, true) => Ok(false),
        (false, false) => Err(Unknown::NotReported),
    }
}

/// How old something was when it was read. The clock of the writer is corrected as
/// far as it is known.
fn age(
    input: &Input<'_>,
    cluster: ClusterIndex,
    writer: &str,
    written: Option<pvelens_proto::Timestamp>,
    read: Timestamp,
) -> Option<(Timestamp, SignedDuration)> {
    let written = Timestamp::from_millisecond(timestamp_to_millis(&written?)).ok()?;
    let offset = input
        .view
        .find_node(cluster, writer)
        .and_then(|node| input.view.node(node).agent.as_ref()?.clock_offset_seconds)
        .and_then(|offset| SignedDuration::try_from_secs_f64(offset).ok())
        .unwrap_or_default();
    let written = written.checked_sub(offset).ok()?;
    Some((written, read.duration_since(written)))
}

/// When the master wrote last, if that is too long ago.
pub(super) fn silent_master(
    input: &Input<'_>,
    cluster: ClusterIndex,
    state: &Word<'_, wire::HaState>,
) -> Option<(Timestamp, SignedDuration)> {
    let limit = signed(input.params.limits.ha_master_age);
    let master = state.value.master_node.as_str();
    age(input, cluster, master, state.value.master_at, state.at).filter(|(_, age)| *age > limit)
}

fn signed(duration: std::time::Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

/// An administrator who disarmed high availability knows (rule G5).
pub(super) fn severity(state: &wire::HaState, severity: Severity) -> Severity {
    if state.disarm.is_some() {
        Severity::Info
    } else {
        severity
    }
}

pub(super) const MASTER_NONE: Check = Check {
    id: "ha.master.none",
    title: "High availability has no master",
    category: Category::Ha,
    severity: Severity::Critical,
    scope: Scope::Cluster,
    timing: Timing::STATE,
    mappings: &["RESIL", "OPS"],
    remediation: Remedy {
        diagnose: &["ha-manager status", "journalctl -n 30 -u pve-ha-crm"],
        fix: "Read the log of pve-ha-crm on every node first. Then restart the service pve-ha-crm on one healthy node; never kill it.",
        impact: "Until there is a master, guests of a failed node are not recovered and HA commands do nothing.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: |input, verdicts| {
        for (index, cluster) in input.view.clusters() {
            let outcome = master(input, index, cluster).unwrap_or_else(|other| other);
            verdicts.push(Subject::Cluster(index), outcome);
        }
    },
    ..Check::HEALTH
};

fn master(input: &Input<'_>, index: ClusterIndex, cluster: &Cluster) -> Result<Outcome, Outcome> {
    let config = in_use(input, cluster)?;
    if !is_quorate(input, cluster).map_err(Outcome::Unknown)? {
        return Ok(Outcome::NotApplicable(
            "without quorum high availability cannot act",
        ));
    }
    let state = state(input, cluster).map_err(Outcome::Unknown)?;
    let name = crate::untrusted::name(&state.value.master_node);
    let mut evidence = vec![
        Evidence::new("resources", count(config.value), RESOURCES)
            .seen(&config.reporter.name, config.at),
    ];
    let summary = if name.is_empty() {
        "No node is the master of high availability: failed guests are not recovered.".to_owned()
    } else if let Some((written, age)) = silent_master(input, index, &state) {
        let last = Evidence::new("last word of the master", written.to_string(), MANAGER);
        evidence.push(last.seen(&state.reporter.name, state.at));
        format!(
            "The master of high availability, {name}, has said nothing for {}: failed guests are not recovered.",
            figure::duration(age.unsigned_abs())
        )
    } else if state.value.master_at.is_none() {
        return Err(Outcome::Unknown(Unknown::NotReported));
    } else {
        return Ok(Outcome::Pass);
    };
    evidence.push(
        Evidence::new("master", state.value.master_node.as_str(), MANAGER)
            .seen(&state.reporter.name, state.at),
    );
    for node in &state.value.nodes {
        let name = format!(
            "{} as the master saw it",
            crate::untrusted::name(&node.name)
        );
        evidence.push(
            Evidence::new(&name, node.state.as_str(), MANAGER).seen(&state.reporter.name, state.at),
        );
    }
    let severity = severity(state.value, Severity::Critical);
    let failure = Failure::new(severity, summary).proof(evidence);
    Ok(Outcome::Fail(Box::new(failure)))
}

fn count(config: &wire::HaConfig) -> u32 {
    u32::try_from(resources(config).count()).unwrap_or(u32::MAX)
}

pub(super) const LRM_STALE: Check = Check {
    id: "ha.lrm.stale",
    title: "The HA manager of a node is silent",
    category: Category::Ha,
    severity: Severity::Critical,
    scope: Scope::Node,
    timing: Timing::STATE,
    intents: &[Intended::Maintenance(Severity::Info)],
    mappings: &["RESIL", "OPS"],
    remediation: Remedy {
        diagnose: &["ha-manager status", "journalctl -n 30 -u pve-ha-lrm"],
        fix: "Find out why pve-ha-lrm does not run or cannot write: quorum, pve-cluster, or a disk that hangs. Do not restart watchdog-mux.",
        impact: "A node with HA guests restarts itself when its manager cannot renew its lock for 60 s; its guests start elsewhere two minutes later.",
        risk: Risk::High,
        way_back: "",
    },
    run: stale_managers,
    ..Check::HEALTH
};

fn stale_managers(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, cluster) in input.view.clusters() {
        let known =
            in_use(input, cluster).and_then(|_| state(input, cluster).map_err(Outcome::Unknown));
        for (node_index, node) in input.view.nodes_of(cluster) {
            let outcome = if !gate::is_pve(node) {
                Outcome::NotApplicable(gate::NOT_PVE)
            } else {
                match &known {
                    Ok(state) => manager(input, index, (node_index, node), state),
                    Err(outcome) => outcome.clone(),
                }
            };
            // Its peers may know that it fails, but not that all is well.
            let is_judged = matches!(outcome, Outcome::Fail(_))
                || node.agent.is_none()
                || node.status == NodeStatus::Offline;
            let outcome = match gate::agent(input, node) {
                Err(why) if !is_judged => Outcome::Unknown(why),
                _ => outcome,
            };
            verdicts.push(Subject::Node(node_index), outcome);
        }
    }
}

fn manager(
    input: &Input<'_>,
    cluster: ClusterIndex,
    (index, node): (NodeIndex, &Node),
    state: &Word<'_, wire::HaState>,
) -> Outcome {
    match node.status {
        NodeStatus::Offline => return Outcome::NotApplicable(OFFLINE),
        NodeStatus::Unknown => return Outcome::Unknown(Unknown::NotReported),
        NodeStatus::Online => {}
    }
    let mut managers = state.value.local_managers.iter();
    let own = managers.find(|manager| *manager.node == *node.name);
    let Some((own, (written, age))) = own.and_then(|own| {
        Some((
            own,
            age(input, cluster, &own.node, own.written_at, state.at)?,
        ))
    }) else {
        return Outcome::Unknown(Unknown::NotReported);
    };
    let is_old = age > signed(input.params.limits.ha_manager_age);
    let lost_lock = own.state == "lost_agent_lock";
    if !is_old && !lost_lock {
        return Outcome::Pass;
    }
    if is_starting(input, node, written) {
        return Outcome::Unknown(Unknown::Coverage);
    }
    let name = words::node(input.view, index);
    let services: Vec<&wire::HaServiceState> = state
        .value
        .services
        .iter()
        .filter(|service| *service.node == *node.name)
        .collect();
    let at_stake = match services.len() {
        0 => String::new(),
        count => format!(" with {}", words::count(count, "HA guest")),
    };
    let summary = if lost_lock {
        format!("The HA manager of {name} has lost its lock: the node{at_stake} will be restarted.")
    } else {
        let silent = figure::duration(age.unsigned_abs());
        // Only a manager at work holds a lock, with a watchdog behind it.
        let threat = if own.state == "active" && !services.is_empty() {
            format!("the node{at_stake} is restarted when it cannot renew its lock for 60 s")
        } else {
            "guests of a failed node cannot start here".to_owned()
        };
        format!("The HA manager of {name} has been silent for {silent}: {threat}.")
    };
    let file = format!("/etc/pve/nodes/{name}/lrm_status");
    let seen = |evidence: Evidence| evidence.seen(&state.reporter.name, state.at);
    let listed = services.iter().take(SERVICES_SHOWN);
    let evidence = [
        Evidence::new("last written", written.to_string(), &file),
        Evidence::new("state", own.state.as_str(), &file),
        Evidence::new("mode", own.mode.as_str(), &file),
    ]
    .into_iter()
    .chain(listed.map(|service| Evidence::new(&service.sid, service.state.as_str(), MANAGER)));
    let severity = severity(state.value, Severity::Critical);
    let failure = Failure::new(severity, summary).proof(evidence.map(seen));
    Outcome::Fail(Box::new(failure))
}

/// Services of a node that evidence lists.
const SERVICES_SHOWN: usize = 20;

/// After a start the file is that of before, until the manager starts, which is
/// after the file system of the cluster.
fn is_starting(input: &Input<'_>, node: &Node, written: Timestamp) -> bool {
    let booted = booted(node);
    booted.is_some_and(|booted| {
        written < booted && input.is_recent(booted, input.params.limits.state_age)
    })
}

/// When the node was started, by its own clock.
pub(super) fn booted(node: &Node) -> Option<Timestamp> {
    let booted = node.facts.cpu.as_ref()?.value.boot_time.as_ref()?;
    Timestamp::from_millisecond(timestamp_to_millis(booted)).ok()
}

#[cfg(test)]
mod tests;
