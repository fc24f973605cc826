//! What a payload may contain. An agent may be hostile: what is larger or
//! stranger than any node's is refused as a whole, visibly, and the last good
//! value ages.

use pvelens_proto::agent::v1::{self as wire, sample::Payload};

/// Samples of one update; a round of all collectors has some dozens.
pub(super) const SAMPLES: usize = 1024;
/// Collectors of one agent.
pub(super) const COLLECTORS: usize = 256;
/// Failures kept per collector.
pub(super) const FAILURES: usize = 100;
/// Characters of a collector's name, a node's name, a cluster id.
pub(super) const NAME: usize = 128;
/// Characters of a path or a failure's detail.
pub(super) const DETAIL: usize = 512;
/// Agents of all clusters.
pub(super) const AGENTS: usize = 8192;
/// Addresses that never answered.
pub(super) const ADDRESSES: usize = 1024;

/// Bytes of one payload: 128 MiB of configuration is what pmxcfs can hold, of
/// which guest configurations are a small part.
const PAYLOAD_BYTES: usize = 32 << 20;
/// Guests of one cluster.
const GUESTS: usize = 50_000;
/// Disks, interfaces, mounts: a node with 1,000 containers has some thousand.
const PARTS: usize = 20_000;
/// Members of one cluster; corosync is not used beyond some dozens.
const NODES: usize = 256;
const STORAGES: usize = 2_000;

/// Whether the payload can be a node's.
pub(super) fn check(payload: &Payload) -> Result<(), &'static str> {
    let (entries, limit) = match payload {
        Payload::Disks(list) => (list.disks.len(), PARTS),
        Payload::Filesystems(list) => (list.filesystems.len(), PARTS),
        Payload::Network(list) => (list.interfaces.len(), PARTS),
        Payload::Sensors(list) => (list.temperatures.len(), PARTS),
        Payload::ConfigVersions(list) => (list.versions.len(), PARTS),
        Payload::GuestRuntimes(list) => (list.guests.len(), GUESTS),
        Payload::GuestList(list) => (list.guests.len(), GUESTS),
        Payload::GuestConfigs(list) => (list.guests.len(), GUESTS),
        Payload::PveStatus(status) => (status.guests.len().max(status.storages.len()), GUESTS),
        Payload::ClusterBroadcast(list) => (
            list.guests
                .len()
                .max(list.storages.len())
                .max(list.nodes.len().saturating_mul(GUESTS / NODES)),
            GUESTS,
        ),
        Payload::ClusterMembers(list) => (list.members.len(), NODES),
        Payload::CorosyncConfig(config) => (config.nodes.len(), NODES),
        Payload::StorageConfig(config) => (config.storages.len(), STORAGES),
        Payload::CorosyncState(state) => (state.peers.len(), NODES),
        Payload::HaConfig(config) => (config.resources.len(), GUESTS),
        Payload::HaState(state) => (state.services.len(), GUESTS),
        Payload::Units(list) => (list.units.len(), PARTS),
        Payload::NetworkMounts(list) => (list.mounts.len(), PARTS),
        Payload::Lvm(lvm) => (lvm.logical_volumes.len(), PARTS),
        _ => (0, 0),
    };
    if entries > limit {
        return Err("more entries than a node can have");
    }
    if payload.encoded_len() > PAYLOAD_BYTES {
        return Err("larger than a node's data can be");
    }
    if !finite(payload) {
        return Err("holds a figure that is not a number");
    }
    Ok(())
}

/// Required floating-point figures; optional ones are filtered where they are
/// read.
fn finite(payload: &Payload) -> bool {
    let all = |figures: &[f64]| figures.iter().all(|figure| figure.is_finite());
    match payload {
        Payload::Cpu(cpu) => all(&[
            cpu.user_seconds_total,
            cpu.nice_seconds_total,
            cpu.system_seconds_total,
            cpu.idle_seconds_total,
            cpu.iowait_seconds_total,
            cpu.irq_seconds_total,
            cpu.softirq_seconds_total,
            cpu.steal_seconds_total,
        ]),
        Payload::Load(load) => all(&[load.load1, load.load5, load.load15, load.uptime_seconds]),
        Payload::Disks(list) => list.disks.iter().all(|disk| {
            all(&[
                disk.read_seconds_total,
                disk.write_seconds_total,
                disk.busy_seconds_total,
                disk.weighted_seconds_total,
            ])
        }),
        Payload::Sensors(list) => list.temperatures.iter().all(|t| t.celsius.is_finite()),
        Payload::Pressure(pressure) => [&pressure.cpu, &pressure.memory, &pressure.io]
            .into_iter()
            .flatten()
            .all(finite_pressure),
        _ => true,
    }
}

fn finite_pressure(pressure: &wire::ResourcePressure) -> bool {
    [&pressure.some, &pressure.full]
        .into_iter()
        .flatten()
        .all(|stall| {
            [stall.avg10_ratio, stall.avg60_ratio, stall.avg300_ratio]
                .iter()
                .all(|ratio| ratio.is_finite())
        })
}

/// The text, cut at `limit` characters.
pub(super) fn cut(text: &str, limit: usize) -> &str {
    text.char_indices()
        .nth(limit)
        .and_then(|(end, _)| text.get(..end))
        .unwrap_or(text)
}
