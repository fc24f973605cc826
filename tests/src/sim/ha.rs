//! High availability: what is asked for, and what its managers write.
//!
//! The master writes `manager_status`, each node its own `lrm_status`, as long as
//! they have quorum and a file system to write to. A master that stopped is
//! followed by another one when its lock has run out.

use std::io;

use serde_json::{Map, json};

use super::{
    config::line,
    state::{Kind, State},
    tree::Tree,
};

/// How long the lock of a master lasts.
const LOCK_MILLIS: i64 = 120_000;

/// What the managers do in a step.
pub(super) fn advance(state: &mut State) {
    if state.ha.guests.is_empty() {
        return;
    }
    let now = state.now_millis();
    let able: Vec<bool> = (0..state.nodes.len())
        .map(|index| {
            let node = &state.nodes[index];
            node.powered && node.pmxcfs && state.is_quorate(index)
        })
        .collect();
    for (node, able) in state.nodes.iter_mut().zip(&able) {
        if *able && node.ha_manager {
            node.ha_manager_millis = now;
        }
    }
    let ha = &mut state.ha;
    if ha.managers_stopped {
        return;
    }
    let at_work = ha.master.is_some_and(|master| able[master]);
    if !at_work && (ha.master.is_none() || now - ha.master_millis > LOCK_MILLIS) {
        ha.master = able.iter().position(|able| *able).or(ha.master);
    }
    if ha.master.is_some_and(|master| able[master]) {
        ha.master_millis = now;
    }
}

/// `resources.cfg`.
pub(super) fn resources(state: &State) -> String {
    let mut text = String::new();
    for vmid in &state.ha.guests {
        let sid = sid(state, *vmid).replace(':', ": ");
        line(&mut text, &format!("{sid}\n\tstate started\n"));
    }
    text
}

/// `vm:100`.
fn sid(state: &State, vmid: u32) -> String {
    let kind = state.guest(vmid).map(|guest| guest.kind);
    let word = if kind == Some(Kind::Lxc) { "ct" } else { "vm" };
    format!("{word}:{vmid}")
}

/// The status files as the node at `index` sees them.
pub(super) fn write(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    let ha = &state.ha;
    if ha.guests.is_empty() {
        return Ok(());
    }
    for (other, node) in state.nodes.iter().enumerate() {
        let written = state.heard_millis(index, other, node.ha_manager_millis);
        let holds = ha
            .guests
            .iter()
            .any(|vmid| state.guest(*vmid).is_some_and(|guest| guest.node == other));
        let word = if holds {
            "active"
        } else {
            "wait_for_agent_lock"
        };
        let status = json!({
            "state": word, "mode": "active", "results": {},
            "timestamp": (written + node.skew_millis) / 1000,
        });
        let path = format!("/etc/pve/nodes/{}/lrm_status", node.name);
        tree.write(&path, &status.to_string())?;
    }
    let Some(master) = ha.master else {
        return Ok(());
    };
    let services: Map<_, _> = ha
        .guests
        .iter()
        .filter_map(|vmid| {
            let guest = state.guest(*vmid)?;
            let word = if ha.errors.contains(vmid) {
                "error"
            } else {
                "started"
            };
            let node = &state.nodes[guest.node].name;
            let service =
                json!({"state": word, "node": node, "uid": format!("u{vmid}"), "running": 1});
            Some((sid(state, *vmid), service))
        })
        .collect();
    let nodes: Map<_, _> = state
        .nodes
        .iter()
        .enumerate()
        .map(|(other, node)| {
            let word = if state.see_each_other(master, other) {
                "online"
            } else {
                "unknown"
            };
            (node.name.clone(), json!(word))
        })
        .collect();
    let written = state.heard_millis(index, master, ha.master_millis);
    let status = json!({
        "master_node": state.nodes[master].name,
        "timestamp": (written + state.nodes[master].skew_millis) / 1000,
        "node_status": nodes,
        "service_status": services,
    });
    tree.write("/etc/pve/ha/manager_status", &status.to_string())
}
