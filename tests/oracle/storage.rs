//! Storages as they are configured and as they are.

use serde_json::{Map, Value, json};

use crate::{
    api::{Record, leaf},
    config::{items, text},
    context::{Ours, find, insert, set},
};

/// Adds the storage that a record is about, on the node that it is about.
pub(crate) fn add(ours: &Ours<'_>, record: &Record, context: &mut Map<String, Value>) {
    let Some(name) = record.storage.as_deref() else {
        return;
    };
    let node = record.node.as_deref().unwrap_or(ours.node);
    let Some(entry) = find(ours.value("storage_config"), "storages", "name", name) else {
        return;
    };
    state(ours, entry, name, node, context);
    let mut entry = entry.clone();
    let retention = entry.get("retention").map(retention);
    let target = text(&entry, "target");
    let (group, pool) = target.split_once('/').unwrap_or((&target, &target));
    let parts = json!({ "vgname": group, "thinpool": pool });
    let retention = retention.map(|text| json!({ "text": text }));
    set(&mut entry, "retention", retention);
    set(&mut entry, "target_parts", Some(parts));
    context.insert("storage_entry".to_owned(), entry);
}

/// Of the own node pvestatd's figures, of others what they broadcast.
fn state(ours: &Ours<'_>, entry: &Value, name: &str, node: &str, context: &mut Map<String, Value>) {
    let nodes: Vec<String> = items(entry, "nodes").map(leaf).collect();
    let is_for_node = nodes.is_empty() || nodes.iter().any(|one| one == node);
    let configured = entry.get("disabled") != Some(&Value::Bool(true)) && is_for_node;
    let figures = (node == ours.node)
        .then(|| find(ours.value("pve_status"), "storages", "name", name))
        .flatten();
    let broadcast = items(ours.value("cluster_broadcast"), "storages")
        .find(|storage| text(storage, "node") == node && text(storage, "name") == name);
    let known = figures.or(broadcast);
    let number = |field: &str| known.and_then(|known| known.get(field)?.as_f64());
    let number = |field: &str| number(field).unwrap_or(0.0);
    let says = |figures: &Value, field: &str| figures.get(field) == Some(&Value::Bool(true));
    let active = figures.map_or(broadcast.is_some(), |figures| says(figures, "active"));
    let enabled = figures.map_or(configured, |figures| says(figures, "enabled"));
    let word = match (enabled, active) {
        (true, true) => "active",
        (true, false) => "inactive",
        (false, _) => "disabled",
    };
    let state = json!({
        "word": word,
        "enabled": enabled,
        "active": active,
        "total_or_zero": number("total_bytes"),
        "used_or_zero": number("used_bytes"),
        "available_or_zero": number("available_bytes"),
        "used_ratio": number("used_bytes") / number("total_bytes"),
    });
    context.insert("storage_state".to_owned(), state);
    let broadcast = broadcast.cloned().map(|mut broadcast| {
        set(&mut broadcast, "status", Some(json!("available")));
        broadcast
    });
    insert(context, "broadcast_storage", broadcast);
}

/// `prune-backups` as it is written in storage.cfg, keys in PVE's order.
fn retention(retention: &Value) -> String {
    if retention.get("keep_all") == Some(&Value::Bool(true)) {
        return "keep-all=1".to_owned();
    }
    let kept = ["last", "hourly", "daily", "weekly", "monthly", "yearly"]
        .into_iter()
        .filter_map(|unit| {
            let count = retention.get(format!("keep_{unit}"))?.as_u64()?;
            (count > 0).then(|| format!("keep-{unit}={count}"))
        });
    kept.collect::<Vec<_>>().join(",")
}
