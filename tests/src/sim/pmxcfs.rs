//! The generated dot files of pmxcfs: membership, guest list, change counters
//! and the broadcast figures.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    io,
};

use super::{
    config::{self, ConfigFile, line},
    past,
    state::{
        Guest, Kind, Node, Share, State, Storage, StorageOnNode, real, seconds, share_of, whole,
    },
    tree::Tree,
};

/// Entries vanish five minutes after their last update.
const BROADCAST_LIFE_MILLIS: i64 = 300_000;

const REFUSED: &str = "/.pvelens/refused.json";

/// Change counters of configuration, cluster-wide.
#[derive(Debug, Clone, Default)]
pub(super) struct Versions {
    /// Content hash and counter by path or guest.
    counters: BTreeMap<String, (u64, u64)>,
    membership: u64,
    online: Vec<(bool, u32)>,
    files: Vec<ConfigFile>,
    /// Paths of files that were there before.
    gone: Vec<String>,
    /// Guests that were removed since the begin.
    removed: u64,
}

impl Versions {
    /// Counts what changed since the last time.
    pub(super) fn update(&mut self, state: &State) {
        let before = std::mem::replace(&mut self.files, config::files(state));
        let is_here = |path: &str| self.files.iter().any(|file| file.path == path);
        let is_known = |name: &str| self.files.iter().any(|file| file.name == name);
        let removed = before.iter().filter(|file| !is_known(&file.name));
        self.removed += removed.count() as u64;
        self.gone = before
            .into_iter()
            .map(|file| file.path)
            .filter(|path| !is_here(path))
            .collect();
        for ConfigFile { name, path, text } in &self.files {
            count(&mut self.counters, name, &(path, text));
        }
        let online: Vec<_> = state
            .nodes
            .iter()
            .map(|n| (n.powered, n.network_group))
            .collect();
        if self.online != online {
            self.online = online;
            self.membership += 1;
        }
    }

    /// Takes away what there is no more.
    pub(super) fn remove_gone(&self, tree: &mut Tree) -> io::Result<()> {
        self.gone.iter().try_for_each(|path| tree.remove(path))
    }

    /// Configuration as every member shows it.
    pub(super) fn files(&self) -> &[ConfigFile] {
        &self.files
    }

    fn of(&self, name: &str) -> u64 {
        self.counters.get(name).map_or(1, |(_, counter)| *counter)
    }

    /// Grows with every change of any guest's configuration.
    fn guests(&self) -> u64 {
        self.counters
            .iter()
            .filter(|(name, _)| name.starts_with("guest/"))
            .map(|(_, (_, counter))| *counter)
            .sum::<u64>()
            + self.removed
    }
}

fn count(counters: &mut BTreeMap<String, (u64, u64)>, name: &str, content: &impl Hash) {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    let hash = hasher.finish();
    match counters.get_mut(name) {
        Some((last, counter)) => {
            if *last != hash {
                (*last, *counter) = (hash, *counter + 1);
            }
        }
        None => {
            counters.insert(name.to_owned(), (hash, 1));
        }
    }
}

pub(super) fn write(
    state: &State,
    versions: &Versions,
    index: usize,
    tree: &mut Tree,
) -> io::Result<()> {
    tree.write("/etc/pve/.members", &members(state, versions, index))?;
    tree.write("/etc/pve/.vmlist", &guest_list(state, versions))?;
    tree.write(
        "/etc/pve/.version",
        &change_counters(state, versions, index, tree),
    )?;
    tree.write("/etc/pve/.clusterlog", &past::cluster_log(state))?;
    tree.write("/etc/pve/.rrd", &broadcast(state, index))
}

/// Reads of a cluster file system that does not answer. An agent learns of it when
/// its host is opened.
pub(super) fn write_refusal(state: &State, index: usize, tree: &mut Tree) -> io::Result<()> {
    if state.nodes[index].pmxcfs {
        return tree.remove(REFUSED);
    }
    tree.write(REFUSED, "{\"/etc/pve/**\": \"timed_out\"}\n")
}

