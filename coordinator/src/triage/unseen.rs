//! What did not answer: a finding of its own where it is the fault itself, else a
//! gap in what triage knows.

use std::collections::BTreeSet;

use pvelens_agent::collector::{COLLECTORS, Collector};
use pvelens_proto::agent::v1::{FailureKind, NetworkMountState, sample::Payload};

use super::{
    Gathered, Source, Trouble, advice,
    facts::{Facts, is_dead_pmxcfs},
    gather,
    onset::Since,
    words,
};
use crate::{finding::Severity, untrusted};

/// What hangs and no check has said so.
pub(super) fn troubles(facts: &Facts<'_>, known: &[Trouble]) -> Vec<Trouble> {
    let mut troubles = Vec::new();
    let is_known = |check: &str| known.iter().any(|trouble| trouble.check == check);
    let dead = facts.failures().find(|failure| is_dead_pmxcfs(*failure));
    if let Some((_, failure)) = dead.filter(|_| facts.is_pve_node && !is_known(advice::PMXCFS)) {
        let how = match failure.kind() {
            FailureKind::TimedOut | FailureKind::InProgress => "does not answer",
            FailureKind::NotFound => "is not mounted",
            FailureKind::Io => "gives errors",
            _ => "is dead: its process is gone",
        };
        troubles.push(trouble(
            advice::PMXCFS,
            format!("node/{}", facts.node),
            format!("The cluster file system /etc/pve of {} {how}", facts.node),
        ));
    }
    let mounts = facts.mounts().map_or(&[][..], |mounts| &mounts.mounts);
    for mount in mounts {
        let point = untrusted::name(&mount.mount_point);
        let is_told = known.iter().any(|trouble| trouble.what.contains(&*point));
        if mount.state() != NetworkMountState::Hanging || is_told {
            continue;
        }
        let from = match mount.server.as_str() {
            "" => String::new(),
            server => format!(" from {}", untrusted::name(server)),
        };
        let kind = untrusted::name(&mount.filesystem_type);
        troubles.push(trouble(
            advice::MOUNT,
            format!("node/{}", facts.node),
            format!("{point} ({kind}{from}) does not answer: whatever touches it hangs"),
        ));
    }
    troubles
}

fn trouble(check: &str, subject: String, what: String) -> Trouble {
    Trouble {
        check: check.to_owned(),
        severity: Severity::Critical,
        subject,
        what,
        since: Since::default(),
        impact: advice::of(check)
            .map(|advice| advice.impact.to_owned())
            .unwrap_or_default(),
    }
}

/// What is not known, most important first.
pub(super) fn notes(gathered: &Gathered, facts: &Facts<'_>) -> Vec<String> {
    let mut notes = Vec::new();
    if !facts.is_pve_node {
        notes.push("this does not look like a Proxmox VE node".to_owned());
    }
    let (mut silent, mut without_probe) = (BTreeSet::new(), BTreeSet::new());
    let (mut refused, mut others) = (BTreeSet::new(), BTreeSet::new());
    for (collector, failure) in facts.failures() {
        if !gather::is_needed(collector) {
            continue;
        }
        let name = name(collector, &failure.path);
        match failure.kind() {
            _ if failure.detail == "the probe is not there" => without_probe.insert(name),
            FailureKind::TimedOut | FailureKind::InProgress => silent.insert(name),
            FailureKind::PermissionDenied => refused.insert(name),
            // A file that is not there, or is odd, is for the findings to tell.
            FailureKind::NotFound => false,
            // One odd file among many is no gap to tell at night.
            _ => !facts.has_payload(collector) && others.insert(name),
        };
    }
    let newest = facts.samples.iter().rev();
    let mut seen = BTreeSet::new();
    for (_, sample) in newest.filter(|(_, sample)| seen.insert(sample.collector.as_str())) {
        if let Some(Payload::NoData(none)) = &sample.payload
            && none.reason.contains("probe is not there")
            && gather::is_needed(&sample.collector)
        {
            without_probe.insert(name(&sample.collector, ""));
        }
    }
    let without = match gathered.source {
        Source::Tree => "not captured",
        _ => "needs the probes of pvelens-agent",
    };
    for (words, names) in [
        ("did not answer in time", silent),
        (without, without_probe),
        ("may not be read by this user", refused),
        ("could not be read", others),
    ] {
        let names: Vec<String> = names.into_iter().collect();
        if !names.is_empty() {
            notes.push(format!("{words}: {}", words::list(&names, 6)));
        }
    }
    if let Source::Direct { agent } = &gathered.source {
        notes.push(format!(
            "the past, since pvelens-agent {}",
            untrusted::line(agent, 80)
        ));
    }
    if facts.quorate() == Some(false) {
        notes.push("whether the other nodes run on without this one".to_owned());
    }
    notes
}

/// A source as people call it: the file system of the cluster for whatever reads
/// it, unless another file is to blame.
fn name(collector: &str, path: &str) -> String {
    let reads = |one: &&Collector| one.name == collector;
    let paths = COLLECTORS
        .iter()
        .find(reads)
        .map_or(&[][..], |one| one.paths);
    let of_cluster = |path: &str| path.starts_with("/etc/pve");
    if of_cluster(path) || (path.is_empty() && paths.iter().any(|path| of_cluster(path))) {
        return "/etc/pve".to_owned();
    }
    let words = match collector {
        "journal_events" => "the journal",
        "units" => "the services",
        "network_mounts" => "network mounts",
        "lvm" => "LVM",
        "zfs" => "ZFS",
        "time_sync" => "the clock",
        "corosync_state" => "corosync",
        "ceph_state" => "Ceph",
        other => return untrusted::name(&other.replace('_', " ")).into_owned(),
    };
    words.to_owned()
}
