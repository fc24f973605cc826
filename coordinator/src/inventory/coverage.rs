//! What an answer covers: which nodes were seen, how lately, and what is missing.
//!
//! Data that is missing is named in words, in a bounded number of lines however
//! large the datacenter is; the entry of each node has the details.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::agent::v1 as wire;

use super::{Coverage, FailureSummary, NodeCoverage, word};
use crate::{
    figure,
    untrusted::{line, name},
    view::{ClusterIndex, CoverageLevel, Node, NodeIndex, View},
};

/// Agents send every ten seconds. One that missed six in a row is silent, and
/// figures that are older are shown with their age.
pub const FRESH: SignedDuration = SignedDuration::from_secs(60);

/// Failures of one node that an answer carries.
const FAILURES_OF_NODE: usize = 20;
/// Names in one line of words.
const NAMES: usize = 5;
/// Lines from the checks.
const CHECK_LINES: usize = 20;
/// Characters of a failure's detail.
const DETAIL_LIMIT: usize = 200;

/// Whether a fact observed then is still the present at `now`.
#[must_use]
pub fn is_fresh(now: Timestamp, at: Timestamp) -> bool {
    now.duration_since(at) <= FRESH
}

/// Coverage of an answer about whole clusters.
#[must_use]
pub fn of_clusters(view: &View, clusters: &[ClusterIndex]) -> Coverage {
    let nodes = clusters
        .iter()
        .flat_map(|cluster| view.nodes_of(view.cluster(*cluster)))
        .map(|(_, node)| node);
    of(view, &nodes.collect::<Vec<_>>())
}

/// Coverage of an answer about one node or something on it.
#[must_use]
pub fn of_node(view: &View, node: NodeIndex) -> Coverage {
    of(view, &[view.node(node)])
}

/// Adds what the checks could not judge.
#[must_use]
pub fn with_checks(mut coverage: Coverage, not_assessed: &[String]) -> Coverage {
    let shown = not_assessed.iter().take(CHECK_LINES);
    coverage
        .not_assessed
        .extend(shown.map(|text| line(text, DETAIL_LIMIT).into_owned()));
    let more = not_assessed.len().saturating_sub(CHECK_LINES);
    if more > 0 {
        coverage
            .not_assessed
            .push(format!("{more} more things that checks could not judge"));
    }
    coverage
}

fn of(view: &View, nodes: &[&Node]) -> Coverage {
    Coverage {
        at: view.at,
        nodes: nodes.iter().map(|node| of_one(view, node)).collect(),
        not_assessed: words(view, nodes),
    }
}

fn of_one(view: &View, node: &Node) -> NodeCoverage {
    let mut failures: Vec<FailureSummary> = node
        .failures
        .iter()
        .take(FAILURES_OF_NODE)
        .map(|failure| FailureSummary {
            collector: name(&failure.collector).into_owned(),
            path: line(&failure.path, DETAIL_LIMIT).into_owned(),
            kind: failure_kind(failure.kind).to_owned(),
            detail: line(&failure.detail, DETAIL_LIMIT).into_owned(),
        })
        .collect();
    let more = node.failures.len().saturating_sub(FAILURES_OF_NODE);
    if more > 0 {
        failures.push(FailureSummary {
            collector: "others".to_owned(),
            path: String::new(),
            kind: "not_listed".to_owned(),
            detail: format!("{more} more failures on this node"),
        });
    }
    NodeCoverage {
        cluster: name(&view.cluster(node.cluster).id).into_owned(),
        node: name(&node.name).into_owned(),
        level: word::coverage_word(node.coverage),
        newest: newest(node),
        stale: is_silent(view.at, node),
        failures,
    }
}

/// The node had an agent, and nothing came from it lately.
#[must_use]
pub fn is_silent(now: Timestamp, node: &Node) -> bool {
    node.agent
        .as_ref()
        .is_some_and(|agent| !is_fresh(now, agent.last_update_at))
}

/// Observation time of the newest fact about the node.
#[must_use]
pub fn newest(node: &Node) -> Option<Timestamp> {
    let facts = &node.facts;
    [
        facts.cpu.as_ref().map(|fact| fact.at),
        facts.pressure.as_ref().map(|fact| fact.at),
        facts.memory.as_ref().map(|fact| fact.at),
        facts.load.as_ref().map(|fact| fact.at),
        facts.disks.as_ref().map(|fact| fact.at),
        facts.filesystems.as_ref().map(|fact| fact.at),
        facts.network.as_ref().map(|fact| fact.at),
        facts.interfaces.as_ref().map(|fact| fact.at),
        facts.sensors.as_ref().map(|fact| fact.at),
        facts.host.as_ref().map(|fact| fact.at),
        facts.pve_status.as_ref().map(|fact| fact.at),
        facts.members.as_ref().map(|fact| fact.at),
        facts.config_versions.as_ref().map(|fact| fact.at),
        node.broadcast.as_ref().map(|broadcast| broadcast.at),
    ]
    .into_iter()
    .flatten()
    .max()
}

