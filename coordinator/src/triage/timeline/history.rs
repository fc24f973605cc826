//! What changed between two samples of the same source, of those that the agent
//! still holds.

use std::collections::BTreeMap;

use jiff::Timestamp;
use pvelens_proto::agent::v1::{self as wire, sample::Payload};

use super::{Happened, Kind};
use crate::{
    triage::{facts::Facts, words},
    untrusted,
};

/// The sample before, of each source that is compared.
#[derive(Default)]
struct Before<'a> {
    members: Option<&'a wire::ClusterMembers>,
    versions: Option<&'a wire::ConfigVersions>,
    network: Option<&'a wire::InterfaceStates>,
    storages: BTreeMap<&'a str, bool>,
    guests: BTreeMap<u32, &'a str>,
    ha: Option<&'a wire::HaState>,
}

pub(super) fn events(facts: &Facts<'_>) -> Vec<Happened> {
    let mut before = Before::default();
    let mut events = Vec::new();
    for (at, sample) in &facts.samples {
        match &sample.payload {
            Some(Payload::ClusterMembers(now)) => {
                members(*at, before.members.replace(now), now, &mut events);
            }
            Some(Payload::ConfigVersions(now)) => {
                versions(*at, before.versions.replace(now), now, &mut events);
            }
            Some(Payload::InterfaceStates(now)) => {
                network(*at, before.network.replace(now), now, &mut events);
            }
            Some(Payload::PveStatus(now)) => before.status(*at, now, &mut events),
            Some(Payload::HaState(now)) => ha(*at, before.ha.replace(now), now, &mut events),
            _ => {}
        }
    }
    events
}

fn members(
    at: Timestamp,
    before: Option<&wire::ClusterMembers>,
    now: &wire::ClusterMembers,
    events: &mut Vec<Happened>,
) {
    let Some(before) = before else { return };
    let quorate = |members: &wire::ClusterMembers| members.cluster.as_ref().map(|c| c.quorate);
    match (quorate(before), quorate(now)) {
        (Some(true), Some(false)) => {
            let what = "the cluster lost quorum".to_owned();
            events.push(Happened::bad(at, Kind::Membership, 5, what));
        }
        (Some(false), Some(true)) => {
            let what = "the cluster got quorum back".to_owned();
            events.push(Happened::neutral(at, Kind::Membership, 4, what));
        }
        _ => {}
    }
    let turned = |online: bool| -> Vec<String> {
        let was = |name: &str| before.members.iter().find(|was| was.name == name);
        let members = now.members.iter().filter(|member| member.online == online);
        members
            .filter(|member| was(&member.name).is_some_and(|was| was.online != online))
            .map(|member| member.name.clone())
            .collect()
    };
    let (lost, back) = (turned(false), turned(true));
    if !lost.is_empty() {
        let what = format!("{} went out of sight", words::list(&lost, 5));
        events.push(Happened::bad(at, Kind::Membership, 4, what));
    }
    if !back.is_empty() {
        let what = format!("{} came back", words::list(&back, 5));
        events.push(Happened::neutral(at, Kind::Membership, 3, what));
    }
}

/// Files that change by themselves.
fn is_machinery(path: &str) -> bool {
    ["clinfo", "vmlist"].contains(&path)
        || path.ends_with("_status")
        || path.ends_with("crm_commands")
        || path.starts_with("priv/")
}

fn versions(
    at: Timestamp,
    before: Option<&wire::ConfigVersions>,
    now: &wire::ConfigVersions,
    events: &mut Vec<Happened>,
) {
    let Some(before) = before.filter(|before| before.started_at == now.started_at) else {
        return;
    };
    let was: BTreeMap<&str, u64> = before
        .versions
        .iter()
        .map(|file| (file.path.as_str(), file.version))
        .collect();
    for file in now.versions.iter().filter(|file| !is_machinery(&file.path)) {
        let before = was.get(file.path.as_str());
        if before.is_some_and(|before| *before < file.version) {
            let what = format!("/etc/pve/{} was changed", untrusted::name(&file.path));
            events.push(Happened::neutral(at, Kind::Change, 3, what));
        }
    }
}

