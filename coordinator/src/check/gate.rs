//! Whether facts are good enough to judge by.
//!
//! A node whose agent is silent is unknown to every check of that node, even
//! while some of its facts are young enough: nothing about it may pass.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{Input, Outcome, Unknown};
use crate::{
    untrusted,
    view::{
        AgentState, Cluster, CollectorFailure, Dated, Guest, GuestStatus, Membership, Node,
        NodeStatus,
    },
};

pub(super) const NOT_PVE: &str = "the machine does not run Proxmox VE";
pub(super) const STANDALONE: &str = "the node stands alone";
pub(super) const TEMPLATE: &str = "a template does not run";
pub(super) const NOT_RUNNING: &str = "the guest does not run";
pub(super) const NOT_A_CONTAINER: &str = "not a container";
pub(super) const NOT_A_VM: &str = "not a VM";
pub(super) const TAGGED: &str = "its tags say that this is intended";

/// The agent of the node, if it reports. A node that never had one is quietly
/// unknown: that is coverage, not a finding.
pub(super) fn agent<'a>(input: &Input<'_>, node: &'a Node) -> Result<&'a AgentState, Unknown> {
    let agent = node.agent.as_ref().ok_or(Unknown::NotReported)?;
    let limit = input.params.limits.agent_silent;
    if input.is_recent(agent.last_update_at, limit) {
        Ok(agent)
    } else {
        Err(Unknown::Stale {
            since: agent.last_update_at,
        })
    }
}

/// A state or figure from the node's own agent. `collector` names who reads it.
pub(super) fn node_fact<'a, T>(
    input: &Input<'_>,
    node: &'a Node,
    fact: Option<&'a Dated<Arc<T>>>,
    collector: &str,
) -> Result<&'a Dated<Arc<T>>, Unknown> {
    agent(input, node)?;
    let recent = input
        .recent(fact, input.params.limits.state_age)
        .and(fact.ok_or(Unknown::NotReported));
    recent.map_err(|why| {
        failed(node, collector)
            .or_else(|| nothing(input, node, collector).map(Unknown::Failed))
            .unwrap_or(why)
    })
}

/// A collector of several files sends a payload also when one of them could not be
/// read: not a word about what is in `path` then.
pub(super) fn unless_unread(node: &Node, (collector, path): (&str, &str)) -> Result<(), Unknown> {
    let mut failures = node.failures.iter();
    let failure = failures.find(|failure| {
        *failure.collector == *collector && (failure.path.is_empty() || failure.path == path)
    });
    failure.map_or(Ok(()), |failure| Err(unread(failure)))
}

/// Why the collector says that there is nothing to collect, if it said so lately.
pub(super) fn nothing(input: &Input<'_>, node: &Node, collector: &str) -> Option<String> {
    let nothing = node
        .nothing
        .iter()
        .find(|nothing| *nothing.collector == *collector)?;
    input
        .is_recent(nothing.at, input.params.limits.state_age)
        .then(|| untrusted::line(&nothing.reason, 120).into_owned())
}

/// Why the collector gave nothing, if it said so.
pub(super) fn failed(node: &Node, collector: &str) -> Option<Unknown> {
    let mut failures = node.failures.iter();
    let failure = failures.find(|failure| *failure.collector == *collector)?;
    Some(unread(failure))
}

fn unread(failure: &CollectorFailure) -> Unknown {
    let detail = untrusted::line(&failure.detail, 120);
    Unknown::Failed(if failure.path.is_empty() {
        format!("{}: {detail}", untrusted::name(&failure.collector))
    } else {
        format!("{}: {detail}", untrusted::line(&failure.path, 120))
    })
}

/// Preconditions of a check of measured values: the agent reports and the node
/// has been up for a while (rule G4).
pub(super) fn warm_node(input: &Input<'_>, node: &Node) -> Result<(), Unknown> {
    agent(input, node)?;
    let uptime = node.facts.load.as_ref().map(|load| {
        Duration::try_from_secs_f64(load.value.uptime_seconds).unwrap_or(Duration::MAX)
    });
    if uptime.is_some_and(|uptime| uptime < input.params.limits.warm_up) {
        return Err(Unknown::Coverage);
    }
    Ok(())
}