/// What is missing, worst first.
fn words(view: &View, nodes: &[&Node]) -> Vec<String> {
    let silent = |node: &Node| is_silent(view.at, node);
    let groups = [
        (
            "nothing is known about",
            names(nodes, |node| node.coverage == CoverageLevel::None),
        ),
        (
            "data is old because the agent is silent on",
            names(nodes, |node| {
                node.coverage != CoverageLevel::None && silent(node)
            }),
        ),
        (
            "only basic figures without an agent on",
            names(nodes, |node| {
                node.coverage == CoverageLevel::Basic && node.agent.is_none()
            }),
        ),
        (
            "the agent could not read everything on",
            names(nodes, |node| !node.failures.is_empty() && !silent(node)),
        ),
    ];
    groups
        .into_iter()
        .filter_map(|(text, names)| Some(format!("{text} {}", names?)))
        .collect()
}

/// `pve1, pve2 and 12 more nodes`.
fn names(nodes: &[&Node], wanted: impl Fn(&Node) -> bool) -> Option<String> {
    let found: Vec<&str> = nodes
        .iter()
        .filter(|node| wanted(node))
        .map(|node| &*node.name)
        .collect();
    let (shown, more) = found.split_at(found.len().min(NAMES));
    let shown: Vec<_> = shown.iter().map(|text| name(text)).collect();
    match (shown.len(), more.len()) {
        (0, _) => None,
        (_, 0) => Some(shown.join(", ")),
        (_, more) => Some(format!("{} and {more} more nodes", shown.join(", "))),
    }
}

/// `3 min ago`; absent when the fact is fresh.
#[must_use]
pub fn age(now: Timestamp, at: Timestamp) -> Option<String> {
    if is_fresh(now, at) {
        return None;
    }
    // Older than a minute, so not negative.
    let age = std::time::Duration::try_from(now.duration_since(at)).unwrap_or_default();
    Some(format!("{} ago", figure::duration(age)))
}

fn failure_kind(kind: wire::FailureKind) -> &'static str {
    match kind {
        wire::FailureKind::NotFound => "not_found",
        wire::FailureKind::PermissionDenied => "permission_denied",
        wire::FailureKind::TimedOut => "timed_out",
        wire::FailureKind::InProgress => "in_progress",
        wire::FailureKind::TooLarge => "too_large",
        wire::FailureKind::NotUtf8 => "not_utf8",
        wire::FailureKind::Malformed => "malformed",
        wire::FailureKind::Truncated => "truncated",
        wire::FailureKind::Panicked => "panicked",
        wire::FailureKind::NotAFile => "not_a_file",
        wire::FailureKind::Banned => "banned",
        wire::FailureKind::Disconnected => "disconnected",
        wire::FailureKind::Io | wire::FailureKind::Unspecified => "io",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::{CollectorFailure, fixture};

    #[test]
    fn a_silent_node_is_stale_and_named() {
        let mut view = fixture::healthy();
        let agent = view.nodes[1].agent.as_mut().unwrap();
        agent.last_update_at = fixture::at() - SignedDuration::from_mins(5);
        let coverage = of_clusters(&view, &[ClusterIndex(0)]);
        assert_eq!(coverage.nodes.len(), 3);
        assert!(coverage.nodes[1].stale && !coverage.nodes[0].stale);
        assert_eq!(
            coverage.not_assessed,
            ["data is old because the agent is silent on pve2"]
        );
    }

    #[test]
    fn failures_are_bounded_and_their_text_is_plain() {
        let mut view = fixture::healthy();
        view.nodes[0].failures = (0..100)
            .map(|number| CollectorFailure {
                collector: "disk".into(),
                path: format!("/dev/\x1b[2J{number}"),
                kind: wire::FailureKind::TimedOut,
                detail: "x".repeat(5000),
                at: fixture::at(),
            })
            .collect();
        let coverage = of_node(&view, NodeIndex(0));
        let failures = &coverage.nodes[0].failures;
        assert_eq!(failures.len(), FAILURES_OF_NODE + 1);
        assert!(!failures[0].path.contains('\x1b'));
        assert_eq!(failures[0].kind, "timed_out");
        assert!(failures.iter().all(|failure| failure.detail.len() <= 210));
        assert_eq!(failures[20].detail, "80 more failures on this node");
    }
}
