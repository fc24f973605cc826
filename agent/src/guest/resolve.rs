//! Which guest is meant, looked up anew for each command: what was true a moment ago
//! may be another guest now.
//!
//! Everything is read from this node: its configurations, its process table, its tasks.
//! Nothing that a coordinator says is taken for true; it only must fit.

use pvelens_proto::agent::v1::{GuestKind, GuestMark, GuestSettings};

use super::rule::{Refusal, Rule, Rules};
use crate::{
    collector::{
        ACTIVE_TASKS, KERNEL_FILE_LIMIT, PMXCFS_FILE_LIMIT, identify, pools_of, running_tasks,
        start_ticks,
    },
    format::{free_text, guest_config},
    host::{GUEST_POLICY, Host},
};

const RUN: &str = "/run/qemu-server";
const NODES: &str = "/etc/pve/nodes";
const USERS: &str = "/etc/pve/user.cfg";
/// Files that exist while a VM comes or leaves (`qemu-server@src/PVE/QemuMigrate.pm`).
const MIGRATION_FILES: [&str; 3] = [".migrate", ".mtunnel", "_nbd.migrate"];
/// Tasks that look at a guest and leave it as it is.
const HARMLESS_TASKS: [&str; 4] = ["vncproxy", "vncshell", "spiceproxy", "spiceshell"];
/// Every path that is opened or looked for when a command is asked for, its policy among
/// them: `*` is one name.
pub(crate) const PATHS: &[&str] = &[
    GUEST_POLICY,
    "/etc/pve/local",
    "/etc/pve/pve-root-ca.pem",
    "/etc/pve/nodes",
    "/etc/pve/nodes/*/qemu-server/*.conf",
    "/etc/pve/nodes/*/lxc/*.conf",
    USERS,
    ACTIVE_TASKS,
    "/run/qemu-server/*",
    "/proc/*/stat",
    "/proc/*/cgroup",
];
/// Characters of a guest's name that are taken over.
const NAME_LIMIT: usize = 80;

/// A running VM of this node, as it is now.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Guest {
    pub(crate) node: String,
    pub(crate) vmid: u32,
    pub(crate) name: String,
    pub(crate) created_seconds: Option<i64>,
    pub(crate) tags: Vec<String>,
    /// `None` when that is not known.
    pub(crate) pools: Option<Vec<String>>,
    /// PID and start of its process.
    pub(crate) process: (u64, u64),
}

/// Finds the guest that a mark means, if nothing works on it.
///
/// # Errors
/// The rule that is not kept.
pub(crate) fn resolve(host: &Host, mark: &GuestMark, rules: Rules) -> Result<Guest, Refusal> {
    let vmid = mark.vmid;
    let (node, cluster) = identify(host);
    rules.refuse_if(
        mark.node != node || (!mark.cluster_id.is_empty() && mark.cluster_id != cluster),
        Rule::WrongNode,
        || format!("this is the node {node}"),
    )?;
    let settings = settings(host, &node, vmid, rules)?;
    let created = settings.created_at.as_ref().map(|time| time.seconds);
    let mut guest = Guest {
        node,
        vmid,
        name: free_text::bounded(&settings.name, NAME_LIMIT),
        created_seconds: created,
        tags: settings.tags.clone(),
        pools: pools(host, vmid),
        process: (0, 0),
    };
    rules.refuse_if(!fits(mark, &settings), Rule::GuestChanged, || {
        format!("{vmid} is another guest than the one that was meant")
    })?;
    rules.refuse_if(!settings.lock.is_empty(), Rule::Locked, || {
        let lock = free_text::bounded(&settings.lock, NAME_LIMIT);
        format!("{vmid} is locked: {lock}")
    })?;
    let migrates = MIGRATION_FILES
        .iter()
        .any(|end| host.exists(&format!("{RUN}/{vmid}{end}")));
    rules.refuse_if(migrates, Rule::Migrating, || {
        format!("{vmid} is being migrated")
    })?;
    let tasks = tasks(host, vmid);
    rules.refuse_if(!tasks.is_empty(), Rule::TaskRunning, || {
        format!("tasks work on {vmid}: {}", tasks.join(", "))
    })?;
    let process = process(host, vmid);
    rules.refuse_if(process.is_none(), Rule::NotRunning, || {
        format!("{vmid} does not run")
    })?;
    guest.process = process.unwrap_or_default();
    rules.refuse_if(
        settings.agent_enabled != Some(true),
        Rule::AgentNotEnabled,
        || format!("{vmid} has no guest agent in its configuration"),
    )?;
    Ok(guest)
}