/// A configuration file of the cluster.
pub(super) fn config<'a, T>(
    input: &Input<'_>,
    fact: Option<&'a Dated<Arc<T>>>,
) -> Result<&'a Dated<Arc<T>>, Unknown> {
    let fact = fact.ok_or(Unknown::NotReported)?;
    config_at(input, Some(fact.at)).map(|_| fact)
}

/// When configuration was last verified, if that is not too long ago.
pub(super) fn config_at(input: &Input<'_>, at: Option<Timestamp>) -> Result<Timestamp, Unknown> {
    let at = at.ok_or(Unknown::NotReported)?;
    if input.is_recent(at, input.params.limits.config_age) {
        Ok(at)
    } else {
        Err(Unknown::Stale { since: at })
    }
}

/// What members say of the membership, of one window of time (rule G2): who is
/// outside that window is left out.
pub(super) fn memberships<'a>(
    input: &Input<'_>,
    cluster: &'a Cluster,
) -> Result<Vec<&'a Membership>, Unknown> {
    let newest = cluster.memberships.iter().map(|seen| seen.at).max();
    let newest = newest.ok_or(Unknown::NotReported)?;
    let limits = &input.params.limits;
    if !input.is_recent(newest, limits.state_age) {
        return Err(Unknown::Stale { since: newest });
    }
    let window = jiff::SignedDuration::try_from(limits.merge_window).unwrap_or_default();
    Ok(cluster
        .memberships
        .iter()
        .filter(|seen| newest.duration_since(seen.at) <= window)
        .collect())
}

/// The settings of a guest, if its configuration was verified lately.
pub(super) fn settings<'a>(
    input: &Input<'_>,
    guest: &'a Guest,
) -> Result<(&'a wire::GuestConfig, &'a wire::GuestSettings), Unknown> {
    config_at(input, input.view.cluster(guest.cluster).guest_configs_at)?;
    let config = guest.config.as_deref().ok_or(Unknown::NotReported)?;
    let settings = config.settings.as_ref().ok_or(Unknown::NotReported)?;
    Ok((config, settings))
}

/// A guest whose load can be judged: runs, has run for a while (rule G4), and
/// its figures are recent.
///
/// # Errors
/// The verdict to give instead.
pub(super) fn warm_guest(input: &Input<'_>, guest: &Guest) -> Result<(), Outcome> {
    running(input, guest)?;
    let warm_up = input.params.limits.warm_up.as_secs_f64();
    match guest.figures.uptime_seconds {
        Some(uptime) if uptime < warm_up => Err(Outcome::Unknown(Unknown::Coverage)),
        _ => Ok(()),
    }
}

/// A guest that is known to run.
///
/// # Errors
/// The verdict to give instead.
pub(super) fn running(input: &Input<'_>, guest: &Guest) -> Result<(), Outcome> {
    if guest.template {
        return Err(Outcome::NotApplicable(TEMPLATE));
    }
    let Some(at) = guest.figures.at else {
        // A guest that does not run may have no figures.
        return Err(if guest.status == GuestStatus::Stopped {
            Outcome::NotApplicable(NOT_RUNNING)
        } else {
            Outcome::Unknown(Unknown::NotReported)
        });
    };
    if !input.is_recent(at, input.params.limits.state_age) {
        return Err(Outcome::Unknown(Unknown::Stale { since: at }));
    }
    match guest.status {
        GuestStatus::Running | GuestStatus::Other(_) => Ok(()),
        GuestStatus::Stopped => Err(Outcome::NotApplicable(NOT_RUNNING)),
        GuestStatus::Unknown => Err(Outcome::Unknown(Unknown::NotReported)),
    }
}

/// Whether the guest carries a tag. PVE writes tags in lower case.
pub(crate) fn has_tag(guest: &Guest, tag: &str) -> bool {
    guest
        .config
        .as_ref()
        .and_then(|config| config.settings.as_ref())
        .is_some_and(|settings| settings.tags.iter().any(|found| found == tag))
}

/// Whether anything is to be said of the node as a member: `None` for a machine
/// that is not one.
pub(super) fn is_pve(node: &Node) -> bool {
    node.agent.as_ref().is_none_or(|agent| agent.is_pve_node)
}

pub(super) fn is_online(node: &Node) -> bool {
    node.status == NodeStatus::Online
}