fn members(state: &State, versions: &Versions, index: usize) -> String {
    let name = &state.nodes[index].name;
    let version = versions.membership + 4;
    if state.standalone {
        return format!("{{\n\"nodename\": \"{name}\",\n\"version\": {version}\n}}\n");
    }
    let nodes: Vec<String> = state
        .nodes
        .iter()
        .enumerate()
        .map(|(other, node)| {
            let online = u8::from(state.see_each_other(index, other));
            format!(
                "  \"{}\": {{ \"id\": {}, \"online\": {online}, \"ip\": \"10.0.0.{}\"}}",
                node.name, node.id, node.id
            )
        })
        .collect();
    format!(
        "{{\n\"nodename\": \"{name}\",\n\"version\": {version},\n\"cluster\": {{ \"name\": \"{}\", \"version\": {}, \"nodes\": {}, \"quorate\": {} }},\n\"nodelist\": {{\n{}\n  }}\n}}\n",
        state.cluster_name,
        state.corosync.config_version,
        state.nodes.len(),
        u8::from(state.is_quorate(index)),
        nodes.join(",\n"),
    )
}

fn guest_list(state: &State, versions: &Versions) -> String {
    let entries: Vec<String> = state
        .guests
        .iter()
        .map(|guest| {
            let kind = if guest.kind == Kind::Qemu {
                "qemu"
            } else {
                "lxc"
            };
            let version = versions.of(&format!("guest/{}", guest.vmid));
            format!(
                "\"{}\": {{ \"node\": \"{}\", \"type\": \"{kind}\", \"version\": {version} }}",
                guest.vmid, state.nodes[guest.node].name
            )
        })
        .collect();
    let version = versions.guests();
    if entries.is_empty() {
        return format!("{{\n\"version\": {version}\n\n}}\n");
    }
    format!(
        "{{\n\"version\": {version},\n\"ids\": {{\n{}}}\n\n}}\n",
        entries.join(",\n")
    )
}

fn change_counters(state: &State, versions: &Versions, index: usize, tree: &Tree) -> String {
    // An edit of a scenario is a change that pmxcfs would count.
    let edits = tree.edit_count();
    let started = state.nodes[index].boot_millis / 1000 + 20;
    let mut text = format!(
        "{{\n\"starttime\": {started},\n\"clinfo\": {},\n\"vmlist\": {},\n",
        versions.membership + 4,
        versions.guests() + edits
    );
    for path in ["corosync.conf", "storage.cfg"] {
        line(
            &mut text,
            &format!("\"{path}\": {},", versions.of(path) + edits),
        );
    }
    for path in [
        "corosync.conf.new",
        "user.cfg",
        "datacenter.cfg",
        "jobs.cfg",
        "ha/resources.cfg",
        "replication.cfg",
        "firewall/cluster.fw",
    ] {
        line(&mut text, &format!("\"{path}\": {},", 2 + edits));
    }
    let stores: Vec<String> = state
        .nodes
        .iter()
        .map(|node| {
            format!(
                "\"{}\": {{\n\"kv/static-info\": 0,\n\"tasklist\": 4}}\n",
                node.name
            )
        })
        .collect();
    text.push_str("\"kvstore\": {\n");
    text.push_str(&stores.join(","));
    text.push_str("}\n}\n");
    text
}

/// What this node has heard within the life of an entry.
fn broadcast(state: &State, index: usize) -> String {
    let mut text = String::new();
    let now = state.now_millis();
    for (other, node) in state.nodes.iter().enumerate() {
        // A node that is cut off is heard no more from then on; its last words
        // stay for a while.
        let heard = state.heard_millis(index, other, node.broadcast_millis);
        if now - heard > BROADCAST_LIFE_MILLIS {
            continue;
        }
        let at = (heard + node.skew_millis) / 1000;
        line(&mut text, &node_line(state, node, at));
        for guest in state.guests.iter().filter(|guest| guest.node == other) {
            line(&mut text, &guest_line(state, guest, at));
        }
        for storage in &state.storages {
            if let Some(on_node) = storage.on_node(other).filter(|on_node| on_node.active) {
                line(&mut text, &storage_line(state, node, storage, on_node, at));
            }
        }
    }
    text
}

