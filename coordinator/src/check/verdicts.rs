//! Collecting the verdicts of checks.

use schemars::JsonSchema;
use serde::Serialize;

use super::{CHECKS, Check, Failure, Input, Outcome, Unknown, Verdict};
use crate::view::Subject;

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

    fn push(&mut self, subject: Subject, outcome: Outcome) {
        self.out.push(Verdict { subject, outcome });
    }
}

/// All verdicts of one check, sorted by subject.
#[derive(Debug, Clone, PartialEq)]
pub struct CheckVerdicts {
    pub check: &'static Check,
    pub verdicts: Vec<Verdict>,
}

/// How many verdicts of each kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
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

fn run(check: &'static Check, input: &Input<'_>) -> CheckVerdicts {
    let mut verdicts = Vec::new();
    (check.run)(input, &mut Verdicts { out: &mut verdicts });
    verdicts.sort_by_key(|verdict| verdict.subject);
    CheckVerdicts { check, verdicts }
}

impl PartialEq for Check {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}
