//! Answers: what each question of a person or program returns.
//!
//! One structure per question, made from one
//! [`Current`](crate::coordinator::Current). It is the JSON of
//! `--output json` and the structured output of the MCP tool of the same
//! question; `grpc` converts it and `render` turns it into text.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    finding::{Category, Finding, Lane, Severity, lifecycle::recheck::Rechecked},
    grpc::Role,
    inventory::{
        AgentSummary, ClusterSummary, Coverage, GuestDetail, GuestSummary, NodeDetail, NodeSummary,
        StorageSummary,
    },
};

pub mod analyses;
pub mod enrollment;
pub mod events;
pub(crate) mod finding;
pub(crate) mod guest;
pub mod intent;
mod inventory;
pub mod metrics;
mod page;
pub mod past;
mod recheck;
pub mod revisions;
pub(crate) mod select;
#[cfg(test)]
pub(crate) mod tests;

pub use analyses::{analyses, kept_report};
pub use events::events;
pub use finding::{findings, findings_since};
pub use guest::{guest, guests};
pub use intent::SetAside;
pub use inventory::{agents, cluster_status, node, nodes, storages};
pub use metrics::metrics;
pub use recheck::{recheck, recheck_scope};
pub use revisions::{configuration, revisions};

/// Why a question has no answer. The text says how to ask instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// Nothing has this name; the text lists what there is.
    #[error("{0}")]
    NotFound(String),
    /// More than one object has it; the text lists them.
    #[error("{0}")]
    Ambiguous(String),
    /// An argument is out of range or malformed.
    #[error("{0}")]
    Invalid(String),
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClusterStatus {
    pub clusters: Vec<ClusterSummary>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Nodes {
    pub nodes: Vec<NodeSummary>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Node {
    pub node: NodeSummary,
    pub detail: NodeDetail,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Guests {
    pub guests: Vec<GuestSummary>,
    /// Guests that match, on all pages.
    pub total: u32,
    /// Ask again with it for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Guest {
    pub guest: GuestSummary,
    pub detail: GuestDetail,
    /// Open findings about this guest, worst first.
    pub findings: Vec<Finding>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Storages {
    pub storages: Vec<StorageSummary>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Findings {
    pub findings: Vec<Finding>,
    /// Findings that match, on all pages.
    pub total: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
    /// What operators decided about findings that match, shown or not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub set_aside: Option<SetAside>,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Agents {
    pub agents: Vec<AgentSummary>,
}

/// What became of findings that were checked again after a fix.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Recheck {
    /// Resolved ones first, failing ones last; of these the worst first. The
    /// totals count those that are too many to list.
    pub findings: Vec<Rechecked>,
    pub resolved: u32,
    pub failing: u32,
    /// Neither.
    pub undecided: u32,
    pub coverage: Coverage,
}

/// Who serves here, and what the client may do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Access {
    pub role: Role,
    /// What may be called, sorted.
    pub methods: Vec<String>,
    pub version: String,
    pub started_at: Timestamp,
}

/// Which guests to list; `None` and empty = all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GuestFilter {
    /// Cluster id, an unambiguous prefix of it, or a cluster name.
    pub cluster: String,
    pub node: String,
    pub kind: Option<pvelens_proto::agent::v1::GuestKind>,
    pub status: String,
    pub tag: String,
}

/// Which findings to list; empty = all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FindingFilter {
    pub cluster: String,
    pub minimum_severity: Option<Severity>,
    pub lane: Option<Lane>,
    pub category: Option<Category>,
    /// Exact subject key: `node/pve1`.
    pub subject: String,
    pub include_pending: bool,
    pub include_suppressed: bool,
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// 0 = the default of the question.
    pub size: u32,
    pub token: String,
}
