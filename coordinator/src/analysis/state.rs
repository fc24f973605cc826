//! How what a scope covers is, in a word and a sentence.

use super::{group::Group, inventory, scope::Selected, words};
use crate::{
    answer::{SetAside, finding::is_open},
    finding::{Finding, FindingState, Lane, Severity},
    inventory::{coverage, summary},
    report::HealthState,
    untrusted::name,
    view::{CoverageLevel, NodeStatus},
};

/// The findings inside the scope.
#[derive(Debug)]
pub(super) struct Found<'f> {
    /// Open: broken or about to be.
    pub(super) health: Vec<&'f Finding>,
    /// Health findings that have not held for long enough.
    pub(super) beginning: usize,
    /// Open: hardening and hygiene.
    pub(super) advice: Vec<&'f Finding>,
    /// What operators decided about health findings.
    pub(super) set_aside: Option<SetAside>,
}

impl<'f> Found<'f> {
    pub(super) fn new(selected: &Selected<'f>) -> Self {
        let mut found = Self {
            health: Vec::new(),
            beginning: 0,
            advice: Vec::new(),
            set_aside: SetAside::of(
                selected
                    .current
                    .findings
                    .iter()
                    .filter(|finding| finding.lane == Lane::Health && selected.covers(finding)),
            ),
        };
        for finding in &selected.current.findings {
            if !selected.covers(finding) {
                continue;
            }
            match (finding.lane, is_open(finding)) {
                (Lane::Health, true) => found.health.push(finding),
                (Lane::Health, false) if finding.state == FindingState::Pending => {
                    found.beginning += 1;
                }
                (Lane::Posture, true) => found.advice.push(finding),
                _ => {}
            }
        }
        found
    }

    pub(super) fn count(&self, severity: Severity) -> usize {
        let alike = self.health.iter();
        alike.filter(|finding| finding.severity == severity).count()
    }
}

/// Why nothing can be called healthy, in words.
pub(super) fn doubt(selected: &Selected<'_>) -> Option<String> {
    let view = selected.view();
    let nodes = selected.nodes();
    if nodes.is_empty() {
        return Some("no agent has reported yet".to_owned());
    }
    let verdicts = selected.current.verdicts;
    if verdicts.passed + verdicts.failed == 0 {
        return Some("no check could be evaluated".to_owned());
    }
    for cluster in &selected.clusters {
        let cluster = view.cluster(*cluster);
        let newest = view
            .nodes_of(cluster)
            .filter_map(|(_, node)| coverage::newest(node))
            .max();
        match newest {
            Some(at) if coverage::is_fresh(view.at, at) => {}
            Some(at) => {
                let age = coverage::age(view.at, at).unwrap_or_default();
                return Some(format!(
                    "the newest data of {} was read {age}",
                    name(&cluster.name)
                ));
            }
            None => return Some(format!("nothing is known about {}", name(&cluster.name))),
        }
    }
    // A node that is known to be down is not in doubt, it is down.
    let unseen = nodes
        .iter()
        .filter(|node| {
            node.status != NodeStatus::Offline
                && (node.coverage == CoverageLevel::None || coverage::is_silent(view.at, node))
        })
        .count();
    (unseen * 2 > nodes.len()).then(|| format!("{unseen} of {} nodes send nothing", nodes.len()))
}

pub(super) fn state(selected: &Selected<'_>, found: &Found<'_>, in_doubt: bool) -> HealthState {
    if found.count(Severity::Critical) > 0 {
        HealthState::Critical
    } else if selected.is_everything() && has_lost_quorum(selected, found) {
        // Never healthy, also in the half minute before its finding opens.
        HealthState::Critical
    } else if found.count(Severity::Warning) > 0 {
        HealthState::Warning
    } else if in_doubt {
        HealthState::Unknown
    } else {
        HealthState::Healthy
    }
}

/// Whether a cluster has lost quorum, and nobody said that it would.
fn has_lost_quorum(selected: &Selected<'_>, found: &Found<'_>) -> bool {
    let expected = found
        .health
        .iter()
        .filter(|finding| finding.check == "cluster.quorum.lost" && finding.statement.is_some());
    without_quorum(selected).len() > expected.count()
}

/// Names of clusters that have lost quorum.
fn without_quorum(selected: &Selected<'_>) -> Vec<String> {
    let view = selected.view();
    selected
        .clusters
        .iter()
        .map(|index| view.cluster(*index))
        .filter(|cluster| summary::quorate(view, cluster) == Some(false))
        .map(|cluster| name(&cluster.name).into_owned())
        .collect()
}

pub(super) fn headline(
    selected: &Selected<'_>,
    found: &Found<'_>,
    groups: &[Group<'_>],
    state: HealthState,
    doubt: Option<String>,
) -> String {
    let label = selected.label();
    let (is, has) = if selected.is_several() {
        ("are", "have")
    } else {
        ("is", "has")
    };
    let mut parts = Vec::new();
    match without_quorum(selected).as_slice() {
        [] => {}
        [one] => parts.push(format!("{one} has LOST QUORUM")),
        several => parts.push(format!("{} clusters have LOST QUORUM", several.len())),
    }
    let (critical, warning) = (
        found.count(Severity::Critical),
        found.count(Severity::Warning),
    );
    match state {
        HealthState::Critical | HealthState::Warning => {
            let counts = [(critical, "critical"), (warning, "warning")]
                .into_iter()
                .filter(|(count, _)| *count > 0)
                .map(|(count, word)| format!("{count} {word}"))
                .collect::<Vec<_>>()
                .join(" and ");
            if !counts.is_empty() {
                let plural = if critical + warning == 1 { "" } else { "s" };
                let begin = if parts.is_empty() {
                    format!("{label} {has} ")
                } else {
                    String::new()
                };
                parts.push(format!("{begin}{counts} finding{plural}"));
            }
            let first = groups.first().and_then(Group::first);
            if let (Some(first), true) = (first, parts.len() == 1) {
                parts.push(format!("first: {}", words::lower(&first.title)));
            }
            parts.extend(doubt);
        }
        HealthState::Healthy => {
            // Unknown is not healthy: say that something was left open.
            let rest = match selected.current.verdicts.unknown {
                0 => "",
                _ => " as far as it can be judged",
            };
            parts.push(format!("{label} {is} healthy{rest}"));
            parts.extend(inventory::in_short(selected));
        }
        HealthState::Unknown => {
            parts.push(format!("{label} cannot be judged"));
            parts.extend(doubt);
        }
    }
    parts.join("; ") + "."
}
