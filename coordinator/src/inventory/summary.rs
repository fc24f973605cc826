//! A view's clusters, nodes, guests and storages as their summaries.

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{
    AgentSummary, ClusterSummary, GuestSummary, NodeSummary, StorageOnNodeSummary, StorageSummary,
    coverage, word,
};
use crate::{
    check::Params,
    live::{AgentRecord, KeptUpdates},
    untrusted::{line, name},
    view::{Cluster, ClusterIndex, Guest, GuestStatus, Node, NodeStatus, Storage, View},
};

/// Characters of an error message that are shown.
const ERROR_LIMIT: usize = 200;

/// Open health findings of one cluster.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FindingCounts {
    pub critical: u32,
    pub warning: u32,
}

/// Profile and origin as every report prints them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProfileText {
    /// `production`, `homelab + hosting`.
    pub profile: String,
    pub origin: String,
}

#[must_use]
pub fn cluster(
    view: &View,
    params: &Params,
    index: ClusterIndex,
    findings: FindingCounts,
) -> ClusterSummary {
    let cluster = view.cluster(index);
    let profile = profile(view, params, index);
    let online = view
        .nodes_of(cluster)
        .filter(|(_, node)| node.status == NodeStatus::Online);
    let running = view
        .guests_of(cluster)
        .filter(|(_, guest)| guest.status == GuestStatus::Running);
    ClusterSummary {
        id: name(&cluster.id).into_owned(),
        name: name(&cluster.name).into_owned(),
        standalone: cluster.standalone,
        quorate: quorate(view, cluster),
        nodes_total: length(&cluster.nodes),
        nodes_online: count(online.count()),
        guests_total: length(&cluster.guests),
        guests_running: count(running.count()),
        storages_total: length(&cluster.storages),
        profile: profile.profile,
        profile_origin: profile.origin,
        critical_findings: findings.critical,
        warning_findings: findings.warning,
    }
}

/// Whether the cluster has quorum by the fresh word of its members. One member
/// with quorum is enough: the majority has it, whatever a lost one says.
#[must_use]
pub fn quorate(view: &View, cluster: &Cluster) -> Option<bool> {
    if cluster.standalone {
        return None;
    }
    cluster
        .memberships
        .iter()
        .filter(|membership| coverage::is_fresh(view.at, membership.at))
        .filter_map(|membership| membership.quorate)
        .reduce(|some, other| some || other)
}

/// The profile the checks use for this cluster.
#[must_use]
pub fn profile(view: &View, params: &Params, index: ClusterIndex) -> ProfileText {
    let (profile, hosting, origin) = params.profile_of(view, index);
    let word = profile.as_str();
    ProfileText {
        profile: if hosting {
            format!("{word} + hosting")
        } else {
            word.to_owned()
        },
        origin: line(&origin, ERROR_LIMIT).into_owned(),
    }
}

