//! Everything of ours that a record of the API may be compared with, under the
//! names that the table uses.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::{
    access,
    api::{Record, leaf},
    config::{self, Flat, items, text},
    guest, ha, network, storage, system, task,
};

/// One tree as its agent sees it, and the node it is of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ours<'a> {
    pub(crate) node: &'a str,
    pub(crate) values: &'a Map<String, Value>,
    /// Ratios over t0 to t1: of the node, and of its guests by VMID.
    pub(crate) rates: &'a Rates,
}

#[derive(Debug, Default)]
pub(crate) struct Rates {
    pub(crate) node: BTreeMap<&'static str, f64>,
    pub(crate) guests: BTreeMap<u64, f64>,
}

impl Ours<'_> {
    /// What a record can be compared with.
    pub(crate) fn context(&self, record: &Record) -> Map<String, Value> {
        let mut context = Map::new();
        let node = record.node.as_deref().unwrap_or(self.node);
        let own = node == self.node;
        let broadcast = self.value("cluster_broadcast");
        let members = self.value("cluster_members");
        context.insert("members".to_owned(), members.clone());
        insert(
            &mut context,
            "member",
            find(members, "members", "name", node).map(member),
        );
        let mut node_figures = find(broadcast, "nodes", "name", node).cloned();
        if let Some(figures) = &mut node_figures {
            let free = difference(figures, "swap_total_bytes", "swap_used_bytes");
            set(figures, "swap_free_bytes", free);
        }
        insert(&mut context, "broadcast", node_figures);
        let corosync = self.value("corosync_config");
        context.insert("corosync".to_owned(), corosync.clone());
        insert(
            &mut context,
            "corosync_node",
            find(corosync, "nodes", "name", node).cloned(),
        );
        if own {
            self.own_node(&mut context);
        }
        if let Some(vmid) = record.vmid {
            self.guest(&mut context, vmid, own);
        }
        self.links(&mut context, record);
        access::add(self, record, &mut context);
        guest::add(self, record, &mut context);
        ha::add(self, record, &mut context);
        network::add(self, record, &mut context);
        storage::add(self, record, &mut context);
        system::add(self, record, &mut context);
        task::add(self, record, &mut context);
        context
    }

    /// The configuration of a guest in the common form, and its pending keys.
    pub(crate) fn guest_config(&self, vmid: u64) -> Option<(Flat, Vec<String>)> {
        let configs = self.value("guest_configs");
        let guest = find(configs, "guests", "vmid", &vmid.to_string())?;
        Some((config::of_ours(guest), config::pending_keys(guest)))
    }

    pub(crate) fn value(&self, name: &str) -> &Value {
        self.values.get(name).unwrap_or(&Value::Null)
    }

    /// Facts that only the node's own agent has.
    fn own_node(&self, context: &mut Map<String, Value>) {
        let mut memory = self.value("memory").clone();
        let used = difference(&memory, "total_bytes", "available_bytes");
        set(&mut memory, "used_bytes", used);
        let used = difference(&memory, "swap_total_bytes", "swap_free_bytes");
        set(&mut memory, "swap_used_bytes", used);
        context.insert("memory".to_owned(), memory);
        context.insert("load".to_owned(), self.value("load").clone());
        let root = find(self.value("filesystems"), "filesystems", "mount_point", "/").cloned();
        insert(
            context,
            "root",
            root.map(|mut root| {
                let free = difference(&root, "total_bytes", "used_bytes");
                set(&mut root, "free_bytes", free);
                root
            }),
        );
        let mut host = self.value("host_identity").clone();
        let fingerprint = text(&host, "root_ca_sha256").to_uppercase();
        let pairs: Vec<&str> = (0..fingerprint.len())
            .step_by(2)
            .filter_map(|i| fingerprint.get(i..i + 2))
            .collect();
        set(&mut host, "root_ca_sha256", Some(json!(pairs.join(":"))));
        context.insert("host".to_owned(), host);
        let status = self.value("pve_status").get("node").cloned();
        insert(context, "pve_node", status);
        context.insert("rate".to_owned(), json!(self.rates.node));
    }

    fn guest(&self, context: &mut Map<String, Value>, vmid: u64, own: bool) {
        let id = vmid.to_string();
        let listed = find(self.value("guest_list"), "guests", "vmid", &id);
        insert(
            context,
            "listed",
            listed.map(|listed| {
                let mut listed = listed.clone();
                let kind = text(&listed, "kind")
                    .replace("GUEST_KIND_", "")
                    .to_lowercase();
                set(&mut listed, "type", Some(json!(kind)));
                listed
            }),
        );
        let broadcast = find(self.value("cluster_broadcast"), "guests", "vmid", &id);
        insert(context, "broadcast_guest", broadcast.map(broadcast_guest));
        if let Some((flat, _)) = self.guest_config(vmid) {
            context.insert(
                "config".to_owned(),
                flat.into_iter()
                    .map(|(key, value)| (key, Value::from(value)))
                    .collect(),
            );
        }
        let snapshots = find(self.value("guest_configs"), "guests", "vmid", &id);
        insert(
            context,
            "snapshots",
            snapshots.map(|guest| guest.get("snapshots").cloned().unwrap_or_default()),
        );
        if own {
            let status = find(self.value("pve_status"), "guests", "vmid", &id).cloned();
            insert(
                context,
                "guest",
                status.map(|mut status| {
                    let bytes = status.get("memory_maximum_bytes").and_then(Value::as_u64);
                    let pid = status.get("pid").cloned().unwrap_or(json!(0));
                    set(
                        &mut status,
                        "memory_mebibytes",
                        bytes.map(|bytes| json!(bytes >> 20)),
                    );
                    set(&mut status, "pid_or_zero", Some(pid));
                    status
                }),
            );
            let runtime = find(self.value("guest_runtimes"), "guests", "vmid", &id);
            insert(context, "runtime", runtime.map(with_percent));
            let rate = self
                .rates
                .guests
                .get(&vmid)
                .map(|ratio| json!({ "cpu_ratio": ratio }));
            insert(context, "rate_guest", rate);
        }
    }

    /// Interface and snapshot that the record is about.
    fn links(&self, context: &mut Map<String, Value>, record: &Record) {
        let interfaces = || items(self.value("network"), "interfaces");
        let mut states = items(self.value("interface_states"), "interfaces");
        if let Some(interface) = states.find(|interface| text(interface, "name") == record.key) {
            let mut interface = interface.clone();
            let ports: Vec<String> = items(&interface, "bridge_ports").map(leaf).collect();
            let of_guest = |name: &str| {
                interfaces().any(|other| text(other, "name") == name && other.get("vmid").is_some())
            };
            let configured: Vec<String> =
                ports.into_iter().filter(|port| !of_guest(port)).collect();
            set(
                &mut interface,
                "configured_ports",
                Some(json!(configured.join(" "))),
            );
            context.insert("interface".to_owned(), interface);
        }
        for interface in interfaces().filter(|interface| interface.get("vmid").is_some()) {
            let mut nic = interface.clone();
            let device = format!("net{}", text(interface, "guest_nic_index"));
            if interface.get("vmid").and_then(Value::as_u64) == record.vmid
                && (record.key.is_empty() || record.key == device)
            {
                set(&mut nic, "dev", Some(json!(device)));
                context.insert("nic".to_owned(), nic);
            }
        }
        let snapshots = context.get("snapshots").and_then(Value::as_array);
        let snapshot = snapshots
            .and_then(|list| list.iter().find(|one| text(one, "name") == record.key))
            .cloned();
        let parent = context
            .get("config")
            .map(|config| text(config, "parent"))
            .unwrap_or_default();
        // The API lists the current state as a snapshot of its own.
        let current =
            (record.key == "current").then(|| json!({ "name": "current", "parent": parent }));
        insert(context, "snapshot", snapshot.or(current));
    }
}

