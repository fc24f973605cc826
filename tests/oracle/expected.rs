//! The findings that are true in the recordings.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Expected {
    finding: Vec<Row>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    check: String,
    states: Vec<String>,
    subjects: Vec<String>,
    reason: String,
}

/// Check and subject of every finding that a state must give.
pub(crate) fn findings(state: &str) -> Result<BTreeSet<(String, String)>> {
    let expected: Expected =
        toml::from_str(include_str!("expected.toml")).context("expected.toml")?;
    let mut findings = BTreeSet::new();
    for row in expected.finding {
        anyhow::ensure!(!row.reason.is_empty(), "{} has no reason", row.check);
        if row.states.iter().any(|name| name == state) {
            findings.extend(
                row.subjects
                    .into_iter()
                    .map(|subject| (row.check.clone(), subject)),
            );
        }
    }
    Ok(findings)
}
