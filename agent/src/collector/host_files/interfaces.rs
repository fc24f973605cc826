//! `/etc/network/interfaces` and the files it includes, as ifupdown2 reads them.
//!
//! Keys of wireless networks stand beside the addresses, so of each `iface` only
//! the options named here are taken.

use std::collections::HashSet;

use pvelens_proto::agent::v1::InterfaceStanza;

use super::joined_lines;
use crate::format::plain;

/// All files as one, since `auto` in one may name an interface of another.
pub(super) fn parse<'a>(texts: impl Iterator<Item = &'a str>) -> Vec<InterfaceStanza> {
    let (mut auto, mut hotplug) = (HashSet::new(), HashSet::new());
    let mut stanzas: Vec<InterfaceStanza> = Vec::new();
    for text in texts {
        let mut is_open = false;
        for line in joined_lines(text) {
            let mut words = line.split_whitespace();
            let Some(key) = words.next().filter(|key| !key.starts_with('#')) else {
                continue;
            };
            match key {
                "iface" => {
                    let stanza = begin(words);
                    is_open = stanza.is_some();
                    stanzas.extend(stanza);
                }
                "auto" | "allow-auto" => {
                    is_open = false;
                    auto.extend(words.map(str::to_owned));
                }
                "allow-hotplug" => {
                    is_open = false;
                    hotplug.extend(words.map(str::to_owned));
                }
                _ if is_other_stanza(key) => is_open = false,
                _ => {
                    if let Some(stanza) = stanzas.last_mut().filter(|_| is_open) {
                        if is_hook(key) {
                            hook(stanza, words);
                        } else {
                            option(stanza, key, words);
                        }
                    }
                }
            }
        }
    }
    for stanza in &mut stanzas {
        stanza.auto = auto.contains(&stanza.name);
        stanza.hotplug = hotplug.contains(&stanza.name);
    }
    stanzas
}

/// `#version:7` in the first line of what Proxmox VE writes for its software-defined
/// network (`pve-network@src/PVE/Network/SDN/Zones.pm`).
pub(super) fn sdn_version(text: &str) -> Option<u64> {
    let line = text.lines().next()?;
    line.strip_prefix("#version:")?.trim().parse().ok()
}

/// `ifupdown2@ifupdown2/ifupdown/networkinterfaces.py`.
fn is_other_stanza(key: &str) -> bool {
    key.starts_with("allow-")
        || matches!(
            key,
            "mapping"
                | "source"
                | "source-directory"
                | "template"
                | "vlan"
                | "bridge"
                | "no-auto-down"
                | "no-scripts"
        )
}

/// `iface vmbr0 inet static`.
fn begin<'a>(mut words: impl Iterator<Item = &'a str>) -> Option<InterfaceStanza> {
    let name = plain::name(words.next()?)?.to_owned();
    let mut word = || {
        let word = words.next().and_then(plain::name);
        word.unwrap_or_default().to_owned()
    };
    Some(InterfaceStanza {
        name,
        family: word(),
        method: word(),
        ..InterfaceStanza::default()
    })
}

/// What runs when an interface goes up or down. Its text may hold passwords and is
/// only looked through.
fn is_hook(key: &str) -> bool {
    let phase = key
        .strip_prefix("pre-")
        .or_else(|| key.strip_prefix("post-"));
    matches!(phase.unwrap_or(key), "up" | "down")
}

fn hook<'a>(stanza: &mut InterfaceStanza, words: impl Iterator<Item = &'a str>) {
    stanza.hook_commands = stanza.hook_commands.saturating_add(1);
    for word in words {
        stanza.hooks_translate_addresses |= ["MASQUERADE", "SNAT", "DNAT", "masquerade"]
            .iter()
            .any(|target| word.contains(target));
        stanza.hooks_forward |= word.contains("ip_forward") || word.contains(".forwarding");
    }
}

