//! Settings of the coordinator: `/etc/pvelens/pvelens.toml` and the environment.
//!
//! Every key has a default, and the shipped file shows all of them. A key that
//! does not exist is an error, since it is a setting that somebody believes in.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use crate::{
    check::{Params, params::DeclaredProfile},
    guest_command::narrow::{Misunderstood, Narrow},
    log::Level,
};

mod load;
mod remote;
#[cfg(test)]
mod tests;

pub(crate) use load::{near, strict};
pub use remote::{Api, Link, Opening};

/// Where the settings are unless the command line says otherwise.
pub const DEFAULT_PATH: &str = "/etc/pvelens/pvelens.toml";

/// All settings.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    pub agents: Agents,
    pub sockets: Sockets,
    pub http: Http,
    pub link: Link,
    pub api: Api,
    pub evaluation: Evaluation,
    pub log: Log,
    pub store: Store,
    pub guest_commands: GuestCommands,
    /// By cluster name or id.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub profile: BTreeMap<String, ClusterProfile>,
}

/// Where the agent of this machine listens.
pub const AGENT_SOCKET: &str = "/run/pvelens-agent/local.sock";

/// The agents to follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Agents {
    pub sockets: Vec<PathBuf>,
    /// Every `*.sock` in it is an agent; empty = none.
    pub directory: PathBuf,
    pub rescan_seconds: u32,
}

/// The Unix sockets that clients use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Sockets {
    pub directory: PathBuf,
    /// May read. Empty = the group of the process.
    pub group: String,
    /// May also operate. Empty = the group of the process.
    pub operators_group: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Http {
    pub enabled: bool,
    pub listen: SocketAddr,
}

/// When the state is built anew and checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluation {
    pub minimum_interval_milliseconds: u32,
    pub maximum_interval_seconds: u32,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    pub level: Level,
}

/// What outlives the coordinator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Store {
    /// Empty = nothing is kept.
    pub directory: PathBuf,
    /// Between two writes of what has arrived.
    pub write_interval_seconds: u32,
    /// What values may take; beyond it the oldest go before their time.
    pub limit_mebibytes: u32,
}

/// Commands in guests. Everything here takes away from what the nodes allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GuestCommands {
    pub enabled: bool,
    /// Ids of commands, and groups as `group:logs`.
    pub deny: Vec<String>,
    /// VMIDs, or a cluster and a VMID: `lab/104`.
    pub deny_guests: Vec<String>,
}

/// How strict the checks are with one cluster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ClusterProfile {
    pub profile: Profile,
    pub hosting: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Profile {
    Homelab,
    #[default]
    Production,
    Strict,
}

impl Default for Agents {
    fn default() -> Self {
        Self {
            sockets: vec![PathBuf::from(AGENT_SOCKET)],
            directory: PathBuf::new(),
            rescan_seconds: 5,
        }
    }
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/run/pvelens"),
            group: "pvelens-users".to_owned(),
            operators_group: "pvelens-operators".to_owned(),
        }
    }
}

impl Default for Http {
    fn default() -> Self {
        Self {
            enabled: true,
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8442)),
        }
    }
}

impl Default for Evaluation {
    fn default() -> Self {
        Self {
            minimum_interval_milliseconds: 1000,
            maximum_interval_seconds: 10,
        }
    }
}

impl Default for Store {
    fn default() -> Self {
        Self {
            directory: PathBuf::from("/var/lib/pvelens"),
            write_interval_seconds: 60,
            limit_mebibytes: 10_240,
        }
    }
}

impl Default for GuestCommands {
    fn default() -> Self {
        Self {
            enabled: true,
            deny: Vec::new(),
            deny_guests: Vec::new(),
        }
    }
}

