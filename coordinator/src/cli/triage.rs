//! `triage`, and the process it may leave behind.

use std::{
    io::{self, IsTerminal},
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, ValueEnum};
use jiff::Timestamp;

use super::{FOUND, Failure, NOT_ASSESSED, output, print};
use crate::{
    config::AGENT_SOCKET,
    triage::{
        Gathered, Source, State,
        gather::{self, BUDGET},
        text, triage,
    },
};

#[derive(Debug, Args)]
#[command(
    after_help = "Exit status: 0 fine, 1 something is broken or about to be, 2 usage or not root, 3 could not be assessed"
)]
pub(super) struct Triage {
    /// Form of the output
    #[arg(long, value_enum, default_value_t = Output::Text, value_name = "FORMAT")]
    output: Output,
    /// Read a captured node below this directory instead of this one
    #[arg(long, value_name = "DIRECTORY", conflicts_with = "socket")]
    root: Option<PathBuf>,
    /// When the tree was captured [default: the newest figure of Proxmox VE in it]
    #[arg(long, value_name = "TIME", requires = "root")]
    at: Option<Timestamp>,
    /// Socket of the agent of this node
    #[arg(long, value_name = "PATH", default_value = AGENT_SOCKET)]
    socket: PathBuf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    /// For a terminal
    Text,
    /// For programs
    Json,
}

/// What the hidden child of `triage` is told.
#[derive(Debug, Args)]
pub(super) struct Collect {
    #[arg(long)]
    within_milliseconds: u64,
    #[arg(long, requires = "at")]
    root: Option<PathBuf>,
    #[arg(long)]
    at: Option<Timestamp>,
}

impl Triage {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let gathered = self.gathered()?;
        let triage = triage(&gathered);
        match self.output {
            Output::Text => print(&text(&triage, is_colored()))?,
            // A struct with string keys, which always serialises.
            Output::Json => {
                let json = serde_json::to_string_pretty(&triage).unwrap_or_default();
                print(&(json + "\n"))?;
            }
        }
        Ok(match triage.state {
            State::Fine => 0,
            State::Warning | State::Broken => FOUND,
            State::Unknown => NOT_ASSESSED,
        })
    }

    fn gathered(&self) -> Result<Gathered, Failure> {
        if let Some(root) = &self.root {
            // What the child reads does not depend on where it is started.
            let root = std::path::absolute(root)
                .map_err(|error| Failure::Usage(format!("{}: {error}", root.display())))?;
            if !root.is_dir() {
                let text = format!("{} is no directory", root.display());
                return Err(Failure::Usage(text));
            }
            let at = self
                .at
                .or_else(|| gather::tree_at(&root))
                .unwrap_or_else(now);
            return gather::collect_in_child(Some((&root, at)), at, BUDGET, Source::Tree)
                .map_err(Failure::NotAssessed);
        }
        // Whoever may ask the agent needs to be no more than that.
        match (
            is_root(),
            gather::ask_agent(&self.socket, gather::AGENT_BUDGET),
        ) {
            (_, Ok(gathered)) => Ok(gathered),
            (true, Err(why)) => gather::without_agent(now(), why).map_err(Failure::NotAssessed),
            (false, Err(why)) => Err(Failure::Usage(format!(
                "run it as root: pvelens-agent {why}, and only root may read the node itself"
            ))),
        }
    }
}

impl Collect {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let within = Duration::from_millis(self.within_milliseconds);
        let tree: Option<(&Path, Timestamp)> = self.root.as_deref().zip(self.at);
        gather::serve_child(tree, within).map_err(Failure::NotAssessed)?;
        Ok(0)
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn is_colored() -> bool {
    let wants = output::color(
        std::env::var_os("NO_COLOR").as_deref(),
        std::env::var_os("TERM").as_deref(),
    );
    wants && io::stdout().is_terminal()
}

#[expect(clippy::disallowed_methods, reason = "the clock of this command")]
fn now() -> Timestamp {
    Timestamp::now()
}
