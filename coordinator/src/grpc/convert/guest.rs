//! Guests and their configuration.

use pvelens_proto::v1 as message;

use super::{all, timestamp};
use crate::inventory::{GuestDetail, GuestSummary, NicSummary, SnapshotSummary, VolumeSummary};

impl From<GuestSummary> for message::Guest {
    fn from(guest: GuestSummary) -> Self {
        let GuestSummary {
            cluster,
            vmid,
            kind,
            name,
            node,
            status,
            template,
            tags,
            lock,
            figures_at,
            uptime_seconds,
            cpus,
            cpu_ratio,
            memory_maximum_bytes,
            memory_used_bytes,
            memory_source,
            memory_host_bytes,
            disk_maximum_bytes,
            disk_used_bytes,
            received_bytes_per_second,
            transmitted_bytes_per_second,
            read_bytes_per_second,
            write_bytes_per_second,
            cpu_pressure_ratio,
            memory_pressure_ratio,
            io_pressure_ratio,
        } = guest;
        Self {
            cluster_id: cluster,
            vmid,
            kind: guest_kind(&kind).into(),
            name,
            node,
            status,
            template,
            tags,
            lock,
            figures_at: figures_at.map(timestamp),
            uptime_seconds,
            cpus,
            cpu_ratio,
            memory_maximum_bytes,
            memory_used_bytes,
            memory_source,
            memory_host_bytes,
            disk_maximum_bytes,
            disk_used_bytes,
            received_bytes_per_second,
            transmitted_bytes_per_second,
            read_bytes_per_second,
            write_bytes_per_second,
            cpu_pressure_ratio,
            memory_pressure_ratio,
            io_pressure_ratio,
        }
    }
}

fn guest_kind(word: &str) -> message::GuestKind {
    match word {
        "qemu" => message::GuestKind::Qemu,
        "lxc" => message::GuestKind::Lxc,
        _ => message::GuestKind::Unspecified,
    }
}

impl From<GuestDetail> for message::GuestDetail {
    fn from(detail: GuestDetail) -> Self {
        let GuestDetail {
            cores,
            sockets,
            cpu_type,
            os_type,
            machine,
            bios,
            start_on_boot,
            protection,
            agent_enabled,
            unprivileged,
            volumes,
            nics,
            snapshots,
            pending_keys,
            created,
            generation,
            generation_since,
        } = detail;
        Self {
            cores,
            sockets,
            cpu_type,
            os_type,
            machine,
            bios,
            start_on_boot,
            protection,
            agent_enabled,
            unprivileged,
            volumes: all(volumes),
            nics: all(nics),
            snapshots: all(snapshots),
            pending_keys,
            created_at: created.map(timestamp),
            generation,
            generation_since: generation_since.map(timestamp),
        }
    }
}

impl From<VolumeSummary> for message::GuestVolume {
    fn from(volume: VolumeSummary) -> Self {
        let VolumeSummary {
            key,
            kind,
            storage,
            volume,
            mount_point,
            size_bytes,
            backup,
            cache,
        } = volume;
        Self {
            key,
            kind,
            storage,
            volume,
            mount_point,
            size_bytes,
            backup,
            cache,
        }
    }
}

impl From<NicSummary> for message::GuestNic {
    fn from(nic: NicSummary) -> Self {
        let NicSummary {
            key,
            model,
            mac_address,
            bridge,
            vlan_tag,
            firewall,
        } = nic;
        Self {
            key,
            model,
            mac_address,
            bridge,
            vlan_tag,
            firewall,
        }
    }
}

impl From<SnapshotSummary> for message::GuestSnapshot {
    fn from(snapshot: SnapshotSummary) -> Self {
        let SnapshotSummary {
            name,
            taken,
            has_memory_state,
        } = snapshot;
        Self {
            name,
            taken_at: taken.map(timestamp),
            has_memory_state,
        }
    }
}
