//! Whether storages can be used, on all their nodes or on some.
//!
//! A shared storage is one thing, whoever looks at it. A local one is another
//! thing on each node; where it is configured but was never made, the
//! configuration is at fault and not the storage.

use std::{collections::BTreeSet, time::Duration};

use super::{
    Check, Failure, Input, Intended, Remedy, Scope, Timing, Unknown, Verdicts, gate, words,
};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    untrusted,
    view::{NodeIndex, Storage, StorageIndex, StorageOnNode, StorageStatus, Subject, View},
};

const PVESTATD: &str = "pvestatd";
const DISABLED: &str = "the storage is disabled";

pub(super) const INACTIVE: Check = Check {
    id: "storage.pool.inactive",
    title: "A storage cannot be used",
    category: Category::Storage,
    severity: Severity::Critical,
    scope: Scope::Storage,
    timing: Timing::T1 {
        hold: Duration::from_secs(120),
        clear: Duration::from_secs(60),
    },
    intents: &[
        Intended::Maintenance(Severity::Info),
        Intended::Off,
        Intended::Rotated,
    ],
    mappings: &["RESIL", "OPS"],
    remediation: Remedy {
        diagnose: &[
            "pvesm status --storage {storage}",
            "journalctl -u pvestatd -n 20",
        ],
        fix: "Bring the server, the network path or the disks of the storage back.",
        impact: "Guests with disks on it hang or get errors until then.",
        risk: Risk::Medium,
        way_back: "",
    },
    run: inactive,
    ..Check::HEALTH
};

fn inactive(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let used = used_locally(input.view);
    for (index, storage) in input.view.storages() {
        let state = State::of(input, storage);
        if storage.entry.shared {
            judge_shared(input, verdicts, index, storage, &state);
            continue;
        }
        for on in &storage.nodes {
            let subject = Subject::StorageOnNode(index, on.node);
            if storage.entry.disabled {
                verdicts.not_applicable(subject, DISABLED);
                continue;
            }
            match status(input, on) {
                Ok(StorageStatus::Active) => verdicts.pass(subject),
                Ok(StorageStatus::Disabled) => verdicts.not_applicable(subject, DISABLED),
                Ok(StorageStatus::Unknown) => verdicts.unknown(subject, Unknown::NotReported),
                Err(why) => verdicts.unknown(subject, why),
                Ok(StorageStatus::Inactive)
                    if !state.active.is_empty() && !used.contains(&(index, on.node)) =>
                {
                    verdicts.not_applicable(subject, "it works elsewhere and nothing uses it here");
                }
                Ok(StorageStatus::Inactive) => {
                    let summary = format!(
                        "Storage {} of {} cannot be used.",
                        untrusted::name(&storage.name),
                        words::node(input.view, on.node)
                    );
                    let failure = Failure::new(severity(storage), summary)
                        .proof([evidence(input.view, on.node, false, on.at)]);
                    verdicts.fail(subject, failure);
                }
            }
        }
    }
}

fn judge_shared(
    input: &Input<'_>,
    verdicts: &mut Verdicts<'_>,
    index: StorageIndex,
    storage: &Storage,
    state: &State,
) {
    let subject = Subject::Storage(index);
    if storage.entry.disabled {
        verdicts.not_applicable(subject, DISABLED);
    } else if !state.active.is_empty() {
        verdicts.pass(subject);
    } else if state.inactive.is_empty() {
        verdicts.unknown(subject, state.why_unknown.clone());
    } else {
        // Nodes that say nothing do not make it usable, but less certain.
        let (rest, confidence) = if state.unknown.is_empty() {
            (String::new(), 1.0)
        } else {
            let silent = words::nodes(input.view, &state.unknown);
            (format!("; nothing is known of {silent}"), 0.8)
        };
        let summary = format!(
            "Storage {} cannot be used on {}{rest}.",
            untrusted::name(&storage.name),
            words::nodes(input.view, &state.inactive)
        );
        let failure = Failure::new(severity(storage), summary)
            .confidence(confidence)
            .proof(state.evidence(input.view, storage));
        verdicts.fail(subject, failure);
    }
}

/// Templates and installation images are no outage.
fn severity(storage: &Storage) -> Severity {
    let content = &storage.entry.content;
    let is_media = !content.is_empty()
        && content
            .iter()
            .all(|kind| matches!(kind.as_str(), "iso" | "vztmpl"));
    if is_media {
        Severity::Warning
    } else {
        Severity::Critical
    }
}

pub(super) const INACTIVE_ON_SOME: Check = Check {
    id: "storage.pool.inactive_on_some_nodes",
    title: "A storage cannot be used on some nodes",
    category: Category::Storage,
    severity: Severity::Warning,
    scope: Scope::Cluster,
    timing: Timing::T1 {
        hold: Duration::from_secs(300),
        clear: Duration::from_secs(60),
    },
    intents: &[Intended::Maintenance(Severity::Info), Intended::Off],
    mappings: &["RESIL"],
    remediation: Remedy {
        diagnose: &["pvesm status --storage {storage}", "vgs", "zpool list"],
        fix: "Repair it on the node, or limit the storage to the nodes that have it: pvesm set {storage} --nodes NODE,NODE.",
        impact: "The limit changes the configuration only.",
        risk: Risk::Low,
        way_back: "Set the former list of nodes again.",
    },
    run: inactive_on_some,
    ..Check::HEALTH
};

