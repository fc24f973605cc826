//! Settings of the agent: `/etc/pvelens/agent.toml` and the environment.
//!
//! Every key has a default, and the shipped file shows all of them. A key that
//! does not exist is an error, since it is a setting that somebody believes in.

use std::{
    collections::HashSet,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use crate::{joined::JoinedError, link::Coordinator};

#[cfg(test)]
mod tests;

/// Where the settings are unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/pvelens/agent.toml";
/// `PVELENS_SECTION__KEY`.
const ENVIRONMENT_PREFIX: &str = "PVELENS_";
const LEVELS: &[&str] = &["error", "warn", "info", "debug", "trace"];
const SPOOL_MEBIBYTES: std::ops::RangeInclusive<u32> = 1..=1024;
const RECORDER_MEBIBYTES: std::ops::RangeInclusive<u32> = 1..=64;
const AUDIT_MEBIBYTES: std::ops::RangeInclusive<u32> = 1..=1024;
/// The unit of the link allows few threads, and a name that is looked up takes one.
const COORDINATORS: usize = 8;
/// Edits up to which a key is taken for a misspelt one.
const SUGGESTION_DISTANCE: usize = 4;

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub agent: Agent,
    pub spool: Spool,
    pub recorder: Recorder,
    pub audit: Audit,
    pub identity: Identity,
    pub link: Link,
    pub log: Log,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agent {
    pub root: PathBuf,
    pub socket: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Spool {
    /// Empty: only in memory.
    pub directory: PathBuf,
    pub limit_mebibytes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recorder {
    /// Empty: nothing is recorded.
    pub directory: PathBuf,
    pub limit_mebibytes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// Empty: no command runs in a guest.
    pub directory: PathBuf,
    pub limit_mebibytes: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Identity {
    pub directory: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    pub coordinators: Vec<Coordinator>,
    pub socket: PathBuf,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub level: String,
}

impl Default for Agent {
    fn default() -> Self {
        Self {
            root: PathBuf::from("/"),
            socket: PathBuf::from("/run/pvelens-agent/local.sock"),
        }
    }
}

impl Default for Spool {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/run/pvelens-agent/spool"),
            limit_mebibytes: 24,
        }
    }
}

impl Default for Recorder {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/pvelens-agent/flight"),
            limit_mebibytes: 8,
        }
    }
}

impl Default for Audit {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/pvelens-agent/audit"),
            limit_mebibytes: 64,
        }
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/pvelens-agent/identity"),
        }
    }
}

impl Default for Link {
    fn default() -> Self {
        Self {
            coordinators: Vec::new(),
            socket: PathBuf::from("/run/pvelens-agent/link.sock"),
        }
    }
}

impl Default for Log {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
        }
    }
}

/// Why there are no settings.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("reading {path}")]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0}")]
    Syntax(String),
    #[error("unknown key `{key}`{}", suggested(.suggestion.as_deref()))]
    UnknownKey {
        key: String,
        suggestion: Option<String>,
    },
    #[error("`{key}` {problem}")]
    Value { key: String, problem: String },
    #[error(transparent)]
    Joined(Box<JoinedError>),
}

impl Config {
    /// Reads the settings. Without a path the default file is read if it is
    /// there.
    ///
    /// # Errors
    /// When the file cannot be read, or what is set is not valid.
    pub fn load(
        path: Option<&Path>,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        Self::parse(&read(path)?, environment)
    }

    /// Settings from the text of a file and the environment.
    ///
    /// # Errors
    /// When what is set is not valid.
    pub fn parse(
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        let mut table: Table = text
            .parse()
            .map_err(|error: toml::de::Error| ConfigError::Syntax(error.to_string()))?;
        let known = Table::try_from(Self::default())
            .map_err(|error| ConfigError::Syntax(error.to_string()))?;
        check_keys(&table, &known, "")?;
        // Now that only the values can be wrong, they are read with their places.
        toml::from_str::<Self>(text).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        for (name, value) in environment {
            set(&mut table, &known, &name, value)?;
        }
        let config: Self = table
            .try_into()
            .map_err(|error: toml::de::Error| ConfigError::Syntax(error.to_string()))?;
        config.validated()
    }