#[must_use]
pub fn node(view: &View, node: &Node) -> NodeSummary {
    let facts = &node.facts;
    let host = facts.host.as_ref().map(|fact| &*fact.value);
    let memory = facts.memory.as_ref().map(|fact| &*fact.value);
    let cpu = facts.cpu.as_ref().map(|fact| &*fact.value);
    let load = facts.load.as_ref().map(|fact| &*fact.value);
    let rates = node.rates.as_ref().map(|rates| &*rates.value);
    // Without an agent, what the node broadcast; pvestatd's own line is the
    // better source while only a collector of the agent fails.
    let stated = facts
        .pve_status
        .as_ref()
        .and_then(|fact| fact.value.node.as_ref());
    let heard = node.broadcast.as_ref().map(|broadcast| &broadcast.value);
    let root = root_filesystem(node);
    NodeSummary {
        cluster: name(&view.cluster(node.cluster).id).into_owned(),
        name: name(&node.name).into_owned(),
        status: word::node_status(node.status).to_owned(),
        coverage: word::coverage_word(node.coverage),
        figures_at: figures_at(node),
        uptime_seconds: load
            .map(|load| load.uptime_seconds)
            .or_else(|| stated?.uptime_seconds)
            .or_else(|| heard?.uptime_seconds),
        cpus: cpu
            .map(|cpu| cpu.online_cpus)
            .or_else(|| stated?.cpus)
            .or_else(|| heard?.cpus),
        cpu_ratio: rates
            .and_then(|rates| rates.cpu_ratio)
            .or_else(|| stated?.cpu_ratio)
            .or_else(|| heard?.cpu_ratio),
        iowait_ratio: rates
            .and_then(|rates| rates.iowait_ratio)
            .or_else(|| stated?.iowait_ratio)
            .or_else(|| heard?.iowait_ratio),
        load1: load
            .map(|load| load.load1)
            .or_else(|| stated?.load1)
            .or_else(|| heard?.load1),
        memory_total_bytes: memory
            .map(|memory| memory.total_bytes)
            .or_else(|| stated?.memory_total_bytes)
            .or_else(|| heard?.memory_total_bytes),
        memory_used_bytes: memory
            .map(|memory| memory.total_bytes.saturating_sub(memory.available_bytes))
            .or_else(|| stated?.memory_used_bytes)
            .or_else(|| heard?.memory_used_bytes),
        memory_available_bytes: memory
            .map(|memory| memory.available_bytes)
            .or_else(|| stated?.memory_available_bytes)
            .or_else(|| heard?.memory_available_bytes),
        arc_bytes: memory
            .and_then(|memory| Some(memory.arc.as_ref()?.size_bytes))
            .or_else(|| heard?.arc_bytes),
        swap_total_bytes: memory
            .map(|memory| memory.swap_total_bytes)
            .or_else(|| heard?.swap_total_bytes),
        swap_used_bytes: memory
            .map(|memory| {
                memory
                    .swap_total_bytes
                    .saturating_sub(memory.swap_free_bytes)
            })
            .or_else(|| heard?.swap_used_bytes),
        root_total_bytes: root
            .and_then(|root| root.total_bytes)
            .or_else(|| stated?.root_total_bytes)
            .or_else(|| heard?.root_total_bytes),
        root_used_bytes: root
            .and_then(|root| root.used_bytes)
            .or_else(|| stated?.root_used_bytes)
            .or_else(|| heard?.root_used_bytes),
        cpu_pressure_ratio: rates.and_then(|rates| rates.pressure.cpu_some_ratio),
        memory_pressure_ratio: rates.and_then(|rates| rates.pressure.memory_some_ratio),
        io_pressure_ratio: rates.and_then(|rates| rates.pressure.io_some_ratio),
        ip_address: name(&node.ip_address).into_owned(),
        kernel_release: name(host.map_or("", |host| &host.kernel_release)).into_owned(),
        pve_manager_version: name(host.map_or("", |host| &host.pve_manager_version)).into_owned(),
        cpu_model: name(host.map_or("", |host| &host.cpu_model)).into_owned(),
        guests_running: node.guests_running,
        guests_total: node.guests_total,
        agent_version: name(node.agent.as_ref().map_or("", |agent| &agent.version)).into_owned(),
    }
}

/// When the figures of the summary were read: the fast facts of one sample, or
/// what stands in for them.
fn figures_at(node: &Node) -> Option<Timestamp> {
    let facts = &node.facts;
    let own = [
        facts.cpu.as_ref().map(|fact| fact.at),
        facts.memory.as_ref().map(|fact| fact.at),
        facts.load.as_ref().map(|fact| fact.at),
    ];
    own.into_iter()
        .flatten()
        .max()
        .or_else(|| Some(facts.pve_status.as_ref()?.at))
        .or_else(|| Some(node.broadcast.as_ref()?.at))
}

fn root_filesystem(node: &Node) -> Option<&wire::Filesystem> {
    node.facts
        .filesystems
        .as_ref()?
        .value
        .filesystems
        .iter()
        .find(|filesystem| filesystem.mount_point == "/")
}

