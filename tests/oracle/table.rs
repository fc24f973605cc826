//! The table of tolerances: which value of the API is compared with what.

use std::{cell::Cell, collections::BTreeMap};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::{account::Agreement, api::Record};

/// One part for each class of facts; the first tells how to read them.
const TABLES: &[(&str, &str)] = &[
    ("tolerances", include_str!("tolerances.toml")),
    ("access", include_str!("tolerances/access.toml")),
    ("agent", include_str!("tolerances/agent.toml")),
    ("ha", include_str!("tolerances/ha.toml")),
    ("monitor", include_str!("tolerances/monitor.toml")),
    ("network", include_str!("tolerances/network.toml")),
    ("storage", include_str!("tolerances/storage.toml")),
    ("system", include_str!("tolerances/system.toml")),
    ("task", include_str!("tolerances/task.toml")),
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Table {
    compare: Vec<Compare>,
    pub(crate) excluded: Vec<Exclusion>,
    pub(crate) not_carried: Vec<Exclusion>,
    independent: Vec<Independent>,
}

/// Values that are compared in one way.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Compare {
    record: Option<String>,
    #[serde(default)]
    records: Vec<String>,
    pub(crate) kind: String,
    pub(crate) rule: Rule,
    #[serde(default)]
    pub(crate) ratio: f64,
    #[serde(default)]
    pub(crate) absolute: f64,
    /// Figure of ours that `ratio` refers to.
    pub(crate) of: Option<String>,
    reason: String,
    /// Value of the API = value of ours; both with alternatives after `|`.
    #[serde(default)]
    fields: BTreeMap<String, String>,
    /// Patterns of values with the same name under `prefix`.
    #[serde(default)]
    same: Vec<String>,
    prefix: Option<String>,
    /// Where the API says nothing, ours is empty, 0 or off, or this.
    #[serde(default)]
    complete: bool,
    pub(crate) silent: Option<String>,
    #[serde(skip)]
    used: Cell<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Rule {
    Exact,
    Set,
    Between,
    Shortened,
}

/// Values that are not compared, and why.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Exclusion {
    pub(crate) records: Vec<String>,
    pub(crate) fields: Vec<String>,
    state: Option<String>,
    node: Option<String>,
    value: Option<String>,
    key: Option<String>,
    #[serde(default)]
    node_without_tree: bool,
    pub(crate) reason: String,
    #[serde(skip)]
    pub(crate) used: Cell<u32>,
}

/// Tolerance against figures that the test reads by itself.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Independent {
    name: String,
    pub(crate) kind: String,
    ratio: f64,
    absolute: f64,
    reason: String,
}

/// What the table says about one value.
#[derive(Debug)]
pub(crate) enum Verdict<'a> {
    /// The row, and the path of ours.
    Compare(&'a Compare, String),
    Excluded,
    NotCarried,
    Unknown,
}

/// Where a value was found.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) state: &'a str,
    /// Whether the node the record is about has a recorded tree.
    pub(crate) has_tree: bool,
}

impl Table {
    pub(crate) fn load() -> Result<Self> {
        let mut table = Self::default();
        for (name, text) in TABLES {
            let part: Self = toml::from_str(text).context(*name)?;
            table.compare.extend(part.compare);
            table.excluded.extend(part.excluded);
            table.not_carried.extend(part.not_carried);
            table.independent.extend(part.independent);
        }
        Ok(table)
    }

    /// Finds the row for one value of a record.
    pub(crate) fn verdict(
        &self,
        record: &Record,
        field: &str,
        value: &str,
        place: Place<'_>,
    ) -> Verdict<'_> {
        let covers = |row: &Exclusion| row.covers(record, field, value, place);
        if let Some(row) = self.excluded.iter().find(|row| covers(row)) {
            row.used.set(row.used.get() + 1);
            return Verdict::Excluded;
        }
        for row in &self.compare {
            if let Some(ours) = row.ours(record, field) {
                row.used.set(row.used.get() + 1);
                return Verdict::Compare(row, ours);
            }
        }
        if let Some(row) = self.not_carried.iter().find(|row| covers(row)) {
            row.used.set(row.used.get() + 1);
            return Verdict::NotCarried;
        }
        Verdict::Unknown
    }

    /// Values that a record could have and has not, of rows that are complete.
    pub(crate) fn complete<'t>(
        &'t self,
        record: &'t Record,
        place: Place<'t>,
    ) -> impl Iterator<Item = (&'t Compare, &'t str, &'t str)> {
        let rows = self.compare.iter().filter(|row| row.complete);
        rows.filter(|row| row.is_about(record))
            .flat_map(move |row| {
                let fields = row.fields.iter();
                let absent = fields.filter(move |(name, _)| {
                    let excluded = |row: &Exclusion| row.covers(record, name, "", place);
                    !record.fields.contains_key(*name) && !self.excluded.iter().any(excluded)
                });
                absent.map(move |(name, path)| (row, name.as_str(), path.as_str()))
            })
    }

    pub(crate) fn independent(&self, name: &str) -> Result<&Independent> {
        self.independent
            .iter()
            .find(|row| row.name == name)
            .with_context(|| format!("no tolerance named {name}"))
    }

    /// Every kind of comparison that the table promises.
    pub(crate) fn kinds(&self) -> Vec<&str> {
        let mut kinds: Vec<&str> = self.compare.iter().map(|row| row.kind.as_str()).collect();
        kinds.extend(self.independent.iter().map(|row| row.kind.as_str()));
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    /// Rows that matched nothing, and rows without a reason.
    pub(crate) fn idle_rows(&self) -> Vec<String> {
        let compared = self
            .compare
            .iter()
            .filter(|row| row.used.get() == 0 || row.reason.is_empty())
            .map(|row| format!("compare: {:?} {:?} {:?}", row.record, row.records, row.kind));
        let others = self.excluded.iter().chain(&self.not_carried);
        let others = others
            .filter(|row| row.used.get() == 0 || row.reason.is_empty())
            .map(|row| {
                format!(
                    "excluded or not carried: {:?} {:?}",
                    row.records, row.fields
                )
            });
        let independent = self
            .independent
            .iter()
            .filter(|row| row.reason.is_empty())
            .map(|row| format!("independent without a reason: {}", row.name));
        compared.chain(others).chain(independent).collect()
    }
}