/// The configuration, which must be the only one with this VMID.
fn settings(host: &Host, node: &str, vmid: u32, rules: Rules) -> Result<GuestSettings, Refusal> {
    let here = format!("{NODES}/{node}/qemu-server/{vmid}.conf");
    let as_container = format!("{NODES}/{node}/lxc/{vmid}.conf");
    let is_container = !host.exists(&here) && host.exists(&as_container);
    rules.refuse_if(is_container, Rule::NotAVm, || {
        format!("{vmid} is a container")
    })?;
    let text = host.read(&here, PMXCFS_FILE_LIMIT);
    rules.refuse_if(text.is_err(), Rule::NoSuchGuest, || match &text {
        Err(error) if !error.is_not_found() => {
            format!(
                "the configuration of {vmid} cannot be read: {}",
                error.detail
            )
        }
        _ => format!("there is no VM {vmid} on {node}"),
    })?;
    let others = elsewhere(host, node, vmid);
    rules.refuse_if(others != Some(0), Rule::AmbiguousGuest, || match others {
        Some(_) => format!("there is more than one guest {vmid}"),
        None => format!("whether there is another guest {vmid} cannot be read"),
    })?;
    let text = text.unwrap_or_default();
    let config = guest_config::parse(GuestKind::Qemu, vmid, node, &text);
    Ok(config.settings.unwrap_or_default())
}

/// How many other configurations have this VMID; `None` when that is not known.
fn elsewhere(host: &Host, node: &str, vmid: u32) -> Option<usize> {
    let nodes = host.list(NODES).ok()?;
    let places = nodes
        .iter()
        .flat_map(|name| ["qemu-server", "lxc"].map(|kind| (name == node, kind, name)));
    let others = places.filter(|(is_here, kind, name)| {
        !(*is_here && *kind == "qemu-server")
            && host.exists(&format!("{NODES}/{name}/{kind}/{vmid}.conf"))
    });
    Some(others.count())
}

/// Whether a guest is the one that is meant. What the mark does not say, it does not
/// want to know.
fn fits(mark: &GuestMark, settings: &GuestSettings) -> bool {
    let created = settings.created_at.as_ref().map(|time| time.seconds);
    (mark.created_seconds.is_none() || mark.created_seconds == created)
        && (mark.smbios_uuid.is_empty()
            || mark.smbios_uuid.eq_ignore_ascii_case(&settings.smbios_uuid))
        && (mark.name.is_empty() || mark.name == settings.name)
}

fn pools(host: &Host, vmid: u32) -> Option<Vec<String>> {
    match host.read(USERS, PMXCFS_FILE_LIMIT) {
        Ok(text) => pools_of(&text, vmid),
        Err(error) if error.is_not_found() => Some(Vec::new()),
        Err(_) => None,
    }
}

/// Types of tasks that work on the guest. A list that cannot be read says nothing;
/// whatever matters also locks the configuration.
fn tasks(host: &Host, vmid: u32) -> Vec<String> {
    let active = host
        .read(ACTIVE_TASKS, PMXCFS_FILE_LIMIT)
        .unwrap_or_default();
    let mut types = running_tasks(&active, vmid);
    types.retain(|kind| !HARMLESS_TASKS.contains(&kind.as_str()));
    types
}

/// PID and start of the VM's process, unless it is a zombie or another VM's.
pub(crate) fn process(host: &Host, vmid: u32) -> Option<(u64, u64)> {
    let text = host.read(&format!("{RUN}/{vmid}.pid"), 64).ok()?;
    let pid: u64 = text.trim().parse().ok()?;
    let stat = host
        .read(&format!("/proc/{pid}/stat"), KERNEL_FILE_LIMIT)
        .ok()?;
    let (_, fields) = stat.rsplit_once(')')?;
    let state = fields.split_ascii_whitespace().next()?;
    if matches!(state, "Z" | "X" | "x") {
        return None;
    }
    // Not there on a simulated node.
    if let Ok(groups) = host.read(&format!("/proc/{pid}/cgroup"), KERNEL_FILE_LIMIT) {
        let scope = format!("/qemu.slice/{vmid}.scope");
        groups.contains(&scope).then_some(())?;
    }
    Some((pid, start_ticks(&stat).ok()?))
}
