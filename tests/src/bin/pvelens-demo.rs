//! `cargo demo`: a simulated cluster, its agents and a coordinator, on this
//! machine and without anything installed.

use std::{
    io::{self, IsTerminal, Write},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::Parser;
use jiff::Timestamp;
use pvelens::render::{Format, Style};
use pvelens_tests::demo::{DEFAULT_SEED, Demo, DemoSpec, report};

/// Shows pvelens on a simulated Proxmox VE cluster with planted faults.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Print the health report and exit.
    #[arg(long)]
    once: bool,
    /// Which faults are planted.
    #[arg(long, default_value_t = DEFAULT_SEED)]
    seed: u64,
    /// Plant no faults.
    #[arg(long)]
    healthy: bool,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=32))]
    nodes: u8,
    /// Keep the files here; otherwise a temporary directory is removed at the end.
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Also say what was planted and whether exactly that was found.
    #[arg(long)]
    labels: bool,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let wanted = DemoSpec {
        nodes: usize::from(arguments.nodes),
        seed: arguments.seed,
        healthy: arguments.healthy,
        directory: arguments.dir.clone(),
    };
    let mut demo =
        Demo::prepare(&wanted, Timestamp::now()).context("writing the simulated nodes")?;
    let outcome = demo.live_through_the_past()?;
    let mut text = report(&outcome, &style()).context("making the health report")?;
    if arguments.labels {
        text.push('\n');
        text.push_str(&demo.verdict(&outcome));
    }
    io::stdout().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// Colours for a terminal, unless the user asked for none.
fn style() -> Style {
    let color = io::stdout().is_terminal()
        && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    Style {
        format: Format::Text,
        width: None,
        color,
    }
}
