//! Software-defined networks, from `/etc/pve/sdn`.
//!
//! The `*.cfg` files are what is asked for, `.running-config` is what was last
//! applied (`pve-network@src/PVE/Network/SDN.pm`). Both give the same objects in
//! one normal form, so that what differs is what is pending. Tokens of IPAMs and
//! keys of DNS servers are in these files and are not carried.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{CollectionClass, SdnClass, SdnConfig, SdnObject, SdnProperty};
use serde::Deserialize;
use serde_json::Value;

use super::{
    CONFIG, CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, pmxcfs,
    section_file::{self, bound, short},
};
use crate::format::{FormatError, figure::Figure, section_config::Section};

const FILES: &[(&str, SdnClass)] = &[
    ("/etc/pve/sdn/zones.cfg", SdnClass::Zone),
    ("/etc/pve/sdn/vnets.cfg", SdnClass::Vnet),
    ("/etc/pve/sdn/subnets.cfg", SdnClass::Subnet),
    ("/etc/pve/sdn/controllers.cfg", SdnClass::Controller),
    ("/etc/pve/sdn/fabrics.cfg", SdnClass::Fabric),
    ("/etc/pve/sdn/ipams.cfg", SdnClass::Ipam),
    ("/etc/pve/sdn/dns.cfg", SdnClass::Dns),
];
const RUNNING: &str = "/etc/pve/sdn/.running-config";
/// Objects of one class.
const OBJECT_LIMIT: usize = 5000;
/// Items of one value, and keys of one object.
const ITEM_LIMIT: usize = 500;

/// Characters of one value: the peers of a large cluster are one.
const VALUE_LIMIT: usize = 16_384;

/// Keys that are carried, of all classes; `alias` is free text.
const CARRIED: &[&str] = &[
    "advertise-subnets",
    "area",
    "asn",
    "bgp-multipath-as-path-relax",
    "bridge",
    "bridge-disable-mac-learning",
    "controller",
    "csnp_interval",
    "dhcp",
    "dhcp-dns-server",
    "dhcp-range",
    "disable-arp-nd-suppression",
    "dns",
    "dnszone",
    "dnszoneprefix",
    "ebgp",
    "ebgp-multihop",
    "exitnodes",
    "exitnodes-local-routing",
    "exitnodes-primary",
    "fabric",
    "gateway",
    "hello_interval",
    "interfaces",
    "ip",
    "ip6",
    "ip6_prefix",
    "ip_prefix",
    "ipam",
    "isis-domain",
    "isis-ifaces",
    "isis-net",
    "isolate-ports",
    "loopback",
    "mac",
    "mtu",
    "node",
    "nodes",
    "peers",
    "reversedns",
    "rt-import",
    "snat",
    "tag",
    "vlan-protocol",
    "vlanaware",
    "vnet",
    "vrf-vxlan",
    "vxlan-port",
    "zone",
];

/// Keys inside of property strings that are carried; a later version may put
/// keys of tunnels next to them.
const CARRIED_PARTS: &[&str] = &[
    "bfd",
    "csnp_interval",
    "end-address",
    "hello_interval",
    "hello_multiplier",
    "ip",
    "ip6",
    "name",
    "passive",
    "start-address",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "sdn_config",
    summary: "software-defined networks as asked for and as applied",
    class: CollectionClass::Config,
    interval: CONFIG,
    deadline: FILE_DEADLINE,
    paths: &[
        "/etc/pve/sdn/zones.cfg",
        "/etc/pve/sdn/vnets.cfg",
        "/etc/pve/sdn/subnets.cfg",
        "/etc/pve/sdn/controllers.cfg",
        "/etc/pve/sdn/fabrics.cfg",
        "/etc/pve/sdn/ipams.cfg",
        "/etc/pve/sdn/dns.cfg",
        RUNNING,
    ],
    probes: &[],
    collect,
};

#[derive(Deserialize)]
struct Running {
    #[serde(default)]
    version: Figure,
    zones: Option<Class>,
    vnets: Option<Class>,
    subnets: Option<Class>,
    controllers: Option<Class>,
    fabrics: Option<Class>,
}

#[derive(Deserialize)]
struct Class {
    #[serde(default)]
    ids: BTreeMap<String, BTreeMap<String, Value>>,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    section_file::nodes(reading)?;
    let mut found = false;
    let mut config = SdnConfig::default();
    for (path, class) in FILES {
        if let Some(text) = section_file::text(reading, path, &mut found) {
            let sections = section_file::sections(reading, path, &text).sections;
            let mut objects = sections.iter().map(|it| desired(*class, it)).collect();
            bound(reading, path, &mut objects, OBJECT_LIMIT);
            config.desired.append(&mut objects);
        }
    }
    match reading.read(RUNNING, PMXCFS_FILE_LIMIT) {
        Err(error) if error.is_not_found() => {}
        result => {
            found = true;
            let running = result.and_then(|text| running(&text).map_err(|e| e.at(RUNNING)));
            if let Some((version, mut objects)) = reading.keep(running) {
                bound(reading, RUNNING, &mut objects, OBJECT_LIMIT);
                config.applied_version = version;
                config.applied = objects;
            }
        }
    }
    if !found {
        return Err(CollectError::NoData("no software-defined networks"));
    }
    for list in [&mut config.desired, &mut config.applied] {
        list.sort_by(|a, b| (a.class, &a.id).cmp(&(b.class, &b.id)));
    }
    Ok(Payload::SdnConfig(config))
}

