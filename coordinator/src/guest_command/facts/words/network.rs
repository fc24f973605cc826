//! Words about the network.

use super::{Said, counted, names, percent};
use crate::{
    figure::share,
    guest_command::facts::{GuestFacts, Interface, Route, Sockets},
};

/// Interfaces of containers and virtual networks come and go without a link.
const MINOR: &[&str] = &[
    "docker", "br-", "veth", "virbr", "cali", "tap", "dummy", "ifb", "tun", "wg", "sit", "teql",
];

fn is_minor(one: &Interface) -> bool {
    one.is_loopback || MINOR.iter().any(|name| one.name.starts_with(name))
}

pub(super) fn say(facts: &GuestFacts, said: &mut Said) {
    interfaces(facts, said);
    if let Some(routes) = &facts.routes {
        all_routes(routes, facts.is_cut, said);
    }
    if let Some(servers) = &facts.name_servers {
        match servers.as_slice() {
            [] => said.warning("No name server is configured".to_owned()),
            servers => said.info(format!("Name servers: {}", names(servers, servers.len()))),
        }
    }
    if let Some(sockets) = &facts.sockets {
        all_sockets(sockets, said);
    }
    conntrack(facts, said);
}

fn interfaces(facts: &GuestFacts, said: &mut Said) {
    let before = said.sentences.len();
    for one in facts.interfaces.iter().filter(|one| !is_minor(one)) {
        match (one.is_enabled, one.has_carrier) {
            (Some(false), _) => said.warning(format!("{} is switched off", one.name)),
            (Some(true), Some(false)) => {
                said.warning(format!("{} is switched on but has no link", one.name))
            }
            _ => {}
        }
        trouble(one, said);
    }
    let up: Vec<&str> = facts
        .interfaces
        .iter()
        .filter(|one| !is_minor(one) && one.has_carrier == Some(true))
        .map(|one| one.name.as_str())
        .collect();
    if !up.is_empty() && said.is_calm_since(before) {
        said.info(format!("With a link: {}", names(&up, up.len())));
    }
    addresses(facts, said);
}

/// Errors and drops, when they are many.
fn trouble(one: &Interface, said: &mut Said) {
    for (what, packets, errors, dropped) in [
        (
            "received",
            one.received_packets_total,
            one.received_errors_total,
            one.received_dropped_total,
        ),
        (
            "sent",
            one.transmitted_packets_total,
            one.transmitted_errors_total,
            one.transmitted_dropped_total,
        ),
    ] {
        let packets = packets.unwrap_or(0);
        let over = |count: Option<u64>, limit: f64| {
            let count = count.filter(|count| *count > 0)?;
            let all = packets.saturating_add(count);
            share(count, all)
                .filter(|share| *share >= limit)
                .map(|share| (count, share))
        };
        if let Some((count, share)) = over(errors, 0.001) {
            said.warning(format!(
                "{}: {count} packets {what} with errors ({})",
                one.name,
                percent(share * 100.0)
            ));
        }
        if let Some((count, share)) = over(dropped, 0.02) {
            said.warning(format!(
                "{}: {count} packets {what} were dropped ({})",
                one.name,
                percent(share * 100.0)
            ));
        }
    }
}

/// Only of a command that shows addresses: one of loopback at least.
fn addresses(facts: &GuestFacts, said: &mut Said) {
    if facts.interfaces.iter().all(|one| one.addresses.is_empty()) {
        return;
    }
    let is_local = |address: &str| {
        let lower = address.to_ascii_lowercase();
        lower.starts_with("fe80:")
            || lower.starts_with("169.254.")
            || lower.starts_with("127.")
            || lower.starts_with("::1/")
    };
    let mut has_any = false;
    let mut shown = Vec::new();
    for one in facts.interfaces.iter().filter(|one| !one.is_loopback) {
        let useful: Vec<&str> = one
            .addresses
            .iter()
            .map(String::as_str)
            .filter(|address| !is_local(address))
            .collect();
        has_any |= !useful.is_empty();
        let is_alone = one
            .addresses
            .iter()
            .any(|address| address.starts_with("169.254."));
        if useful.is_empty() && is_alone && !is_minor(one) {
            said.warning(format!(
                "{} has only an address that it gave itself: no DHCP server answered",
                one.name
            ));
        }
        if !useful.is_empty() && !is_minor(one) {
            shown.push(format!("{} {}", one.name, useful.join(" ")));
        }
    }
    if !has_any && !facts.is_cut && !facts.left_out.contains_key("interfaces") {
        said.critical("No interface has an address that others can reach".to_owned());
    }
    if !shown.is_empty() {
        said.info(format!("Addresses: {}", names(&shown, shown.len())));
    }
}

