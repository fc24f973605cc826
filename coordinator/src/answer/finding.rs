//! Questions about findings.

use std::cmp::Reverse;

use jiff::Timestamp;

use super::{
    AnswerError, FindingFilter, Findings, Page, SetAside, intent,
    page::{self, List},
    past::{Past, PastError},
    select,
};
use crate::{
    coordinator::Current,
    finding::{Evidence, EvidenceValue, Finding, FindingState, Lane, Remediation, Severity},
    inventory::coverage,
    untrusted::line,
};

const LIST: List = List {
    tag: 'f',
    default: 50,
    most: 200,
};

/// Characters of a sentence or a value that are shown.
const TEXT_LIMIT: usize = 500;
/// Characters of a fix, which may be a paragraph.
const FIX_LIMIT: usize = 2000;

/// # Errors
/// When the cluster is not known or the page is malformed.
pub fn findings(
    current: &Current,
    filter: &FindingFilter,
    page: &Page,
) -> Result<Findings, AnswerError> {
    listed(current, &current.findings, filter, page)
}

/// As [`findings`], of those that opened, changed or ended since: also what is over.
///
/// # Errors
/// As there, and when the past cannot be read.
pub fn findings_since(
    current: &Current,
    past: &Past,
    since: Timestamp,
    filter: &FindingFilter,
    page: &Page,
) -> Result<Findings, PastError> {
    let mut changed = past.findings(since)?;
    for finding in &mut changed {
        let now = current.findings.iter().find(|now| is_same(now, finding));
        match now {
            Some(now) => now.clone_into(finding),
            None => finding.state = FindingState::Resolved,
        }
    }
    Ok(listed(current, &changed, filter, page)?)
}

/// Whether it is the same one at another time.
fn is_same(one: &Finding, other: &Finding) -> bool {
    one.fingerprint == other.fingerprint
        && one.cluster == other.cluster
        && one.subject == other.subject
}

fn listed(
    current: &Current,
    all: &[Finding],
    filter: &FindingFilter,
    page: &Page,
) -> Result<Findings, AnswerError> {
    let view = &current.view;
    let clusters = select::clusters(view, &filter.cluster)?;
    let id = match clusters.as_slice() {
        [cluster] if !filter.cluster.is_empty() => Some(&*view.cluster(*cluster).id),
        _ => None,
    };
    let size = LIST.size(page)?;
    let after = LIST.position(page)?;
    let after = after.as_deref().map(Key::parse).transpose()?;

    let is_meant =
        |finding: &Finding| id.is_none_or(|id| finding.cluster == id) && matches(finding, filter);
    let mut total = 0_u32;
    let mut rest: Vec<&Finding> = all
        .iter()
        .filter(|finding| is_meant(finding))
        .filter(|finding| filter.include_suppressed || finding.state != FindingState::Suppressed)
        .inspect(|_| total += 1)
        .filter(|finding| after.as_ref().is_none_or(|after| Key::of(finding) > *after))
        .collect();
    rest.sort_unstable_by(|one, other| Key::of(one).cmp(&Key::of(other)));
    let more = rest.len() > size;
    rest.truncate(size);
    Ok(Findings {
        total,
        next_page_token: rest
            .last()
            .filter(|_| more)
            .map(|last| LIST.token(&Key::of(last).text())),
        findings: rest.into_iter().map(shown).collect(),
        set_aside: SetAside::of(all.iter().filter(|finding| is_meant(finding))),
        coverage: coverage::with_checks(
            coverage::of_clusters(view, &clusters),
            &current.not_assessed,
        ),
    })
}

/// Open findings about one subject, worst first.
pub(crate) fn about(current: &Current, cluster: &str, subject: &str) -> Vec<Finding> {
    let mut found: Vec<&Finding> = current
        .findings
        .iter()
        .filter(|finding| {
            is_open(finding) && finding.cluster == cluster && finding.subject == subject
        })
        .collect();
    found.sort_unstable_by(|one, other| Key::of(one).cmp(&Key::of(other)));
    found.into_iter().map(shown).collect()
}

/// Whether it counts: it has held long enough, and nobody said to leave it out.
pub(crate) fn is_open(finding: &Finding) -> bool {
    matches!(
        finding.state,
        FindingState::Open | FindingState::Acknowledged | FindingState::Flapping
    )
}

fn matches(finding: &Finding, filter: &FindingFilter) -> bool {
    (filter.include_pending || finding.state != FindingState::Pending)
        && filter
            .minimum_severity
            .is_none_or(|minimum| finding.severity >= minimum)
        && filter.lane.is_none_or(|lane| finding.lane == lane)
        && filter
            .category
            .is_none_or(|category| finding.category == category)
        && (filter.subject.is_empty() || finding.subject == filter.subject)
}

/// Order of findings, worst first, in terms that survive an evaluation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key<'f> {
    severity: Reverse<Severity>,
    lane: Lane,
    check: &'f str,
    fingerprint: &'f str,
}

impl<'f> Key<'f> {
    pub(crate) fn of(finding: &'f Finding) -> Self {
        Self {
            severity: Reverse(finding.severity),
            lane: finding.lane,
            check: &finding.check,
            fingerprint: &finding.fingerprint,
        }
    }

    fn text(&self) -> String {
        let severity = match self.severity.0 {
            Severity::Critical => 'c',
            Severity::Warning => 'w',
            Severity::Info => 'i',
        };
        let lane = match self.lane {
            Lane::Health => 'h',
            Lane::Posture => 'p',
        };
        format!("{severity}{lane} {} {}", self.check, self.fingerprint)
    }

    fn parse(text: &'f str) -> Result<Self, AnswerError> {
        let mut parts = text.splitn(3, ' ');
        let (order, check, fingerprint) = match (parts.next(), parts.next(), parts.next()) {
            (Some(order), Some(check), Some(fingerprint)) => (order, check, fingerprint),
            _ => return Err(page::malformed()),
        };
        let (severity, lane) = match order {
            "ch" => (Severity::Critical, Lane::Health),
            "cp" => (Severity::Critical, Lane::Posture),
            "wh" => (Severity::Warning, Lane::Health),
            "wp" => (Severity::Warning, Lane::Posture),
            "ih" => (Severity::Info, Lane::Health),
            "ip" => (Severity::Info, Lane::Posture),
            _ => return Err(page::malformed()),
        };
        Ok(Self {
            severity: Reverse(severity),
            lane,
            check,
            fingerprint,
        })
    }
}

/// A copy whose text is safe to show. Checks name guests and files in their
/// sentences, and what they quote was chosen by others.
pub(crate) fn shown(finding: &Finding) -> Finding {
    let plain = |text: &str| line(text, TEXT_LIMIT).into_owned();
    Finding {
        summary: plain(&finding.summary),
        subject: plain(&finding.subject),
        discriminator: plain(&finding.discriminator),
        evidence: finding
            .evidence
            .iter()
            .map(|evidence| Evidence {
                value: match &evidence.value {
                    EvidenceValue::Text(text) => EvidenceValue::Text(plain(text)),
                    value => value.clone(),
                },
                source: plain(&evidence.source),
                node: plain(&evidence.node),
                ..evidence.clone()
            })
            .collect(),
        remediation: Remediation {
            diagnose: finding
                .remediation
                .diagnose
                .iter()
                .map(|command| plain(command))
                .collect(),
            fix: line(&finding.remediation.fix, FIX_LIMIT).into_owned(),
            ..finding.remediation.clone()
        },
        statement: finding.statement.as_ref().map(intent::shown),
        ..finding.clone()
    }
}
