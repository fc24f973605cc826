use proptest::prelude::*;
use pvelens_proto::agent::v1::{FailureKind, Sample};

use super::*;
use crate::collector::tests::{kinds, sample};

const NODE: (&str, &str) = ("etc/pve/nodes/a/host.fw", "");

fn config(sample: Sample) -> SdnConfig {
    match sample.payload {
        Some(Payload::SdnConfig(config)) => config,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_applied_as_asked_for_is_equal() {
    let sweep = sample(
        &COLLECTOR,
        &[
            NODE,
            (
                "etc/pve/sdn/zones.cfg",
                "vxlan: z1\n\tpeers 192.0.2.2,192.0.2.1\n\tmtu 1450\n\tnodes b,a\n\tipam pve\n",
            ),
            (
                "etc/pve/sdn/vnets.cfg",
                "vnet: v1\n\tzone z1\n\ttag 10\n\tvlanaware 1\n\talias canary-alias\n",
            ),
            (
                "etc/pve/sdn/subnets.cfg",
                "subnet: z1-10.0.0.0-24\n\tvnet v1\n\tdhcp-range start-address=10.0.0.9,end-address=10.0.0.19\n\tdhcp-range start-address=10.0.0.4,end-address=10.0.0.5\n",
            ),
            (
                "etc/pve/sdn/.running-config",
                r#"{"version":7,"zones":{"ids":{"z1":{"type":"vxlan","peers":"192.0.2.1,192.0.2.2","mtu":1450,"nodes":{"a":1,"b":1},"ipam":"pve"}}},
                "vnets":{"ids":{"v1":{"type":"vnet","zone":"z1","tag":"10","vlanaware":1,"alias":"canary-alias"}}},
                "subnets":{"ids":{"z1-10.0.0.0-24":{"type":"subnet","vnet":"v1","dhcp-range":[{"start-address":"10.0.0.4","end-address":"10.0.0.5"},"start-address=10.0.0.9,end-address=10.0.0.19"]}}},
                "controllers":{"ids":{}},"fabrics":null}"#,
            ),
        ],
    );
    assert_eq!(kinds(&sweep), []);
    assert!(!format!("{sweep:?}").contains("canary"));
    let config = config(sweep);
    assert_eq!(config.applied_version, Some(7));
    assert_eq!(config.desired.len(), 3);
    assert_eq!(config.desired, config.applied);
    assert_eq!(config.desired[1].dropped_keys, ["alias"]);
}

#[test]
fn of_ipams_and_dns_servers_only_the_host_leaves() {
    let sweep = sample(
        &COLLECTOR,
        &[
            NODE,
            (
                "etc/pve/sdn/ipams.cfg",
                "netbox: n\n\turl https://ipam.example.com:8443/api/canary-path\n\ttoken canary-token\n\ttag canary\n\npve: pve\n\nphpipam: p\n\turl http://canary-user:x@host/\n\ttoken canary\n",
            ),
            (
                "etc/pve/sdn/dns.cfg",
                "powerdns: d\n\turl http://[fd00::1]:8081/api\n\tkey canary-key\n\tttl 60\n",
            ),
        ],
    );
    assert_eq!(kinds(&sweep), []);
    assert!(!format!("{sweep:?}").contains("canary"));
    let servers: Vec<_> = config(sweep)
        .desired
        .into_iter()
        .map(|object| (object.object_type, object.server))
        .collect();
    let expected = [
        ("netbox", "ipam.example.com:8443"),
        ("phpipam", ""),
        ("pve", ""),
        ("powerdns", "[fd00::1]:8081"),
    ];
    assert_eq!(
        servers,
        expected.map(|(kind, server)| (kind.to_owned(), server.to_owned()))
    );
}

#[test]
fn only_known_parts_of_property_strings_leave() {
    let sweep = sample(
        &COLLECTOR,
        &[
            NODE,
            (
                "etc/pve/sdn/fabrics.cfg",
                "wireguard_node: w\n\tinterfaces name=wg0,private_key=canary-key,ip=198.51.100.1/24\n\tprivate_key canary\n",
            ),
            (
                "etc/pve/sdn/.running-config",
                r#"{"version":1,"fabrics":{"ids":{"w":{"type":"wireguard_node","interfaces":[{"name":"wg0","ip":"198.51.100.1/24","private_key":"canary"}],"private_key":"canary"}}}}"#,
            ),
        ],
    );
    assert!(!format!("{sweep:?}").contains("canary"));
    let config = config(sweep);
    assert_eq!(
        config.desired[0].properties[0].value,
        "ip=198.51.100.1/24,name=wg0"
    );
    assert_eq!(config.desired, config.applied);
}

#[test]
fn no_file_is_no_network_and_a_broken_one_is_named() {
    let none = sample(&COLLECTOR, &[NODE]);
    assert!(matches!(none.payload, Some(Payload::NoData(_))));
    let broken = sample(
        &COLLECTOR,
        &[
            NODE,
            ("etc/pve/sdn/zones.cfg", "nonsense\n"),
            ("etc/pve/sdn/.running-config", "{\"version\":1,\"zones\":"),
        ],
    );
    assert_eq!(
        kinds(&broken),
        [FailureKind::Malformed, FailureKind::Truncated]
    );
    assert_eq!(config(broken), SdnConfig::default());
}

proptest! {
    #[test]
    fn any_text_parses_or_fails(text in "\\{?(\"(version|zones|ids|type|nodes)\":|[{}\\[\\],:0-9\"a-z]){0,14}\\}?") {
        drop(running(&text));
    }

    #[test]
    fn no_user_of_a_url_leaves(user in "[a-z0-9:/?#]{1,9}", host in "[a-z.]{1,9}") {
        prop_assert_eq!(url_server(&format!("https://{user}@{host}/")), None);
    }
}
