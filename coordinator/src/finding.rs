//! Findings: failures that survived their timing, with evidence and a fix.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::intent::Stated;

mod cause;
pub mod lifecycle;
mod order;

/// What is true and worth acting on. This is the one JSON form of a finding:
/// reports, the command line and MCP all show it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// Stable over the life of the defect; contains no measured value.
    pub fingerprint: String,
    /// Check that found it: `storage.pool.space`.
    pub check: String,
    pub title: String,
    /// Cluster id.
    pub cluster: String,
    /// `cluster`, `node/pve1`, `guest/104`, `storage/tank`, `storage/tank@pve1`.
    pub subject: String,
    /// Tells several findings of one subject apart: a mount point, a disk.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub discriminator: String,
    pub lane: Lane,
    pub severity: Severity,
    pub category: Category,
    pub state: FindingState,
    /// One sentence with the names and numbers of this case.
    pub summary: String,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub evidence: Vec<Evidence>,
    pub remediation: Remediation,
    /// Fingerprints of the findings this one is a consequence of.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub caused_by: Vec<String>,
    /// Fingerprints of its consequences.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cause_of: Vec<String>,
    /// 0 to 1.
    pub confidence: f64,
    /// Mapping codes of compliance frameworks.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mappings: Vec<String>,
    /// The input has gone stale: neither confirmed nor cleared.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unverified: bool,
    /// What an operator said of it; absent = nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statement: Option<Stated>,
}

/// Health: broken or about to be. Posture: hygiene, hardening, policy.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Lane {
    Health,
    Posture,
}

/// Ordered: `Info < Warning < Critical`.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Severity {
    Info,
    Warning,
    Critical,
}

/// Groups findings by what they are about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Category {
    Backup,
    Capacity,
    Configuration,
    Ha,
    Health,
    Lifecycle,
    Network,
    Performance,
    Security,
    Storage,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FindingState {
    /// Failing, but not yet for long enough.
    Pending,
    Open,
    Acknowledged,
    Suppressed,
    Resolved,
    Flapping,
}

/// A value behind a finding.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// What was measured: `used`, `quorate`.
    pub name: String,
    pub value: EvidenceValue,
    /// Of a number: `bytes`, `ratio`, `seconds`; empty = a count.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub unit: String,
    /// File or figure it was read from.
    pub source: String,
    /// Node it was read on; empty = none in particular.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub node: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(inline)]
pub enum EvidenceValue {
    Flag(bool),
    Number(f64),
    Text(String),
}

impl Evidence {
    /// A value and the file or figure it was read from.
    #[must_use]
    pub fn new(name: &str, value: impl Into<EvidenceValue>, source: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: value.into(),
            unit: String::new(),
            source: source.to_owned(),
            node: String::new(),
            observed_at: None,
        }
    }

    #[must_use]
    pub fn unit(mut self, unit: &str) -> Self {
        unit.clone_into(&mut self.unit);
        self
    }

    /// On which node it was read, and when.
    #[must_use]
    pub fn seen(mut self, node: &str, at: Timestamp) -> Self {
        crate::untrusted::name(node)
            .as_ref()
            .clone_into(&mut self.node);
        self.observed_at = Some(at);
        self
    }
}

impl From<bool> for EvidenceValue {
    fn from(value: bool) -> Self {
        Self::Flag(value)
    }
}

impl From<f64> for EvidenceValue {
    fn from(value: f64) -> Self {
        Self::Number(value)
    }
}

impl From<u32> for EvidenceValue {
    fn from(value: u32) -> Self {
        Self::Number(value.into())
    }
}

impl From<u64> for EvidenceValue {
    /// JSON numbers are doubles: exact up to 9 PB.
    fn from(value: u64) -> Self {
        Self::Number(value as f64)
    }
}

impl From<&str> for EvidenceValue {
    /// Made safe to show: it may come from a guest.
    fn from(value: &str) -> Self {
        Self::Text(crate::untrusted::line(value, 200).into_owned())
    }
}

impl From<String> for EvidenceValue {
    fn from(value: String) -> Self {
        Self::from(value.as_str())
    }
}

/// What to do. Text only: nothing is ever executed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Remediation {
    /// Read-only commands that show the cause.
    pub diagnose: Vec<String>,
    pub fix: String,
    pub impact: String,
    pub risk: Risk,
    /// How to undo it; empty = not reversible.
    pub way_back: String,
}

#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Risk {
    Low,
    Medium,
    High,
}