/// The value at a dotted path of a context; `|` separates alternatives.
pub(crate) fn look_up(context: &Map<String, Value>, path: &str) -> Option<String> {
    path.split('|').find_map(|path| {
        let (first, rest) = path.split_once('.')?;
        let mut value = context.get(first)?;
        // Keys of the flat configuration contain dots.
        if let Some(flat) = value.get(rest) {
            return Some(words(flat));
        }
        for part in rest.split('.') {
            value = match part.parse::<usize>() {
                Ok(position) => value.get(position)?,
                Err(_) => value.get(part)?,
            };
        }
        Some(words(value))
    })
}

fn words(value: &Value) -> String {
    match value {
        Value::Array(words) => words.iter().map(leaf).collect::<Vec<_>>().join(","),
        value => leaf(value),
    }
}

pub(crate) fn find<'a>(
    value: &'a Value,
    list: &str,
    field: &str,
    wanted: &str,
) -> Option<&'a Value> {
    items(value, list).find(|item| text(item, field) == wanted)
}

pub(crate) fn insert(context: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    if let Some(value) = value {
        context.insert(key.to_owned(), value);
    }
}

pub(crate) fn set(object: &mut Value, key: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (object.as_object_mut(), value) {
        object.insert(key.to_owned(), value);
    }
}

fn difference(object: &Value, whole: &str, part: &str) -> Option<Value> {
    let number = |key: &str| object.get(key).and_then(Value::as_u64);
    Some(json!(number(whole)?.saturating_sub(number(part)?)))
}

fn member(member: &Value) -> Value {
    let mut member = member.clone();
    let online = member.get("online") == Some(&Value::Bool(true));
    set(
        &mut member,
        "status",
        Some(json!(if online { "online" } else { "offline" })),
    );
    member
}

/// `/cluster/resources` fills unknown figures of the broadcast with zero.
fn broadcast_guest(guest: &Value) -> Value {
    let mut guest = guest.clone();
    let uptime = guest
        .get("uptime_seconds")
        .and_then(Value::as_f64)
        .unwrap_or(0.0);
    set(
        &mut guest,
        "run_status",
        Some(json!(if uptime > 0.0 { "running" } else { "stopped" })),
    );
    for (from, to) in [
        ("memory_used_bytes", "memory_used_or_zero"),
        ("memory_host_bytes", "memory_host_or_zero"),
        ("received_bytes_total", "received_or_zero"),
        ("transmitted_bytes_total", "transmitted_or_zero"),
        ("read_bytes_total", "read_or_zero"),
        ("written_bytes_total", "written_or_zero"),
        ("cpu_ratio", "cpu_or_zero"),
    ] {
        let value = guest.get(from).cloned().unwrap_or(json!(0));
        set(&mut guest, to, Some(value));
    }
    guest
}

/// Pressure as the API shows it: in percent, over 10 s.
fn with_percent(runtime: &Value) -> Value {
    let mut runtime = runtime.clone();
    for resource in ["cpu_pressure", "memory_pressure", "io_pressure"] {
        for share in ["some", "full"] {
            if let Some(stall) = runtime
                .get_mut(resource)
                .and_then(|pressure| pressure.get_mut(share))
            {
                let percent = stall
                    .get("avg10_ratio")
                    .and_then(Value::as_f64)
                    .map(|ratio| json!(ratio * 100.0));
                set(stall, "percent10", percent);
            }
        }
    }
    runtime
}
