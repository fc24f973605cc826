//! How well containers are kept apart from their node.

use pvelens_proto::agent::v1::{GuestKind, GuestSettings, RawLxcLine, VolumeKind};

use super::{
    Check, Failure, Input, ProfileSeverities, Remedy, Scope, Verdicts, container_mount, gate, words,
};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    intent::Meaning,
    view::{Guest, GuestStatus, Subject},
};

const CONFIG: &str = "container configuration";

/// Severities of what gives the node away.
pub(super) const ESCAPE: Option<ProfileSeverities> = Some(ProfileSeverities {
    homelab: Some(Severity::Warning),
    production: Some(Severity::Critical),
    strict: Some(Severity::Critical),
    hosting: Some(Severity::Critical),
});

const UNPRIVILEGED: Remedy = Remedy {
    diagnose: &["pct config {id}"],
    fix: "Back the container up and restore it as unprivileged: pct restore NEW_ID BACKUP --unprivileged 1. Or use a VM.",
    impact: "The container is down meanwhile; owners of files on bind mounts change.",
    risk: Risk::Medium,
    way_back: "Restore the backup as privileged again.",
};

pub(super) const PRIVILEGED: Check = Check {
    id: "ct.privileged",
    title: "A container runs as root of the node",
    category: Category::Security,
    severity: Severity::Warning,
    scope: Scope::Guest,
    mappings: &["ISOL", "PRIV"],
    profile: Some(ProfileSeverities {
        homelab: Some(Severity::Info),
        production: Some(Severity::Warning),
        strict: Some(Severity::Critical),
        hosting: Some(Severity::Critical),
    }),
    remediation: UNPRIVILEGED,
    run: |input, verdicts| {
        each(input, verdicts, |guest, settings| {
            privileged(input, guest, settings)
        });
    },
    ..Check::POSTURE
};

/// Pools do not tell tenants apart yet.
fn privileged(input: &Input<'_>, guest: &Guest, settings: &GuestSettings) -> Option<Failure> {
    if !is_privileged(settings) {
        return None;
    }
    let gives_host = settings.volumes.iter().any(|volume| {
        volume.kind() == VolumeKind::Device || container_mount::is_system(&volume.host_path)
    });
    let reasons: Vec<&str> = [
        (
            input.means(guest, Meaning::InternetFacing),
            "it is reachable from the internet",
        ),
        (has_nesting(settings), "it may nest containers"),
        (
            gives_host,
            "it gets devices or system directories of the node",
        ),
    ]
    .into_iter()
    .filter_map(|(applies, reason)| applies.then_some(reason))
    .collect();
    let (severity, rest) = if reasons.is_empty() {
        (Severity::Warning, String::new())
    } else {
        (Severity::Critical, format!("; {}", reasons.join(", ")))
    };
    Some(
        Failure::new(
            lowered(guest, severity),
            format!(
                "Root in {} is root of the node: it is privileged{rest}.",
                words::guest(guest)
            ),
        )
        .proof([Evidence::new("unprivileged", false, CONFIG)])
        .proof(features(settings)),
    )
}

pub(super) const PRIVILEGED_NESTING: Check = Check {
    id: "ct.privileged_nesting",
    title: "A privileged container may nest or mount",
    category: Category::Security,
    severity: Severity::Critical,
    scope: Scope::Guest,
    mappings: &["ISOL"],
    profile: ESCAPE,
    remediation: UNPRIVILEGED,
    run: |input, verdicts| each(input, verdicts, privileged_nesting),
    ..Check::POSTURE
};

fn privileged_nesting(guest: &Guest, settings: &GuestSettings) -> Option<Failure> {
    let may_mount = settings
        .features
        .iter()
        .any(|feature| feature.starts_with("mount="));
    if !is_privileged(settings) || !(has_nesting(settings) || may_mount) {
        return None;
    }
    Some(
        Failure::new(
            lowered(guest, Severity::Critical),
            format!(
                "{} is privileged and may nest or mount: its root can write the node's kernel settings.",
                words::guest(guest)
            ),
        )
        .proof([Evidence::new("unprivileged", false, CONFIG)])
        .proof(features(settings)),
    )
}