/// Whether HA or replication need the storage there is not collected yet.
fn inactive_on_some(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    let used = used_locally(input.view);
    for (index, storage) in input.view.storages() {
        let subject = Subject::Storage(index);
        if storage.entry.disabled {
            verdicts.not_applicable(subject, DISABLED);
            continue;
        }
        if storage.nodes.len() < 2 {
            verdicts.not_applicable(subject, "one node uses it");
            continue;
        }
        let state = State::of(input, storage);
        // A local storage that guests use on a node is an outage of its own.
        let inactive: Vec<NodeIndex> = state
            .inactive
            .iter()
            .copied()
            .filter(|node| storage.entry.shared || !used.contains(&(index, *node)))
            .collect();
        if state.active.is_empty() && state.inactive.is_empty() {
            verdicts.unknown(subject, state.why_unknown.clone());
        } else if state.active.is_empty() {
            verdicts.not_applicable(subject, "no node can use it");
        } else if inactive.is_empty() {
            if state.unknown.is_empty() {
                verdicts.pass(subject);
            } else {
                verdicts.unknown(subject, state.why_unknown.clone());
            }
        } else {
            let name = untrusted::name(&storage.name);
            let (severity, advice) = if may_be_absent(storage) {
                (Severity::Info, "; it may never have existed there")
            } else {
                (Severity::Warning, "")
            };
            let summary = format!(
                "Storage {name} cannot be used on {}, although it can on {}{advice}.",
                words::nodes(input.view, &inactive),
                words::nodes(input.view, &state.active)
            );
            let failure =
                Failure::new(severity, summary).proof(state.evidence(input.view, storage));
            verdicts.fail(subject, failure);
        }
    }
}

/// Local types that exist on a node only when somebody made them there.
fn may_be_absent(storage: &Storage) -> bool {
    !storage.entry.shared
        && matches!(
            storage.entry.storage_type.as_str(),
            "zfspool" | "lvm" | "lvmthin" | "btrfs"
        )
}

/// What the nodes say of one storage.
struct State {
    active: Vec<NodeIndex>,
    inactive: Vec<NodeIndex>,
    unknown: Vec<NodeIndex>,
    why_unknown: Unknown,
}

impl State {
    fn of(input: &Input<'_>, storage: &Storage) -> Self {
        let mut state = Self {
            active: Vec::new(),
            inactive: Vec::new(),
            unknown: Vec::new(),
            why_unknown: Unknown::NotReported,
        };
        for on in &storage.nodes {
            match status(input, on) {
                Ok(StorageStatus::Active) => state.active.push(on.node),
                Ok(StorageStatus::Inactive) => state.inactive.push(on.node),
                Ok(StorageStatus::Disabled) => {}
                Ok(StorageStatus::Unknown) => state.unknown.push(on.node),
                Err(why) => {
                    state.unknown.push(on.node);
                    state.why_unknown = why;
                }
            }
        }
        state
    }

    fn evidence(&self, view: &View, storage: &Storage) -> Vec<Evidence> {
        storage
            .nodes
            .iter()
            .filter(|on| !self.unknown.contains(&on.node))
            .map(|on| evidence(view, on.node, self.active.contains(&on.node), on.at))
            .collect()
    }
}

fn evidence(view: &View, node: NodeIndex, active: bool, at: Option<jiff::Timestamp>) -> Evidence {
    Evidence::new("active", active, PVESTATD).seen(&view.node(node).name, at.unwrap_or(view.at))
}

/// What a node says, if it said so lately.
fn status(input: &Input<'_>, on: &StorageOnNode) -> Result<StorageStatus, Unknown> {
    // Of a node that is down nothing is known, whatever it said before.
    let node = input.view.node(on.node);
    if node.status == crate::view::NodeStatus::Offline {
        return Ok(StorageStatus::Unknown);
    }
    if node.agent.is_some() {
        gate::agent(input, node)?;
    }
    match on.at {
        Some(at) if !input.is_recent(at, input.params.limits.state_age) => {
            Err(Unknown::Stale { since: at })
        }
        _ => Ok(on.status),
    }
}

/// Local storages that guests of a node have volumes on. One pass over all
/// guests.
fn used_locally(view: &View) -> BTreeSet<(StorageIndex, NodeIndex)> {
    let mut used = BTreeSet::new();
    // Guests of a cluster share few storages: look each name up once.
    let mut known: std::collections::HashMap<_, Option<StorageIndex>> =
        std::collections::HashMap::new();
    for guest in &view.guests {
        let volumes = guest
            .config
            .iter()
            .filter_map(|config| config.settings.as_ref())
            .flat_map(|settings| &settings.volumes);
        for volume in volumes.filter(|volume| !volume.storage.is_empty()) {
            let storage = *known
                .entry((guest.cluster, volume.storage.as_str()))
                .or_insert_with(|| {
                    view.find_storage(guest.cluster, &volume.storage)
                        .filter(|storage| !view.storage(*storage).entry.shared)
                });
            if let Some(storage) = storage {
                used.insert((storage, guest.node));
            }
        }
    }
    used
}

#[cfg(test)]
mod tests;
