//! Disk settings of VMs.

use pvelens_proto::agent::v1::{GuestKind, GuestVolume, VolumeKind};

use super::{Check, Failure, Input, Remedy, Scope, Verdicts, container::lowered, gate, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    intent::Meaning,
    untrusted,
    view::{Guest, Subject},
};

pub(super) const CACHE_UNSAFE: Check = Check {
    id: "guest.disk.cache_unsafe",
    title: "A disk may lose data that was written",
    category: Category::Storage,
    severity: Severity::Critical,
    scope: Scope::Guest,
    floor: true,
    mappings: &["DATA"],
    remediation: Remedy {
        diagnose: &["qm config {id}"],
        fix: "Set the disk's cache mode to none in the hardware view, and restart the VM.",
        impact: "Takes effect at the next start; writing that waits for the disk becomes slower.",
        risk: Risk::Low,
        way_back: "Set the former cache mode again.",
    },
    run: cache_unsafe,
    ..Check::POSTURE
};

fn cache_unsafe(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, guest) in input.view.guests() {
        let subject = Subject::Guest(index);
        if guest.kind == GuestKind::Lxc {
            verdicts.not_applicable(subject, gate::NOT_A_VM);
            continue;
        }
        let settings = match gate::settings(input, guest) {
            Ok((_, settings)) => settings,
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        if input.means(guest, Meaning::Ephemeral) {
            verdicts.not_applicable(subject, gate::TAGGED);
            continue;
        }
        let is_database = input.means(guest, Meaning::Database);
        let mut has_failed = false;
        let mut volumes: Vec<&GuestVolume> = settings.volumes.iter().collect();
        volumes.sort_by(|a, b| a.key.cmp(&b.key));
        for volume in volumes {
            if !matches!(
                volume.kind(),
                VolumeKind::Disk | VolumeKind::Efi | VolumeKind::Tpm
            ) {
                continue;
            }
            let failure = match volume.cache.as_str() {
                "unsafe" => failure(
                    guest,
                    volume,
                    Severity::Critical,
                    "tells the VM that data is written when it is not",
                ),
                "writeback" if is_database && is_unprotected(input, guest, volume) => failure(
                    guest,
                    volume,
                    Severity::Warning,
                    "keeps written data of a database in memory",
                ),
                _ => continue,
            };
            has_failed = true;
            verdicts.fail(subject, failure);
        }
        if !has_failed {
            verdicts.pass(subject);
        }
    }
}

/// Storage types without a battery or replicas of their own.
fn is_unprotected(input: &Input<'_>, guest: &Guest, volume: &GuestVolume) -> bool {
    input
        .view
        .find_storage(guest.cluster, &volume.storage)
        .is_some_and(|storage| {
            let kind = input.view.storage(storage).entry.storage_type.as_str();
            matches!(kind, "dir" | "nfs" | "lvm")
        })
}

fn failure(guest: &Guest, volume: &GuestVolume, severity: Severity, why: &str) -> Failure {
    Failure::new(
        lowered(guest, severity),
        format!(
            "Disk {} of {} {why} (cache={}).",
            untrusted::name(&volume.key),
            words::guest(guest),
            untrusted::name(&volume.cache)
        ),
    )
    .about(&volume.key)
    .proof([
        Evidence::new("cache", volume.cache.as_str(), "guest configuration"),
        Evidence::new("storage", volume.storage.as_str(), "guest configuration"),
    ])
}

#[cfg(test)]
mod tests;
