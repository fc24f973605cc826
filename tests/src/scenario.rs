//! Scenarios: a cluster, what happens to it, and what must be found.
//!
//! The format is documented in `tests/scenarios/README.md`, so that a case can
//! be added without Rust. Whatever a file says and nobody understands is an
//! error: a misspelt key would otherwise pass as a test of nothing.

use std::{
    io,
    path::{Path, PathBuf},
};

use pvelens::intent::Declared;
use serde::{
    Deserialize, Deserializer,
    de::{Error as _, IntoDeserializer},
};

use crate::sim::{
    Cluster, ClusterSpec,
    fault::Fault,
    label::{Label, Pattern},
    series::{Override, Series},
    tree::{Edit, Operation},
};

/// One file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The name of the file, without ending.
    #[serde(skip)]
    pub name: String,
    /// One line: what happens.
    pub title: String,
    /// Why it is worth a test.
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub cluster: ClusterSpec,
    #[serde(default)]
    pub run: Run,
    #[serde(default, rename = "inject")]
    pub injections: Vec<Injection>,
    #[serde(default)]
    pub expect: Vec<Label>,
    /// Must not be open at any moment of the run.
    #[serde(default)]
    pub forbid: Vec<Pattern>,
    #[serde(default)]
    pub coverage: Coverage,
    /// What operators state, as in `intent.toml`.
    #[serde(default, deserialize_with = "declared")]
    pub intent: Declared,
}

fn declared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Declared, D::Error> {
    let text = String::deserialize(deserializer)?;
    Declared::parse(&text).map_err(D::Error::custom)
}

/// How long and how fine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Run {
    /// That pass before, in coarse steps and into a store; nobody judges meanwhile.
    pub hours_before: u64,
    pub minutes: u64,
    pub step_seconds: u64,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            hours_before: 0,
            minutes: 35,
            step_seconds: 30,
        }
    }
}

/// What must be known about nodes at the end; empty = not looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Coverage {
    pub full: Vec<String>,
    pub basic: Vec<String>,
}

/// Something that happens at a time.
#[derive(Debug, Clone)]
pub struct Injection {
    pub at_seconds: u64,
    pub change: Change,
}

#[derive(Debug, Clone)]
pub enum Change {
    Fault(Fault),
    Edit(Edit),
    Series(Override),
}

/// A file that is no scenario.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    #[error("reading {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path}: {message}")]
    Format { path: PathBuf, message: String },
    #[error("{path}: there is no {object} in this cluster")]
    NoObject { path: PathBuf, object: String },
}

impl Scenario {
    /// Reads one file.
    ///
    /// # Errors
    /// When it cannot be read, or says something that is not in the format.
    pub fn read(path: &Path) -> Result<Self, ScenarioError> {
        let text = std::fs::read_to_string(path).map_err(|source| ScenarioError::Read {
            path: path.to_owned(),
            source,
        })?;
        let mut scenario: Self = toml::from_str(&text).map_err(|error| ScenarioError::Format {
            path: path.to_owned(),
            message: error.to_string(),
        })?;
        scenario.name = path
            .file_stem()
            .map(|stem| stem.to_string_lossy().into_owned())
            .unwrap_or_default();
        Ok(scenario)
    }

    /// Reads every `*.toml` of a directory, by name.
    ///
    /// # Errors
    /// At the first file that is no scenario.
    pub fn read_all(directory: &Path) -> Result<Vec<Self>, ScenarioError> {
        let failed = |source| ScenarioError::Read {
            path: directory.to_owned(),
            source,
        };
        let mut paths = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|ending| ending == "toml") {
                paths.push(path);
            }
        }
        paths.sort();
        paths.iter().map(|path| Self::read(path)).collect()
    }

    /// Makes the cluster and plans what happens to it.
    ///
    /// # Errors
    /// When a file cannot be written, or an injection names an object that the
    /// cluster does not have.
    pub fn cluster(&self, directory: &Path) -> Result<Cluster, ScenarioError> {
        let failed = |source| ScenarioError::Read {
            path: directory.to_owned(),
            source,
        };
        let mut cluster = Cluster::create(&self.cluster, directory).map_err(failed)?;
        for injection in &self.injections {
            let at = injection.at_seconds;
            match injection.change.clone() {
                Change::Fault(fault) => cluster.plan_fault(at, fault),
                Change::Edit(edit) => {
                    if cluster.state().node_index(&edit.node).is_none() {
                        return Err(self.no_object(&edit.node));
                    }
                    cluster.plan_edit(at, edit);
                }
                Change::Series(change) => {
                    if !change.finds_its_object(&mut cluster.state().clone()) {
                        return Err(self.no_object(&change.object));
                    }
                    cluster.plan_override(at, change);
                }
            }
        }
        Ok(cluster)
    }

    fn no_object(&self, object: &str) -> ScenarioError {
        ScenarioError::NoObject {
            path: PathBuf::from(&self.name),
            object: object.to_owned(),
        }
    }
}

/// An edit of a file, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct EditTable {
    node: String,
    path: String,
    replace: Option<Replace>,
    append: Option<String>,
    write: Option<String>,
    remove: Option<bool>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replace {
    from: String,
    to: String,
}

