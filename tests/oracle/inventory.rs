//! Nothing missing and nothing more: the sets of guests, nodes and storages,
//! and the sections of guest files.

use std::{collections::BTreeSet, fs};

use anyhow::Result;
use serde_json::Value;

use crate::{
    account::Account,
    api::{self, Record, leaf},
    compare::NodeFacts,
    config::{self, items, text},
    facts::Facts,
    outputs,
    recordings::{MOMENTS, Node, State, Tree},
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
            let more = tasks(&answers, node.node, facts)
                .into_iter()
                .chain(configured(&answers, facts))
                .chain(told(recorded, position, facts)?);
            for (what, theirs, ours) in more {
                account.check(&inventory.kind, theirs == ours, || {
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

/// The keys of the elements of one kind, if the API was asked for them.
fn keys(answers: &[Record], shape: &str, keep: impl Fn(&Record) -> bool) -> Option<Names> {
    let mut records = answers
        .iter()
        .filter(|record| record.shape == shape)
        .peekable();
    records.peek()?;
    Some(
        records
            .filter(|record| keep(record))
            .map(|record| record.key.clone())
            .collect(),
    )
}

/// Tasks of the node; of some nodes the API tells more, of others less: here, in
/// the answers that list all.
fn tasks(answers: &[Record], node: &str, facts: &Facts) -> Vec<(&'static str, Names, Names)> {
    let of_node = |record: &Record| record.node.as_deref() == Some(node);
    let ours = |keep: fn(&Value) -> bool| -> Names {
        let tasks = facts.values.get("tasks").unwrap_or(&Value::Null);
        let kept = items(tasks, "tasks").filter(|task| keep(task));
        kept.map(|task| text(task, "upid")).collect()
    };
    let mut sets = Vec::new();
    if let Some(theirs) = keys(answers, "/nodes/{node}/tasks", of_node) {
        let ended = |task: &Value| task.get("ended_at").is_some();
        sets.push(("tasks that ended", theirs, ours(ended)));
    }
    let runs = |record: &Record| of_node(record) && !record.fields.contains_key("endtime");
    if let Some(theirs) = keys(answers, "/cluster/tasks", runs) {
        let runs = |task: &Value| text(task, "status") == "TASK_STATUS_RUNNING";
        sets.push(("tasks that run", theirs, ours(runs)));
    }
    let lines = keys(answers, "/cluster/log", |_| true);
    if let Some(theirs) = lines {
        let log = facts.values.get("cluster_log").unwrap_or(&Value::Null);
        let ours = items(log, "entries").map(|entry| {
            ["node", "uid", "logged_at"]
                .map(|part| text(entry, part))
                .join(" ")
        });
        sets.push(("newest lines of the log", theirs, ours.take(50).collect()));
    }
    sets
}

/// What tools list, and who answers on its socket.
fn told(node: &Node, position: usize, facts: &Facts) -> Result<Vec<(&'static str, Names, Names)>> {
    let records = outputs::records(node, position)?;
    let null = &Value::Null;
    let ours = |payload: &str, list: &str, field: &str, keep: &dyn Fn(&Value) -> bool| -> Names {
        let payload = facts.values.get(payload).unwrap_or(null);
        let kept = items(payload, list).filter(|item| keep(item));
        kept.map(|item| text(item, field)).collect()
    };
    let any = |_: &Value| true;
    let answers = |guest: &Value| text(guest, "outcome") == "GUEST_SOCKET_OUTCOME_ANSWERED";
    let here = |kind: &'static str| {
        move |guest: &Value| {
            text(guest, "node") == node.name && text(guest, "kind") == format!("GUEST_KIND_{kind}")
        }
    };
    let vmids = |records: &[Record], shape: &str| -> Names {
        let records = records.iter().filter(|record| record.shape == shape);
        let vmids = records.filter_map(|record| record.vmid);
        vmids.map(|vmid| vmid.to_string()).collect()
    };
    let mut sets = vec![
        (
            "monitors that answer",
            vmids(&records, "qmp/query-status"),
            ours("guest_monitors", "guests", "vmid", &answers),
        ),
        (
            "guest agents that answer",
            vmids(&records, "qga/guest-get-osinfo"),
            ours("guest_agents", "guests", "vmid", &answers),
        ),
    ];
    for (what, shape, ours) in [
        (
            "interfaces but those of guests",
            "cmd/ip link",
            ours("interface_states", "interfaces", "name", &|one| {
                text(one, "kind") != "INTERFACE_KIND_GUEST"
            }),
        ),
        (
            "units",
            "cmd/systemctl show",
            ours("units", "units", "name", &any),
        ),
        (
            "storages told by pvesm",
            "cmd/pvesm status",
            ours("storage_config", "storages", "name", &any),
        ),
        (
            "VMs told by qm",
            "cmd/qm list",
            ours("guest_list", "guests", "vmid", &here("QEMU")),
        ),
        (
            "containers told by pct",
            "cmd/pct list",
            ours("guest_list", "guests", "vmid", &here("LXC")),
        ),
    ] {
        if let Some(theirs) = keys(&records, shape, |_| true) {
            sets.push((what, theirs, ours));
        }
    }
    Ok(sets)
}

/// What the files of the cluster configure, where the API was asked for it.
fn configured(answers: &[Record], facts: &Facts) -> Vec<(&'static str, Names, Names)> {
    let null = &Value::Null;
    let ours = |path: &str, list: &str, field: &str| -> Names {
        let whole = Value::Object(facts.values.clone());
        let part = whole.pointer(path).unwrap_or(null);
        items(part, list).map(|item| text(item, field)).collect()
    };
    let users = "/access_config/user_config";
    let files = facts.values.get("firewall_configs").unwrap_or(null);
    let rules = items(files, "files").filter(|file| text(file, "name").is_empty());
    let rules = rules.flat_map(|file| items(file, "rules"));
    let positions: Names = (0..rules.count())
        .map(|position| position.to_string())
        .collect();
    let made = |record: &Record| record.fields.get("special").map(String::as_str) != Some("1");
    [
        ("users", "/access/users", ours(users, "users", "id")),
        ("tokens", "/access/users#token", ours(users, "tokens", "id")),
        ("groups", "/access/groups", ours(users, "groups", "id")),
        ("pools", "/pools", ours(users, "pools", "id")),
        ("firewall rules", "/cluster/firewall/rules", positions),
        (
            "HA resources",
            "/cluster/ha/resources",
            ours("/ha_config", "resources", "sid"),
        ),
        (
            "HA rules",
            "/cluster/ha/rules",
            ours("/ha_config", "rules", "id"),
        ),
        (
            "backup jobs",
            "/cluster/backup",
            ours("/job_config/jobs", "backups", "id"),
        ),
    ]
    .into_iter()
    .filter_map(|(what, shape, ours)| Some((what, keys(answers, shape, |_| true)?, ours)))
    .chain(
        keys(answers, "/access/roles", made)
            .map(|theirs| ("roles that people made", theirs, ours(users, "roles", "id"))),
    )
    .collect()
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
