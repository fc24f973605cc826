//! What could not be judged, in a few lines for people.
//!
//! A line per cause, not per verdict: a silent agent explains every unknown of
//! its node.

use std::collections::{BTreeMap, BTreeSet};

use super::{CheckVerdicts, Outcome, Unknown};
use crate::{
    check::{Limits, words},
    figure, untrusted,
    view::{AgentState, NodeIndex, Subject, View},
};

/// Lines at most.
const LINES: usize = 10;

/// Why a group of verdicts is unknown, worst first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// Silent since, by node; seconds since the epoch.
    Silent(NodeIndex, i64),
    /// A collector failed; what it said.
    Failed(NodeIndex, String),
    /// Facts are old although the agent speaks.
    Old(Option<NodeIndex>),
    /// An agent that does not give the fact.
    Missing(Option<NodeIndex>),
    /// Not measured for long enough.
    TooShort,
    /// Nodes without an agent.
    NoAgent,
}

#[derive(Debug, Default)]
struct Group<'a> {
    checks: BTreeSet<&'a str>,
    titles: BTreeSet<&'a str>,
    guests: BTreeSet<Subject>,
    nodes: BTreeSet<NodeIndex>,
}

/// What checks could not judge, in words: at most ten lines, worst first.
#[must_use]
pub fn not_assessed(view: &View, results: &[CheckVerdicts]) -> Vec<String> {
    let mut groups: BTreeMap<Reason, Group<'_>> = BTreeMap::new();
    for result in results {
        for verdict in &result.verdicts {
            let Outcome::Unknown(why) = &verdict.outcome else {
                continue;
            };
            let group = groups
                .entry(reason(view, verdict.subject, why))
                .or_default();
            group.checks.insert(result.check.id);
            group.titles.insert(result.check.title);
            match verdict.subject {
                Subject::Guest(_) => {
                    group.guests.insert(verdict.subject);
                }
                Subject::Node(node) | Subject::StorageOnNode(_, node) => {
                    group.nodes.insert(node);
                }
                Subject::Cluster(_) | Subject::Storage(_) => {}
            }
        }
    }
    let mut lines: Vec<String> = groups
        .iter()
        .map(|(reason, group)| line(view, reason, group))
        .collect();
    if lines.len() > LINES {
        let more = lines.len() - (LINES - 1);
        lines.truncate(LINES - 1);
        lines.push(format!("{more} more reasons why something was not judged"));
    }
    lines
}

/// The cause behind an unknown verdict.
fn reason(view: &View, subject: Subject, why: &Unknown) -> Reason {
    let node = match subject {
        Subject::Node(node) | Subject::StorageOnNode(_, node) => Some(node),
        Subject::Guest(guest) => Some(view.guest(guest).node),
        // The member that keeps the whole from being judged, if one does.
        Subject::Cluster(_) | Subject::Storage(_) => blocking(view, subject, why),
    };
    let agent = node.map(|node| (node, view.node(node).agent.as_ref()));
    match (agent, why) {
        (Some((_, None)), _) => Reason::NoAgent,
        (Some((node, Some(agent))), Unknown::Stale { .. }) if is_silent(view, agent) => {
            Reason::Silent(node, agent.last_update_at.as_second())
        }
        (Some((node, Some(_))), Unknown::Failed(detail)) => Reason::Failed(node, detail.clone()),
        (_, Unknown::Stale { .. }) => Reason::Old(node),
        (_, Unknown::Coverage) => Reason::TooShort,
        (_, Unknown::NotReported | Unknown::Failed(_)) => match subject {
            // Thousands of guests are one line.
            Subject::Guest(_) => Reason::Missing(None),
            _ => Reason::Missing(node),
        },
    }
}

/// The first member whose silence, or lack of an agent, makes something of the
/// whole cluster unknown.
fn blocking(view: &View, subject: Subject, why: &Unknown) -> Option<NodeIndex> {
    let cluster = view.cluster(subject.cluster(view));
    view.nodes_of(cluster)
        .find(|(_, node)| match (&node.agent, why) {
            (Some(agent), Unknown::Stale { since }) => {
                agent.last_update_at == *since && is_silent(view, agent)
            }
            (None, Unknown::NotReported) => true,
            _ => false,
        })
        .map(|(index, _)| index)
}

fn is_silent(view: &View, agent: &AgentState) -> bool {
    let silence = view.at.duration_since(agent.last_update_at);
    silence.unsigned_abs() > Limits::default().agent_silent && silence.is_positive()
}

fn line(view: &View, reason: &Reason, group: &Group<'_>) -> String {
    let checks = words::count(group.checks.len(), "check");
    match reason {
        Reason::Silent(node, since) => {
            let silence = view.at.as_second().saturating_sub(*since).max(0);
            format!(
                "{}: {checks} — its agent has been silent for {}",
                words::node(view, *node),
                figure::duration(std::time::Duration::from_secs(silence.unsigned_abs()))
            )
        }
        Reason::Failed(node, detail) => format!(
            "{}: {checks} — {}",
            words::node(view, *node),
            untrusted::line(detail, 160)
        ),
        Reason::Old(Some(node)) => format!(
            "{}: {checks} — what is known of it is too old",
            words::node(view, *node)
        ),
        Reason::Old(None) => format!("{checks} — what is known of the cluster is too old"),
        Reason::Missing(Some(node)) => format!(
            "{}: {} — the node does not report it",
            words::node(view, *node),
            topic(group)
        ),
        Reason::Missing(None) if group.guests.is_empty() => {
            format!("{} — no agent reports it", topic(group))
        }
        Reason::Missing(None) => format!(
            "{}: {} — cannot be seen from outside",
            words::count(group.guests.len(), "guest"),
            topic(group)
        ),
        Reason::TooShort => {
            let mut whom = Vec::new();
            if !group.nodes.is_empty() {
                whom.push(words::count(group.nodes.len(), "node"));
            }
            if !group.guests.is_empty() {
                whom.push(words::count(group.guests.len(), "guest"));
            }
            format!(
                "{checks} on {} — not measured for long enough yet",
                if whom.is_empty() {
                    "storages".to_owned()
                } else {
                    whom.join(" and ")
                }
            )
        }
        Reason::NoAgent => {
            let nodes: Vec<NodeIndex> = view
                .nodes()
                .filter(|(_, node)| node.agent.is_none())
                .map(|(index, _)| index)
                .collect();
            format!("{}: {checks} — no agent there", words::nodes(view, &nodes))
        }
    }
}

/// One check is named, several are counted.
fn topic(group: &Group<'_>) -> String {
    match group.titles.first() {
        Some(title) if group.titles.len() == 1 => format!("“{title}”"),
        _ => words::count(group.checks.len(), "check"),
    }
}
