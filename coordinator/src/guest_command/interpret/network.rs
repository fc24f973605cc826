//! Interfaces, routes, sockets and name servers.

use super::{
    number,
    output::{NAME, Output, some, text},
};
use crate::guest_command::facts::{Conntrack, GuestFacts, Interface, SocketTotals, Sockets};

pub(super) mod link;
pub(super) mod route;
pub(super) mod socket;

const INTERFACES: usize = 40;
const ADDRESSES: usize = 8;
const NAME_SERVERS: usize = 10;

/// Takes over a list: loopback and interfaces of containers last.
pub(super) fn keep(facts: &mut GuestFacts, mut list: Vec<Interface>) {
    if list.is_empty() {
        return;
    }
    facts.understood = true;
    let is_minor = |name: &str| {
        [
            "veth", "docker", "br-", "cali", "virbr", "tap", "ifb", "dummy",
        ]
        .iter()
        .any(|minor| name.starts_with(minor))
    };
    list.sort_by_key(|one| (one.is_loopback, is_minor(&one.name)));
    let mut over = 0_usize;
    for one in &mut list {
        over = over.saturating_add(one.addresses.len().saturating_sub(ADDRESSES));
        one.addresses.truncate(ADDRESSES);
    }
    if over > 0 {
        let over = u32::try_from(over).unwrap_or(u32::MAX);
        facts
            .left_out
            .insert("interfaces.addresses".to_owned(), over);
    }
    facts.bound("interfaces", &mut list, INTERFACES);
    facts.interfaces = list;
}

/// `/etc/resolv.conf`.
pub(super) fn resolv_conf(output: &Output<'_>, facts: &mut GuestFacts) {
    let (mut servers, mut domains) = (Vec::new(), Vec::new());
    for line in output.filled() {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            continue;
        }
        let mut words = line.split_whitespace();
        match words.next() {
            // An address may name its interface: `fe80::1%eth0`.
            Some("nameserver") => match words.next() {
                Some(server) => servers.push(text(server, NAME)),
                None => facts.unread(),
            },
            Some("search" | "domain") => {
                domains = words
                    .take(NAME_SERVERS)
                    .map(|word| text(word, NAME))
                    .collect();
            }
            Some("options" | "sortlist" | "family" | "lookup") => {}
            _ => facts.unread(),
        }
    }
    facts.understood = !servers.is_empty() || facts.unread_lines == 0 && !output.is_cut;
    facts.bound("name_servers", &mut servers, NAME_SERVERS);
    facts.name_servers = facts.understood.then_some(servers);
    facts.search_domains = domains;
}

/// Two lines: how many connections the kernel remembers, and how many it can.
pub(super) fn conntrack(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut numbers = output.filled().map(|line| number::total(line.trim()));
    let (Some(Some(count)), Some(Some(max))) = (numbers.next(), numbers.next()) else {
        return;
    };
    facts.understood = true;
    facts.conntrack = Some(Conntrack {
        count: Some(count),
        max: Some(max),
    });
}

/// `ss -s`.
pub(super) fn socket_summary(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut totals = SocketTotals::default();
    for line in output.filled() {
        if let Some(rest) = line.strip_prefix("Total:") {
            totals.all = rest.split_whitespace().next().and_then(number::small);
        } else if let Some(rest) = line.strip_prefix("TCP:") {
            tcp(rest, &mut totals);
        } else if let Some(rest) = line.strip_prefix("UDP") {
            totals.udp = rest.split_whitespace().next().and_then(number::small);
        }
    }
    if totals == SocketTotals::default() {
        return;
    }
    facts.understood = true;
    facts.sockets = Some(Sockets {
        totals: Some(totals),
        ..Sockets::default()
    });
}

/// `10 (estab 2, closed 1, orphaned 0, timewait 0)`; older ones have `timewait 0/0`.
fn tcp(text: &str, totals: &mut SocketTotals) {
    let (all, states) = text.split_once('(').unwrap_or((text, ""));
    totals.tcp = number::small(all.trim());
    for state in states.split(['(', ')', ',']) {
        let mut words = state.split_whitespace();
        let (Some(name), Some(value)) = (words.next(), words.next()) else {
            continue;
        };
        let value = number::small(value.split('/').next().unwrap_or(value));
        match name {
            "estab" => totals.established = value,
            "closed" => totals.closed = value,
            "orphaned" => totals.orphaned = value,
            "timewait" => totals.time_wait = value,
            _ => {}
        }
    }
}

/// A name as `eth0@if12`: the part before tells this guest's side.
pub(super) fn interface_name(name: &str) -> Option<String> {
    let name = name.trim_end_matches(':');
    some(name.split('@').next().unwrap_or(name), 48)
}