fn node_line(state: &State, node: &Node, at: i64) -> String {
    let root = node.filesystems.iter().find(|fs| fs.mount_point == "/");
    let (root_total, root_used) = root.map_or((0, 0), |fs| (fs.total_bytes, whole(fs.used_bytes)));
    let (received, transmitted) = node.traffic();
    let columns = format!(
        "{}:{}:{at}:{:.2}:{}:{:.6}:{:.6}:{}:{}:{}:{}:{root_total}:{root_used}:{received}:{transmitted}",
        whole(seconds(state.now_millis() - node.boot_millis)),
        state.subscription,
        node.counters.load[0],
        node.cpus,
        node.load.cpu,
        node.load.iowait,
        node.memory_bytes,
        node.memory_bytes - node.memory.available_bytes,
        node.swap_bytes,
        share_of(node.swap_bytes, node.load.swap_used_ratio),
    );
    if state.pve_version < 9 {
        return format!("pve2-node/{}:{columns}", node.name);
    }
    let percent = |share: &Share| format!("{:.2}", share.averages[0] * 100.0);
    let counters = &node.counters;
    format!(
        "pve-node-9.0/{}:{columns}:{}:0:{}:{}:{}:{}:{}",
        node.name,
        node.memory.available_bytes,
        percent(&counters.cpu.some),
        percent(&counters.io.some),
        percent(&counters.io.full),
        percent(&counters.memory.some),
        percent(&counters.memory.full),
    )
}

fn guest_line(state: &State, guest: &Guest, at: i64) -> String {
    let prefix = if state.pve_version < 9 {
        "pve2.3-vm"
    } else {
        "pve-vm-9.0"
    };
    let unknown = if state.pve_version < 9 {
        ""
    } else {
        ":U:U:U:U:U:U:U"
    };
    let Guest {
        vmid,
        name,
        cores,
        memory_bytes,
        counters,
        ..
    } = guest;
    let template = u8::from(guest.template);
    let size = guest.disk_bytes();
    if !guest.running {
        return format!(
            "{prefix}/{vmid}:0:{name}:stopped:{template}:{at}:{cores}:U:{memory_bytes}:U:{size}:0:U:U:U:U{unknown}"
        );
    }
    let status = if guest.kind == Kind::Qemu {
        guest.qmp_status.as_str()
    } else {
        "running"
    };
    let disk = if guest.kind == Kind::Qemu {
        0
    } else {
        share_of(size, 0.3)
    };
    let columns = format!(
        "{}:{name}:{status}:{template}:{at}:{cores}:{:.6}:{memory_bytes}:{}:{size}:{disk}:{}:{}:{}:{}",
        whole(seconds(state.now_millis() - guest.start_millis)),
        guest.load.cores_used / f64::from(*cores),
        share_of(*memory_bytes, guest.load.memory),
        whole(counters.received),
        whole(counters.transmitted),
        whole(counters.read),
        whole(counters.written),
    );
    if state.pve_version < 9 {
        return format!("{prefix}/{vmid}:{columns}");
    }
    let host = if guest.kind == Kind::Qemu {
        guest.resident_bytes().to_string()
    } else {
        "U".to_owned()
    };
    let percent = |share: &Share| format!("{:.2}", share.averages[0] * 100.0);
    format!(
        "{prefix}/{vmid}:{columns}:{host}:{}:{}:{}:{}:{}:{}",
        percent(&counters.cpu.some),
        percent(&counters.cpu.full),
        percent(&counters.io.some),
        percent(&counters.io.full),
        percent(&counters.memory.some),
        percent(&counters.memory.full),
    )
}

fn storage_line(
    state: &State,
    node: &Node,
    storage: &Storage,
    on_node: StorageOnNode,
    at: i64,
) -> String {
    let prefix = if state.pve_version < 9 {
        "pve2-storage"
    } else {
        "pve-storage-9.0"
    };
    let used = whole(real(on_node.total_bytes) * on_node.used_ratio);
    format!(
        "{prefix}/{}/{}:{at}:{}:{used}",
        node.name, storage.name, on_node.total_bytes
    )
}