fn option<'a>(stanza: &mut InterfaceStanza, key: &str, words: impl Iterator<Item = &'a str>) {
    let mut values = words
        .flat_map(|word| word.split(','))
        .filter_map(plain::name)
        .filter(|word| *word != "none")
        .map(str::to_owned);
    // Both spellings are read.
    match key.replace('_', "-").as_str() {
        "address" => stanza.addresses.extend(values.next()),
        "netmask" => stanza.netmask = values.next(),
        "gateway" => stanza.gateway = values.next(),
        "bridge-ports" => stanza.bridge_ports = values.collect(),
        "bridge-vlan-aware" => {
            stanza.bridge_vlan_aware = values
                .next()
                .map(|word| matches!(word.as_str(), "yes" | "1" | "on" | "true"));
        }
        "bridge-vids" => stanza.bridge_vids = values.collect(),
        "bond-slaves" | "slaves" => stanza.bond_slaves = values.collect(),
        "bond-mode" => stanza.bond_mode = values.next(),
        "bond-lacp-rate" => stanza.bond_lacp_rate = values.next(),
        "bond-xmit-hash-policy" => stanza.bond_transmit_hash_policy = values.next(),
        "bond-primary" => stanza.bond_primary = values.next(),
        "mtu" => stanza.mtu_bytes = values.next().and_then(|word| word.parse().ok()),
        "vlan-raw-device" => stanza.vlan_raw_device = values.next(),
        "ovs-type" => stanza.ovs_type = values.next(),
        "ovs-bridge" => stanza.ovs_bridge = values.next(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_bridge_over_a_bond_is_read() {
        let text = "auto lo\niface lo inet loopback\n\niface eno1 inet manual\n\tmtu 9000\n\n\
            auto bond0\niface bond0 inet manual\n\tbond_slaves eno1 \\\n\teno2\n\tbond-mode 802.3ad\n\tbond_lacp_rate fast\n\tbond-xmit-hash-policy layer3+4\n\n\
            auto vmbr0\niface vmbr0 inet static\n\taddress 192.0.2.11/24\n\taddress 192.0.2.99/32\n\tgateway 192.0.2.1\n\
            \tbridge-ports bond0\n\tbridge-vlan-aware yes\n\tbridge-vids 2-100,200\n# canary\n\
            iface vmbr0 inet6 auto\nallow-hotplug usb0\niface usb0 inet dhcp\n";
        let stanzas = parse([text].into_iter());
        let names: Vec<&str> = stanzas.iter().map(|s| s.name.as_str()).collect();
        assert_eq!(names, ["lo", "eno1", "bond0", "vmbr0", "vmbr0", "usb0"]);
        let (bond, bridge) = (&stanzas[2], &stanzas[3]);
        assert_eq!(bond.bond_slaves, ["eno1", "eno2"]);
        assert_eq!(bond.bond_mode.as_deref(), Some("802.3ad"));
        assert_eq!(bond.bond_lacp_rate.as_deref(), Some("fast"));
        assert_eq!(bond.bond_transmit_hash_policy.as_deref(), Some("layer3+4"));
        assert_eq!(bridge.addresses, ["192.0.2.11/24", "192.0.2.99/32"]);
        assert_eq!(bridge.bridge_vids, ["2-100", "200"]);
        assert_eq!(bridge.bridge_vlan_aware, Some(true));
        assert!(bridge.auto && !stanzas[1].auto && stanzas[5].hotplug);
        assert_eq!(stanzas[1].mtu_bytes, Some(9000));
        assert_eq!(stanzas[4].family, "inet6");
    }

    #[test]
    fn a_bridge_without_ports_has_none_and_auto_may_stand_in_another_file() {
        let first = "auto vmbr1\n";
        let second = "iface vmbr1\n bridge-ports none\nauto eno9\n mtu 1400\n";
        let stanzas = parse([first, second].into_iter());
        let [bridge] = &stanzas[..] else {
            panic!("{stanzas:?}");
        };
        assert!(bridge.auto && bridge.bridge_ports.is_empty());
        assert_eq!((bridge.family.as_str(), bridge.mtu_bytes), ("", None));
    }

    #[test]
    fn the_version_of_the_network_is_in_the_first_line() {
        assert_eq!(sdn_version("#version:7\n\nauto v1\n"), Some(7));
        assert_eq!(sdn_version("auto v1\n#version:7\n"), None);
        assert_eq!(sdn_version("#version:x"), None);
    }

    #[test]
    fn of_commands_only_their_purpose_is_kept() {
        let text = "iface vmbr1 inet static\n\taddress 10.10.10.1/24\n\tbridge-ports none\n\
            \tpost-up echo 1 > /proc/sys/net/ipv4/ip_forward\n\
            \tpost-up iptables -t nat -A POSTROUTING -s canary -o vmbr0 -j MASQUERADE\n\
            \tpost-down iptables -t nat -D POSTROUTING -s canary -o vmbr0 -j MASQUERADE\n\
            iface vmbr2\n\tup /root/canary.sh\n";
        let stanzas = parse([text].into_iter());
        let [routed, other] = &stanzas[..] else {
            panic!("{stanzas:?}");
        };
        assert_eq!((routed.hook_commands, other.hook_commands), (3, 1));
        assert!(routed.hooks_translate_addresses && routed.hooks_forward);
        assert!(!other.hooks_translate_addresses && !other.hooks_forward);
        assert!(!format!("{stanzas:?}").contains("canary"));
    }

    #[test]
    fn keys_and_commands_stay_there() {
        let text = "iface wlan0 inet dhcp\n\twpa-ssid canary-a\n\twpa-psk canary-b\n\tpost-up curl -u canary-c\n\
            \tpassword canary-d\nmapping eth0\n\tscript canary-e\niface can'ary inet static\n\taddress 10.0.0.1\n";
        let stanzas = parse([text].into_iter());
        assert_eq!(stanzas.len(), 1);
        assert!(!format!("{stanzas:?}").contains("canary"));
        assert!(stanzas[0].addresses.is_empty());
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((iface|auto| address|mtu|source|bridge_vids) \\PC{0,12}\\\\?\n?){0,9}") {
            drop(parse([text.as_str()].into_iter()));
        }
    }
}
