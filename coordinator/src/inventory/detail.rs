//! What one node or guest has beyond its summary.

use std::collections::HashMap;

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::{
    DiskSummary, FilesystemSummary, GuestDetail, InterfaceSummary, NicSummary, NodeDetail,
    SnapshotSummary, VolumeSummary,
};
use crate::{
    untrusted::{line, name},
    view::{Guest, Node},
};

/// Characters of a path or volume name that are shown.
const PATH_LIMIT: usize = 256;
/// What is said of an interface that was not looked at yet.
const UNKNOWN: &str = "unknown";

#[must_use]
pub fn node(node: &Node) -> NodeDetail {
    NodeDetail {
        disks: disks(node),
        interfaces: interfaces(node),
        filesystems: filesystems(node),
    }
}

fn disks(node: &Node) -> Vec<DiskSummary> {
    let Some(disks) = &node.facts.disks else {
        return Vec::new();
    };
    let rates = node.rates.as_ref().map(|rates| &rates.value.disks);
    disks
        .value
        .disks
        .iter()
        .enumerate()
        .map(|(position, disk)| {
            let rates = rates.and_then(|rates| rates.get(position)?.as_ref());
            DiskSummary {
                name: name(&disk.name).into_owned(),
                model: name(&disk.model).into_owned(),
                size_bytes: disk.size_bytes,
                read_bytes_per_second: rates.map(|rates| rates.read_bytes_per_second),
                write_bytes_per_second: rates.map(|rates| rates.write_bytes_per_second),
                read_latency_seconds: rates.and_then(|rates| rates.read_latency_seconds),
                write_latency_seconds: rates.and_then(|rates| rates.write_latency_seconds),
                busy_ratio: rates.map(|rates| rates.busy_ratio),
            }
        })
        .collect()
}

/// The node's own interfaces; those of guests are shown with the guest.
fn interfaces(node: &Node) -> Vec<InterfaceSummary> {
    let Some(network) = &node.facts.network else {
        return Vec::new();
    };
    let states = node.facts.interfaces.as_ref();
    let states: HashMap<&str, &wire::InterfaceState> = states
        .into_iter()
        .flat_map(|states| &states.value.interfaces)
        .map(|state| (state.name.as_str(), state))
        .collect();
    let rates = node.rates.as_ref().map(|rates| &rates.value.interfaces);
    network
        .value
        .interfaces
        .iter()
        .enumerate()
        .filter(|(_, interface)| interface.vmid.is_none() && interface.name != "lo")
        .map(|(position, interface)| {
            let rates = rates.and_then(|rates| rates.get(position)?.as_ref());
            let state = states.get(interface.name.as_str());
            InterfaceSummary {
                name: name(&interface.name).into_owned(),
                kind: state
                    .map_or(UNKNOWN, |state| interface_kind(state.kind()))
                    .to_owned(),
                operational_state: state
                    .map_or(UNKNOWN.into(), |state| name(&state.operational_state))
                    .into_owned(),
                received_bytes_per_second: rates.map(|rates| rates.received_bytes_per_second),
                transmitted_bytes_per_second: rates.map(|rates| rates.transmitted_bytes_per_second),
                speed_megabits_per_second: state.and_then(|state| state.speed_megabits_per_second),
                errors_total: interface
                    .receive_errors_total
                    .saturating_add(interface.transmit_errors_total),
            }
        })
        .collect()
}

fn filesystems(node: &Node) -> Vec<FilesystemSummary> {
    let Some(filesystems) = &node.facts.filesystems else {
        return Vec::new();
    };
    filesystems
        .value
        .filesystems
        .iter()
        .map(|filesystem| FilesystemSummary {
            mount_point: line(&filesystem.mount_point, PATH_LIMIT).into_owned(),
            filesystem_type: name(&filesystem.filesystem_type).into_owned(),
            read_only: filesystem.read_only,
            total_bytes: filesystem.total_bytes,
            used_bytes: filesystem.used_bytes,
        })
        .collect()
}

