//! What tools wrote on a recorded node and what its monitors and guest agents
//! answered, cut into records as the answers of the API are, by readers that share
//! nothing with the agent's.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    api::{Record, flatten, leaf},
    logs, peers,
    recordings::{Node, Tree},
    tools,
};

/// What systemd says of some units in all detail.
const SHOWN_UNITS: &str = "systemctl-show.txt";

/// One thing that a tool says, before it is a record.
pub(crate) struct Said {
    /// `ip link`, `qm list`.
    pub(crate) shape: &'static str,
    pub(crate) key: String,
    pub(crate) fields: Map<String, Value>,
}

/// A line of `cmd/INDEX.jsonl`.
#[derive(Deserialize)]
struct Command {
    file: String,
    at: f64,
}

/// Everything of one node at one moment.
pub(crate) fn records(node: &Node, moment: usize) -> Result<Vec<Record>> {
    let tree = node.trees.get(moment).context("no such moment")?;
    let mut records = Vec::new();
    // The tool was asked for the units that matter; others list all there are.
    let asked: BTreeSet<String> =
        tools::read(SHOWN_UNITS, &tree.text(&format!("/cmd/{SHOWN_UNITS}"))?)?
            .into_iter()
            .map(|said| said.key)
            .collect();
    for line in tree.text("/cmd/INDEX.jsonl")?.lines() {
        let Command { file, at } = serde_json::from_str(line)?;
        let text = tree.text(&format!("/cmd/{file}"))?;
        for said in tools::read(&file, &text).with_context(|| file.clone())? {
            let of_others = said.shape.starts_with("systemctl list-") && !asked.contains(&said.key);
            let suffix = if of_others { "#other" } else { "" };
            let shape = format!("cmd/{}{suffix}", said.shape);
            records.push(record(node, shape, said.key, said.fields, &file, at));
        }
    }
    conversations(node, tree, &mut records)?;
    files(node, tree, &mut records)?;
    backups(node, tree, &mut records)?;
    Ok(records)
}

fn record(
    node: &Node,
    shape: String,
    key: String,
    object: Map<String, Value>,
    file: &str,
    at: f64,
) -> Record {
    let text = |name: &str| object.get(name).map(leaf);
    let mut fields = BTreeMap::new();
    flatten("", &Value::Object(object.clone()), &mut fields);
    Record {
        shape,
        node: text("node").or_else(|| Some(node.name.clone())),
        vmid: text("vmid").and_then(|vmid| vmid.parse().ok()),
        storage: text("storage"),
        key,
        fields,
        file: file.to_owned(),
        at,
        told_by: Some(node.name.clone()),
    }
}

/// Answers to what the agent asks, too; an element of a list is a record.
fn conversations(node: &Node, tree: &Tree, records: &mut Vec<Record>) -> Result<()> {
    const ASKED: &[&str] = &[
        "query-status",
        "query-balloon",
        "query-block",
        "query-blockstats",
        "query-version",
        "guest-get-osinfo",
        "guest-get-fsinfo",
    ];
    for kind in ["qmp", "qga"] {
        for (vmid, said) in peers::recorded(&tree.root, kind)? {
            for one in said {
                let Some(command) = one.command().filter(|command| ASKED.contains(command)) else {
                    continue;
                };
                let answer = one.response.get("return").cloned().unwrap_or_default();
                let elements = match answer {
                    Value::Array(elements) => elements,
                    answer => vec![answer],
                };
                for element in elements {
                    let Value::Object(mut object) = element else {
                        continue;
                    };
                    let key = ["qdev", "mountpoint"]
                        .iter()
                        .find_map(|key| object.get(*key));
                    let key = key.map(leaf).unwrap_or_default();
                    object.insert("vmid".to_owned(), vmid.into());
                    let shape = format!("{kind}/{command}");
                    records.push(record(node, shape, key, object, kind, one.at));
                }
            }
        }
    }
    Ok(())
}

/// Files of the managers of high availability, which the API shows as they are at
/// another time.
fn files(node: &Node, tree: &Tree, records: &mut Vec<Record>) -> Result<()> {
    let mut add = |shape: &str, key: &str, path: &str, object: Map<String, Value>| {
        let at = tree.read_at(path);
        records.push(record(
            node,
            shape.to_owned(),
            key.to_owned(),
            object,
            path,
            at,
        ));
    };
    let path = "/etc/pve/ha/manager_status";
    let status = json!({ "manager_status": serde_json::from_str::<Value>(&tree.text(path)?)? });
    if let Value::Object(status) = status {
        add("file/manager_status", "", path, status);
    }
    for entry in fs::read_dir(tree.root.join("etc/pve/nodes"))? {
        let owner = entry?.file_name().to_string_lossy().into_owned();
        let path = format!("/etc/pve/nodes/{owner}/lrm_status");
        let mut status: Map<String, Value> = serde_json::from_str(&tree.text(&path)?)?;
        let results = status.get("results").and_then(Value::as_object);
        let count = results.map_or(0, Map::len);
        status.insert("results".to_owned(), count.into());
        add("file/lrm_status", &owner, &path, status);
    }
    Ok(())
}

/// What the last backup of each guest of the node wrote into its log.
fn backups(node: &Node, tree: &Tree, records: &mut Vec<Record>) -> Result<()> {
    // Made by the first backup.
    let folder = fs::read_dir(tree.root.join("var/log/vzdump"));
    for file in folder.into_iter().flatten() {
        let name = file?.file_name().to_string_lossy().into_owned();
        let path = format!("/var/log/vzdump/{name}");
        let (key, fields) = logs::backup(&name, &tree.text(&path)?)?;
        let at = tree.read_at(&path);
        let shape = "file/vzdump".to_owned();
        records.push(record(node, shape, key, fields, &path, at));
    }
    Ok(())
}
