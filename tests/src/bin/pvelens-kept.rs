//! `pvelens-kept`: whether what a store said it keeps is there after a crash; see
//! `tests/kept`.

use std::{io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use pvelens_tests::kept::{
    self, Manner, kill,
    power::{self, Wrong},
};

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
    /// Take the power of a disk away, before operations that are drawn, and look after
    /// each; only root may mount such a disk
    Power {
        #[arg(long, default_value_t = 100)]
        losses: u32,
        /// The same seed draws the same operations
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// Break the disk or the process, to see that it is found out: it is an error if
        /// it is not
        #[arg(long)]
        wrong: Option<Wrong>,
    },
    /// Whether such a disk can be mounted here
    Possible,
    /// Write until killed
    #[command(hide = true)]
    Keep {
        directory: PathBuf,
        /// Say that it is kept before it is
        #[arg(long)]
        early: bool,
    },
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
        Task::Power {
            losses,
            seed,
            wrong,
        } => {
            let directory = tempfile::TempDir::new()?;
            let options = power::Options {
                losses,
                seed,
                wrong,
            };
            match (power::run(directory.path(), options), wrong) {
                (outcome, None) => println!("{}", outcome?),
                (Err(error), Some(_)) => println!("found out: {error}"),
                (Ok(_), Some(wrong)) => {
                    println!("NOT FOUND OUT: {wrong:?} in {losses} losses of power");
                    return Ok(ExitCode::FAILURE);
                }
            }
        }
        Task::Possible => {
            if let Err(error) = power::possible() {
                println!("{error}");
                return Ok(ExitCode::FAILURE);
            }
        }
        Task::Keep { directory, early } => {
            let manner = if early { Manner::Early } else { Manner::Honest };
            kept::keep(&directory, manner, io::stdout().lock())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
