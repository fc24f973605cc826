//! Reports: what an operator reads.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    analysis::Depth, answer::SetAside, check::VerdictCounts, finding::Finding, inventory::Coverage,
};

/// The result of one analysis. This is its one JSON form; text and Markdown are
/// rendered from it.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Report {
    pub kind: AnalysisKind,
    pub depth: Depth,
    /// The instant the report describes.
    pub at: Timestamp,
    pub state: HealthState,
    /// One sentence.
    pub headline: String,
    /// Profile and where it comes from, one line per cluster.
    pub profiles: Vec<String>,
    pub sections: Vec<Section>,
    /// Findings the report rests on, worst first: at most 50 in a summary and 500
    /// in a full report. The sections count all of them.
    pub findings: Vec<Finding>,
    pub coverage: Coverage,
    pub verdicts: VerdictCounts,
    pub duration_milliseconds: u32,
    /// What operators decided about health findings in scope.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<SetAside>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AnalysisKind {
    ClusterHealth,
}

/// The state of what the report covers: its worst open health finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum HealthState {
    Healthy,
    Warning,
    Critical,
    /// Too little is known to call it healthy.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Section {
    pub title: String,
    /// `deterministic` or `claude:MODEL`.
    pub source: String,
    /// A line that is about findings begins with their severity and a colon; one
    /// that begins with two blanks belongs to the line before.
    pub lines: Vec<String>,
}
