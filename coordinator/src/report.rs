//! Reports: what an operator reads.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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
    /// It was written down at its time, and nothing was assessed for this answer;
    /// absent = it describes the present.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kept: Option<KeptFor>,
}

/// For what a report of the past stands.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct KeptFor {
    /// What was asked about: the report is the newest of that time or before.
    pub asked_at: Timestamp,
    /// It is so much older that what was so at that time is not known.
    pub is_outdated: bool,
    /// What is missing of it, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AnalysisKind {
    ClusterHealth,
}

impl AnalysisKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ClusterHealth => "cluster_health",
        }
    }
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

impl HealthState {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::Unknown => "unknown",
        }
    }

    /// None = a word of another version.
    #[must_use]
    pub fn named(word: &str) -> Option<Self> {
        let known = [Self::Healthy, Self::Warning, Self::Critical, Self::Unknown];
        known.into_iter().find(|state| state.as_str() == word)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Section {
    pub title: String,
    /// `deterministic` or `claude:MODEL`.
    pub source: String,
    /// A line that is about findings begins with their severity and a colon; one
    /// that begins with two blanks belongs to the line before.
    pub lines: Vec<String>,
}
