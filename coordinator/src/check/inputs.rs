//! What every check of the catalogue looks at: the facts that agents send, by path,
//! and what comes from elsewhere.
//!
//! The rows are data, one file per family below `inputs/`, written for all checks of
//! the priorities P0 and P1, also for those that are not built yet: they are the list
//! of what agents must collect. A fact path is a field of `Sample.payload` and fields
//! below it, `ha_state.managers.master_node`; repeated fields stand for all of their
//! elements.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Files by the first word of the checks' ids.
const FILES: &[&str] = &[
    include_str!("inputs/cluster.toml"),
    include_str!("inputs/node.toml"),
    include_str!("inputs/storage.toml"),
    include_str!("inputs/guest.toml"),
    include_str!("inputs/policy.toml"),
];

/// The inputs of one check.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Inputs {
    pub priority: Priority,
    /// Paths of facts that agents send.
    #[serde(default)]
    pub facts: Vec<String>,
    /// What no agent sends, each after its source: `operator`, `coordinator`, `data
    /// table` or `derived`; or with the reason why no node gives it, `not possible`,
    /// or none does yet, `later`.
    #[serde(default)]
    pub elsewhere: Vec<String>,
}

/// When the catalogue wants the check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub enum Priority {
    /// In the first release.
    P0,
    /// Next.
    P1,
}

/// The inputs of every check, by id.
///
/// # Errors
/// When a row is not one, or stands twice.
pub fn all() -> Result<BTreeMap<String, Inputs>, String> {
    let mut all = BTreeMap::new();
    for file in FILES {
        let rows: BTreeMap<String, Inputs> =
            toml::from_str(file).map_err(|error| error.to_string())?;
        for (id, inputs) in rows {
            if inputs.facts.is_empty() && inputs.elsewhere.is_empty() {
                return Err(format!("{id} looks at nothing"));
            }
            if all.insert(id.clone(), inputs).is_some() {
                return Err(format!("{id} stands twice"));
            }
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::CHECKS;

    #[test]
    fn what_no_agent_sends_has_a_source_or_a_reason() {
        const SOURCES: &[&str] = &[
            "coordinator",
            "data table",
            "derived",
            "later",
            "not collected",
            "not possible",
            "operator",
        ];
        for (id, inputs) in all().unwrap() {
            for line in &inputs.elsewhere {
                let (source, reason) = line.split_once(": ").unwrap_or_default();
                assert!(
                    SOURCES.contains(&source) && !reason.is_empty(),
                    "{id}: {line}"
                );
            }
        }
    }

    #[test]
    fn every_row_is_one_and_every_check_has_one() {
        let all = all().unwrap();
        for check in CHECKS {
            assert!(all.contains_key(check.id), "{}", check.id);
        }
    }
}