/// Empty while the guest's configuration was not read.
#[must_use]
pub fn guest(guest: &Guest) -> GuestDetail {
    let config = guest.config.as_deref();
    let settings = config
        .and_then(|config| config.settings.clone())
        .unwrap_or_default();
    let pending = config.and_then(|config| config.pending.as_ref());
    let mut pending_keys: Vec<String> = pending
        .map(|pending| {
            let keys = pending.changed_keys.iter().chain(&pending.deleted_keys);
            keys.map(|key| name(key).into_owned()).collect()
        })
        .unwrap_or_default();
    pending_keys.sort();
    pending_keys.dedup();
    GuestDetail {
        cores: settings.cores,
        sockets: settings.sockets,
        cpu_type: name(&settings.cpu_type).into_owned(),
        os_type: name(&settings.os_type).into_owned(),
        machine: name(&settings.machine).into_owned(),
        bios: name(&settings.bios).into_owned(),
        start_on_boot: settings.start_on_boot,
        protection: settings.protection,
        agent_enabled: settings.agent_enabled,
        unprivileged: settings.unprivileged,
        volumes: settings.volumes.iter().map(volume).collect(),
        nics: settings.nics.iter().map(nic).collect(),
        snapshots: config
            .map(|config| config.snapshots.iter().map(snapshot).collect())
            .unwrap_or_default(),
        pending_keys,
        created: settings.created_at.as_ref().and_then(timestamp),
        generation: guest.generation,
        generation_since: guest.generation_since,
    }
}

fn volume(volume: &wire::GuestVolume) -> VolumeSummary {
    // A bind mount or a device is named by its path on the node.
    let place = if volume.volume.is_empty() {
        &volume.host_path
    } else {
        &volume.volume
    };
    VolumeSummary {
        key: name(&volume.key).into_owned(),
        kind: volume_kind(volume.kind()).to_owned(),
        storage: name(&volume.storage).into_owned(),
        volume: line(place, PATH_LIMIT).into_owned(),
        mount_point: line(&volume.mount_point, PATH_LIMIT).into_owned(),
        size_bytes: volume.size_bytes,
        backup: volume.backup,
        cache: name(&volume.cache).into_owned(),
    }
}

fn nic(nic: &wire::GuestNic) -> NicSummary {
    NicSummary {
        key: name(&nic.key).into_owned(),
        model: name(&nic.model).into_owned(),
        mac_address: name(&nic.mac_address).into_owned(),
        bridge: name(&nic.bridge).into_owned(),
        vlan_tag: nic.vlan_tag,
        firewall: nic.firewall,
    }
}

fn snapshot(snapshot: &wire::GuestSnapshot) -> SnapshotSummary {
    SnapshotSummary {
        name: name(&snapshot.name).into_owned(),
        taken: snapshot.taken_at.as_ref().and_then(timestamp),
        has_memory_state: snapshot.has_memory_state,
    }
}

/// Absent when the time is outside of what a calendar can say.
fn timestamp(timestamp: &pvelens_proto::Timestamp) -> Option<Timestamp> {
    Timestamp::new(timestamp.seconds, timestamp.nanos).ok()
}

fn interface_kind(kind: wire::InterfaceKind) -> &'static str {
    match kind {
        wire::InterfaceKind::Physical => "physical",
        wire::InterfaceKind::Bridge => "bridge",
        wire::InterfaceKind::Bond => "bond",
        wire::InterfaceKind::Vlan => "vlan",
        wire::InterfaceKind::Guest => "guest",
        wire::InterfaceKind::Loopback => "loopback",
        wire::InterfaceKind::Other | wire::InterfaceKind::Unspecified => "other",
    }
}

fn volume_kind(kind: wire::VolumeKind) -> &'static str {
    match kind {
        wire::VolumeKind::Disk => "disk",
        wire::VolumeKind::Cdrom => "cdrom",
        wire::VolumeKind::CloudInit => "cloud_init",
        wire::VolumeKind::Efi => "efi",
        wire::VolumeKind::Tpm => "tpm",
        wire::VolumeKind::Rootfs => "rootfs",
        wire::VolumeKind::MountPoint => "mount_point",
        wire::VolumeKind::BindMount => "bind_mount",
        wire::VolumeKind::Device => "device",
        wire::VolumeKind::Unused => "unused",
        wire::VolumeKind::Unspecified => "unknown",
    }
}
