//! No network: address, link, route, names, and who listens, from near to far.

use super::{
    case::{Case, Next, way},
    slow::told_by_log,
};
use crate::guest_command::{
    facts::{GuestFacts, Interface},
    system::GuestSystem,
};

/// Addresses that a host gives itself when nobody gives it one (RFC 3927, RFC 4291).
const OWN: [&str; 2] = ["169.254.", "fe80"];

pub(super) fn none(case: &mut Case<'_>) -> Result<(), Next> {
    let system = case.system()?;
    addresses(case, system)?;
    match system {
        GuestSystem::Linux => linux(case)?,
        GuestSystem::Windows => windows(case)?,
        GuestSystem::Other | GuestSystem::Unknown => {}
    }
    if case.is_open() {
        case.conclude(match case.knows_anything() {
            true => "Inside the guest address, link, route and name servers are in order.",
            false => "The guest could not be asked.",
        });
        case.advise(
            "Look outside: firewall of the VM, its node and the cluster in PVE, VLAN tag and \
             bridge of its interface, the switch, the gateway.",
        );
    }
    Ok(())
}

fn addresses(case: &mut Case<'_>, system: GuestSystem) -> Result<(), Next> {
    let why = "without an address nothing else works";
    let mut ways = vec![way("network-interfaces")];
    match system {
        GuestSystem::Linux => ways.push(way("addresses")),
        GuestSystem::Windows => ways.push(way("windows-addresses")),
        GuestSystem::Other | GuestSystem::Unknown => {}
    }
    let Some(facts) = case.look("addresses", why, ways)? else {
        return Ok(());
    };
    let real: Vec<&Interface> = facts
        .interfaces
        .iter()
        .filter(|one| !one.is_loopback)
        .collect();
    if facts.interfaces.is_empty() {
        return Ok(());
    }
    if real.is_empty() {
        case.conclude("The guest has no network interface but its own loopback.");
        case.advise("Add a network device to the VM, or load the driver for the one it has.");
    } else if !real.iter().any(|one| has_address(one)) {
        let names: Vec<&str> = real.iter().take(4).map(|one| one.name.as_str()).collect();
        case.conclude(format!(
            "No interface has an address ({}).",
            names.join(", ")
        ));
        case.advise(
            "If it is to come by DHCP: is the server reached in this VLAN? If it is fixed: compare \
             the name of the interface with the configuration; it changes with the machine type \
             and the order of devices.",
        );
    }
    Ok(())
}

fn has_address(one: &Interface) -> bool {
    one.addresses
        .iter()
        .any(|address| !OWN.iter().any(|own| address.starts_with(own)))
}

fn linux(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "whether links are up, and whether packets are lost";
    let links = case.read("links", why, [way("links")])?;
    for one in links
        .interfaces
        .iter()
        .filter(|one| !one.is_loopback)
        .take(8)
    {
        link(case, one);
    }
    let why = "whether there is a way out";
    let facts = case.read("routes", why, [way("network-routes"), way("routes")])?;
    routes(case, facts);
    let why = "names are looked up where this says";
    let facts = case.read("name-servers", why, [way("resolv-conf")])?;
    names(case, facts);
    let why = "whether the service in question listens, and where";
    let facts = case.read("listeners", why, [way("listening-sockets")])?;
    listeners(case, facts);
    let why = "whether the table of connections is full";
    let facts = case.read("connections-tracked", why, [way("conntrack")])?;
    if let Some((count, max)) = facts
        .conntrack
        .as_ref()
        .and_then(|all| all.count.zip(all.max))
        && max > 0
        && count >= max - max / 20
    {
        case.conclude(format!(
            "The table of connections is full: {count} of {max}."
        ));
        case.advise("Raise nf_conntrack_max, or find who opens that many connections.");
    }
    let why = "what the kernel says of links";
    let log = case.read(
        "kernel-log",
        why,
        [way("kernel-log"), way("kernel-log-basic")],
    )?;
    told_by_log(case, log);
    Ok(())
}

fn link(case: &mut Case<'_>, one: &Interface) {
    if one.is_enabled == Some(false) {
        case.conclude(format!("{} is switched off in the guest.", one.name));
        case.advise(format!(
            "Bring {} up by the guest's own network configuration, so that it stays.",
            one.name
        ));
    } else if one.has_carrier == Some(false) {
        case.conclude(format!("{} has no link.", one.name));
        case.advise("Look at link_down and the bridge of this device in the VM's hardware.");
    }
    let lost = one.received_errors_total.unwrap_or_default();
    let sent = one.transmitted_errors_total.unwrap_or_default();
    if lost.saturating_add(sent) > 100 {
        case.conclude(format!(
            "{} counts errors: {lost} received, {sent} sent.",
            one.name
        ));
        case.advise("Compare MTU and offloading of the guest, its bridge and the network.");
    }
}

fn routes(case: &mut Case<'_>, facts: &GuestFacts) {
    let Some(routes) = &facts.routes else {
        return;
    };
    let out = routes
        .iter()
        .filter(|route| route.is_default && !route.rejects);
    match out.clone().count() {
        0 => {
            case.conclude("There is no default route: nothing outside its own network is reached.");
            case.advise("Set the gateway in the guest's network configuration.");
        }
        _ if out.clone().all(|route| route.is_down) => {
            case.conclude("The interface of the default route has no link.");
        }
        _ => {}
    }
    let ipv4 = out.filter(|route| !route.is_ipv6).count();
    if ipv4 > 1 {
        case.conclude("There are several default routes: answers may leave another way.");
        case.advise("Keep one gateway, or give the others a higher metric.");
    }
}

fn names(case: &mut Case<'_>, facts: &GuestFacts) {
    if facts.name_servers.as_ref().is_some_and(Vec::is_empty) {
        case.conclude("No name server is configured: addresses work, names do not.");
        case.advise("Set name servers in the guest's network configuration, or by cloud-init.");
    }
}

fn listeners(case: &mut Case<'_>, facts: &GuestFacts) {
    let Some(sockets) = &facts.sockets else {
        return;
    };
    let tcp = sockets
        .listening
        .iter()
        .filter(|socket| socket.protocol == "tcp");
    if !sockets.listening.is_empty() && !tcp.clone().any(|socket| socket.is_exposed) {
        case.conclude("No service listens on an address that others reach.");
        case.advise("Bind the service to the address of the guest instead of 127.0.0.1.");
    }
    if let Some(full) = sockets.backlogged.first() {
        let who = full.process.as_deref().unwrap_or("a service");
        case.conclude(format!(
            "{who} does not take its connections: they wait in its queue."
        ));
        case.advise(format!(
            "Look at {who}: it hangs, or is too busy. See service-down."
        ));
    }
}

fn windows(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "whether there is a way out";
    case.read("routes", why, [way("windows-routes")])?;
    let why = "whether the service in question listens";
    let facts = case.read("listeners", why, [way("windows-sockets")])?;
    listeners(case, facts);
    let why = "which profile of the firewall counts";
    case.read("firewall", why, [way("windows-firewall")])?;
    case.advise(
        "Compare gateway and name servers in the output of `windows-addresses` with what they \
         shall be. A network that Windows takes as public shuts most ports.",
    );
    Ok(())
}
