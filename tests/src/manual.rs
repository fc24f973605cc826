//! Manual pages and completions, made when packages are built: from the
//! definitions of the command lines and from the shipped settings, so that they
//! cannot say anything else than the programs do.

use std::io;

use clap::Command;
use clap_complete::{Shell, generate};

mod command;
mod settings;
#[cfg(test)]
mod tests;

pub use settings::SettingsError;

/// The manual that all pages belong to.
const MANUAL: &str = "pvelens manual";
const VERSION: &str = concat!("pvelens ", env!("CARGO_PKG_VERSION"));

/// A program with its settings, as the manual sees it.
#[derive(Debug)]
pub struct Program {
    pub name: &'static str,
    command: fn() -> Command,
    /// Of the manual: 1 for everybody, 8 for administrators.
    section: &'static str,
    settings: SettingsFile,
    /// Others that are written by hand.
    beside: &'static [SettingsFile],
    files: &'static [(&'static str, &'static str)],
    see_also: &'static [&'static str],
}

#[derive(Debug)]
struct SettingsFile {
    path: &'static str,
    /// What it is, in a few words.
    title: &'static str,
    /// Name of the page in section 5.
    page: &'static str,
    /// What is shipped, with its comments.
    text: &'static str,
}

/// A file of the manual, or a completion.
#[derive(Debug)]
pub struct Page {
    pub file_name: String,
    pub text: Vec<u8>,
}

/// Why there is no manual.
#[derive(Debug, thiserror::Error)]
pub enum ManualError {
    #[error("the settings in {path}")]
    Settings {
        path: &'static str,
        #[source]
        source: SettingsError,
    },
    #[error("writing a page")]
    Write(#[from] io::Error),
}

/// Both programs, one for each package.
pub const PROGRAMS: &[Program] = &[
    Program {
        name: "pvelens-agent",
        command: pvelens_agent::cli::command,
        section: "8",
        settings: SettingsFile {
            path: "/etc/pvelens/agent.toml",
            title: "settings of pvelens-agent",
            page: "pvelens-agent.toml",
            text: include_str!("../../packaging/conf/agent.toml"),
        },
        beside: &[],
        files: &[
            (
                "/etc/pvelens/agent.toml",
                "The settings, see pvelens-agent.toml(5).",
            ),
            (
                "/etc/pvelens/guest-policy.toml",
                "What may run in the guests of this node; only root may read it. What it can say \
                 stands in it.",
            ),
            (
                "/etc/pvelens/joined.toml",
                "Where the link goes, written by pvelens-agent join; no secret.",
            ),
            (
                "/var/lib/pvelens-agent/identity/",
                "The key and the certificate of this node, once it has joined a coordinator; only \
                 root may read it.",
            ),
            (
                "/var/lib/pvelens-agent/audit/",
                "The record of guest commands.",
            ),
            (
                "/var/lib/pvelens-agent/flight/",
                "What was recorded in emergencies.",
            ),
            (
                "/run/pvelens-agent/local.sock",
                "Where a coordinator on this node connects; for members of the group pvelens.",
            ),
            (
                "/run/pvelens-agent/link.sock",
                "Where the link to a coordinator elsewhere connects, once the node has joined one.",
            ),
            (
                "/run/pvelens-agent/",
                "What is kept until a coordinator fetches it. It outlives the agent, not the system.",
            ),
        ],
        see_also: &["pvelens(1)"],
    },
    Program {
        name: "pvelens",
        command: pvelens::cli::command,
        section: "1",
        settings: SettingsFile {
            path: "/etc/pvelens/pvelens.toml",
            title: "settings of pvelens",
            page: "pvelens.toml",
            text: include_str!("../../packaging/conf/pvelens.toml"),
        },
        beside: &[SettingsFile {
            path: "/etc/pvelens/intent.toml",
            title: "what operators state to pvelens",
            page: "pvelens-intent.toml",
            text: include_str!("../../packaging/conf/intent.toml"),
        }],
        files: &[
            (
                "/etc/pvelens/pvelens.toml",
                "The settings of the coordinator, see pvelens.toml(5).",
            ),
            (
                "/etc/pvelens/intent.toml",
                "What operators state, see pvelens-intent.toml(5).",
            ),
            (
                "/run/pvelens/read.sock",
                "Where the reading commands and gRPC clients connect; for members of the group \
                 pvelens-users.",
            ),
            (
                "/run/pvelens/mcp.sock",
                "Where MCP clients connect; for members of the group pvelens-users.",
            ),
            (
                "/run/pvelens/operate.sock, /run/pvelens/mcp-operate.sock",
                "Where operators and their MCP clients connect; for members of the group \
                 pvelens-operators.",
            ),
            ("/var/lib/pvelens/", "What the coordinator keeps."),
        ],
        see_also: &["pvelens-agent(8)"],
    },
];

impl Program {
    /// The page of the program, one for each command that is shown, and one for each
    /// file of settings.
    ///
    /// # Errors
    /// When the shipped settings have a form that the page cannot show.
    pub fn pages(&self, date: &str) -> Result<Vec<Page>, ManualError> {
        let mut pages = command::pages(self, date)?;
        for file in self.written() {
            pages.push(settings::page(self, file, date)?);
        }
        Ok(pages)
    }

    /// Files of it that somebody writes.
    fn written(&self) -> impl Iterator<Item = &SettingsFile> {
        std::iter::once(&self.settings).chain(self.beside)
    }

    /// One file for each shell, named as that shell looks for it.
    #[must_use]
    pub fn completions(&self) -> Vec<Page> {
        [
            (Shell::Bash, format!("{}.bash", self.name)),
            (Shell::Zsh, format!("_{}", self.name)),
            (Shell::Fish, format!("{}.fish", self.name)),
        ]
        .into_iter()
        .map(|(shell, file_name)| {
            let mut text = Vec::new();
            generate(shell, &mut (self.command)(), self.name, &mut text);
            Page { file_name, text }
        })
        .collect()
    }
}
