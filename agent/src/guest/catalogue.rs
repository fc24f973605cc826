//! What may be asked of guests: `guest-commands.toml`, which is part of the program.
//!
//! An entry has a fixed program with fixed arguments and slots for typed values, or
//! names a question to the guest agent. Nothing in a request is a program, an
//! argument or a path: it picks an entry and fills slots.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;

use super::rule::{Refusal, Rule, Rules};

mod parameter;
mod rpc;
mod template;
#[cfg(test)]
mod tests;
mod validate;

pub use parameter::Parameter;
pub use rpc::Rpc;

const EMBEDDED: &str = include_str!("../../guest-commands.toml");

/// Every command there is, in the order of the file.
#[derive(Debug, Clone)]
pub struct Catalogue {
    commands: Vec<Command>,
}

/// Why a catalogue is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CatalogueError {
    #[error("the catalogue of guest commands is malformed: {0}")]
    Malformed(String),
    #[error("guest command {id}: {wrong}")]
    Wrong { id: String, wrong: String },
}

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Command {
    /// Stable: `disk-usage`.
    pub id: String,
    pub title: String,
    /// `disk`, `memory`, `network`, ...
    pub group: String,
    /// Guests it is for.
    pub systems: Vec<System>,
    /// Where the program is, by distribution: the first that is there runs.
    #[serde(default)]
    program: Vec<String>,
    #[serde(default)]
    arguments: Vec<String>,
    #[serde(default)]
    rpc: Option<Rpc>,
    timeout_seconds: u64,
    output_limit_bytes: usize,
    /// How its output is read: `df`, `text`, ...
    reads: String,
    /// Exit codes that stand for an answer.
    #[serde(default = "zero")]
    success: Vec<i64>,
    /// What there has to be in the guest; empty = nothing special.
    #[serde(default)]
    pub needs: String,
    #[serde(default)]
    pub note: String,
    /// In the order of their names.
    #[serde(default, deserialize_with = "parameter::named")]
    pub parameters: Vec<Parameter>,
    /// Examples of what comes of a request, which are tested.
    pub allow: Vec<AllowExample>,
    /// Examples of what is refused, which are tested.
    #[serde(default)]
    pub deny: Vec<DenyExample>,
}

/// A request that is good, and what is asked of the guest for it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllowExample {
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    /// With the first program; of a question, its name.
    pub argv: Vec<String>,
}

/// A request that is refused, and by which rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DenyExample {
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    pub rule: Rule,
}

/// Operating systems that differ in what can be asked of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum System {
    Linux,
    Windows,
    /// Of which only the guest agent is known.
    Other,
}

/// A command with its values: what is asked of the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prepared {
    pub(crate) call: PreparedCall,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PreparedCall {
    /// The first of the programs that is there, with these arguments.
    Exec {
        programs: Vec<String>,
        arguments: Vec<String>,
    },
    Rpc(Rpc),
}

fn zero() -> Vec<i64> {
    vec![0]
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    command: Vec<Command>,
}

impl Catalogue {
    /// The one of this program.
    ///
    /// # Errors
    /// When it is malformed, which a test rules out.
    pub fn embedded() -> Result<Self, CatalogueError> {
        Self::parse(EMBEDDED)
    }

    /// # Errors
    /// When it is no TOML, or has an entry that could do more than read.
    pub fn parse(text: &str) -> Result<Self, CatalogueError> {
        let file: File =
            toml::from_str(text).map_err(|error| CatalogueError::Malformed(error.to_string()))?;
        let commands = file.command;
        for (at, command) in commands.iter().enumerate() {
            let twice = commands.iter().take(at).any(|other| other.id == command.id);
            let wrong = if twice {
                Some("there are two with this id".to_owned())
            } else {
                validate::flaw(command)
            };
            if let Some(wrong) = wrong {
                let id = command.id.clone();
                return Err(CatalogueError::Wrong { id, wrong });
            }
        }
        Ok(Self { commands })
    }