fn all_routes(routes: &[Route], is_cut: bool, said: &mut Said) {
    let defaults: Vec<&Route> = routes.iter().filter(|route| route.is_default).collect();
    let has_ipv4 = routes.iter().any(|route| !route.is_ipv6 && !route.rejects);
    if routes.is_empty() {
        said.warning("There are no routes of the kind that was asked for".to_owned());
    } else if defaults.is_empty() && !is_cut {
        if has_ipv4 {
            said.critical(
                "There is no default route: nothing beyond its own network can be reached"
                    .to_owned(),
            );
        } else {
            said.info("There is no IPv6 default route".to_owned());
        }
    } else if has_ipv4 && !is_cut && defaults.iter().all(|route| route.is_ipv6) {
        said.warning("There is no IPv4 default route".to_owned());
    }
    for route in &defaults {
        if route.is_down {
            said.critical(format!("The default route{} is down", over(route)));
        }
    }
    for route in defaults.iter().filter(|route| !route.is_down).take(2) {
        let via = route
            .gateway
            .as_ref()
            .map(|gateway| format!(" to {gateway}"))
            .unwrap_or_default();
        said.info(format!("Default route{via}{}", over(route)));
    }
}

fn over(route: &Route) -> String {
    route
        .interface
        .as_ref()
        .map(|name| format!(" over {name}"))
        .unwrap_or_default()
}

fn all_sockets(sockets: &Sockets, said: &mut Said) {
    for socket in sockets.backlogged.iter().take(3) {
        let port = socket
            .port
            .map(|port| format!(" port {port}"))
            .unwrap_or_default();
        let process = socket
            .process
            .as_ref()
            .map(|process| format!(" ({process})"))
            .unwrap_or_default();
        let sentence = if socket.state == "LISTEN" {
            format!(
                "{}{port}{process}: {} connections wait, more do not fit",
                socket.protocol, socket.receive_queue
            )
        } else {
            format!(
                "{}{port}{process}: {} bytes are not taken by the program",
                socket.protocol, socket.receive_queue
            )
        };
        said.warning(sentence);
    }
    let count = |state: &str| {
        sockets
            .by_state
            .iter()
            .find(|one| one.name == state)
            .map_or(0, |one| one.count)
    };
    for (state, limit, meaning) in [
        (
            "CLOSE-WAIT",
            100,
            "the other side ended, a program here does not close them",
        ),
        ("SYN-SENT", 10, "others do not answer"),
        ("SYN-RECV", 200, "a flood, or answers that do not arrive"),
        ("FIN-WAIT-2", 500, "the other side does not end them"),
    ] {
        let many = count(state);
        if many >= limit {
            said.warning(format!(
                "{} in {state}: {meaning}",
                counted(many, "connection")
            ));
        }
    }
    let listening: Vec<String> = sockets
        .listening
        .iter()
        .filter(|socket| socket.is_exposed && socket.protocol == "tcp")
        .filter_map(|socket| {
            let process = socket
                .process
                .as_ref()
                .map(|process| format!(" {process}"))
                .unwrap_or_default();
            Some(format!("{}{process}", socket.port?))
        })
        .collect();
    let mut listening: Vec<&str> = listening.iter().map(String::as_str).collect();
    listening.dedup();
    if !listening.is_empty() {
        let more = listening.len().saturating_sub(10);
        let more = if more > 0 {
            format!(" and {more} more")
        } else {
            String::new()
        };
        listening.truncate(10);
        said.info(format!(
            "Others can reach TCP port {}{more}",
            listening.join(", ")
        ));
    } else if !sockets.listening.is_empty() {
        said.info("No TCP port is open to others".to_owned());
    } else if sockets.totals.is_none() && sockets.by_state.is_empty() {
        said.info("There are no such sockets".to_owned());
    }
    let states: Vec<String> = sockets
        .by_state
        .iter()
        .map(|one| format!("{} {}", one.count, one.name))
        .collect();
    if !states.is_empty() {
        said.info(format!("Connections: {}", names(&states, states.len())));
    }
    if let Some(peer) = sockets.peers.first().filter(|peer| peer.count >= 50) {
        said.info(format!(
            "Most connections are with {}: {}",
            peer.address, peer.count
        ));
    }
    if let Some(totals) = &sockets.totals
        && let Some(tcp) = totals.tcp
    {
        let established = totals.established.unwrap_or(0);
        said.info(format!(
            "{} of TCP, {established} of them connected",
            counted(tcp, "socket")
        ));
    }
}

fn conntrack(facts: &GuestFacts, said: &mut Said) {
    let Some(table) = &facts.conntrack else {
        return;
    };
    let (Some(count), Some(max)) = (table.count, table.max) else {
        return;
    };
    let Some(share) = share(count, max) else {
        return;
    };
    let filled = percent(share * 100.0);
    let sentence =
        format!("The firewall remembers {count} of at most {max} connections ({filled})");
    match share {
        0.9.. => said.critical(sentence),
        0.75.. => said.warning(sentence),
        _ => said.info(sentence),
    }
}
