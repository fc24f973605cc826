//! What containers mount: parts of the node, and data that backups leave out.

use std::borrow::Cow;

use pvelens_proto::agent::v1::{GuestKind, GuestSettings, GuestVolume, VolumeKind};

use super::{
    Check, Failure, Input, ProfileSeverities, Remedy, Scope, Verdicts,
    container::{ESCAPE, each, lowered},
    gate, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    intent::Meaning,
    untrusted,
    view::{Guest, Subject},
};

const CONFIG: &str = "container configuration";

pub(super) const BIND_MOUNT_SYSTEM: Check = Check {
    id: "ct.bind_mount_system",
    title: "A container mounts system files of the node",
    category: Category::Security,
    severity: Severity::Critical,
    scope: Scope::Guest,
    mappings: &["ISOL"],
    profile: ESCAPE,
    remediation: Remedy {
        diagnose: &["pct config {id}"],
        fix: "Mount only directories made for it, below /mnt/bindmounts.",
        impact: "What the container read or wrote there is no longer in its place.",
        risk: Risk::Medium,
        way_back: "Add the mount point again.",
    },
    run: bind_mount_system,
    ..Check::POSTURE
};

fn bind_mount_system(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, guest) in input.view.guests() {
        let subject = Subject::Guest(index);
        if guest.kind != GuestKind::Lxc {
            verdicts.not_applicable(subject, gate::NOT_A_CONTAINER);
            continue;
        }
        let settings = match gate::settings(input, guest) {
            Ok((_, settings)) => settings,
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        let mut mounts: Vec<&GuestVolume> = settings
            .volumes
            .iter()
            .filter(|volume| volume.kind() != VolumeKind::Device && is_system(&volume.host_path))
            .collect();
        mounts.sort_by(|a, b| a.key.cmp(&b.key));
        if mounts.is_empty() {
            verdicts.pass(subject);
        }
        for mount in mounts {
            let (severity, mode) = if mount.read_only {
                (Severity::Warning, "read")
            } else {
                (Severity::Critical, "write")
            };
            let failure = Failure::new(
                lowered(guest, severity),
                format!(
                    "{} can {mode} {} of its node.",
                    words::guest(guest),
                    untrusted::name(&mount.host_path)
                ),
            )
            .about(&mount.key)
            .proof([
                Evidence::new("host path", mount.host_path.as_str(), CONFIG),
                Evidence::new("read-only", mount.read_only, CONFIG),
            ]);
            verdicts.fail(subject, failure);
        }
    }
}

/// Directories of the system; what lies deeper may be ordinary data.
const SYSTEM: [&str; 10] = [
    "/", "/boot", "/dev", "/etc", "/proc", "/root", "/run", "/sys", "/usr", "/var",
];
/// Trees of which every part counts.
const SYSTEM_TREES: [&str; 1] = ["/etc/pve"];
/// Sockets that control the node.
const SOCKETS: [&str; 5] = [
    "docker.sock",
    "containerd.sock",
    "podman.sock",
    "pvedaemon.sock",
    "pve",
];

/// Whether a host path is the system's.
pub(super) fn is_system(path: &str) -> bool {
    if !path.starts_with('/') {
        return false;
    }
    let path = normal(path);
    let is_socket = || {
        let rest = path
            .strip_prefix("/var/run/")
            .or_else(|| path.strip_prefix("/run/"));
        rest.and_then(|rest| rest.rsplit('/').next())
            .is_some_and(|name| SOCKETS.contains(&name))
    };
    SYSTEM.contains(&&*path)
        || path == "/var/run"
        || SYSTEM_TREES
            .iter()
            .any(|tree| super::node_filesystem::is_below(&path, tree))
        || is_socket()
}

/// The path without `.`, `..` and repeated slashes, as the kernel walks it.
fn normal(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

pub(super) const DATA_NOT_BACKED_UP: Check = Check {
    id: "ct.data_not_backed_up",
    title: "Backups leave out data of a container",
    category: Category::Backup,
    severity: Severity::Warning,
    scope: Scope::Guest,
    mappings: &["BKP"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Info),
        production: Some(Severity::Warning),
        strict: Some(Severity::Critical),
        hosting: None,
    }),
    remediation: Remedy {
        diagnose: &["pct config {id}"],
        fix: "Switch on backup for the mount point in the container's resources; back up directories of the node by other means.",
        impact: "Backups of the container become larger.",
        risk: Risk::Low,
        way_back: "Switch backup off for the mount point.",
    },
    run: |input, verdicts| {
        let minimum = input.params.limits.volume_not_backed_up_bytes;
        each(input, verdicts, |guest, settings| {
            data_not_backed_up(input, guest, settings, minimum)
        });
    },
    ..Check::POSTURE
};

/// Which guests a backup job covers is not collected yet: the finding says what
/// a backup of this container would leave out.
fn data_not_backed_up(
    input: &Input<'_>,
    guest: &Guest,
    settings: &GuestSettings,
    minimum: u64,
) -> Option<Failure> {
    // Statements of the administrator that the data may be lost.
    if [Meaning::Cache, Meaning::Scratch]
        .into_iter()
        .any(|meaning| input.means(guest, meaning))
        || input.intent.needs_no_backup(input.view, guest, input.at)
    {
        return None;
    }
    let mut left_out: Vec<&GuestVolume> = settings
        .volumes
        .iter()
        .filter(|volume| !volume.read_only)
        .filter(|volume| match volume.kind() {
            VolumeKind::MountPoint => {
                !volume.backup && volume.size_bytes.is_some_and(|size| size >= minimum)
            }
            VolumeKind::BindMount => !is_system(&volume.host_path),
            _ => false,
        })
        .collect();
    left_out.sort_by(|a, b| a.key.cmp(&b.key));
    if left_out.is_empty() {
        return None;
    }
    let what = words::list(left_out.iter().map(|volume| {
        let place = untrusted::name(&volume.mount_point);
        Cow::Owned(match volume.size_bytes {
            Some(size) => format!("{place} ({})", figure::bytes(size)),
            None => place.into_owned(),
        })
    }));
    let evidence = left_out
        .iter()
        .map(|volume| Evidence::new(&volume.key, volume.mount_point.as_str(), CONFIG));
    Some(
        Failure::new(
            lowered(guest, Severity::Warning),
            format!("Backups of {} leave out {what}.", words::guest(guest)),
        )
        .confidence(0.7)
        .proof(evidence),
    )
}

#[cfg(test)]
mod tests;