    #[must_use]
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Command> {
        self.commands.iter().find(|command| command.id == id)
    }
}

impl Command {
    /// The question to the guest agent, of a command that starts no program.
    #[must_use]
    pub fn rpc(&self) -> Option<Rpc> {
        self.rpc
    }

    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_seconds)
    }

    /// Of the text that is given on.
    #[must_use]
    pub fn output_limit_bytes(&self) -> usize {
        self.output_limit_bytes
    }

    #[must_use]
    pub fn is_answer(&self, exit_code: i64) -> bool {
        self.success.contains(&exit_code)
    }

    /// Whether it is for guests of every system.
    #[must_use]
    pub fn runs_everywhere(&self) -> bool {
        [System::Linux, System::Windows, System::Other]
            .iter()
            .all(|system| self.systems.contains(system))
    }

    #[must_use]
    pub fn reads_name(&self) -> &str {
        &self.reads
    }

    /// Paths where the program may be; empty for a question.
    #[must_use]
    pub fn programs(&self) -> &[String] {
        &self.program
    }

    /// The first program and its arguments with `{slots}`; of a question, its name.
    #[must_use]
    pub fn template(&self) -> Vec<String> {
        match self.rpc {
            Some(rpc) => vec![rpc.name().to_owned()],
            None => self
                .program
                .iter()
                .take(1)
                .chain(&self.arguments)
                .cloned()
                .collect(),
        }
    }

    /// Puts values into the slots.
    ///
    /// # Errors
    /// When a value is none of its parameter's, is missing, or has no parameter.
    pub(crate) fn prepare(
        &self,
        given: &[(String, String)],
        rules: Rules,
    ) -> Result<Prepared, Refusal> {
        for (at, (name, _)) in given.iter().enumerate() {
            let known = self
                .parameters
                .iter()
                .any(|parameter| parameter.name == *name);
            rules.refuse_if(!known, Rule::UnknownParameter, || {
                format!("{} has no parameter `{}`", self.id, shown(name))
            })?;
            let twice = given.iter().take(at).any(|(other, _)| other == name);
            rules.refuse_if(twice, Rule::DuplicateParameter, || {
                format!("`{}` is given twice", shown(name))
            })?;
        }
        let mut filled = Vec::new();
        for parameter in &self.parameters {
            let value = given.iter().find(|(name, _)| *name == parameter.name);
            let value = value.map(|(_, value)| value).or(parameter.default.as_ref());
            rules.refuse_if(value.is_none(), Rule::MissingParameter, || {
                format!(
                    "{} needs `{}`: {}",
                    self.id,
                    parameter.name,
                    parameter.takes()
                )
            })?;
            if let Some(value) = value {
                parameter.check(value, rules)?;
                filled.push((parameter.name.as_str(), parameter.argument(value)));
            }
        }
        let call = match self.rpc {
            Some(rpc) => PreparedCall::Rpc(rpc),
            None => PreparedCall::Exec {
                programs: self.program.clone(),
                arguments: self
                    .arguments
                    .iter()
                    .map(|argument| template::fill(argument, &filled))
                    .collect(),
            },
        };
        Ok(Prepared { call })
    }
}

impl Prepared {
    /// With the first program; of a question, its name.
    #[must_use]
    pub fn argv(&self) -> Vec<String> {
        match &self.call {
            PreparedCall::Exec {
                programs,
                arguments,
            } => programs.iter().take(1).chain(arguments).cloned().collect(),
            PreparedCall::Rpc(rpc) => vec![rpc.name().to_owned()],
        }
    }
}

impl System {
    /// As in the catalogue: `linux`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Windows => "windows",
            Self::Other => "other",
        }
    }
}

/// What somebody wrote, so that it can stand in a sentence.
fn shown(text: &str) -> String {
    text.escape_debug().take(40).collect()
}
