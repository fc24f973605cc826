//! `pvelens-soak`: the agent through thousands of cycles in which everything
//! breaks; see `tests/soak`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use pvelens_tests::soak::{self, Options};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Soak, and print the figures beside what they may be
    Run {
        /// Cycles of ten seconds
        #[arg(long, default_value_t = 10_000)]
        cycles: u32,
        /// The same seed breaks the same things
        #[arg(long, default_value_t = 1)]
        seed: u64,
    },
    /// Be the agent of a node, tick by tick
    Agent { directory: PathBuf },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Task::Run { cycles, seed } => soak::soak(&Options {
            cycles,
            seed,
            program: std::env::current_exe()?,
        }),
        Task::Agent { directory } => soak::be(&directory).map(|()| ExitCode::SUCCESS),
    }
}