pub(super) const CONFINEMENT_OFF: Check = Check {
    id: "ct.confinement_off",
    title: "A container's confinement is switched off",
    category: Category::Security,
    severity: Severity::Critical,
    scope: Scope::Guest,
    mappings: &["ISOL", "EXPL"],
    profile: ESCAPE,
    remediation: Remedy {
        diagnose: &["grep -E '^lxc\\.' /etc/pve/lxc/{id}.conf"],
        fix: "Remove the line from the container's configuration and restart it.",
        impact: "What needs the line no longer works; try it first.",
        risk: Risk::Medium,
        way_back: "Add the line again.",
    },
    run: |input, verdicts| each(input, verdicts, confinement_off),
    ..Check::POSTURE
};

fn confinement_off(guest: &Guest, settings: &GuestSettings) -> Option<Failure> {
    let mut lines: Vec<&RawLxcLine> = settings
        .confinement_lines
        .iter()
        .filter(|line| opens(line))
        .collect();
    lines.sort_by(|a, b| (&a.key, &a.value).cmp(&(&b.key, &b.value)));
    if lines.is_empty() {
        return None;
    }
    let keys = words::list(lines.iter().map(|line| crate::untrusted::name(&line.key)));
    let evidence = lines
        .iter()
        .map(|line| Evidence::new(&line.key, line.value.as_str(), CONFIG));
    Some(
        Failure::new(
            lowered(guest, Severity::Critical),
            format!("{} is not confined: {keys}.", words::guest(guest)),
        )
        .proof(evidence),
    )
}

/// Whether a raw line takes a barrier away.
fn opens(line: &RawLxcLine) -> bool {
    let value = line.value.trim();
    match line.key.as_str() {
        "lxc.apparmor.profile" => value == "unconfined",
        "lxc.cap.drop" => value.is_empty(),
        // All devices, also written as `a *:* rwm`.
        "lxc.cgroup2.devices.allow" | "lxc.cgroup.devices.allow" => {
            value.split_whitespace().next() == Some("a")
        }
        // `u 0 100000 65536`: inner id, outer id, count.
        "lxc.idmap" => value.split_whitespace().nth(2) == Some("0"),
        "lxc.seccomp.profile" => true,
        _ => false,
    }
}

fn is_privileged(settings: &GuestSettings) -> bool {
    settings.unprivileged != Some(true)
}

fn has_nesting(settings: &GuestSettings) -> bool {
    settings
        .features
        .iter()
        .any(|feature| feature == "nesting" || feature == "nesting=1")
}

fn features(settings: &GuestSettings) -> Vec<Evidence> {
    let mut features: Vec<&str> = settings.features.iter().map(String::as_str).collect();
    features.sort_unstable();
    features
        .into_iter()
        .map(|feature| Evidence::new("feature", feature, CONFIG))
        .collect()
}

/// One step lower for a guest that does not run (rule G7).
pub(super) fn lowered(guest: &Guest, severity: Severity) -> Severity {
    match (&guest.status, severity) {
        (GuestStatus::Stopped, Severity::Critical) => Severity::Warning,
        (GuestStatus::Stopped, _) => Severity::Info,
        _ => severity,
    }
}

/// Judges the configuration of every container.
pub(super) fn each(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    judge: impl Fn(&Guest, &GuestSettings) -> Option<Failure>,
) {
    for (index, guest) in input.view.guests() {
        let subject = Subject::Guest(index);
        if guest.kind != GuestKind::Lxc {
            verdicts.not_applicable(subject, gate::NOT_A_CONTAINER);
            continue;
        }
        match gate::settings(input, guest) {
            Ok((_, settings)) => match judge(guest, settings) {
                Some(failure) => verdicts.fail(subject, failure),
                None => verdicts.pass(subject),
            },
            Err(why) => verdicts.unknown(subject, why),
        }
    }
}

#[cfg(test)]
mod tests;
