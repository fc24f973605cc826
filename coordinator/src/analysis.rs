//! Analyses: scope, checks, evidence, report.
//!
//! Every analysis gives its deterministic report, which is complete on its own;
//! nothing that explains or ranks it further can take a finding away.

use schemars::JsonSchema;
use serde::Serialize;

mod group;
mod health;
mod inventory;
pub(crate) mod keep;
pub(crate) mod kept;
mod mark;
mod scope;
mod state;
#[cfg(test)]
mod tests;
mod words;

pub use health::cluster_health;
pub(crate) use words::{evidence_line, set_aside, stated};

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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Depth {
    /// One page: 40 lines at any size of the datacenter.
    #[default]
    Summary,
    /// Every finding with its evidence and fix, within generous limits.
    Full,
}
