//! `pvelens-kept`: whether what a store said it keeps is there after a crash; see
//! `tests/kept`.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use pvelens_tests::kept::{self, kill};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Kill processes that write, at random moments, and look after each
    Kill {
        #[arg(long, default_value_t = 100)]
        kills: u32,
        /// The same seed lets them live as long
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Where the store is made; else in a temporary directory
        #[arg(long)]
        directory: Option<PathBuf>,
    },
    /// Write until killed
    #[command(hide = true)]
    Keep { directory: PathBuf },
}

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Task::Kill {
            kills,
            seed,
            directory,
        } => {
            let temporary = tempfile::TempDir::new()?;
            let directory = directory.unwrap_or_else(|| temporary.path().join("store"));
            let outcome = kill::run(&directory, kills, seed)?;
            println!(
                "{} kills, {} of them after a write: all that was said to be kept is there, each \
                 value once; {} updates in all, {} of them kept without having been said",
                outcome.kills, outcome.after_writes, outcome.kept, outcome.untold
            );
        }
        Task::Keep { directory } => kept::keep(&directory, io::stdout().lock())?,
    }
    Ok(ExitCode::SUCCESS)
}
