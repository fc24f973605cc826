//! Snapshots that were forgotten.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{agent::v1::GuestSnapshot, timestamp_to_millis};

use super::{
    Check, Failure, Input, ProfileSeverities, Remedy, Scope, Verdicts, container::lowered, gate,
    words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    intent::Meaning,
    untrusted,
    view::{Guest, Subject},
};

pub(super) const OLD: Check = Check {
    id: "guest.snapshot.old",
    title: "A guest has old snapshots",
    category: Category::Storage,
    severity: Severity::Warning,
    scope: Scope::Guest,
    mappings: &["CAP"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Info),
        production: Some(Severity::Warning),
        strict: Some(Severity::Warning),
        hosting: None,
    }),
    remediation: Remedy {
        diagnose: &["{tool} listsnapshot {id}"],
        fix: "Remove the snapshots that are no longer needed: {tool} delsnapshot {id} NAME.",
        impact: "Merging takes time and disk bandwidth; on qcow2 files the guest may stand still, so do it while it is off.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: old,
    ..Check::POSTURE
};

/// How much space a snapshot holds is not collected yet.
fn old(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, guest) in input.view.guests() {
        let subject = Subject::Guest(index);
        let config = match gate::settings(input, guest) {
            Ok((config, _)) => config,
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        // Most guests have none.
        if config.snapshots.is_empty() {
            verdicts.pass(subject);
            continue;
        }
        if input.means(guest, Meaning::KeepSnapshot) {
            verdicts.not_applicable(subject, gate::TAGGED);
            continue;
        }
        match judge(input, guest, &config.snapshots) {
            Some(failure) => verdicts.fail(subject, failure),
            None => verdicts.pass(subject),
        }
    }
}

fn judge(input: &Input<'_>, guest: &Guest, snapshots: &[GuestSnapshot]) -> Option<Failure> {
    let limits = &input.params.limits;
    let mut aged: Vec<(Duration, &str, Timestamp)> = snapshots
        .iter()
        .filter(|snapshot| !is_technical(&snapshot.name))
        .filter_map(|snapshot| {
            let taken = timestamp_to_millis(snapshot.taken_at.as_ref()?);
            let taken = Timestamp::from_millisecond(taken).ok()?;
            let age = input.at.duration_since(taken).max(SignedDuration::ZERO);
            Some((age.unsigned_abs(), snapshot.name.as_str(), taken))
        })
        .filter(|(age, ..)| *age > limits.snapshot_age_info)
        .collect();
    // Oldest first.
    aged.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    let (age, name, taken) = *aged.first()?;
    let severity = if age > limits.snapshot_age_critical && is_on_full_pool(input, guest) {
        Severity::Critical
    } else if age > limits.snapshot_age_warning {
        Severity::Warning
    } else {
        Severity::Info
    };
    let others = match aged.len() - 1 {
        0 => String::new(),
        more => format!(", and {} more", words::count(more, "old one")),
    };
    Some(
        Failure::new(
            lowered(guest, severity),
            format!(
                "{} has the snapshot {} from {} ago{others}.",
                words::guest(guest),
                untrusted::name(name),
                figure::duration(age)
            ),
        )
        .proof([
            Evidence::new("oldest snapshot", name, "guest configuration"),
            Evidence::new("taken", taken.to_string(), "guest configuration"),
            Evidence::new("old snapshots", aged.len() as u64, "guest configuration"),
        ]),
    )
}

/// Replication and backups make and remove their own.
fn is_technical(name: &str) -> bool {
    name.starts_with("__replicate_") || name == "vzdump" || name.starts_with("vzdump_")
}

/// Whether a volume of the guest lies on a thin pool that is getting full.
fn is_on_full_pool(input: &Input<'_>, guest: &Guest) -> bool {
    let settings = guest
        .config
        .iter()
        .filter_map(|config| config.settings.as_ref());
    settings
        .flat_map(|settings| &settings.volumes)
        .filter_map(|volume| input.view.find_storage(guest.cluster, &volume.storage))
        .map(|storage| input.view.storage(storage))
        .filter(|storage| storage.entry.storage_type == "lvmthin")
        .flat_map(|storage| &storage.nodes)
        .filter(|on| on.node == guest.node)
        .any(|on| match (on.used_bytes, on.total_bytes) {
            (Some(used), Some(total)) if total > 0 => {
                used as f64 / total as f64 > input.params.limits.snapshot_pool_critical
            }
            _ => false,
        })
}

#[cfg(test)]
mod tests;
