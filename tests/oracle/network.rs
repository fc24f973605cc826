//! Interfaces as they are configured and as they are, name servers and hosts.

use serde_json::{Map, Value, json};

use crate::{
    api::{Record, leaf},
    config::{items, text},
    context::{Ours, find, insert, set},
};

/// Adds the interface or setting that a record is about.
pub(crate) fn add(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let files = ours.value("host_files");
    let key = record.key.as_str();
    match record.shape.as_str() {
        "/nodes/{node}/network" => {
            let stanza = find(files, "interfaces", "name", key);
            insert(
                context,
                "stanza",
                stanza.map(|stanza| stanza_as_told(ours, files, stanza)),
            );
        }
        "/nodes/{node}/dns" => {
            let resolver = files.get("resolver").cloned().unwrap_or_default();
            let search: Vec<String> = items(&resolver, "search").map(leaf).collect();
            let mut told = json!({ "search": search.join(" ") });
            for (number, address) in (1..).zip(items(&resolver, "nameservers")) {
                set(&mut told, &format!("dns{number}"), Some(address.clone()));
            }
            context.insert("resolver".to_owned(), told);
        }
        "/nodes/{node}/hosts#entry" => {
            insert(
                context,
                "hosts_entry",
                find(files, "hosts", "address", key).cloned(),
            );
        }
        "cmd/ip addr" => {
            let holder = items(files, "interfaces").find(|stanza| {
                let mut addresses = items(stanza, "addresses").map(leaf);
                addresses.any(|address| address == key)
            });
            let told = holder.map(|stanza| json!({ "name": stanza.get("name"), "cidr": key }));
            insert(context, "configured", told);
        }
        "cmd/ip link" | "cmd/ip link#guest" => {
            let traffic = find(ours.value("network"), "interfaces", "name", key);
            let state = find(ours.value("interface_states"), "interfaces", "name", key);
            insert(context, "traffic", traffic.cloned());
            insert(context, "link", state.cloned());
        }
        "cmd/lsblk" => {
            let disk = find(ours.value("disks"), "disks", "name", key);
            insert(context, "disk", disk.cloned());
        }
        "cmd/df" => {
            let mounted = find(ours.value("filesystems"), "filesystems", "mount_point", key);
            insert(context, "mounted", mounted.cloned());
        }
        _ => {}
    }
}

/// The stanza of an interface, in the form of the API.
fn stanza_as_told(ours: &Ours<'_>, files: &Value, stanza: &Value) -> Value {
    let mut told = stanza.clone();
    let name = text(stanza, "name");
    let of_six = items(files, "interfaces")
        .find(|other| text(other, "name") == name && text(other, "family") == "inet6");
    let method = of_six.map_or("manual".to_owned(), |stanza| text(stanza, "method"));
    set(&mut told, "method6", Some(json!(method)));
    if let Some(cidr) = items(stanza, "addresses").next().map(leaf) {
        let (address, prefix) = cidr.split_once('/').unwrap_or((&cidr, ""));
        set(&mut told, "address", Some(json!(address)));
        set(&mut told, "prefix", Some(json!(prefix)));
        set(&mut told, "cidr", Some(json!(cidr)));
    }
    let ports: Vec<String> = items(stanza, "bridge_ports").map(leaf).collect();
    set(&mut told, "ports", Some(json!(ports.join(" "))));
    let kind = find(ours.value("interface_states"), "interfaces", "name", &name)
        .map(|interface| text(interface, "kind"));
    let kind = match kind.as_deref() {
        Some("INTERFACE_KIND_PHYSICAL") => Some("eth"),
        Some("INTERFACE_KIND_BRIDGE") => Some("bridge"),
        Some("INTERFACE_KIND_BOND") => Some("bond"),
        Some("INTERFACE_KIND_VLAN") => Some("vlan"),
        _ => None,
    };
    set(&mut told, "type", kind.map(Value::from));
    told
}