/// A series that is held, as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct SeriesTable {
    series: Series,
    object: String,
    #[serde(default)]
    part: String,
    value: f64,
    /// Where it goes until then, evenly.
    to: Option<f64>,
    until_seconds: Option<u64>,
}

impl<'de> Deserialize<'de> for Injection {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut table = toml::Table::deserialize(deserializer)?;
        let at_seconds = match table.remove("at_seconds") {
            None => DEFAULT_AT_SECONDS,
            Some(value) => value
                .as_integer()
                .and_then(|seconds| u64::try_from(seconds).ok())
                .ok_or_else(|| D::Error::custom("at_seconds is not a number of seconds"))?,
        };
        let change = if table.contains_key("fault") {
            Change::Fault(Fault::from_table(table).map_err(D::Error::custom)?)
        } else if table.contains_key("path") {
            Change::Edit(edit(table)?)
        } else if table.contains_key("series") {
            Change::Series(series(table, at_seconds)?)
        } else {
            return Err(D::Error::custom("inject needs one of fault, path, series"));
        };
        Ok(Self { at_seconds, change })
    }
}

/// When nothing is said: after the first samples of the healthy state.
const DEFAULT_AT_SECONDS: u64 = 60;

fn typed<T: for<'de> Deserialize<'de>, E: serde::de::Error>(table: toml::Table) -> Result<T, E> {
    T::deserialize(table.into_deserializer())
        .map_err(|error: toml::de::Error| E::custom(error.message()))
}

fn edit<E: serde::de::Error>(table: toml::Table) -> Result<Edit, E> {
    let table: EditTable = typed(table)?;
    let operation = match (table.replace, table.append, table.write, table.remove) {
        (Some(replace), None, None, None) => Operation::Replace {
            from: replace.from,
            to: replace.to,
        },
        (None, Some(text), None, None) => Operation::Append(text),
        (None, None, Some(text), None) => Operation::Write(text),
        (None, None, None, Some(true)) => Operation::Remove,
        _ => {
            return Err(E::custom(
                "an edit needs one of replace, append, write, remove = true",
            ));
        }
    };
    Ok(Edit {
        node: table.node,
        path: table.path,
        operation,
    })
}

fn series<E: serde::de::Error>(table: toml::Table, at_seconds: u64) -> Result<Override, E> {
    let table: SeriesTable = typed(table)?;
    let held = Override::new(
        table.series,
        &table.object,
        &table.part,
        table.value,
        table.until_seconds,
    );
    match (table.to, table.until_seconds) {
        (None, _) => Ok(held),
        (Some(to), Some(until)) if until > at_seconds => Ok(held.going(to, at_seconds..until)),
        (Some(_), _) => Err(E::custom("to needs until_seconds, after at_seconds")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Scenario, toml::de::Error> {
        toml::from_str(&format!("title = 't'\n{text}"))
    }

    #[test]
    fn every_kind_of_injection_is_read() {
        let scenario = parse(
            "[[inject]]\nfault = 'oom_kill'\nnode = 'pve1'\nat_seconds = 5\n\
             [[inject]]\nnode = 'pve1'\npath = '/etc/pve/storage.cfg'\nreplace = { from = 'a', to = 'b' }\n\
             [[inject]]\nseries = 'cpu_some'\nobject = 'pve1'\nvalue = 0.2\nuntil_seconds = 90\n",
        )
        .unwrap();
        assert_eq!(scenario.injections.len(), 3);
        assert_eq!(scenario.injections[0].at_seconds, 5);
        assert_eq!(scenario.injections[1].at_seconds, DEFAULT_AT_SECONDS);
        assert!(matches!(scenario.injections[2].change, Change::Series(_)));
    }

    #[test]
    fn whatever_is_not_understood_is_an_error() {
        for text in [
            "titel = 'x'",
            "[cluster]\nnods = 3",
            "[run]\nhours = 1",
            "[[inject]]\nnode = 'pve1'",
            "[[inject]]\nfault = 'oom_kill'\nnode = 'pve1'\nfoo = 1",
            "[[inject]]\nfault = 'oom_kill'\nnode = 'pve1'\nat_seconds = -1",
            "[[inject]]\nnode = 'pve1'\npath = '/x'",
            "[[inject]]\nnode = 'pve1'\npath = '/x'\nremove = true\nappend = ''",
            "[[inject]]\nseries = 'cpu_some'\nobject = 'pve1'\nvalue = 0.1\nto = 0.2",
            "[[inject]]\nseries = 'cpu_some'\nobject = 'pve1'\nvalue = 0.1\nto = 0.2\nuntil_seconds = 60",
            "[[inject]]\nseries = 'mood'\nobject = 'pve1'\nvalue = 1",
            "[[expect]]\ncheck = 'a'\nsubject = 'cluster'",
            "[[expect]]\ncheck = 'a'\nsubject = 'cluster'\nseverity = 'bad'",
            "[[forbid]]\nchek = 'a'",
            "[coverage]\nall = []",
            "intent = '[tag]'",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
