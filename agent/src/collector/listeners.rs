//! Where the node can be reached: listening sockets, addresses, routes, neighbours.
//!
//! The agent has a network namespace of its own, so it reads that of PID 1. The
//! owner of a socket stays unknown: it is in `/proc/PID/fd`, which is banned.

use std::time::Duration;

use pvelens_proto::agent::v1::{
    CollectionClass, HostAddress, HostRoute, Listeners, ListeningSocket, Neighbour, SocketProtocol,
};

use super::{CollectError, Collector, FILE_DEADLINE, KERNEL_FILE_LIMIT, Payload, Reading};
use crate::format::FormatError;

mod address;
mod neighbour;
mod route;
mod socket;

const SOCKETS: [(&str, SocketProtocol); 4] = [
    ("/proc/1/net/tcp", SocketProtocol::Tcp),
    ("/proc/1/net/tcp6", SocketProtocol::Tcp),
    ("/proc/1/net/udp", SocketProtocol::Udp),
    ("/proc/1/net/udp6", SocketProtocol::Udp),
];
const IPV6_ADDRESSES: &str = "/proc/1/net/if_inet6";
const IPV4_ADDRESSES: &str = "/proc/1/net/fib_trie";
const IPV4_ROUTES: &str = "/proc/1/net/route";
const IPV6_ROUTES: &str = "/proc/1/net/ipv6_route";
const NEIGHBOURS: &str = "/proc/1/net/arp";

/// Of sockets.
const SOCKET_LIMIT: usize = 2000;
const ADDRESS_LIMIT: usize = 1000;
const ROUTE_LIMIT: usize = 1000;
const NEIGHBOUR_LIMIT: usize = 4096;

pub(super) const COLLECTOR: Collector = Collector {
    name: "listeners",
    summary: "listening sockets, addresses, routes and neighbours of the host",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(600),
    deadline: FILE_DEADLINE,
    paths: &[
        "/proc/1/net/tcp",
        "/proc/1/net/tcp6",
        "/proc/1/net/udp",
        "/proc/1/net/udp6",
        IPV6_ADDRESSES,
        IPV4_ADDRESSES,
        IPV4_ROUTES,
        IPV6_ROUTES,
        NEIGHBOURS,
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut tables = 0_usize;
    let mut all = Listeners::default();
    for (path, protocol) in SOCKETS {
        let parse = |text: &str| socket::parse(text, protocol);
        all.sockets.extend(table(reading, path, &mut tables, parse));
    }
    for (path, parse) in [
        (IPV4_ADDRESSES, address::ipv4 as fn(&str) -> _),
        (IPV6_ADDRESSES, address::ipv6),
    ] {
        let found: Vec<HostAddress> = table(reading, path, &mut tables, parse);
        all.addresses.extend(found);
    }
    for (path, parse) in [
        (IPV4_ROUTES, route::ipv4 as fn(&str) -> _),
        (IPV6_ROUTES, route::ipv6),
    ] {
        let found: Vec<HostRoute> = table(reading, path, &mut tables, parse);
        all.routes.extend(found);
    }
    all.neighbours = table(reading, NEIGHBOURS, &mut tables, neighbour::parse);
    if tables == 0 {
        return Err(CollectError::NoData(
            "the kernel shows no network tables of PID 1",
        ));
    }
    bound(&mut all);
    Ok(Payload::Listeners(all))
}

/// What a table of the kernel holds, if it has one: without IPv6 half of them
/// do not exist. Counts those that do.
fn table<T>(
    reading: &mut Reading<'_>,
    path: &str,
    tables: &mut usize,
    parse: impl Fn(&str) -> Result<Vec<T>, FormatError>,
) -> Vec<T> {
    let text = match reading.read(path, KERNEL_FILE_LIMIT) {
        Err(error) if error.is_not_found() => return Vec::new(),
        result => {
            *tables = tables.saturating_add(1);
            reading.keep(result)
        }
    };
    text.and_then(|text| reading.keep(parse(&text).map_err(|error| error.at(path))))
        .unwrap_or_default()
}

/// Sorts, so that a busy table does not look changed, and cuts.
fn bound(all: &mut Listeners) {
    let key = |socket: &ListeningSocket| (socket.protocol, socket.address.clone(), socket.port);
    all.sockets.sort_by_cached_key(key);
    // One socket per thread (SO_REUSEPORT) is one listener.
    all.sockets.dedup();
    let key = |one: &Neighbour| (one.interface.clone(), one.address.clone());
    all.neighbours.sort_by_cached_key(key);
    all.truncated = cut(&mut all.sockets, SOCKET_LIMIT)
        | cut(&mut all.addresses, ADDRESS_LIMIT)
        | cut(&mut all.routes, ROUTE_LIMIT)
        | cut(&mut all.neighbours, NEIGHBOUR_LIMIT);
}

fn cut<T>(items: &mut Vec<T>, limit: usize) -> bool {
    let is_longer = items.len() > limit;
    items.truncate(limit);
    is_longer
}

fn hexadecimal(text: &str) -> Result<u32, FormatError> {
    let number = u32::from_str_radix(text, 16);
    number.map_err(|_| FormatError::malformed("a value is not hexadecimal"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn a_node_without_ipv6_has_no_failure() {
        let files = [(
            "proc/1/net/tcp",
            "  sl  local_address rem_address\n   0: 00000000:1F46 00000000:0000 0A 0:0 0:0 0 33 0 9\n",
        )];
        let sample = sample(&COLLECTOR, &files);
        assert_eq!(kinds(&sample), []);
        let Some(Payload::Listeners(all)) = sample.payload else {
            panic!("no listeners");
        };
        assert_eq!((all.sockets[0].port, all.sockets[0].uid), (8006, 33));
    }

    #[test]
    fn a_tree_without_the_tables_has_no_data() {
        let sample = sample(&COLLECTOR, &[("proc/1/net/dev", "")]);
        assert!(matches!(sample.payload, Some(Payload::NoData(_))));
    }

    #[test]
    fn what_is_cut_is_said() {
        let socket = |port| ListeningSocket {
            port,
            ..ListeningSocket::default()
        };
        let mut all = Listeners {
            sockets: (0..3000).map(socket).collect(),
            ..Listeners::default()
        };
        bound(&mut all);
        assert!(all.truncated);
        assert_eq!(all.sockets.len(), SOCKET_LIMIT);
        bound(&mut all);
        assert!(!all.truncated);
    }
}
