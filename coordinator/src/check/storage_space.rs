//! How full storages are, once per backing store.

use std::{borrow::Cow, collections::HashSet, time::Duration};

use pvelens_proto::agent::v1::Filesystem;

use super::{
    Check, Failure, Input, Remedy, Scope, Unknown, Verdicts, gate, held, node_filesystem, words,
};
use crate::{
    figure,
    finding::{Category, Evidence, Risk, Severity},
    metric::Metric,
    untrusted,
    view::{ClusterIndex, NodeIndex, NodeStatus, Storage, StorageOnNode, StorageStatus, Subject},
};

pub(super) const SPACE: Check = Check {
    id: "storage.pool.space",
    title: "A storage is nearly full",
    category: Category::Capacity,
    severity: Severity::Warning,
    scope: Scope::Storage,
    mappings: &["CAP"],
    remediation: Remedy {
        diagnose: &["pvesm status --storage {storage}", "pvesm list {storage}"],
        fix: "Remove what is no longer needed, safest first: old backups and ISO images, unused disks, old snapshots. Or add space.",
        impact: "What is removed is gone.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: space,
    ..Check::HEALTH
};

const TEN_MINUTES: Duration = Duration::from_secs(600);
const ALIAS: &str = "another storage shows the same backing store";
const SYSTEM: &str = "it lies on a system file system, which is judged with its node";

fn space(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let mut stores: HashSet<Store<'_>> = HashSet::new();
    for (index, storage) in input.view.storages() {
        let subjects: Vec<(Subject, &[StorageOnNode])> = if storage.entry.shared {
            vec![(Subject::Storage(index), storage.nodes.as_slice())]
        } else {
            storage
                .nodes
                .iter()
                .map(|on| {
                    (
                        Subject::StorageOnNode(index, on.node),
                        std::slice::from_ref(on),
                    )
                })
                .collect()
        };
        for (subject, seen_by) in subjects {
            if storage.entry.disabled {
                verdicts.not_applicable(subject, "the storage is disabled");
                continue;
            }
            // Storages come sorted by name, so the first one speaks for all.
            let store = Store::of(input, storage, subject);
            if store.is_some_and(|store| !stores.insert(store)) {
                verdicts.not_applicable(subject, ALIAS);
                continue;
            }
            if is_on_system(input, storage, subject) {
                verdicts.not_applicable(subject, SYSTEM);
                continue;
            }
            judge(input, verdicts, subject, storage, seen_by);
        }
    }
}

/// What tells backing stores apart.
#[derive(PartialEq, Eq, Hash)]
enum Store<'a> {
    /// Type, server and export or datastore.
    Remote(ClusterIndex, &'a str, &'a str, &'a str),
    /// A file system of a node.
    Mount(NodeIndex, &'a str),
}

impl<'a> Store<'a> {
    fn of(input: &Input<'a>, storage: &'a Storage, subject: Subject) -> Option<Self> {
        let entry = &storage.entry;
        if let Subject::StorageOnNode(_, node) = subject {
            // Directories on one file system share its space.
            let mount = mount(input, storage, node)?;
            return Some(Self::Mount(node, &mount.mount_point));
        }
        (!entry.server.is_empty() && !entry.target.is_empty()).then_some(Self::Remote(
            storage.cluster,
            &entry.storage_type,
            &entry.server,
            &entry.target,
        ))
    }
}

/// Where a directory of a node lies.
fn mount<'a>(input: &Input<'a>, storage: &Storage, node: NodeIndex) -> Option<&'a Filesystem> {
    let entry = &storage.entry;
    let mounts = input.view.node(node).facts.filesystems.as_ref()?;
    if entry.storage_type != "dir" || entry.path.is_empty() {
        return None;
    }
    node_filesystem::mount_of(&mounts.value.filesystems, &entry.path)
}

