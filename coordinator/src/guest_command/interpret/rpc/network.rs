//! `guest-network-get-interfaces` and `guest-network-get-route`.

use serde_json::Value;

use super::{
    super::{
        json,
        network::{interface_name, keep, route},
        output::{Output, WORD, member},
    },
    entries,
};
use crate::guest_command::facts::{GuestFacts, Interface, Route};

const WIDTH: usize = 64;
/// Flag of a route that is up and of one that rejects (`RTF_UP`, `RTF_REJECT`).
const REJECT: u64 = 0x200;

pub(in super::super) fn interfaces(output: &Output<'_>, facts: &mut GuestFacts) {
    if let Some((list, _)) = entries(output, facts, interface) {
        keep(facts, list);
    }
}

/// Names of Windows have blanks: `Ethernet 2`.
fn interface(value: &Value) -> Option<Interface> {
    let name = interface_name(value.get("name")?.as_str()?)?;
    let addresses = value.get("ip-addresses").and_then(Value::as_array);
    let addresses: Vec<String> = addresses
        .into_iter()
        .flatten()
        .filter_map(address)
        .collect();
    let statistics = value.get("statistics").cloned().unwrap_or_default();
    let total = |name: &str| json::number(&statistics, name);
    let is_local = |address: &String| address.starts_with("127.") || address.starts_with("::1/");
    Some(Interface {
        is_loopback: name == "lo" || (!addresses.is_empty() && addresses.iter().all(is_local)),
        name,
        mac_address: member(value, "hardware-address", WORD),
        addresses,
        received_bytes_total: total("rx-bytes"),
        received_packets_total: total("rx-packets"),
        received_errors_total: total("rx-errs"),
        received_dropped_total: total("rx-dropped"),
        transmitted_bytes_total: total("tx-bytes"),
        transmitted_packets_total: total("tx-packets"),
        transmitted_errors_total: total("tx-errs"),
        transmitted_dropped_total: total("tx-dropped"),
        ..Interface::default()
    })
}

fn address(value: &Value) -> Option<String> {
    let address = member(value, "ip-address", WIDTH)?;
    match json::number(value, "prefix").filter(|prefix| *prefix <= 128) {
        Some(prefix) => Some(format!("{address}/{prefix}")),
        None => Some(address),
    }
}

pub(in super::super) fn routes(output: &Output<'_>, facts: &mut GuestFacts) {
    if let Some((list, is_whole)) = entries(output, facts, one_route) {
        route::keep(facts, list, !is_whole);
    }
}

/// Names of members as in `GuestNetworkRoute`: for IPv4 a mask, for IPv6 the length of
/// the prefix.
fn one_route(value: &Value) -> Option<Route> {
    let destination = member(value, "destination", WIDTH)?;
    let is_ipv6 = destination.contains(':') || json::number(value, "version") == Some(6);
    let length = match member(value, "mask", WIDTH) {
        Some(mask) => mask
            .parse::<std::net::Ipv4Addr>()
            .ok()
            .map(|mask| mask.to_bits().leading_ones()),
        None => None,
    };
    let length = length.or_else(|| {
        let prefix = value.get("desprefixlen").and_then(Value::as_str)?;
        prefix.parse().ok().filter(|length| *length <= 128)
    });
    let is_any = matches!(destination.as_str(), "0.0.0.0" | "::" | "default");
    let rejects = json::number(value, "flags").is_some_and(|flags| flags & REJECT != 0);
    // Without a length, an address of zeros may be the default or not.
    let is_default = is_any && length.is_none_or(|length| length == 0);
    let gateway = member(value, "gateway", WIDTH).or_else(|| member(value, "nexthop", WIDTH));
    Some(Route {
        destination: match (is_default, length) {
            (true, _) => "default".to_owned(),
            (false, Some(length)) => format!("{destination}/{length}"),
            (false, None) => destination,
        },
        is_default: is_default && !rejects,
        is_ipv6,
        gateway: gateway.filter(|gateway| !matches!(gateway.as_str(), "0.0.0.0" | "::")),
        interface: member(value, "iface", WIDTH),
        source: None,
        metric: json::number(value, "metric").and_then(|metric| metric.try_into().ok()),
        rejects,
        is_down: false,
    })
}
