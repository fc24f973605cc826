//! `ip -o address` and `ip -s link`, of iproute2 and of `BusyBox`.

use super::{
    super::{
        number,
        output::{Output, WORD, some},
    },
    interface_name, keep,
};
use crate::guest_command::facts::{GuestFacts, Interface};

/// `2: eth0    inet 192.0.2.5/24 brd 192.0.2.255 scope global eth0`, a line for each
/// address. `BusyBox` mixes in the lines of the links.
pub(in super::super) fn addresses(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list: Vec<Interface> = Vec::new();
    for line in output.filled() {
        let Some(name) = heading(line) else {
            // What follows a link, when the lines are not joined.
            if !line.starts_with(char::is_whitespace) {
                facts.unread();
            }
            continue;
        };
        with(&mut list, name, |one| {
            flags(line, one);
            let mut words = line.split_whitespace();
            while let Some(word) = words.next() {
                if matches!(word, "inet" | "inet6")
                    && let Some(address) = words.next()
                    && is_address(address)
                {
                    one.addresses.extend(some(address, 64));
                }
            }
        });
    }
    keep(facts, list);
}

/// `ip -s link`: a heading, an address, and two tables of one row.
pub(in super::super) fn links(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list: Vec<Interface> = Vec::new();
    // Which table comes next, and its headings.
    let mut table: Option<(bool, Vec<&str>)> = None;
    for line in output.filled() {
        if let Some(name) = heading(line) {
            with(&mut list, name, |one| flags(line, one));
            table = None;
            continue;
        }
        let Some(one) = list.last_mut() else {
            facts.unread();
            continue;
        };
        let words: Vec<&str> = line.split_whitespace().take(20).collect();
        match words.as_slice() {
            ["RX:", headings @ ..] => table = Some((true, headings.to_vec())),
            ["TX:", headings @ ..] => table = Some((false, headings.to_vec())),
            [link, address, ..] if link.starts_with("link/") => {
                one.mac_address = some(address, WORD)
            }
            numbers => {
                if let Some((is_received, headings)) = table.take() {
                    counters(is_received, &headings, numbers, one);
                }
            }
        }
    }
    keep(facts, list);
}

/// `2: eth0@if5: <...>` gives `eth0@if5:`.
fn heading(line: &str) -> Option<&str> {
    let (number, rest) = line.split_once(": ")?;
    number::small(number)?;
    rest.split_whitespace().next()
}

/// Lets `change` work on the interface of this name: addresses of one follow one
/// another.
fn with(list: &mut Vec<Interface>, name: &str, change: impl FnOnce(&mut Interface)) {
    let Some(name) = interface_name(name) else {
        return;
    };
    match list.last_mut() {
        Some(last) if last.name == name => change(last),
        _ => {
            let mut one = Interface {
                is_loopback: name == "lo",
                name,
                ..Interface::default()
            };
            change(&mut one);
            list.push(one);
        }
    }
}

/// `<BROADCAST,MULTICAST,UP,LOWER_UP> mtu 1500 ... state UP`.
fn flags(line: &str, one: &mut Interface) {
    let Some((flags, rest)) = line
        .split_once('<')
        .and_then(|(_, rest)| rest.split_once('>'))
    else {
        return;
    };
    let has = |name: &str| flags.split(',').any(|flag| flag == name);
    one.is_enabled = Some(has("UP"));
    // Only what is switched on knows its link.
    one.has_carrier = has("UP").then(|| has("LOWER_UP") && !has("NO-CARRIER"));
    one.is_loopback |= has("LOOPBACK");
    let mut words = rest.split_whitespace();
    while let Some(word) = words.next() {
        match word {
            "mtu" => one.mtu = words.next().and_then(number::small),
            "state" => one.state = words.next().and_then(|state| some(state, WORD)),
            _ => {}
        }
    }
}

fn counters(is_received: bool, headings: &[&str], numbers: &[&str], one: &mut Interface) {
    for (heading, text) in headings.iter().zip(numbers) {
        let value = number::total(text);
        match (is_received, *heading) {
            (true, "bytes") => one.received_bytes_total = value,
            (true, "packets") => one.received_packets_total = value,
            (true, "errors") => one.received_errors_total = value,
            (true, "dropped") => one.received_dropped_total = value,
            (false, "bytes") => one.transmitted_bytes_total = value,
            (false, "packets") => one.transmitted_packets_total = value,
            (false, "errors") => one.transmitted_errors_total = value,
            (false, "dropped") => one.transmitted_dropped_total = value,
            _ => {}
        }
    }
}

/// With or without the length of its prefix.
fn is_address(text: &str) -> bool {
    let address = text.split('/').next().unwrap_or(text);
    address.parse::<std::net::IpAddr>().is_ok()
}
