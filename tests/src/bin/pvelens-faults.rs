//! `pvelens-faults`: everything that a link must outlive; see `tests/faults`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use pvelens_tests::{
    faults::{self, Misdeed, Options},
    rig::Programs,
};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Try the cases, and print how each went
    Run {
        /// Processes that are killed at random
        #[arg(long, default_value_t = 100)]
        kills: u32,
        /// The same seed kills the same ones
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Only cases whose name contains this
        #[arg(long, default_value = "")]
        only: String,
        /// Only what takes less than two minutes, with few kills
        #[arg(long)]
        short: bool,
        /// Keep all logs here
        #[arg(long)]
        directory: Option<PathBuf>,
    },
    /// Say why they cannot be tried here, if they cannot
    Possible,
    #[command(hide = true)]
    Scan {
        address: SocketAddr,
        #[arg(long)]
        rounds: u32,
    },
    #[command(hide = true)]
    Flood {
        identity: PathBuf,
        address: SocketAddr,
    },
    #[command(hide = true)]
    Repeat {
        identity: PathBuf,
        address: SocketAddr,
    },
}

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Task::Run {
            kills,
            seed,
            only,
            short,
            directory,
        } => {
            if let Some(why) = faults::hindrance() {
                anyhow::bail!(why);
            }
            let temporary = tempfile::tempdir()?;
            let options = Options {
                programs: Programs::beside()?,
                hostile: std::env::current_exe()?,
                kills,
                seed,
                only,
                short,
                directory: directory.unwrap_or_else(|| temporary.path().to_owned()),
            };
            let outcomes = faults::run(&options, |outcome| println!("{outcome}")).await?;
            Ok(faults::status(&outcomes))
        }
        Task::Possible => {
            let why = faults::hindrance();
            println!("{}", why.as_deref().unwrap_or("yes"));
            Ok(ExitCode::from(u8::from(why.is_some())))
        }
        Task::Scan { address, rounds } => {
            println!("{}", faults::scan(address, rounds).await?);
            Ok(ExitCode::SUCCESS)
        }
        Task::Flood { identity, address } => {
            faults::misbehave(&identity, address, Misdeed::Flood).await?;
            Ok(ExitCode::SUCCESS)
        }
        Task::Repeat { identity, address } => {
            faults::misbehave(&identity, address, Misdeed::Repeat).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}
