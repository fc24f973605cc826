//! Collecting the verdicts of checks, counting them, and saying what could not
//! be judged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{CHECKS, Check, Failure, Input, Outcome, Unknown, Verdict};
use crate::view::Subject;

mod not_assessed;

pub use not_assessed::not_assessed;

/// The verdicts of one check, being collected.
#[derive(Debug)]
pub struct Verdicts<'a> {
    out: &'a mut Vec<Verdict>,
}

impl Verdicts<'_> {
    pub fn pass(&mut self, subject: Subject) {
        self.push(subject, Outcome::Pass);
    }

    /// Below the trigger, but an open finding stays open.
    pub fn recovering(&mut self, subject: Subject) {
        self.push(subject, Outcome::Recovering);
    }

    pub fn fail(&mut self, subject: Subject, failure: Failure) {
        self.push(subject, Outcome::Fail(Box::new(failure)));
    }

    pub fn unknown(&mut self, subject: Subject, why: Unknown) {
        self.push(subject, Outcome::Unknown(why));
    }

    pub fn not_applicable(&mut self, subject: Subject, why: &'static str) {
        self.push(subject, Outcome::NotApplicable(why));
    }

    pub fn push(&mut self, subject: Subject, outcome: Outcome) {
        self.out.push(Verdict { subject, outcome });
    }
}

/// All verdicts of one check, sorted by subject. A subject has several when
/// several of its parts fail.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckVerdicts {
    pub check: &'static Check,
    pub verdicts: Vec<Verdict>,
}

impl CheckVerdicts {
    /// What was said of one subject; empty = the check does not know it.
    #[must_use]
    pub fn of(&self, subject: Subject) -> &[Verdict] {
        let from = self
            .verdicts
            .partition_point(|verdict| verdict.subject < subject);
        let rest = self.verdicts.get(from..).unwrap_or_default();
        let length = rest.partition_point(|verdict| verdict.subject == subject);
        rest.get(..length).unwrap_or_default()
    }
}

/// How many verdicts of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct VerdictCounts {
    pub checks: u32,
    pub passed: u32,
    pub failed: u32,
    pub unknown: u32,
    pub not_applicable: u32,
}

/// Runs every check of the registry.
#[must_use]
pub fn run_all(input: &Input<'_>) -> Vec<CheckVerdicts> {
    CHECKS.iter().map(|check| run(check, input)).collect()
}

const OFF_ON_PURPOSE: &str = "it is off on purpose";

/// Runs one check.
#[must_use]
pub fn run(check: &'static Check, input: &Input<'_>) -> CheckVerdicts {
    let mut verdicts = Vec::new();
    (check.run)(input, &mut Verdicts { out: &mut verdicts });
    for verdict in &mut verdicts {
        if let Outcome::Fail(failure) = &verdict.outcome {
            let failing = (verdict.subject, failure.discriminator.as_str());
            if input.intent.is_off(input.view, check, failing, input.at) {
                verdict.outcome = Outcome::NotApplicable(OFF_ON_PURPOSE);
            }
        }
    }
    // Checks go through the view in order, so this is one pass mostly. The sort
    // is stable: parts of a subject keep the order of the check.
    verdicts.sort_by_key(|verdict| verdict.subject);
    CheckVerdicts { check, verdicts }
}

/// Counts what was judged how. Recovering is not failing.
#[must_use]
pub fn count(results: &[CheckVerdicts]) -> VerdictCounts {
    let mut counts = VerdictCounts::default();
    for result in results {
        counts.checks += 1;
        for verdict in &result.verdicts {
            let counter = match verdict.outcome {
                Outcome::Pass | Outcome::Recovering => &mut counts.passed,
                Outcome::Fail(_) => &mut counts.failed,
                Outcome::Unknown(_) => &mut counts.unknown,
                Outcome::NotApplicable(_) => &mut counts.not_applicable,
            };
            *counter = counter.saturating_add(1);
        }
    }
    counts
}

impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

#[cfg(test)]
mod tests;
