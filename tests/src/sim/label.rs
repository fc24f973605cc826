//! What a fault will show: written by hand or by the injector before any agent
//! runs, never taken from the checks.

use pvelens::finding::{FindingState, Lane, Severity};
use serde::{Deserialize, Serialize};

/// One finding that must be there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    pub check: String,
    pub subject: String,
    pub severity: Severity,
    #[serde(default)]
    pub role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<Lane>,
    /// What operators made of it.
    #[serde(default = "open", skip_serializing_if = "is_open")]
    pub state: FindingState,
}

fn open() -> FindingState {
    FindingState::Open
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_open(state: &FindingState) -> bool {
    *state == FindingState::Open
}

/// Whether a finding explains itself or follows from another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    #[default]
    Root,
    Consequence,
}

/// A finding that may be there, or must not be.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Empty = any.
    #[serde(default)]
    pub check: String,
    /// Empty = any.
    #[serde(default)]
    pub subject: String,
}

/// Everything that is known about a run in advance.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Labels {
    pub expect: Vec<Label>,
}

impl Labels {
    pub fn root(&mut self, check: &str, subject: impl Into<String>, severity: Severity) {
        self.push(check, subject.into(), severity, Role::Root);
    }

    pub fn consequence(&mut self, check: &str, subject: impl Into<String>, severity: Severity) {
        self.push(check, subject.into(), severity, Role::Consequence);
    }

    fn push(&mut self, check: &str, subject: String, severity: Severity, role: Role) {
        self.expect.push(Label {
            check: check.to_owned(),
            subject,
            severity,
            role,
            lane: None,
            state: open(),
        });
    }
}

impl Pattern {
    #[must_use]
    pub fn matches(&self, check: &str, subject: &str) -> bool {
        (self.check.is_empty() || self.check == check)
            && (self.subject.is_empty() || self.subject == subject)
    }
}