impl Default for ClusterProfile {
    fn default() -> Self {
        Self {
            profile: Profile::Production,
            hosting: false,
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
    #[error("unknown key `{key}`{place}{}", suggested(.suggestion.as_deref()))]
    UnknownKey {
        key: String,
        /// ` at line 3, column 1`; empty for the environment.
        place: String,
        suggestion: Option<String>,
    },
    #[error("`{key}` {problem}")]
    Value { key: String, problem: String },
    #[error("in {path}")]
    In {
        path: PathBuf,
        #[source]
        source: Box<ConfigError>,
    },
    #[error("in the environment")]
    Environment(#[source] Box<ConfigError>),
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
        let file = path.unwrap_or(Path::new(DEFAULT_PATH));
        let text = match std::fs::read_to_string(file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && path.is_none() => {
                String::new()
            }
            result => result.map_err(|source| ConfigError::Read {
                path: file.to_owned(),
                source,
            })?,
        };
        Self::parse(&text, environment).map_err(|error| {
            // Whose fault it is shows without the environment.
            match Self::parse(&text, std::iter::empty()) {
                Err(source) => ConfigError::In {
                    path: file.to_owned(),
                    source: Box::new(source),
                },
                Ok(_) => ConfigError::Environment(Box::new(error)),
            }
        })
    }

    /// Settings from the text of a file and the environment.
    ///
    /// # Errors
    /// When what is set is not valid.
    pub fn parse(
        text: &str,
        environment: impl Iterator<Item = (String, String)>,
    ) -> Result<Self, ConfigError> {
        load::parse(text, environment)?.validated()
    }

    /// What the checks are run with.
    #[must_use]
    pub fn params(&self) -> Params {
        Params {
            profiles: self
                .profile
                .iter()
                .map(|(cluster, declared)| (cluster.clone(), declared.into()))
                .collect(),
            ..Params::default()
        }
    }

    fn validated(self) -> Result<Self, ConfigError> {
        let agents = self.agents.sockets.iter();
        if let Some(socket) = agents.clone().find(|socket| !socket.is_absolute()) {
            return problem(
                "agents.sockets",
                format!("names {socket:?}, which is not an absolute path"),
            );
        }
        let directory = &self.agents.directory;
        if !directory.as_os_str().is_empty() && !directory.is_absolute() {
            return problem("agents.directory", "is not an absolute path");
        }
        if !(1..=600).contains(&self.store.write_interval_seconds) {
            return problem("store.write_interval_seconds", "is not from 1 to 600");
        }
        if !(64..=10_485_760).contains(&self.store.limit_mebibytes) {
            return problem("store.limit_mebibytes", "is not from 64 to 10485760");
        }
        if !(1..=3600).contains(&self.agents.rescan_seconds) {
            return problem("agents.rescan_seconds", "is not from 1 to 3600");
        }
        if !self.sockets.directory.is_absolute() {
            return problem("sockets.directory", "is not an absolute path");
        }
        if !self.http.listen.ip().is_loopback() {
            return problem(
                "http.listen",
                format!(
                    "is {}, which other machines can reach: without TLS and a token everybody \
                     on the network could read the state of the cluster. Use a loopback address \
                     such as 127.0.0.1:8442",
                    self.http.listen
                ),
            );
        }
        if !(100..=60_000).contains(&self.evaluation.minimum_interval_milliseconds) {
            return problem(
                "evaluation.minimum_interval_milliseconds",
                "is not from 100 to 60000",
            );
        }
        if !(1..=60).contains(&self.evaluation.maximum_interval_seconds) {
            return problem("evaluation.maximum_interval_seconds", "is not from 1 to 60");
        }
        let directory = &self.store.directory;
        if !directory.as_os_str().is_empty() && !directory.is_absolute() {
            return problem("store.directory", "is not an absolute path");
        }
        remote::validate(&self)?;
        if let Err(Misunderstood { key, problem }) = Narrow::new(&self.guest_commands) {
            return self::problem(key, problem);
        }
        Ok(self)
    }
}

impl Evaluation {
    pub(crate) fn minimum(&self) -> Duration {
        Duration::from_millis(self.minimum_interval_milliseconds.into())
    }

    pub(crate) fn maximum(&self) -> Duration {
        Duration::from_secs(self.maximum_interval_seconds.into())
    }
}

impl From<&ClusterProfile> for DeclaredProfile {
    fn from(declared: &ClusterProfile) -> Self {
        use crate::check::Profile as Checks;
        Self {
            profile: match declared.profile {
                Profile::Homelab => Checks::Homelab,
                Profile::Production => Checks::Production,
                Profile::Strict => Checks::Strict,
            },
            hosting: declared.hosting,
        }
    }
}

fn problem<T>(key: &str, problem: impl Into<String>) -> Result<T, ConfigError> {
    Err(ConfigError::Value {
        key: key.to_owned(),
        problem: problem.into(),
    })
}

fn suggested(suggestion: Option<&str>) -> String {
    suggestion
        .map(|key| format!("; did you mean `{key}`?"))
        .unwrap_or_default()
}
