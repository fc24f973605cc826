//! Answers: what each question of a person or program returns.
//!
//! One structure per question, made from one [`Current`]. It is the JSON of
//! `--output json` and the structured output of the MCP tool of the same
//! question; `grpc` converts it and `render` turns it into text.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    coordinator::Current,
    finding::{Category, Finding, Lane, Severity},
    inventory::{
        AgentSummary, ClusterSummary, Coverage, GuestDetail, GuestSummary, NodeDetail, NodeSummary,
        StorageSummary,
    },
};

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
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Agents {
    pub agents: Vec<AgentSummary>,
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
}

/// A part of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// 0 = the default of the question.
    pub size: u32,
    pub token: String,
}

/// # Errors
/// When the cluster is not known.
pub fn cluster_status(_current: &Current, _cluster: &str) -> Result<ClusterStatus, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}

/// # Errors
/// When the cluster is not known.
pub fn nodes(_current: &Current, _cluster: &str) -> Result<Nodes, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}

/// # Errors
/// When cluster or node are not known, or the name is ambiguous.
pub fn node(_current: &Current, _cluster: &str, _node: &str) -> Result<Node, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}

/// # Errors
/// When cluster or node are not known, or the page is malformed.
pub fn guests(
    _current: &Current,
    _filter: &GuestFilter,
    _page: &Page,
) -> Result<Guests, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}

/// A guest by VMID or exact name.
///
/// # Errors
/// When cluster or guest are not known, or the name is ambiguous.
pub fn guest(_current: &Current, _cluster: &str, _guest: &str) -> Result<Guest, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}

/// # Errors
/// When the cluster is not known.
pub fn storages(_current: &Current, _cluster: &str) -> Result<Storages, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}

/// # Errors
/// When the cluster is not known or the page is malformed.
pub fn findings(
    _current: &Current,
    _filter: &FindingFilter,
    _page: &Page,
) -> Result<Findings, AnswerError> {
    Err(AnswerError::NotFound(String::new()))
}

/// The agents and what they deliver.
#[must_use]
pub fn agents(_current: &Current) -> Agents {
    Agents { agents: Vec::new() }
}
