//! Findings as a list.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    block::{Describe, Document, Mark},
    cell::{missing, seen},
};
use crate::{
    analysis::evidence_line,
    answer::Findings,
    figure,
    finding::{Finding, FindingState, Lane, Risk},
};

/// Values behind one finding that a list shows.
const EVIDENCE: usize = 3;

impl Describe for Findings {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.findings.is_empty() && self.total == 0 {
            document.line(seen(&self.coverage), "no findings");
        }
        for finding in &self.findings {
            brief(&mut document, finding);
            document.line(Mark::Below, about(finding));
            if let Some(text) = evidence(finding, self.coverage.at) {
                document.line(Mark::Below, text);
            }
            let fix = &finding.remediation;
            if !fix.fix.is_empty() {
                let risk = match fix.risk {
                    Risk::Low => "",
                    Risk::Medium => " (medium risk)",
                    Risk::High => " (HIGH RISK)",
                };
                document.line(Mark::Below, format!("fix{risk}: {}", fix.fix));
            }
        }
        let shown = self.findings.len();
        if u64::from(self.total) > u64::try_from(shown).unwrap_or(u64::MAX) {
            document.note(format!("{shown} of {} findings, worst first", self.total));
        }
        missing(&mut document, &self.coverage);
        document
    }
}

/// One line: how bad, and what.
pub(super) fn brief(document: &mut Document, finding: &Finding) {
    document.line(Mark::Severity(finding.severity), finding.summary.clone());
}

/// The first values behind it; the rest is in the structured forms.
fn evidence(finding: &Finding, at: Timestamp) -> Option<String> {
    let shown = finding.evidence.iter().take(EVIDENCE);
    let shown: Vec<String> = shown.map(|value| evidence_line(value, at)).collect();
    let more = finding.evidence.len().saturating_sub(EVIDENCE);
    let rest = if more > 0 {
        format!("; and {more} more")
    } else {
        String::new()
    };
    (!shown.is_empty()).then(|| format!("seen: {}{rest}", shown.join("; ")))
}

/// Where to look it up, how long, and what it counts for.
fn about(finding: &Finding) -> String {
    let mut parts = vec![finding.subject.clone(), finding.check.clone()];
    if let Ok(age) = Duration::try_from(finding.last_seen.duration_since(finding.first_seen))
        && age.as_secs() >= 60
    {
        parts.push(figure::since(finding.first_seen, finding.last_seen));
    }
    if finding.lane == Lane::Posture {
        parts.push("advice".to_owned());
    }
    match finding.state {
        FindingState::Open => {}
        FindingState::Pending => parts.push("only just begun".to_owned()),
        FindingState::Acknowledged => parts.push("acknowledged".to_owned()),
        FindingState::Suppressed => parts.push("suppressed".to_owned()),
        FindingState::Resolved => parts.push("resolved".to_owned()),
        FindingState::Flapping => parts.push("comes and goes".to_owned()),
    }
    if finding.unverified {
        parts.push("not confirmed, its data is old".to_owned());
    }
    if !finding.caused_by.is_empty() {
        parts.push("a consequence of another finding".to_owned());
    }
    parts.join(" · ")
}
