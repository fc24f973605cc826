//! What a guest keeps for its life, as its configuration shows it.

use std::collections::BTreeSet;

use pvelens_proto::agent::v1::{self as wire, GuestKind, VolumeKind};

/// How much two configurations of one VMID speak for two guests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Conflict {
    None,
    /// So it is of two guests, but also after some edits.
    Weak,
    Strong,
}

pub(super) fn conflict(before: &wire::GuestConfig, now: &wire::GuestConfig) -> Conflict {
    let (Some(old), Some(new)) = (&before.settings, &now.settings) else {
        return Conflict::None;
    };
    match now.kind() {
        GuestKind::Lxc => container(old, new),
        _ => vm(old, new),
    }
}

/// A restored backup keeps the time of creation and the UUID, and gets a new
/// generation id, as a rollback does. An administrator may set another UUID.
fn vm(old: &wire::GuestSettings, new: &wire::GuestSettings) -> Conflict {
    let times = old.created_at.as_ref().zip(new.created_at.as_ref());
    let created = times.map(|(old, new)| old.seconds != new.seconds);
    let uuid = differ(&old.smbios_uuid, &new.smbios_uuid);
    let id = differ(&old.vm_generation_id, &new.vm_generation_id);
    match (uuid, created) {
        (Some(true) | None, Some(true)) => Conflict::Strong,
        (Some(true), None) if id == Some(true) => Conflict::Strong,
        (Some(true), None) => Conflict::Weak,
        _ => Conflict::None,
    }
}

/// A restored backup keeps the addresses; a container that was made anew has the
/// same name of its root volume mostly.
fn container(old: &wire::GuestSettings, new: &wire::GuestSettings) -> Conflict {
    let (before, now) = (addresses(old), addresses(new));
    let strangers = !before.is_empty() && !now.is_empty() && before.is_disjoint(&now);
    let moved = root(old)
        .zip(root(new))
        .is_some_and(|(old, new)| old != new);
    match (strangers, moved) {
        (true, true) => Conflict::Strong,
        (true, false) => Conflict::Weak,
        (false, _) => Conflict::None,
    }
}

/// Absent when one of the two is not known.
fn differ(old: &str, new: &str) -> Option<bool> {
    (!old.is_empty() && !new.is_empty()).then(|| !old.eq_ignore_ascii_case(new))
}

fn addresses(settings: &wire::GuestSettings) -> BTreeSet<String> {
    let nics = settings.nics.iter();
    nics.map(|nic| nic.mac_address.to_ascii_lowercase())
        .filter(|address| !address.is_empty())
        .collect()
}

fn root(settings: &wire::GuestSettings) -> Option<(&str, &str)> {
    let mut volumes = settings.volumes.iter();
    let root = volumes.find(|volume| volume.kind() == VolumeKind::Rootfs)?;
    Some((&root.storage, &root.volume))
}