#[must_use]
pub fn guest(view: &View, guest: &Guest) -> GuestSummary {
    let figures = &guest.figures;
    let rates = guest.rates.as_ref().map(|rates| &rates.value);
    let settings = guest
        .config
        .as_ref()
        .and_then(|config| config.settings.as_ref());
    let of_rates = |pick: fn(&crate::view::GuestRates) -> Option<f64>| rates.and_then(pick);
    GuestSummary {
        cluster: name(&view.cluster(guest.cluster).id).into_owned(),
        vmid: guest.vmid,
        kind: word::guest_kind(guest.kind).to_owned(),
        name: name(&guest.name).into_owned(),
        node: name(&view.node(guest.node).name).into_owned(),
        status: word::guest_status(&guest.status),
        template: guest.template,
        tags: settings
            .map(|settings| {
                settings
                    .tags
                    .iter()
                    .map(|tag| name(tag).into_owned())
                    .collect()
            })
            .unwrap_or_default(),
        lock: name(settings.map_or("", |settings| &settings.lock)).into_owned(),
        figures_at: figures.at,
        uptime_seconds: figures.uptime_seconds,
        cpus: figures.cpus,
        cpu_ratio: figures.cpu_ratio.or_else(|| {
            let cpus = figures.cpus.filter(|cpus| *cpus > 0.0)?;
            Some(rates?.cpu_cores? / cpus)
        }),
        memory_maximum_bytes: figures.memory_maximum_bytes,
        memory_used_bytes: figures.memory_used_bytes,
        memory_source: figures
            .memory_source
            .map_or("", word::memory_source)
            .to_owned(),
        memory_host_bytes: figures.memory_host_bytes,
        disk_maximum_bytes: figures.disk_maximum_bytes,
        disk_used_bytes: figures.disk_used_bytes,
        received_bytes_per_second: of_rates(|rates| rates.received_bytes_per_second),
        transmitted_bytes_per_second: of_rates(|rates| rates.transmitted_bytes_per_second),
        read_bytes_per_second: of_rates(|rates| rates.read_bytes_per_second),
        write_bytes_per_second: of_rates(|rates| rates.write_bytes_per_second),
        cpu_pressure_ratio: of_rates(|rates| rates.pressure.cpu_some_ratio),
        memory_pressure_ratio: of_rates(|rates| rates.pressure.memory_some_ratio),
        io_pressure_ratio: of_rates(|rates| rates.pressure.io_some_ratio),
    }
}

#[must_use]
pub fn storage(view: &View, storage: &Storage) -> StorageSummary {
    StorageSummary {
        cluster: name(&view.cluster(storage.cluster).id).into_owned(),
        name: name(&storage.name).into_owned(),
        storage_type: name(&storage.entry.storage_type).into_owned(),
        shared: storage.entry.shared,
        disabled: storage.entry.disabled,
        content: storage
            .entry
            .content
            .iter()
            .map(|content| name(content).into_owned())
            .collect(),
        nodes: storage
            .nodes
            .iter()
            .map(|on_node| StorageOnNodeSummary {
                node: name(&view.node(on_node.node).name).into_owned(),
                status: word::storage_status(on_node.status).to_owned(),
                figures_at: on_node.at,
                total_bytes: on_node.total_bytes,
                used_bytes: on_node.used_bytes,
            })
            .collect(),
    }
}

#[must_use]
pub fn agent(agent: &AgentRecord) -> AgentSummary {
    AgentSummary {
        cluster: name(&agent.cluster).into_owned(),
        node: name(&agent.node).into_owned(),
        version: name(&agent.version).into_owned(),
        is_pve_node: agent.is_pve_node,
        connected: agent.connected,
        last_update: agent.last_update_at,
        clock_offset_seconds: agent.clock_offset_seconds,
        updates_total: agent.updates_total,
        skipped_updates_total: agent.skipped_updates_total,
        last_error: line(&agent.last_error, ERROR_LIMIT).into_owned(),
        address: line(&agent.address, ERROR_LIMIT).into_owned(),
        audit_sequence: agent.audit_sequence,
        audit_problem: line(&agent.audit_problem, ERROR_LIMIT).into_owned(),
        transport: agent.transport,
        certificate_expires: agent.certificate_expires_at,
        kept_updates: agent.kept_updates.iter().map(kept_updates).collect(),
        repeated_updates_total: agent.repeated_updates_total,
        throttled_seconds_total: agent.throttled_seconds_total,
        identity_problem: line(&agent.identity_problem, ERROR_LIMIT).into_owned(),
    }
}

/// The agent chose the name of the epoch.
fn kept_updates(kept: &KeptUpdates) -> KeptUpdates {
    KeptUpdates {
        epoch: name(&kept.epoch).into_owned(),
        ranges: kept.ranges.clone(),
        given_up_ranges_total: kept.given_up_ranges_total,
    }
}

fn length(range: &std::ops::Range<u32>) -> u32 {
    range.end.saturating_sub(range.start)
}

/// Views have 32-bit indices, so a count of their objects fits.
fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
