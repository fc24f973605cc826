//! Network devices of a guest, and devices of the host that it gets.

use std::net::IpAddr;

use pvelens_proto::agent::v1::{GuestKind, GuestNic, HostDevice, HostDeviceKind};

use crate::format::{plain, property_string::Properties};

/// VLANs and ranges of one network device.
const TRUNK_LIMIT: usize = 100;

pub(super) fn nic(kind: GuestKind, key: &str, value: &str) -> GuestNic {
    let properties = Properties::new(value, "model");
    // A VM writes `virtio=BC:24:…`: the model is the name of the key.
    let (model, mac_address) = match kind {
        GuestKind::Lxc => (properties.text("name"), properties.text("hwaddr")),
        _ => properties
            .iter()
            .find(|(_, value)| is_mac(value))
            .filter(|(key, _)| *key != "macaddr")
            .map_or_else(
                || (properties.text("model"), properties.text("macaddr")),
                |(model, mac)| (model.to_owned(), mac.to_owned()),
            ),
    };
    GuestNic {
        key: key.to_owned(),
        model,
        mac_address: mac_address.to_ascii_uppercase(),
        bridge: properties.text("bridge"),
        vlan_tag: properties.number("tag"),
        firewall: properties.flag("firewall").unwrap_or(false),
        link_down: properties.flag("link_down").unwrap_or(false),
        rate_megabytes_per_second: properties.number("rate").filter(|r: &f64| r.is_finite()),
        mtu_bytes: properties.number("mtu"),
        queues: properties.number("queues"),
        trunk_vlans: trunks(properties.get("trunks").unwrap_or_default()),
        ipv4_address: address(properties.get("ip")),
        ipv6_address: address(properties.get("ip6")),
    }
}

fn is_mac(text: &str) -> bool {
    let mut octets = 0;
    text.split(':').all(|octet| {
        octets += 1;
        octet.len() == 2 && octet.bytes().all(|b| b.is_ascii_hexdigit())
    }) && octets == 6
}

pub(super) fn passed(kind: HostDeviceKind, key: &str, value: &str) -> HostDevice {
    let properties = Properties::new(value, "host");
    HostDevice {
        key: key.to_owned(),
        kind: kind.into(),
        host: properties.text("host"),
        mapping: properties.text("mapping"),
        mediated_type: word(properties.get("mdev")),
    }
}

/// Adds what cloud-init is to set on the network device with this number
/// (`ipconfigN`); false when there is no such device.
pub(super) fn configure(nics: &mut [GuestNic], number: &str, value: &str) -> bool {
    let key = format!("net{number}");
    let Some(nic) = nics.iter_mut().find(|nic| nic.key == key) else {
        return false;
    };
    let properties = Properties::new(value, "");
    nic.ipv4_address = address(properties.get("ip"));
    nic.ipv6_address = address(properties.get("ip6"));
    true
}

/// An address with the bits of its network, or how the guest comes to one.
fn address(text: Option<&str>) -> String {
    let text = text.unwrap_or_default();
    let is_address = |text: &str| {
        let (address, bits) = text.split_once('/').unwrap_or((text, "0"));
        address.parse::<IpAddr>().is_ok() && bits.parse::<u8>().is_ok_and(|bits| bits <= 128)
    };
    if matches!(text, "dhcp" | "auto" | "manual") || is_address(text) {
        text.to_owned()
    } else {
        String::new()
    }
}

fn trunks(text: &str) -> Vec<String> {
    let is_range = |range: &&str| {
        (1..=9).contains(&range.len()) && range.bytes().all(|b| b.is_ascii_digit() || b == b'-')
    };
    let ranges = text.split(';').filter(is_range);
    ranges.take(TRUNK_LIMIT).map(str::to_owned).collect()
}

fn word(text: Option<&str>) -> String {
    text.and_then(plain::name).unwrap_or_default().to_owned()
}
