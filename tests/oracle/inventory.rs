//! Nothing missing and nothing more: the sets of guests, nodes and storages,
//! and the sections of guest files.

use std::{collections::BTreeSet, fs};

use anyhow::Result;
use serde_json::Value;

use crate::{
    api::{self, Record, leaf},
    compare::{Account, NodeFacts},
    config::{self, items, text},
    facts::Facts,
    recordings::{MOMENTS, State, Tree},
    table::Table,
};

pub(crate) fn compare(
    state: &State,
    nodes: &[NodeFacts<'_>],
    table: &Table,
    account: &mut Account,
) -> Result<()> {
    let inventory = table.independent("inventory")?;
    let sections = table.independent("sections")?;
    for (position, moment) in MOMENTS.into_iter().enumerate() {
        let answers = api::records(&state.oracle(moment))?;
        for (node, recorded) in nodes.iter().zip(&state.nodes) {
            let facts = &node.moments[position];
            for (what, theirs, ours) in sets(&answers, node.node, facts) {
                account.check(&inventory.kind, theirs == ours && !ours.is_empty(), || {
                    format!(
                        "{} {} {moment} {what}: the API has {theirs:?}, ours are {ours:?}",
                        state.name, node.node
                    )
                });
            }
            for (file, theirs) in guest_sections(&recorded.trees[position])? {
                let ours = carried_sections(facts, &file);
                account.check(&sections.kind, theirs == ours, || {
                    format!(
                        "{} {} {moment} {file}: the file has {theirs:?}, ours are {ours:?}",
                        state.name, node.node
                    )
                });
            }
        }
    }
    Ok(())
}

type Names = BTreeSet<String>;

fn sets(answers: &[Record], node: &str, facts: &Facts) -> Vec<(&'static str, Names, Names)> {
    let theirs = |shapes: &[&str], field: &str| -> Names {
        let records = answers
            .iter()
            .filter(|record| shapes.contains(&record.shape.as_str()));
        records
            .filter_map(|record| record.fields.get(field).cloned())
            .collect()
    };
    let ours = |payload: &str, list: &str, field: &str| -> Names {
        let payload = facts.values.get(payload).unwrap_or(&Value::Null);
        items(payload, list).map(|item| text(item, field)).collect()
    };
    let guests = theirs(
        &["/cluster/resources#qemu", "/cluster/resources#lxc"],
        "vmid",
    );
    let storages: Names = answers
        .iter()
        .filter(|record| {
            record.shape == "/nodes/{node}/storage" && record.node.as_deref() == Some(node)
        })
        .filter_map(|record| record.storage.clone())
        .collect();
    vec![
        (
            "guests in the list",
            guests.clone(),
            ours("guest_list", "guests", "vmid"),
        ),
        (
            "guests with configuration",
            guests.clone(),
            ours("guest_configs", "guests", "vmid"),
        ),
        (
            "guests broadcast",
            guests,
            ours("cluster_broadcast", "guests", "vmid"),
        ),
        (
            "members",
            theirs(&["/cluster/status#node"], "name"),
            ours("cluster_members", "members", "name"),
        ),
        (
            "corosync nodes",
            theirs(&["/cluster/status#node"], "name"),
            ours("corosync_config", "nodes", "name"),
        ),
        (
            "nodes broadcast",
            theirs(&["/nodes"], "node"),
            ours("cluster_broadcast", "nodes", "name"),
        ),
        (
            "storages",
            storages,
            ours("storage_config", "storages", "name"),
        ),
    ]
}

/// `pending KEY` and `snapshot NAME TIME` of each guest file, read line by line.
fn guest_sections(tree: &Tree) -> Result<Vec<(String, Names)>> {
    let mut files = Vec::new();
    for node in fs::read_dir(tree.root.join("etc/pve/nodes"))? {
        let node = node?.path();
        for folder in ["qemu-server", "lxc"] {
            for file in fs::read_dir(node.join(folder)).into_iter().flatten() {
                let file = file?;
                let name = file.file_name().to_string_lossy().replace(".conf", "");
                files.push((name, sections(&fs::read_to_string(file.path())?)));
            }
        }
    }
    Ok(files)
}

fn sections(text: &str) -> Names {
    let mut names = Names::new();
    let mut section = String::new();
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
        {
            section = name.to_owned();
        } else if let Some((key, value)) = line.split_once(": ").filter(|_| !section.is_empty()) {
            match (section.as_str(), key) {
                ("PENDING" | "pve:pending", "delete") => {
                    names.extend(value.split(',').map(|key| format!("pending {key}")))
                }
                ("PENDING" | "pve:pending", key) => names.extend([format!("pending {key}")]),
                (section, "snaptime") => names.extend([format!("snapshot {section} {value}")]),
                _ => {}
            }
        }
    }
    names
}

fn carried_sections(facts: &Facts, vmid: &str) -> Names {
    let configs = facts.values.get("guest_configs").unwrap_or(&Value::Null);
    let guest = items(configs, "guests").find(|guest| text(guest, "vmid") == vmid);
    let Some(guest) = guest else {
        return Names::from(["(no such guest)".to_owned()]);
    };
    let pending = config::pending_keys(guest)
        .into_iter()
        .map(|key| format!("pending {key}"));
    let snapshots = items(guest, "snapshots").map(|snapshot| {
        format!(
            "snapshot {} {}",
            text(snapshot, "name"),
            snapshot.get("taken_at").map(leaf).unwrap_or_default()
        )
    });
    pending.chain(snapshots).collect()
}
