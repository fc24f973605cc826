//! The life of findings between evaluations.

use super::Finding;
use crate::check::{CheckVerdicts, Input};

/// What is pending or open, carried from one evaluation to the next.
#[derive(Debug, Default)]
pub struct Lifecycle {
    findings: Vec<Finding>,
}

impl Lifecycle {
    /// Applies the verdicts of one evaluation; returns what is pending or open,
    /// worst first.
    pub fn update(&mut self, _input: &Input<'_>, _results: &[CheckVerdicts]) -> Vec<Finding> {
        self.findings.clone()
    }
}