/// One defect, one finding (rule G6): the usual storage `local` is a part of
/// the root file system.
fn is_on_system(input: &Input<'_>, storage: &Storage, subject: Subject) -> bool {
    let Subject::StorageOnNode(_, node) = subject else {
        return false;
    };
    mount(input, storage, node).is_some_and(node_filesystem::is_judged)
}

fn judge(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    subject: Subject,
    storage: &Storage,
    seen_by: &[StorageOnNode],
) {
    let limits = &input.params.limits;
    let reports = reports(input, seen_by);
    // The newest word counts, of equals the first node's.
    let Some((on, used)) = reports.first().copied() else {
        let why = seen_by.iter().filter_map(|on| why_not(input, on)).next();
        match why {
            Some(why) => verdicts.unknown(subject, why),
            // It gives no figures while it cannot be used.
            None => verdicts.not_applicable(subject, "it reports no size"),
        }
        return;
    };
    let window = |on: &StorageOnNode| {
        input
            .history
            .window(on.key, Metric::UsedRatio, input.at, TEN_MINUTES)
    };
    let window = reports
        .iter()
        .map(|(on, _)| window(on))
        .find(crate::history::Window::is_covered);
    let severity = if used > limits.storage_used_critical {
        Some(Severity::Critical)
    } else {
        window
            .as_ref()
            .filter(|window| {
                used > limits.storage_used && held::all_above(window, limits.storage_used)
            })
            .map(|_| Severity::Warning)
    };
    let failure = severity.map(|severity| failure(input, storage, subject, &on, used, severity));
    let clear = limits.storage_used - limits.storage_used_margin;
    let is_clear = window
        .as_ref()
        .is_some_and(|window| used < clear && held::all_below(window, clear));
    held::decide(verdicts, subject, failure, window.is_some(), is_clear);
}

/// Nodes that report a size, newest first.
fn reports(input: &Input<'_>, seen_by: &[StorageOnNode]) -> Vec<(StorageOnNode, f64)> {
    let mut reports: Vec<(StorageOnNode, f64)> = seen_by
        .iter()
        .filter(|on| why_not(input, on).is_none())
        .filter_map(|on| {
            let (total, used) = (on.total_bytes.filter(|total| *total > 0)?, on.used_bytes?);
            Some((*on, used as f64 / total as f64))
        })
        .collect();
    reports.sort_by_key(|(on, _)| (std::cmp::Reverse(on.at), on.node));
    reports
}

/// Why what is known of a storage on a node does not count.
fn why_not(input: &Input<'_>, on: &StorageOnNode) -> Option<Unknown> {
    let node = input.view.node(on.node);
    if node.status == NodeStatus::Offline || on.status == StorageStatus::Unknown {
        return Some(Unknown::NotReported);
    }
    if node.agent.is_some()
        && let Err(why) = gate::agent(input, node)
    {
        return Some(why);
    }
    let at = on.at?;
    (!input.is_recent(at, input.params.limits.state_age)).then_some(Unknown::Stale { since: at })
}

fn failure(
    input: &Input<'_>,
    storage: &Storage,
    subject: Subject,
    on: &StorageOnNode,
    used: f64,
    severity: Severity,
) -> Failure {
    let node = match subject {
        Subject::StorageOnNode(_, node) => {
            Cow::Owned(format!(" of {}", words::node(input.view, node)))
        }
        _ => Cow::Borrowed(""),
    };
    let total = on.total_bytes.unwrap_or_default();
    let free = total.saturating_sub(on.used_bytes.unwrap_or_default());
    let at = on.at.unwrap_or(input.at);
    let name = &input.view.node(on.node).name;
    Failure::new(
        severity,
        format!(
            "Storage {}{node} is {} full; {} of {} are left.",
            untrusted::name(&storage.name),
            figure::percent(used),
            figure::bytes(free),
            figure::bytes(total)
        ),
    )
    .proof([
        Evidence::new("used", used, "pvestatd")
            .unit("ratio")
            .seen(name, at),
        Evidence::new("free", free, "pvestatd")
            .unit("bytes")
            .seen(name, at),
    ])
}

#[cfg(test)]
mod tests;