    /// The same settings, when every value is possible.
    ///
    /// # Errors
    /// When one is not.
    pub fn validated(self) -> Result<Self, ConfigError> {
        let problem = |key: &str, problem: String| {
            Err(ConfigError::Value {
                key: key.to_owned(),
                problem,
            })
        };
        if !self.agent.root.is_absolute() {
            return problem("agent.root", "is not an absolute path".to_owned());
        }
        if !self.agent.socket.is_absolute() {
            return problem("agent.socket", "is not an absolute path".to_owned());
        }
        let directory = &self.spool.directory;
        if !directory.as_os_str().is_empty() && !directory.is_absolute() {
            return problem("spool.directory", "is not an absolute path".to_owned());
        }
        if !SPOOL_MEBIBYTES.contains(&self.spool.limit_mebibytes) {
            return problem("spool.limit_mebibytes", "is not from 1 to 1024".to_owned());
        }
        let directory = &self.recorder.directory;
        if !directory.as_os_str().is_empty() && !directory.is_absolute() {
            return problem("recorder.directory", "is not an absolute path".to_owned());
        }
        if !RECORDER_MEBIBYTES.contains(&self.recorder.limit_mebibytes) {
            return problem("recorder.limit_mebibytes", "is not from 1 to 64".to_owned());
        }
        let directory = &self.audit.directory;
        if !directory.as_os_str().is_empty() && !directory.is_absolute() {
            return problem("audit.directory", "is not an absolute path".to_owned());
        }
        if !AUDIT_MEBIBYTES.contains(&self.audit.limit_mebibytes) {
            return problem("audit.limit_mebibytes", "is not from 1 to 1024".to_owned());
        }
        if !self.identity.directory.is_absolute() {
            return problem("identity.directory", "is not an absolute path".to_owned());
        }
        if !self.link.socket.is_absolute() {
            return problem("link.socket", "is not an absolute path".to_owned());
        }
        let coordinators = &self.link.coordinators;
        if coordinators.len() > COORDINATORS {
            return problem("link.coordinators", format!("has more than {COORDINATORS}"));
        }
        let mut seen = HashSet::new();
        let twice = coordinators
            .iter()
            .flat_map(Coordinator::addresses)
            .find(|address| !seen.insert(*address));
        if let Some(twice) = twice {
            return problem("link.coordinators", format!("has {twice} twice"));
        }
        if !LEVELS.contains(&self.log.level.as_str()) {
            return problem("log.level", format!("is not one of {}", LEVELS.join(", ")));
        }
        Ok(self)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the agent's own settings, not a file of the node; Host never opens them"
)]
fn read(path: Option<&Path>) -> Result<String, ConfigError> {
    let file = path.unwrap_or(Path::new(DEFAULT_PATH));
    match std::fs::read_to_string(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => {
            Ok(String::new())
        }
        result => result.map_err(|source| ConfigError::Read {
            path: file.to_owned(),
            source,
        }),
    }
}

fn check_keys(table: &Table, known: &Table, prefix: &str) -> Result<(), ConfigError> {
    for (key, value) in table {
        let name = format!("{prefix}{key}");
        match (known.get(key), value) {
            (None, _) => {
                return Err(ConfigError::UnknownKey {
                    suggestion: suggestion(&name, known, prefix),
                    key: name,
                });
            }
            (Some(Value::Table(known)), Value::Table(table)) => {
                check_keys(table, known, &format!("{name}."))?;
            }
            (Some(_), _) => {}
        }
    }
    Ok(())
}

/// Takes a setting from the environment, if the name is one of ours: a variable
/// of another section belongs to another program.
fn set(table: &mut Table, known: &Table, name: &str, value: String) -> Result<(), ConfigError> {
    let Some((section, key)) = name
        .strip_prefix(ENVIRONMENT_PREFIX)
        .and_then(|name| name.split_once("__"))
        .map(|(section, key)| (section.to_ascii_lowercase(), key.to_ascii_lowercase()))
    else {
        return Ok(());
    };
    let Some(Value::Table(keys)) = known.get(&section) else {
        return Ok(());
    };
    let value = match keys.get(&key) {
        None => {
            return Err(ConfigError::UnknownKey {
                key: name.to_owned(),
                suggestion: None,
            });
        }
        Some(Value::Integer(_)) => {
            Value::Integer(value.parse().map_err(|_| ConfigError::Value {
                key: name.to_owned(),
                problem: "is not a whole number".to_owned(),
            })?)
        }
        // Unlike in `PATH`, colons are part of the values.
        Some(Value::Array(_)) => Value::Array(
            value
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| Value::String(part.to_owned()))
                .collect(),
        ),
        Some(_) => Value::String(value),
    };
    let section = table
        .entry(section)
        .or_insert_with(|| Value::Table(Table::new()));
    // `known` says that the section is a table, and the file was read as such.
    if let Value::Table(section) = section {
        section.insert(key, value);
    }
    Ok(())
}

/// The known key that is most like an unknown one; one of another section also,
/// when only the section is wrong.
fn suggestion(name: &str, known: &Table, prefix: &str) -> Option<String> {
    known
        .keys()
        .map(|key| format!("{prefix}{key}"))
        .map(|key| (distance(name, &key), key))
        .min()
        .filter(|(distance, _)| *distance <= SUGGESTION_DISTANCE)
        .map(|(_, key)| key)
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion
        .map(|key| format!("; did you mean `{key}`?"))
        .unwrap_or_default()
}

/// Edits between two words (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (above, from) in a.chars().enumerate() {
        let mut diagonal = above;
        let mut left = above + 1;
        if let Some(first) = row.first_mut() {
            *first = left;
        }
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            left = (left + 1)
                .min(*cell + 1)
                .min(diagonal + usize::from(from != *to));
            diagonal = std::mem::replace(cell, left);
        }
    }
    row.last().copied().unwrap_or_default()
}