impl Compare {
    fn is_about(&self, record: &Record) -> bool {
        let mut records = self.record.iter().chain(&self.records);
        records.any(|shape| *shape == record.shape)
    }

    /// The path of ours, if this row is about the value.
    fn ours(&self, record: &Record, field: &str) -> Option<String> {
        if !self.is_about(record) {
            return None;
        }
        if let Some((_, ours)) = self.fields.iter().find(|(glob, _)| matches(glob, field)) {
            return Some(ours.clone());
        }
        let prefix = self.prefix.as_deref()?;
        let same = self.same.iter().any(|glob| matches(glob, field));
        same.then(|| format!("{prefix}.{field}"))
    }
}

impl Exclusion {
    fn covers(&self, record: &Record, field: &str, value: &str, place: Place<'_>) -> bool {
        let node_fits = self.node.as_deref().is_none_or(|wanted| {
            let node = record.node.as_deref().unwrap_or_default();
            wanted
                .strip_prefix('!')
                .map_or(node == wanted, |but| node != but)
        });
        self.records.contains(&record.shape)
            && self.fields.iter().any(|glob| matches(glob, field))
            && self
                .state
                .as_deref()
                .is_none_or(|state| state == place.state)
            && node_fits
            && self.value.as_deref().is_none_or(|wanted| wanted == value)
            && self
                .key
                .as_deref()
                .is_none_or(|wanted| wanted == record.key)
            && !(self.node_without_tree && place.has_tree)
    }
}

impl Independent {
    /// How two figures agree; what is not known does not.
    pub(crate) fn agreement(&self, ours: Option<f64>, theirs: Option<f64>) -> Agreement {
        let (Some(ours), Some(theirs)) = (ours, theirs) else {
            return Agreement::Wrong;
        };
        let distance = (ours - theirs).abs();
        if distance < 1e-9 {
            Agreement::Equal
        } else if distance <= (self.ratio * theirs.abs()).max(self.absolute) {
            Agreement::Near
        } else {
            Agreement::Wrong
        }
    }
}

/// `*` within a component stands for any text; `**` for all that follows.
fn matches(glob: &str, field: &str) -> bool {
    if glob == "**" {
        return true;
    }
    let mut globs = glob.split('.');
    let mut parts = field.split('.');
    loop {
        match (globs.next(), parts.next()) {
            (None, None) => return true,
            (Some("**"), _) => return true,
            (Some(glob), Some(part)) if component_matches(glob, part) => {}
            _ => return false,
        }
    }
}

fn component_matches(glob: &str, part: &str) -> bool {
    match glob.split_once('*') {
        None => glob == part,
        Some((head, tail)) => {
            part.len() >= head.len() + tail.len() && part.starts_with(head) && part.ends_with(tail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Agreement, Independent, matches};

    #[test]
    fn a_star_stands_for_text_within_one_component() {
        assert!(matches("net*.tag", "net0.tag"));
        assert!(matches("*.size", "scsi0.size"));
        assert!(matches("blockstat.*.*", "blockstat.scsi0.rd_bytes"));
        assert!(matches("interface.**", "interface.0.linknumber"));
        assert!(matches("**", "a.b.c"));
        assert!(!matches("net*.tag", "net0.tag.x"));
        assert!(!matches("*.size", "size"));
        assert!(!matches("cpu", "cpus"));
    }

    #[test]
    fn a_tolerance_is_the_larger_of_its_two_parts() {
        let tolerance = Independent {
            name: String::new(),
            kind: String::new(),
            ratio: 0.02,
            absolute: 1.0,
            reason: String::new(),
        };
        let agreement = |ours, theirs| tolerance.agreement(Some(ours), Some(theirs));
        assert_eq!(agreement(1020.0, 1000.0), Agreement::Near);
        assert_eq!(agreement(1021.0, 1000.0), Agreement::Wrong);
        assert_eq!(agreement(1.0, 0.0), Agreement::Near);
        assert_eq!(agreement(7.0, 7.0), Agreement::Equal);
        assert_eq!(agreement(f64::NAN, 0.0), Agreement::Wrong);
        assert_eq!(tolerance.agreement(None, Some(0.0)), Agreement::Wrong);
    }
}
