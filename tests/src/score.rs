//! Comparing what was found with what is known: both directions count.

use pvelens::{
    finding::{Finding, FindingState},
    view::CoverageLevel,
};

use crate::{
    run::Outcome,
    scenario::Coverage,
    sim::label::{Label, Pattern, Role},
};

/// The comparison of one run.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Score {
    pub expected: usize,
    pub found: usize,
    pub reported: usize,
    /// What disagrees, in words.
    pub disagreements: Vec<String>,
    pub false_alarms: usize,
    /// Whether the first finding without a cause is an expected root; `None`
    /// when no root is expected.
    pub root_first: Option<bool>,
}

/// What is known about a run.
#[derive(Debug, Clone, Copy)]
pub struct Known<'a> {
    pub expect: &'a [Label],
    pub forbid: &'a [Pattern],
    pub coverage: &'a Coverage,
}

#[must_use]
pub fn score(known: &Known<'_>, outcome: &Outcome) -> Score {
    let open: Vec<&Finding> = outcome
        .findings
        .iter()
        .filter(|finding| {
            matches!(
                finding.state,
                FindingState::Open | FindingState::Acknowledged | FindingState::Suppressed
            )
        })
        .collect();
    let mut score = Score {
        expected: known.expect.len(),
        reported: open.len(),
        ..Score::default()
    };
    for label in known.expect {
        let same =
            |finding: &&&Finding| finding.check == label.check && finding.subject == label.subject;
        match open.iter().find(same) {
            None => score
                .disagreements
                .push(format!("missing: {} of {}", label.check, label.subject)),
            Some(finding) => {
                score.found += 1;
                score.disagreements.extend(differences(label, finding));
            }
        }
    }
    for finding in &open {
        let is = |check: &str, subject: &str| finding.check == check && finding.subject == subject;
        let expected = known
            .expect
            .iter()
            .any(|label| is(&label.check, &label.subject));
        if !expected {
            score.false_alarms += 1;
            score.disagreements.push(format!(
                "false alarm: {} of {} ({:?}): {}",
                finding.check, finding.subject, finding.severity, finding.summary
            ));
        }
    }
    for (check, subject) in &outcome.ever_open {
        if known
            .forbid
            .iter()
            .any(|pattern| pattern.matches(check, subject))
        {
            score
                .disagreements
                .push(format!("forbidden: {check} of {subject}"));
        }
    }
    score
        .disagreements
        .extend(coverage(known.coverage, outcome));
    let mut roots = known
        .expect
        .iter()
        .filter(|label| label.role == Role::Root)
        .peekable();
    if roots.peek().is_some() {
        let first = open.iter().find(|finding| finding.caused_by.is_empty());
        score.root_first = Some(first.is_some_and(|finding| {
            roots.any(|label| label.check == finding.check && label.subject == finding.subject)
        }));
    }
    score
}

fn differences(label: &Label, finding: &Finding) -> Vec<String> {
    let about = format!("{} of {}", label.check, label.subject);
    let mut found = Vec::new();
    if finding.severity != label.severity {
        found.push(format!(
            "{about} is {:?} instead of {:?}",
            finding.severity, label.severity
        ));
    }
    if finding.state != label.state {
        found.push(format!("{about} is {:?}", finding.state));
    }
    if label.lane.is_some_and(|lane| lane != finding.lane) {
        found.push(format!("{about} is in the lane {:?}", finding.lane));
    }
    match label.role {
        Role::Root if !finding.caused_by.is_empty() => {
            found.push(format!("{about} is shown as a consequence"));
        }
        Role::Consequence if finding.caused_by.is_empty() => {
            found.push(format!("{about} is shown without its cause"));
        }
        _ => {}
    }
    found
}

fn coverage(known: &Coverage, outcome: &Outcome) -> Vec<String> {
    let wanted = |names: &[String], level: CoverageLevel| -> Vec<String> {
        names
            .iter()
            .filter(|name| outcome.coverage.get(*name) != Some(&level))
            .map(|name| {
                format!(
                    "coverage of {name} is {:?} instead of {level:?}",
                    outcome.coverage.get(name)
                )
            })
            .collect()
    };
    let mut found = wanted(&known.full, CoverageLevel::Full);
    found.extend(wanted(&known.basic, CoverageLevel::Basic));
    found
}
