//! What operators said of findings, put on those that are shown.
//!
//! The life of a finding goes on beneath: what was said changes how it is shown, and
//! when that ends it is what it was.

use crate::{
    check::{Check, Input},
    finding::{Finding, FindingState},
    intent::{Judged, StatementKind},
};

/// Marks and lowers a finding.
pub(super) fn apply(input: &Input<'_>, check: &Check, finding: &mut Finding) {
    let Some(judged) = judged(input, check, finding) else {
        return;
    };
    let lowered = input.intent.lowered(input.view, judged, input.at);
    // What is only beginning is no matter for a decision yet.
    let is_open = matches!(finding.state, FindingState::Open | FindingState::Flapping);
    let decision = is_open
        .then(|| input.intent.decision(input.view, judged, input.at))
        .flatten();
    let without = lowered.map(|_| finding.severity);
    let stated = decision.or(lowered.map(|(_, statement)| statement));
    let stated = stated.map(|statement| statement.stated(without));
    let state = decision.map(|decision| match decision.what.kind() {
        StatementKind::Suppressed => FindingState::Suppressed,
        _ => FindingState::Acknowledged,
    });
    finding.severity = lowered.map_or(finding.severity, |(to, _)| to);
    finding.state = state.unwrap_or(finding.state);
    finding.statement = stated;
}

/// Whether somebody knows of it.
pub(super) fn is_acknowledged(input: &Input<'_>, check: &Check, finding: &Finding) -> bool {
    judged(input, check, finding)
        .and_then(|judged| input.intent.decision(input.view, judged, input.at))
        .is_some_and(|decision| decision.what.kind() == StatementKind::Acknowledged)
}

/// The finding as statements look at it. None = nothing is stated, or its object is not
/// seen any more, so that nobody knows what the object is.
fn judged<'f>(input: &Input<'_>, check: &'f Check, finding: &'f Finding) -> Option<Judged<'f>> {
    if input.intent.statements.is_empty() {
        return None;
    }
    let cluster = input.view.find_cluster(&finding.cluster)?;
    Some(Judged {
        check,
        subject: input.view.find_subject(cluster, &finding.subject)?,
        part: &finding.discriminator,
        fingerprint: &finding.fingerprint,
        severity: finding.severity,
        first_seen: finding.first_seen,
    })
}
