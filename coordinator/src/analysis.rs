//! Analyses: scope, checks, evidence, report.

use crate::{answer::AnswerError, coordinator::Current, report::Report};

/// What an analysis is about; empty = everything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    pub cluster: String,
    pub node: String,
    /// VMID or exact name.
    pub guest: String,
    pub tag: String,
}

/// How much the reader wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Depth {
    #[default]
    Summary,
    Full,
}

/// The health of what the scope names.
///
/// # Errors
/// When the scope names something that is not known.
pub fn cluster_health(
    _current: &Current,
    _scope: &Scope,
    _depth: Depth,
) -> Result<Report, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}
