//! What the health of a cluster rests on, in short, so that it can be told cheaply
//! whether it is still the same.

use sha2::{Digest, Sha256};

use super::{
    Scope,
    scope::Selected,
    state::{Found, doubt, state},
};
use crate::{
    coordinator::Current,
    figure,
    finding::Severity,
    inventory::{coverage::is_silent, word},
    report::HealthState,
    view::Cluster,
};

/// Digits of a mark.
const MARK: usize = 16;

/// The health of one cluster without its report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Brief {
    pub(super) state: HealthState,
    /// Open health findings.
    pub(super) critical: u32,
    pub(super) warning: u32,
    pub(super) info: u32,
    /// Another one when the state, the open findings, their severities, or what is seen
    /// of a node became another one. Figures are not part of it: they always change.
    pub(super) mark: String,
}

/// None = the cluster is not in the view.
pub(super) fn brief(current: &Current, cluster: &Cluster) -> Option<Brief> {
    let scope = Scope {
        cluster: cluster.id.to_string(),
        ..Scope::default()
    };
    let selected = Selected::new(current, &scope).ok()?;
    let found = Found::new(&selected);
    let state = state(&selected, &found, doubt(&selected).is_some());
    let count = |severity| u32::try_from(found.count(severity)).unwrap_or(u32::MAX);
    let mut findings: Vec<String> = found
        .health
        .iter()
        .map(|finding| {
            let (severity, subject) = (finding.severity, &finding.subject);
            format!("{severity:?} {} {subject}", finding.fingerprint)
        })
        .collect();
    findings.sort_unstable();
    let nodes = selected.nodes().into_iter().map(|node| {
        let level = word::coverage_word(node.coverage);
        let is_silent = is_silent(current.view.at, node);
        format!("{} {level:?} {is_silent}", node.name)
    });
    let mut digest = Sha256::new();
    let parts = [state.as_str().to_owned()].into_iter();
    for part in parts.chain(findings).chain(nodes) {
        digest.update(part);
        // Ends of parts count.
        digest.update([0]);
    }
    let mut mark = figure::hex(&digest.finalize());
    mark.truncate(MARK);
    Some(Brief {
        state,
        critical: count(Severity::Critical),
        warning: count(Severity::Warning),
        info: count(Severity::Info),
        mark,
    })
}
