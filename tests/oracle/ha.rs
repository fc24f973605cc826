//! High availability: what is asked for, and what its managers say.

use serde_json::{Map, Value, json};

use crate::{
    api::{Record, leaf},
    config::{items, text},
    context::{Ours, find, insert, set},
};

/// A manager is silent for too long after this (`pve-manager@PVE/API2/HA/Status.pm`).
const SILENT_SECONDS: i64 = 30;

/// Adds what is known of the resource, rule or manager that a record is about.
pub(crate) fn add(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let config = ours.value("ha_config");
    let state = ours.value("ha_state");
    let shape = record.shape.as_str();
    match shape {
        "/cluster/ha/resources" => {
            let resource = find(config, "resources", "sid", &record.key);
            insert(context, "ha_resource", resource.map(resource_as_told));
        }
        "/cluster/ha/rules" => {
            let rule = find(config, "rules", "id", &record.key);
            insert(context, "ha_rule", rule.map(rule_as_told));
        }
        "/cluster/ha/status/manager_status" | "file/manager_status" => {
            let quorum = ours.value("cluster_members").get("cluster");
            let quorate = quorum.and_then(|cluster| cluster.get("quorate")).cloned();
            insert(context, "ha_status", Some(status_as_told(state, quorate)));
        }
        "file/lrm_status" => {
            let manager = find(state, "local_managers", "node", &record.key);
            insert(context, "ha_lrm", manager.cloned());
        }
        _ if shape.starts_with("/cluster/ha/status/current#")
            || shape.starts_with("cmd/ha-manager") =>
        {
            told_of(ours, record, context);
        }
        _ if shape.starts_with("/cluster/resources#") || shape.ends_with("/status/current") => {
            let sid = record.vmid.map(|vmid| {
                let kind = if record.is_container() || shape.ends_with("#lxc") {
                    "ct"
                } else {
                    "vm"
                };
                format!("{kind}:{vmid}")
            });
            let service = sid.and_then(|sid| find(state, "services", "sid", &sid));
            let managed = json!({ "managed": service.is_some() });
            insert(
                context,
                "ha_service",
                Some(service.cloned().map_or(managed, |mut service| {
                    set(&mut service, "managed", Some(json!(true)));
                    service
                })),
            );
            let node = record.node.as_deref().unwrap_or_default();
            insert(
                context,
                "ha_node",
                find(state, "nodes", "name", node).cloned(),
            );
        }
        _ => {}
    }
}

/// With the defaults that the API fills in.
fn resource_as_told(resource: &Value) -> Value {
    let mut resource = resource.clone();
    let kind = text(&resource, "sid");
    let kind = kind.split(':').next().unwrap_or_default().to_owned();
    set(&mut resource, "type", Some(json!(kind)));
    for (field, default) in [
        ("max_restart", json!(1)),
        ("max_relocate", json!(1)),
        ("failback", json!(true)),
    ] {
        let value = resource.get(field).cloned().unwrap_or(default);
        set(&mut resource, &format!("{field}_or_default"), Some(value));
    }
    resource
}

fn rule_as_told(rule: &Value) -> Value {
    let mut rule = rule.clone();
    let nodes: Vec<String> = items(&rule, "nodes")
        .map(|node| match node.get("priority") {
            Some(priority) => format!("{}:{}", text(node, "name"), leaf(priority)),
            None => text(node, "name"),
        })
        .collect();
    set(&mut rule, "nodes_text", Some(json!(nodes.join(","))));
    rule
}

/// The state in the form of `manager_status`.
fn status_as_told(state: &Value, quorate: Option<Value>) -> Value {
    let by_name = |list: &str, name: &str| -> Map<String, Value> {
        items(state, list)
            .map(|item| (text(item, name), item.clone()))
            .collect()
    };
    let nodes: Map<String, Value> = items(state, "nodes")
        .map(|node| {
            (
                text(node, "name"),
                node.get("state").cloned().unwrap_or_default(),
            )
        })
        .collect();
    let mut managers = by_name("local_managers", "node");
    for manager in managers.values_mut() {
        let (at, count) = (
            manager.get("written_at").cloned(),
            manager.get("result_count").cloned(),
        );
        set(manager, "timestamp", at);
        set(manager, "results", count);
    }
    json!({
        "manager_status": {
            "master_node": state.get("master_node"),
            "timestamp": state.get("master_at"),
            "node_status": nodes,
            "service_status": by_name("services", "sid"),
        },
        "lrm_status": managers,
        "quorum": { "quorate": quorate.filter(|quorate| *quorate == json!(true)).map_or(json!(""), |_| json!("1")) },
    })
}

/// What a line of the status is about: quorum, master, a manager or a service.
fn told_of(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let (config, state) = (ours.value("ha_config"), ours.value("ha_state"));
    let node = record.node.as_deref().unwrap_or_default();
    let asked_at = record.at;
    let cluster = ours.value("cluster_members").get("cluster").cloned();
    insert(context, "cluster", cluster);
    insert(
        context,
        "master",
        Some(json!({
            "node": state.get("master_node"),
            "at": state.get("master_at"),
            "word": word("active", state.get("master_at"), asked_at),
        })),
    );
    let manager = find(state, "local_managers", "node", node).cloned();
    insert(
        context,
        "lrm",
        manager.map(|mut manager| {
            let idle = if text(&manager, "state") == "active" {
                "active"
            } else {
                "idle"
            };
            let word = word(idle, manager.get("written_at"), asked_at);
            set(&mut manager, "word", Some(json!(word)));
            manager
        }),
    );
    let sid = record.fields.get("sid").map_or("", String::as_str);
    insert(
        context,
        "ha_service",
        find(state, "services", "sid", sid).cloned(),
    );
    let resource = find(config, "resources", "sid", sid);
    insert(context, "ha_resource", resource.map(resource_as_told));
}

/// The word for a manager that wrote its state at some time.
fn word(alive: &'static str, at: Option<&Value>, asked_at: f64) -> &'static str {
    #[expect(clippy::cast_possible_truncation, reason = "seconds of this century")]
    let asked_at = asked_at as i64;
    match at.and_then(Value::as_i64) {
        Some(at) if asked_at - at < SILENT_SECONDS => alive,
        _ => "old timestamp - dead?",
    }
}
