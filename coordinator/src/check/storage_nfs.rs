//! Whether the NFS servers of storages answer.
//!
//! Whoever touches a mount whose server is silent waits, as a rule for ever. The
//! agent's probe asks each mount of a storage in a process that may hang. Round
//! trips and repeated requests are collected as counters and not judged yet.

use std::collections::BTreeSet;

use pvelens_proto::agent::v1::{NetworkMount, NetworkMountPatience, NetworkMountState};

use super::{
    Check, Failure, Input, Intended, Remedy, Scope, Timing, Unknown, Verdicts, gate, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{Node, NodeIndex, StorageIndex, Subject, View},
};

const COLLECTOR: &str = "network_mounts";
const PROBE: &str = "statvfs";
const MOUNTS: &str = "/proc/1/mountinfo";
const NO_NFS: &str = "no NFS storage is mounted";
/// Where PVE mounts storages. Other mounts are not asked.
const STORAGES: &str = "/mnt/pve/";

pub(super) const HANG: Check = Check {
    id: "storage.nfs.hang",
    title: "An NFS server does not answer",
    category: Category::Storage,
    severity: Severity::Critical,
    scope: Scope::Node,
    timing: Timing::STATE,
    intents: &[Intended::Maintenance(Severity::Info), Intended::Off],
    mappings: &["OPS"],
    remediation: Remedy {
        diagnose: &[
            "nfsstat -m",
            "rpcinfo -t SERVER nfs",
            "cat /proc/self/mountstats",
        ],
        fix: "Bring the NFS server or the network to it back; what waits then goes on. Do not umount -f {part} while guests run on it, and touch nothing below it: each program that does hangs too.",
        impact: "Guests with disks on it stand still until the server answers. A forced umount loses what they wrote.",
        risk: Risk::High,
        way_back: "",
    },
    run: hang,
    ..Check::HEALTH
};

fn hang(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, node) in input.view.nodes() {
        let subject = Subject::Node(index);
        let fact = node.facts.network_mounts.as_ref();
        let mounts = match gate::node_fact(input, node, fact, COLLECTOR) {
            Ok(mounts) => mounts,
            Err(_) if is_without(input, node) => {
                verdicts.not_applicable(subject, NO_NFS);
                continue;
            }
            Err(why) => {
                verdicts.unknown(subject, why);
                continue;
            }
        };
        let asked = mounts.value.mounts.iter().filter(|mount| {
            mount.filesystem_type.starts_with("nfs") && mount.mount_point.starts_with(STORAGES)
        });
        let (mut seen, mut has_failed, mut is_known) = (0, false, true);
        for mount in asked {
            seen += 1;
            match mount.state() {
                NetworkMountState::Answers => {}
                NetworkMountState::Hanging => {
                    has_failed = true;
                    let failure = failure(input.view, (index, node), mount, mounts.at);
                    verdicts.fail(subject, failure);
                }
                // An error is an answer, and the storage is inactive for it.
                NetworkMountState::Failed
                | NetworkMountState::NotAsked
                | NetworkMountState::Unspecified => is_known = false,
            }
        }
        if seen == 0 {
            verdicts.not_applicable(subject, NO_NFS);
        } else if !is_known {
            let why = gate::failed(node, COLLECTOR).unwrap_or(Unknown::NotReported);
            verdicts.unknown(subject, why);
        } else if !has_failed {
            verdicts.pass(subject);
        }
    }
}

fn is_without(input: &Input<'_>, node: &Node) -> bool {
    gate::agent(input, node).is_ok()
        && node.facts.network_mounts.is_none()
        && gate::nothing(input, node, COLLECTOR).is_some()
}

fn failure(
    view: &View,
    (index, node): (NodeIndex, &Node),
    mount: &NetworkMount,
    at: jiff::Timestamp,
) -> Failure {
    let point = untrusted::name(&mount.mount_point);
    let server = match mount.server.as_str() {
        "" => "The NFS server".into(),
        server => format!("NFS server {}", untrusted::name(server)),
    };
    let waiting = match guests_on(view, index, &mount.mount_point) {
        0 => String::new(),
        count => format!(", and so do the disks of {}", words::count(count, "guest")),
    };
    let summary = format!(
        "{server} does not answer {}: whatever touches {point} hangs{waiting}.",
        words::node(view, index)
    );
    let patience = match mount.patience() {
        NetworkMountPatience::Hard => "hard: programs wait until it is back",
        NetworkMountPatience::Soft | NetworkMountPatience::SoftError => {
            "soft: programs get errors, and what they wrote may be lost"
        }
        NetworkMountPatience::Unspecified => "unknown",
    };
    let seen = |evidence: Evidence| evidence.seen(&node.name, at);
    let mut evidence = vec![
        seen(Evidence::new("answers within 5 s", false, PROBE)),
        seen(Evidence::new("server", mount.server.as_str(), MOUNTS)),
        seen(Evidence::new("mount option", patience, MOUNTS)),
    ];
    if let Some(nfs) = &mount.nfs {
        let timeouts = Evidence::new("timeouts since mounted", nfs.timeouts_total, "mountstats");
        evidence.push(seen(timeouts));
    }
    if let Some(stalled) = node
        .rates
        .as_ref()
        .and_then(|rates| rates.value.pressure.io_full_ratio)
    {
        let shown = figure::percent(stalled);
        evidence.push(seen(Evidence::new(
            "all tasks wait for I/O",
            shown,
            "/proc/pressure/io",
        )));
    }
    Failure::new(Severity::Critical, summary)
        .about(&mount.mount_point)
        .proof(evidence)
}

/// Guests of the node with volumes on what is mounted there.
fn guests_on(view: &View, node: NodeIndex, mount_point: &str) -> usize {
    let cluster_index = view.node(node).cluster;
    let cluster = view.cluster(cluster_index);
    let mounted: BTreeSet<StorageIndex> = view
        .storages_of(cluster)
        .filter(|(_, storage)| storage.mount_point().as_deref() == Some(mount_point))
        .map(|(index, _)| index)
        .collect();
    if mounted.is_empty() {
        return 0;
    }
    let is_on = |storage: &str| {
        let storage = view.find_storage(cluster_index, storage);
        storage.is_some_and(|storage| mounted.contains(&storage))
    };
    view.guests_of(cluster)
        .filter(|(_, guest)| guest.node == node)
        .filter(|(_, guest)| {
            let settings = guest
                .config
                .iter()
                .filter_map(|config| config.settings.as_ref());
            let mut volumes = settings.flat_map(|settings| &settings.volumes);
            volumes.any(|volume| is_on(&volume.storage))
        })
        .count()
}

#[cfg(test)]
mod tests;
