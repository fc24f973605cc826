//! What still works, so that nobody repairs it.

use pvelens_proto::agent::v1::{self as wire, CorosyncLinkState, NetworkMountState};

use super::{Trouble, advice, facts::Facts, words};
use crate::untrusted;

/// Services that people need to get in and to see, with what they are for.
const SERVICES: &[(&str, &str)] = &[
    ("pveproxy.service", "pveproxy (web and API)"),
    ("pvedaemon.service", "pvedaemon"),
    ("pvestatd.service", "pvestatd"),
    ("pve-cluster.service", "pve-cluster"),
    ("corosync.service", "corosync"),
    ("ssh.service", "ssh"),
];

pub(super) fn lines(facts: &Facts<'_>, troubles: &[Trouble]) -> Vec<String> {
    let lines = [
        guests(facts),
        cluster(facts),
        storages(facts),
        services(facts),
        pmxcfs(facts, troubles),
        links(facts),
    ];
    lines.into_iter().flatten().collect()
}

fn guests(facts: &Facts<'_>) -> Option<String> {
    let running: Vec<(u32, wire::GuestKind)> = if facts.is_fresh("guest_runtime") {
        let guests = facts.runtimes()?.guests.iter();
        guests.map(|guest| (guest.vmid, guest.kind())).collect()
    } else if facts.is_fresh("pve_status") {
        let guests = facts.pve_status()?.guests.iter();
        guests
            .filter(|guest| guest.status == "running")
            .map(|guest| (guest.vmid, guest.kind()))
            .collect()
    } else {
        return None;
    };
    if running.is_empty() {
        return None;
    }
    let of = |kind: wire::GuestKind| -> Vec<String> {
        let mut ids: Vec<u32> = running
            .iter()
            .filter(|(_, one)| *one == kind)
            .map(|(vmid, _)| *vmid)
            .collect();
        ids.sort_unstable();
        ids.iter().map(u32::to_string).collect()
    };
    let (vms, containers) = (of(wire::GuestKind::Qemu), of(wire::GuestKind::Lxc));
    let mut parts = Vec::new();
    for (ids, noun) in [(vms, "VM"), (containers, "container")] {
        if !ids.is_empty() {
            let plural = if ids.len() == 1 { "" } else { "s" };
            parts.push(format!("{noun}{plural} {}", words::list(&ids, 6)));
        }
    }
    Some(format!(
        "{} here: {}",
        match running.len() {
            1 => "1 guest runs".to_owned(),
            count => format!("{} run", words::count(count, "guest")),
        },
        parts.join("; ")
    ))
}

fn cluster(facts: &Facts<'_>) -> Option<String> {
    if facts.quorate() != Some(true) || !facts.is_fresh("members") {
        return None;
    }
    let members = facts.members()?.members.iter();
    let online = members.filter(|member| member.online);
    let names: Vec<String> = online.map(|member| member.name.clone()).collect();
    let verb = if names.len() == 1 { "is" } else { "are" };
    Some(format!(
        "the cluster has quorum: {} {verb} in sight",
        words::list(&names, 6)
    ))
}

/// Those that pvestatd reached lately, but not behind a mount that hangs.
fn storages(facts: &Facts<'_>) -> Option<String> {
    if !facts.is_fresh("pve_status") {
        return None;
    }
    let status = facts.pve_status()?;
    let computed = status
        .node
        .as_ref()
        .and_then(|node| node.computed_at.as_ref());
    if !facts.is_recent(super::facts::moment(computed?)?) {
        return None;
    }
    let hangs = |name: &str| {
        let mounts = facts.mounts().map_or(&[][..], |mounts| &mounts.mounts);
        mounts.iter().any(|mount| {
            mount.state() == NetworkMountState::Hanging
                && mount.mount_point.rsplit('/').next() == Some(name)
        })
    };
    let active = status
        .storages
        .iter()
        .filter(|storage| storage.active && !hangs(&storage.name));
    let names: Vec<String> = active.map(|storage| storage.name.clone()).collect();
    (!names.is_empty()).then(|| format!("storages that answer: {}", words::list(&names, 8)))
}

fn services(facts: &Facts<'_>) -> Option<String> {
    if !facts.is_fresh("units") {
        return None;
    }
    let units = &facts.units()?.units;
    let running: Vec<String> = SERVICES
        .iter()
        .filter(|(name, _)| {
            let mut units = units.iter();
            units.any(|unit| unit.name == *name && unit.active_state == "active")
        })
        .map(|(_, words)| (*words).to_owned())
        .collect();
    (!running.is_empty()).then(|| format!("services: {}", running.join(", ")))
}

fn pmxcfs(facts: &Facts<'_>, troubles: &[Trouble]) -> Option<String> {
    let is_told = troubles
        .iter()
        .any(|trouble| trouble.check == advice::PMXCFS);
    if is_told || !facts.pmxcfs_answers() || facts.quorate() != Some(false) {
        return None;
    }
    Some("/etc/pve can be read, not written".to_owned())
}

/// The links to every other node that work, when one does not.
fn links(facts: &Facts<'_>) -> Option<String> {
    if !facts.is_fresh("corosync_state") {
        return None;
    }
    let links = &facts.corosync()?.local_links;
    let with = |state: CorosyncLinkState| links.iter().filter(move |link| link.state() == state);
    let mut down: Vec<u32> = with(CorosyncLinkState::Disconnected)
        .map(|link| link.link_number)
        .collect();
    down.dedup();
    let mut up: Vec<u32> = with(CorosyncLinkState::Connected)
        .map(|link| link.link_number)
        .filter(|number| !down.contains(number))
        .collect();
    up.sort_unstable();
    up.dedup();
    if down.is_empty() || up.is_empty() {
        return None;
    }
    let names: Vec<String> = up.iter().map(|number| address(facts, *number)).collect();
    Some(format!("cluster links: {}", words::list(&names, 4)))
}

/// `link 1 (192.0.2.11)`, with the address of this node.
fn address(facts: &Facts<'_>, number: u32) -> String {
    let own = facts.corosync_config().and_then(|config| {
        let mut nodes = config.nodes.iter();
        let node = nodes.find(|node| node.name == facts.node)?;
        let mut addresses = node.addresses.iter();
        addresses.find(|address| address.link_number == number)
    });
    match own {
        Some(own) => format!("link {number} ({})", untrusted::name(&own.address)),
        None => format!("link {number}"),
    }
}
