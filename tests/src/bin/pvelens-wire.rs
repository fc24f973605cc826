//! `pvelens-wire`: keeps the messages of a release; see `tests/wire/README.md`.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    /// Write what is kept of a release
    Keep {
        /// As tests/wire/0.2
        directory: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    let Task::Keep { directory } = Arguments::parse().command;
    pvelens_tests::wire::keep(&directory)
}
