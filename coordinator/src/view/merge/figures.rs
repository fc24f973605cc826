//! The best known figures of a guest.

use jiff::SignedDuration;
use pvelens_proto::agent::v1::{self as wire, GuestKind};

use super::measured::Measured;
use crate::{
    live::series::container_memory,
    view::{GuestFigures, MemorySource},
};

/// A broadcast must be this much newer to win over the node's own figures,
/// which say more.
pub(super) const MARGIN: SignedDuration = SignedDuration::from_mins(1);

/// Its own node's figures, else the broadcast, else kernel accounting.
pub(super) fn of(kind: GuestKind, measured: &Measured<'_>, stopped: bool) -> GuestFigures {
    let status = measured.status.as_ref();
    let broadcast = measured.broadcast.filter(|broadcast| {
        status.is_none_or(|status| broadcast.at.duration_since(status.at) > MARGIN)
    });
    let mut figures = match (status, broadcast) {
        (_, Some(broadcast)) => GuestFigures {
            at: Some(broadcast.at),
            ..of_broadcast(kind, broadcast.value)
        },
        (Some(status), None) => GuestFigures {
            at: Some(status.at),
            ..of_status(kind, status.value)
        },
        (None, None) => GuestFigures::default(),
    };
    if let Some(runtime) = &measured.runtime {
        if figures.at.is_none() {
            figures.at = Some(runtime.at);
        }
        add_runtime(kind, runtime.value, &mut figures);
    }
    if stopped {
        // PVE shows zeros; a guest that does not run has no use to measure.
        figures.uptime_seconds = None;
        figures.cpu_ratio = None;
        figures.memory_used_bytes = None;
        figures.memory_source = None;
        figures.memory_host_bytes = None;
    }
    figures
}

fn of_status(kind: GuestKind, status: &wire::PveGuestStatus) -> GuestFigures {
    let reports = status
        .balloon
        .is_some_and(|balloon| balloon.guest_free_bytes.is_some());
    let source = match kind {
        GuestKind::Lxc => MemorySource::Cgroup,
        _ if reports => MemorySource::Balloon,
        _ => MemorySource::Host,
    };
    GuestFigures {
        at: None,
        uptime_seconds: finite(status.uptime_seconds),
        cpus: finite(status.cpus),
        cpu_ratio: finite(status.cpu_ratio),
        memory_maximum_bytes: status.memory_maximum_bytes,
        memory_used_bytes: status.memory_used_bytes,
        memory_source: status.memory_used_bytes.map(|_| source),
        memory_host_bytes: status.memory_host_bytes,
        disk_maximum_bytes: status.disk_maximum_bytes,
        disk_used_bytes: disk_used(kind, status.disk_used_bytes),
    }
}

fn of_broadcast(kind: GuestKind, guest: &wire::BroadcastGuest) -> GuestFigures {
    GuestFigures {
        at: None,
        uptime_seconds: finite(guest.uptime_seconds),
        cpus: finite(guest.cpus),
        cpu_ratio: finite(guest.cpu_ratio),
        memory_maximum_bytes: guest.memory_maximum_bytes,
        memory_used_bytes: guest.memory_used_bytes,
        memory_source: guest.memory_used_bytes.map(|_| MemorySource::Broadcast),
        memory_host_bytes: guest.memory_host_bytes,
        disk_maximum_bytes: guest.disk_maximum_bytes,
        disk_used_bytes: disk_used(kind, guest.disk_used_bytes),
    }
}

/// Fills in what PVE did not give; PVE 8 has no host memory at all.
fn add_runtime(kind: GuestKind, runtime: &wire::GuestRuntime, figures: &mut GuestFigures) {
    let charged = container_memory(runtime);
    if kind == GuestKind::Lxc {
        if figures.memory_used_bytes.is_none() {
            figures.memory_used_bytes = charged;
            figures.memory_source = charged.map(|_| MemorySource::Cgroup);
        }
        if figures.memory_maximum_bytes.is_none() {
            figures.memory_maximum_bytes = runtime.memory_max_bytes;
        }
        return;
    }
    let host = charged.or(runtime.process_resident_bytes);
    if figures.memory_host_bytes.is_none() {
        figures.memory_host_bytes = host;
    }
    if figures.memory_used_bytes.is_none() {
        figures.memory_used_bytes = host;
        figures.memory_source = host.map(|_| MemorySource::Host);
    }
}

/// PVE does not look into the disks of a VM and says zero.
fn disk_used(kind: GuestKind, bytes: Option<u64>) -> Option<u64> {
    bytes.filter(|_| kind == GuestKind::Lxc)
}

fn finite(figure: Option<f64>) -> Option<f64> {
    figure.filter(|figure| figure.is_finite())
}
