//! `ip route` and `ip -6 route`.

use super::{
    super::{
        number,
        output::{Output, some, text},
    },
    interface_name,
};
use crate::guest_command::facts::{GuestFacts, Route};

const LIMIT: usize = 40;
const WIDTH: usize = 64;

/// Routes that lead nowhere by intent, and others with their type in front.
const REJECTS: &[&str] = &["unreachable", "blackhole", "prohibit", "throw"];
const TYPES: &[&str] = &[
    "unicast",
    "local",
    "broadcast",
    "multicast",
    "anycast",
    "nat",
];

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list: Vec<Route> = Vec::new();
    for line in output.filled() {
        if line.starts_with(char::is_whitespace) {
            // `nexthop via ... dev ...` of a route with several ways.
            match list.last_mut() {
                Some(route) if route.gateway.is_none() && route.interface.is_none() => {
                    options(line.split_whitespace(), route);
                }
                Some(_) => {}
                None => facts.unread(),
            }
            continue;
        }
        match route(line) {
            Some(route) => list.push(route),
            None => facts.unread(),
        }
    }
    one_family(&mut list);
    keep(facts, list, output.is_cut);
}

/// `ip route` shows one family only, but a default route may not tell which.
fn one_family(list: &mut [Route]) {
    let has = |sign: char| list.iter().any(|route| route.destination.contains(sign));
    let is_ipv6 = match (has('.'), has(':')) {
        (true, false) => false,
        (false, true) => true,
        _ => return,
    };
    for route in list {
        route.is_ipv6 = is_ipv6;
    }
}

/// Takes over a list, default routes first. An empty one is a fact, too.
pub(in super::super) fn keep(facts: &mut GuestFacts, mut list: Vec<Route>, is_cut: bool) {
    let is_known = !list.is_empty() || (!is_cut && facts.unread_lines == 0);
    facts.understood |= is_known;
    list.sort_by_key(|route| (!route.is_default, route.metric));
    facts.bound("routes", &mut list, LIMIT);
    facts.routes = is_known.then_some(list);
}

fn route(line: &str) -> Option<Route> {
    let mut words = line.split_whitespace();
    let mut destination = words.next()?;
    let rejects = REJECTS.contains(&destination);
    if rejects || TYPES.contains(&destination) {
        destination = words.next()?;
    }
    if !is_destination(destination) {
        return None;
    }
    let mut route = Route {
        destination: text(destination, WIDTH),
        is_default: is_default(destination) && !rejects,
        is_ipv6: destination.contains(':'),
        rejects,
        ..Route::default()
    };
    options(words, &mut route);
    Some(route)
}

pub(in super::super) fn is_default(destination: &str) -> bool {
    matches!(destination, "default" | "0.0.0.0/0" | "::/0")
}

fn is_destination(word: &str) -> bool {
    let address = word.split('/').next().unwrap_or(word);
    word == "default" || address.parse::<std::net::IpAddr>().is_ok()
}

fn options<'a>(mut words: impl Iterator<Item = &'a str>, route: &mut Route) {
    while let Some(word) = words.next() {
        match word {
            "via" => {
                let mut gateway = words.next();
                if matches!(gateway, Some("inet" | "inet6")) {
                    gateway = words.next();
                }
                route.gateway = gateway.and_then(|gateway| some(gateway, WIDTH));
            }
            "dev" => route.interface = words.next().and_then(interface_name),
            "src" => route.source = words.next().and_then(|source| some(source, WIDTH)),
            "metric" => route.metric = words.next().and_then(number::small),
            "linkdown" | "dead" => route.is_down = true,
            _ => {}
        }
    }
    let is_ipv6 = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains(':'));
    // `default via inet6 ...` is an IPv4 route over an IPv6 neighbour; its source tells.
    route.is_ipv6 |= is_ipv6(&route.source) || (is_ipv6(&route.gateway) && route.source.is_none());
}