/// A section of a `*.cfg` file.
fn desired(class: SdnClass, section: &Section<'_>) -> SdnObject {
    let mut values: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (key, value) in &section.properties {
        values.entry(key).or_default().push(sorted(value));
    }
    let server = section.get("url").and_then(url_server);
    object(class, section.kind, section.id, values, server)
}

/// The version that is applied, and its objects.
fn running(text: &str) -> Result<(Option<u64>, Vec<SdnObject>), FormatError> {
    let running: Running =
        serde_json::from_str(text).map_err(|error| pmxcfs::json_error(&error))?;
    let classes = [
        (SdnClass::Zone, running.zones),
        (SdnClass::Vnet, running.vnets),
        (SdnClass::Subnet, running.subnets),
        (SdnClass::Controller, running.controllers),
        (SdnClass::Fabric, running.fabrics),
    ];
    let objects = classes
        .into_iter()
        .filter_map(|(class, objects)| Some((class, objects?)))
        .flat_map(|(class, objects)| {
            let objects = objects.ids.into_iter();
            objects.map(move |(id, properties)| applied(class, &id, &properties))
        })
        .collect();
    Ok((running.version.whole(), objects))
}

fn applied(class: SdnClass, id: &str, properties: &BTreeMap<String, Value>) -> SdnObject {
    let kind = properties.get("type").and_then(scalar).unwrap_or_default();
    let values = properties
        .iter()
        .filter(|(key, value)| *key != "type" && !value.is_null())
        .map(|(key, value)| (key.as_str(), values(value)))
        .collect();
    object(class, &kind, id, values, None)
}

fn object(
    class: SdnClass,
    kind: &str,
    id: &str,
    values: BTreeMap<&str, Vec<String>>,
    server: Option<String>,
) -> SdnObject {
    let mut object = SdnObject {
        class: class.into(),
        object_type: short(kind),
        id: short(id),
        server: server.unwrap_or_default(),
        ..SdnObject::default()
    };
    // Nothing but the server of what holds tokens and keys.
    let is_secretive = matches!(class, SdnClass::Ipam | SdnClass::Dns);
    for (key, mut items) in values.into_iter().take(ITEM_LIMIT) {
        if is_secretive || !CARRIED.contains(&key) {
            object.dropped_keys.push(short(key));
        } else {
            items.sort_unstable();
            items.truncate(ITEM_LIMIT);
            object.properties.push(SdnProperty {
                key: key.to_owned(),
                value: items.join(";").chars().take(VALUE_LIMIT).collect(),
            });
        }
    }
    object
}

/// The items of a value: of an array each one, of anything else it.
fn values(value: &Value) -> Vec<String> {
    match value {
        Value::Array(items) => items.iter().filter_map(item).collect(),
        one => item(one).into_iter().collect(),
    }
}

/// One item as a `*.cfg` file has it: PVE keeps lists of names as the keys of a
/// map, and property strings sometimes as one.
fn item(value: &Value) -> Option<String> {
    let Value::Object(map) = value else {
        return scalar(value).map(|text| sorted(&text));
    };
    // In a set of names the value is only a mark.
    let is_set = map
        .iter()
        .all(|(key, value)| value.is_number() && !CARRIED_PARTS.contains(&key.as_str()));
    let parts: Vec<String> = map
        .iter()
        .filter_map(|(key, value)| {
            if is_set {
                Some(key.clone())
            } else {
                Some(format!("{key}={}", scalar(value)?))
            }
        })
        .collect();
    Some(sorted(&parts.join(",")))
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(u8::from(*flag).to_string()),
        _ => None,
    }
}

/// A list in order, which has no meaning anywhere here, without the parts of
/// property strings that are not carried.
fn sorted(text: &str) -> String {
    let mut parts: Vec<&str> = text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty() && is_carried_part(part))
        .collect();
    parts.sort_unstable();
    parts.join(",")
}

fn is_carried_part(part: &str) -> bool {
    part.split_once('=')
        .is_none_or(|(key, _)| CARRIED_PARTS.contains(&key))
}

/// Host and port of a URL. Whoever puts a user into it gets nothing: where such
/// a part ends cannot be told for sure.
fn url_server(url: &str) -> Option<String> {
    let (_, rest) = url.split_once("://")?;
    let server = rest.split(['/', '?', '#', '\\']).next()?;
    let is_server = !url.contains('@')
        && !server.is_empty()
        && server
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte));
    is_server.then(|| short(server))
}

#[cfg(test)]
mod tests;