fn network(
    at: Timestamp,
    before: Option<&wire::InterfaceStates>,
    now: &wire::InterfaceStates,
    events: &mut Vec<Happened>,
) {
    let Some(before) = before else { return };
    let is_port = |one: &&wire::InterfaceState| {
        matches!(
            one.kind(),
            wire::InterfaceKind::Physical | wire::InterfaceKind::Bond
        )
    };
    for port in now.interfaces.iter().filter(is_port) {
        let was = before.interfaces.iter().find(|was| was.name == port.name);
        let name = untrusted::name(&port.name);
        match (was.and_then(|was| was.carrier), port.carrier) {
            (Some(true), Some(false)) => {
                let what = format!("the network port {name} lost its link");
                events.push(Happened::bad(at, Kind::Link, 4, what));
            }
            (Some(false), Some(true)) => {
                let what = format!("the network port {name} got its link back");
                events.push(Happened::neutral(at, Kind::Link, 3, what));
            }
            _ => {}
        }
    }
}

impl<'a> Before<'a> {
    fn status(&mut self, at: Timestamp, now: &'a wire::PveStatus, events: &mut Vec<Happened>) {
        for storage in now.storages.iter().filter(|storage| storage.enabled) {
            let was = self.storages.insert(&storage.name, storage.active);
            let name = untrusted::name(&storage.name);
            if was == Some(true) && !storage.active {
                let what = format!("the storage {name} went offline");
                events.push(Happened::bad(at, Kind::Storage, 4, what));
            } else if was == Some(false) && storage.active {
                let what = format!("the storage {name} came back");
                events.push(Happened::neutral(at, Kind::Storage, 3, what));
            }
        }
        for guest in now.guests.iter().filter(|guest| !guest.template) {
            let state = match guest.qmp_status.as_str() {
                "" => guest.status.as_str(),
                state => state,
            };
            let was = self.guests.insert(guest.vmid, state);
            if was.is_some_and(|was| was != state) {
                let kind = match guest.kind() {
                    wire::GuestKind::Lxc => "container",
                    _ => "VM",
                };
                let state = untrusted::name(state);
                let what = format!("{kind} {} is {state} now", guest.vmid);
                events.push(match &*state {
                    "running" => Happened::neutral(at, Kind::Guest, 1, what),
                    "stopped" => Happened::neutral(at, Kind::Guest, 2, what),
                    _ => Happened::bad(at, Kind::Guest, 4, what),
                });
            }
        }
    }
}

fn ha(
    at: Timestamp,
    before: Option<&wire::HaState>,
    now: &wire::HaState,
    events: &mut Vec<Happened>,
) {
    let Some(before) = before else { return };
    if before.master_node != now.master_node && !now.master_node.is_empty() {
        let what = format!(
            "{} became the master of high availability",
            untrusted::name(&now.master_node)
        );
        events.push(Happened::neutral(at, Kind::Ha, 3, what));
    }
    let mut turned: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for node in &now.nodes {
        let was = before.nodes.iter().find(|was| was.name == node.name);
        if was.is_some_and(|was| was.state != node.state) {
            turned
                .entry(&node.state)
                .or_default()
                .push(node.name.clone());
        }
    }
    for (state, names) in turned {
        let what = format!(
            "high availability calls {} {}",
            words::list(&names, 5),
            untrusted::name(state)
        );
        events.push(match state {
            "online" => Happened::neutral(at, Kind::Ha, 3, what),
            _ => Happened::bad(at, Kind::Ha, 5, what),
        });
    }
    for manager in &now.local_managers {
        let mut all = before.local_managers.iter();
        let was = all.find(|was| was.node == manager.node);
        if was.is_some_and(|was| was.state != manager.state) && manager.state == "lost_agent_lock" {
            let name = untrusted::name(&manager.node);
            let what = format!("the HA manager of {name} lost its lock");
            events.push(Happened::bad(at, Kind::Ha, 5, what));
        }
    }
}
