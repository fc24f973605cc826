//! The network.

use super::{all, fixtures::*, interpret, whole};
use crate::guest_command::facts::Count;

#[test]
fn addresses_and_who_has_none() {
    let facts = all("ip-address", IP_ADDRESS);
    assert_eq!(
        facts.interfaces[0].addresses,
        ["192.0.2.5/24", "fe80::be24:11ff:fe00:1/64"]
    );
    assert_eq!(facts.interfaces[1].name, "eth1");
    assert!(facts.interfaces[2].is_loopback);
    assert_eq!(
        facts.words(),
        [
            "eth1 has only an address that it gave itself: no DHCP server answered",
            "Addresses: eth0 192.0.2.5/24",
        ]
    );
    let only_lo: String = IP_ADDRESS
        .lines()
        .take(2)
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(
        all("ip-address", &only_lo).words(),
        ["No interface has an address that others can reach"]
    );
    // What is cut off may have one.
    assert!(
        interpret("ip-address", &only_lo, true)
            .words()
            .iter()
            .all(|word| !word.starts_with("No interface"))
    );
}

#[test]
fn links_and_their_errors() {
    let facts = all("ip-link", IP_LINK);
    let eth0 = &facts.interfaces[0];
    assert_eq!(
        (eth0.mtu, eth0.has_carrier, eth0.received_errors_total),
        (Some(1500), Some(true), Some(5000))
    );
    assert_eq!(eth0.transmitted_bytes_total, Some(500_000_000));
    assert_eq!(
        facts.words(),
        [
            "eth0: 5000 packets received with errors (0.5 %)",
            "eth1 is switched on but has no link",
            "eth2 is switched off",
        ]
    );
}

#[test]
fn routes_of_both_families() {
    let facts = all("ip-route", IP_ROUTE);
    let routes = facts.routes.as_ref().unwrap();
    assert!(routes[0].is_default && routes[0].gateway.as_deref() == Some("192.0.2.1"));
    assert!(
        routes
            .iter()
            .any(|route| route.rejects && route.destination == "203.0.113.0/24")
    );
    assert!(routes.iter().any(|route| route.is_down));
    assert_eq!(facts.words(), ["Default route to 192.0.2.1 over eth0"]);
    let facts = all("ip-route", IP_ROUTE_V6);
    assert!(
        facts
            .routes
            .as_ref()
            .unwrap()
            .iter()
            .all(|route| route.is_ipv6)
    );
    assert_eq!(facts.words(), ["Default route to fe80::1 over eth0"]);
    let no_default = "192.0.2.0/24 dev eth0 proto kernel scope link src 192.0.2.5\n";
    assert_eq!(
        all("ip-route", no_default).words(),
        ["There is no default route: nothing beyond its own network can be reached"]
    );
    assert!(!interpret("ip-route", no_default, true).words()[0].contains("no default"));
    assert_eq!(all("ip-route", "").routes, Some(Vec::new()));
    assert_eq!(interpret("ip-route", "", true).routes, None);
    assert_eq!(
        interpret(
            "ip-route",
            "RTNETLINK answers: Operation not supported\n",
            false
        )
        .routes,
        None
    );
}

#[test]
fn listening_sockets_and_full_queues() {
    let facts = all("sockets", SOCKETS_LISTENING);
    let sockets = facts.sockets.as_ref().unwrap();
    let ports: Vec<Option<u16>> = sockets.listening.iter().map(|socket| socket.port).collect();
    assert_eq!(ports, [Some(22), Some(22), Some(53), Some(80), Some(3306)]);
    assert_eq!(sockets.listening[0].process.as_deref(), Some("sshd"));
    assert!(!sockets.listening[2].is_exposed && !sockets.listening[4].is_exposed);
    assert_eq!(sockets.listening[4].process, None);
    assert_eq!(
        facts.words(),
        [
            "tcp port 80 (nginx): 129 connections wait, more do not fit",
            "Others can reach TCP port 22 sshd, 80 nginx",
        ]
    );
    assert_eq!(all("sockets", "").words(), ["There are no such sockets"]);
    let local = all("sockets", "udp UNCONN 0 0 [fe80::1]%eth0:546 [::]:*\n")
        .sockets
        .unwrap();
    assert_eq!(local.listening[0].address, "fe80::1%eth0");
    // Only TCP was asked for: no column for the protocol.
    let tcp = all("sockets", "LISTEN 0 128 0.0.0.0:22 0.0.0.0:*\n");
    assert_eq!(tcp.sockets.unwrap().listening[0].protocol, "tcp");
}

#[test]
fn connections_are_counted() {
    let facts = all("sockets", SOCKETS_CONNECTIONS);
    let sockets = facts.sockets.as_ref().unwrap();
    let count = |name: &str, count| Count {
        name: name.to_owned(),
        count,
    };
    assert_eq!(
        sockets.by_state,
        [count("CLOSE-WAIT", 120), count("ESTAB", 3)]
    );
    assert_eq!(sockets.peers[0].address, "198.51.100.7");
    assert_eq!(sockets.peers[2].address, "2001:db8::9");
    assert_eq!(sockets.backlogged[0].port, Some(8080));
    assert!(facts.words()[1].starts_with("120 connections in CLOSE-WAIT"));
    let totals = all("socket-summary", SOCKET_SUMMARY)
        .sockets
        .unwrap()
        .totals
        .unwrap();
    assert_eq!(
        (totals.tcp, totals.time_wait, totals.udp),
        (Some(110), Some(77), Some(6))
    );
}

#[test]
fn name_servers_and_connection_table() {
    let facts = all("resolv-conf", RESOLV_CONF);
    assert_eq!(facts.name_servers.unwrap(), ["192.0.2.53", "2001:db8::53"]);
    assert_eq!(facts.search_domains, ["example.org", "lab.example.org"]);
    assert_eq!(
        all("resolv-conf", "# nothing\n").words(),
        ["No name server is configured"]
    );
    assert_eq!(interpret("resolv-conf", "# noth", true).name_servers, None);
    assert_eq!(
        interpret("resolv-conf", "cat: /etc/resolv.conf\n", false).name_servers,
        None
    );
    assert_eq!(
        all("conntrack", CONNTRACK).words(),
        ["The firewall remembers 251000 of at most 262144 connections (96 %)"]
    );
    assert!(!interpret("conntrack", "5\n", false).understood);
}

#[test]
fn interfaces_and_routes_of_the_guest_agent() {
    let facts = all("rpc-network-interfaces", RPC_NETWORK_INTERFACES);
    assert_eq!(facts.interfaces[0].transmitted_packets_total, None);
    assert_eq!(
        facts.words(),
        [
            "No interface has an address that others can reach",
            "ens18: 30 packets received were dropped (2.9 %)",
        ]
    );
    let facts = all("rpc-network-routes", RPC_NETWORK_ROUTES);
    let routes = facts.routes.as_ref().unwrap();
    assert!(
        routes
            .iter()
            .any(|route| route.destination == "192.0.2.0/24" && route.gateway.is_none())
    );
    assert_eq!(facts.words(), ["Default route to 192.0.2.1 over eth0"]);
    let cut = interpret("rpc-network-interfaces", "[{\"name\": \"lo\"}, {\"na", true);
    assert_eq!(
        (cut.interfaces.len(), cut.interfaces[0].name.as_str()),
        (1, "lo")
    );
    assert_eq!(whole("rpc-network-interfaces", "[]").interfaces.len(), 0);
}
