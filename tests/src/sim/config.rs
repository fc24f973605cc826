//! Configuration in `/etc/pve`: guests, storages, corosync. Every member shows
//! the same files.

use std::io;

use super::{
    ha,
    state::{Guest, Kind, State},
    tree::Tree,
};

/// One file, the same on every member.
#[derive(Debug, Clone)]
pub(super) struct ConfigFile {
    /// What its change counter goes by: `guest/100`, `storage.cfg`.
    pub(super) name: String,
    pub(super) path: String,
    pub(super) text: String,
}

/// All files, made once for all members.
pub(super) fn files(state: &State) -> Vec<ConfigFile> {
    let shared = |name: &str, text: String| ConfigFile {
        name: name.to_owned(),
        path: format!("/etc/pve/{name}"),
        text,
    };
    let mut files: Vec<ConfigFile> = state
        .guests
        .iter()
        .map(|guest| ConfigFile {
            name: format!("guest/{}", guest.vmid),
            path: guest_path(state, guest),
            text: guest_text(guest),
        })
        .collect();
    files.push(shared("storage.cfg", storage_text(state)));
    if !state.ha.guests.is_empty() {
        files.push(shared("ha/resources.cfg", ha::resources(state)));
    }
    if !state.standalone {
        files.push(shared("corosync.conf", corosync_text(state)));
    }
    files
}

pub(super) fn write(files: &[ConfigFile], tree: &mut Tree) -> io::Result<()> {
    for file in files {
        tree.write(&file.path, &file.text)?;
    }
    Ok(())
}

fn guest_path(state: &State, guest: &Guest) -> String {
    let directory = match guest.kind {
        Kind::Qemu => "qemu-server",
        Kind::Lxc => "lxc",
    };
    let node = &state.nodes[guest.node].name;
    format!("/etc/pve/nodes/{node}/{directory}/{}.conf", guest.vmid)
}

fn guest_text(guest: &Guest) -> String {
    let mut text = String::new();
    let settings = |text: &mut String| {
        for (key, value) in &guest.config {
            line(text, &format!("{key}: {value}"));
        }
    };
    settings(&mut text);
    if let Some(newest) = guest.snapshots.last() {
        line(&mut text, &format!("parent: {}", newest.name));
    }
    for (number, snapshot) in guest.snapshots.iter().enumerate() {
        line(&mut text, "");
        line(&mut text, &format!("[{}]", snapshot.name));
        settings(&mut text);
        if let Some(parent) = number.checked_sub(1).and_then(|n| guest.snapshots.get(n)) {
            line(&mut text, &format!("parent: {}", parent.name));
        }
        line(&mut text, &format!("snaptime: {}", snapshot.taken_seconds));
    }
    text
}

fn storage_text(state: &State) -> String {
    let mut text = String::new();
    for storage in &state.storages {
        line(&mut text, &format!("{}: {}", storage.kind, storage.name));
        for (key, value) in &storage.options {
            line(&mut text, &format!("\t{key} {value}"));
        }
        line(&mut text, "");
    }
    text
}

fn corosync_text(state: &State) -> String {
    let corosync = &state.corosync;
    let mut text = "logging {\n  debug: off\n  to_syslog: yes\n}\n\nnodelist {\n".to_owned();
    for node in &state.nodes {
        let mut block = format!(
            "  node {{\n    name: {}\n    nodeid: {}\n    quorum_votes: 1\n",
            node.name, node.id
        );
        for link in 0..corosync.links {
            line(
                &mut block,
                &format!("    ring{link}_addr: 10.0.{link}.{}", node.id),
            );
        }
        text.push_str(&block);
        text.push_str("  }\n");
    }
    text.push_str("}\n\nquorum {\n");
    if corosync.qdevice {
        text.push_str("  device {\n    model: net\n    net {\n      algorithm: ffsplit\n      host: 10.0.9.2\n      tls: on\n    }\n    votes: 1\n  }\n");
    }
    text.push_str("  provider: corosync_votequorum\n");
    if state.nodes.len() == 2 && !corosync.qdevice {
        text.push_str("  two_node: 1\n");
    }
    line(
        &mut text,
        &format!("}}\n\ntotem {{\n  cluster_name: {}", state.cluster_name),
    );
    line(
        &mut text,
        &format!("  config_version: {}", corosync.config_version),
    );
    for link in 0..corosync.links {
        line(
            &mut text,
            &format!("  interface {{\n    linknumber: {link}\n  }}"),
        );
    }
    let secauth = if corosync.secauth { "on" } else { "off" };
    line(
        &mut text,
        &format!(
            "  ip_version: ipv4-6\n  link_mode: passive\n  secauth: {secauth}\n  version: 2\n}}"
        ),
    );
    text
}

/// Appends a line.
pub(super) fn line(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}
