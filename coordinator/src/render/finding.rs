//! Findings as a list.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    block::{Describe, Document, Mark},
    cell::{missing, seen},
};
use crate::{
    analysis::{evidence_line, set_aside, stated},
    answer::{Findings, Recheck},
    figure,
    finding::{Finding, FindingState, Lane, Risk, lifecycle::recheck::Outcome},
};

/// Digits of a fingerprint that tell findings apart.
const DIGITS: usize = 8;
/// Values behind one finding that a list shows.
const EVIDENCE: usize = 3;

impl Describe for Findings {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.findings.is_empty() && self.total == 0 {
            document.line(seen(&self.coverage), "no findings");
        }
        for finding in &self.findings {
            if finding.state == FindingState::Resolved {
                document.line(Mark::Good, format!("resolved: {}", finding.summary));
                document.line(Mark::Below, about(finding));
                continue;
            }
            brief(&mut document, finding);
            document.line(Mark::Below, about(finding));
            if let Some(said) = &finding.statement {
                document.line(Mark::Below, stated(said));
            }
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
        if let Some(aside) = &self.set_aside {
            document.note(set_aside(aside));
        }
        missing(&mut document, &self.coverage);
        document
    }
}

/// Findings that still fail and are shown; `findings` lists all.
const FAILING: usize = 20;

impl Describe for Recheck {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.findings.is_empty() {
            document.line(seen(&self.coverage), "Nothing was open or about to open.");
        }
        let mut failing = 0;
        for rechecked in &self.findings {
            let finding = &rechecked.finding;
            match rechecked.outcome {
                Outcome::Resolved => {
                    document.line(Mark::Good, format!("resolved: {}", finding.summary));
                }
                Outcome::Failing if failing == FAILING => continue,
                Outcome::Failing => {
                    failing += 1;
                    brief(&mut document, finding);
                }
                _ => brief(&mut document, finding),
            }
            document.line(Mark::Below, about(finding));
            if let Some(why) = why_open(rechecked.outcome) {
                document.line(Mark::Below, why);
            }
            if rechecked.outcome == Outcome::Failing
                && let Some(text) = evidence(finding, self.coverage.at)
            {
                document.line(Mark::Below, text);
            }
        }
        document.note(format!(
            "{} resolved, {} still fail, {} undecided",
            self.resolved, self.failing, self.undecided
        ));
        missing(&mut document, &self.coverage);
        document
    }
}

/// Why something that does not fail was not resolved.
fn why_open(outcome: Outcome) -> Option<&'static str> {
    match outcome {
        Outcome::Resolved | Outcome::Failing => None,
        Outcome::Recovering => Some(
            "not resolved: below its trigger, not yet below the level that resolves it. Name the \
             check to resolve it now",
        ),
        Outcome::Event => Some(
            "not resolved: an event stays for a day after it came last. Name the check to resolve \
             it now",
        ),
        Outcome::NotReadSince => {
            Some("not resolved: it was not read since it failed last. Try again in a minute")
        }
        Outcome::Unknown => Some("not resolved: its data is missing or old"),
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
    // By which it is acknowledged.
    parts.push(finding.fingerprint.chars().take(DIGITS).collect());
    parts.join(" · ")
}
