//! `pvelens-cost`: what the agent costs a node with 100 guests; see `tests/cost`.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use pvelens_tests::cost;

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Measure, and print the figures beside what they may be
    Measure {
        /// Cycles of ten seconds
        #[arg(long, default_value_t = 720)]
        cycles: u32,
        /// Leave out the memory, which takes some minutes
        #[arg(long)]
        cpu_only: bool,
    },
    /// Be the agent on a node, faster than time, until its spool has been filled twice
    Agent { root: PathBuf, spool: PathBuf },
    /// Be a guest with this many vCPUs
    Guest { vcpus: usize },
}

fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Task::Measure { cycles, cpu_only } => cost::measure(cycles, !cpu_only),
        Task::Agent { root, spool } => cost::agent(&root, &spool).map(|()| ExitCode::SUCCESS),
        Task::Guest { vcpus } => cost::guest(vcpus).map(|()| ExitCode::SUCCESS),
    }
}
