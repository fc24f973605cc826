//! Times that the newest facts carry: boot, packages, services, HA.

use jiff::Timestamp;

use super::{Happened, Kind};
use crate::{
    triage::{
        facts::{Facts, moment},
        words,
    },
    untrusted,
};

/// A service that changed its state so soon after the boot belongs to the boot.
const BOOT_SECONDS: i64 = 300;

pub(super) fn events(facts: &Facts<'_>) -> Vec<Happened> {
    let mut events = Vec::new();
    let boot = facts.cpu().and_then(|cpu| cpu.boot_time.as_ref());
    let boot = boot.and_then(moment);
    if let Some(at) = boot {
        let what = format!("{} was started", facts.node);
        events.push(Happened::neutral(at, Kind::Boot, 3, what));
    }
    let packages = facts.packages();
    if let Some(at) = packages.and_then(|all| all.status_modified_at.as_ref()) {
        let what = "packages were installed, upgraded or removed".to_owned();
        events.extend(moment(at).map(|at| Happened::neutral(at, Kind::Change, 3, what)));
    }
    let versions = facts.config_versions();
    if let Some(at) = versions.and_then(|versions| versions.started_at.as_ref().and_then(moment))
        && !is_near(at, boot)
    {
        let what = "pve-cluster, which serves /etc/pve, was started".to_owned();
        events.push(Happened::neutral(at, Kind::Pmxcfs, 3, what));
    }
    events.extend(services(facts, boot));
    events
}

fn is_near(at: Timestamp, boot: Option<Timestamp>) -> bool {
    boot.is_some_and(|boot| at.duration_since(boot).as_secs().abs() <= BOOT_SECONDS)
}

fn services(facts: &Facts<'_>, boot: Option<Timestamp>) -> Vec<Happened> {
    let Some(units) = facts.units() else {
        return Vec::new();
    };
    let units = units.units.iter();
    units
        .filter(|unit| unit.load_state == "loaded")
        .filter_map(|unit| {
            let at = unit.state_changed_at.as_ref().and_then(moment)?;
            let name = untrusted::name(unit.name.trim_end_matches(".service")).into_owned();
            match unit.active_state.as_str() {
                "failed" => {
                    let what = format!("the service {name} failed");
                    Some(Happened::bad(at, Kind::Service, 4, what))
                }
                // Enabled and not there: somebody or something stopped it.
                "inactive" if unit.unit_file_state == "enabled" && !is_near(at, boot) => {
                    let what = format!("the service {name} was stopped");
                    Some(Happened::bad(at, Kind::Service, 3, what))
                }
                "active" if unit.sub_state == "running" && !is_near(at, boot) => {
                    let what = format!("the service {name} was started");
                    Some(Happened::neutral(at, Kind::Service, 2, what))
                }
                _ => None,
            }
        })
        .collect()
}

/// Members that are out of sight, by when they last said something, and the last
/// time that the cluster could write. Older members of a cluster without quorum may
/// have been off for days, so each has its own time.
pub(super) fn lost_members(facts: &Facts<'_>) -> Vec<Happened> {
    use pvelens_proto::agent::v1::sample::Payload;
    let mut events = Vec::new();
    let Some(members) = facts.members() else {
        return events;
    };
    let broadcast = facts
        .samples
        .iter()
        .rev()
        .find_map(|(_, s)| match &s.payload {
            Some(Payload::ClusterBroadcast(all)) => Some(all),
            _ => None,
        });
    let lost = members.members.iter().filter(|member| !member.online);
    let mut last: Vec<(Timestamp, String)> = lost
        .filter_map(|member| {
            let figures = broadcast?
                .nodes
                .iter()
                .find(|node| node.name == member.name)?;
            let at = moment(figures.computed_at.as_ref()?)?;
            Some((at, member.name.clone()))
        })
        .collect();
    last.sort();
    let at = last.last().map(|(at, _)| *at);
    let (recent, earlier): (Vec<_>, Vec<_>) = last
        .into_iter()
        .partition(|(one, _)| at.is_some_and(|at| at.duration_since(*one).as_secs() < 60));
    let names: Vec<String> = recent.into_iter().map(|(_, name)| name).collect();
    if let Some(at) = at {
        let what = format!("last figures from {}", words::list(&names, 4));
        events.push(Happened::bad(at, Kind::Membership, 3, what));
    }
    for (at, name) in earlier {
        let what = format!("last figures from {}", untrusted::name(&name));
        events.push(Happened::bad(at, Kind::Membership, 2, what));
    }
    if facts.quorate() == Some(false)
        && let Some(ha) = facts.ha_state()
    {
        let written = ha.local_managers.iter().map(|manager| &manager.written_at);
        let written = written.chain([&ha.master_at]);
        if let Some(at) = written.flatten().filter_map(moment).max() {
            let what = "last change in /etc/pve that the cluster agreed on".to_owned();
            events.push(Happened::bad(at, Kind::Membership, 4, what));
        }
    }
    events
}
