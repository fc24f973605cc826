//! `pvelens-scale`: many agents against one coordinator; see `tests/scale`.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use pvelens_tests::{
    rig::Programs,
    scale::{self, Options},
};

#[derive(Debug, Parser)]
struct Arguments {
    #[arg(long, default_value_t = 1000)]
    agents: u32,
    #[arg(long, default_value_t = 50_000)]
    guests: u32,
    /// How long to measure
    #[arg(long, default_value_t = 120)]
    seconds: u64,
    /// How much faster than in reality time passes for the agents
    #[arg(long, default_value_t = 1.0)]
    factor: f64,
    /// Report, and fail for no figure: for a small fleet, or programs for debugging
    #[arg(long)]
    no_goals: bool,
    /// Keep everything here
    #[arg(long)]
    directory: Option<PathBuf>,
}

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let report = scale::run(&Options {
        agents: arguments.agents,
        guests: arguments.guests,
        seconds: arguments.seconds,
        factor: arguments.factor,
        programs: Programs::beside()?,
        directory: arguments.directory,
    })
    .await?;
    print!("{report}");
    let wrong = report.wrong();
    for line in &wrong {
        println!("WRONG: {line}");
    }
    Ok(ExitCode::from(u8::from(
        !wrong.is_empty() && !arguments.no_goals,
    )))
}
