//! `pvelens-eval`: runs scenarios and seeds through the real path and says how
//! well findings and labels agree. Exit status 1 when anything disagrees.

use std::{
    io::{self, Write},
    ops::RangeInclusive,
    path::PathBuf,
    process::ExitCode,
};

use anyhow::Context;
use clap::{Parser, ValueEnum};
use pvelens_tests::{
    eval::{Evaluation, Repeat},
    scenario::Scenario,
};

/// Checks findings against scenarios with known answers.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Directory of scenario files.
    #[arg(long, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios"))]
    scenarios: PathBuf,
    /// Only scenarios whose name contains this.
    #[arg(long)]
    only: Option<String>,
    /// Also clusters with faults chosen by these seeds: `7` or `1..20`.
    #[arg(long, value_parser = seeds)]
    seeds: Option<RangeInclusive<u64>>,
    /// Run each case once; otherwise three times, to see that nothing changes.
    #[arg(long)]
    once: bool,
    #[arg(long, value_enum, default_value_t = Output::Text)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Output {
    Text,
    Json,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let mut scenarios = Scenario::read_all(&arguments.scenarios).context("reading scenarios")?;
    if let Some(only) = &arguments.only {
        scenarios.retain(|scenario| scenario.name.contains(only));
    }
    let repeat = if arguments.once {
        Repeat::Once
    } else {
        Repeat::Thrice
    };
    let evaluation = Evaluation::of(&scenarios, arguments.seeds, repeat)?;
    let text = match arguments.output {
        Output::Json => serde_json::to_string_pretty(&evaluation)? + "\n",
        Output::Text => text(&evaluation, arguments.once),
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(if evaluation.agrees() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// `7`, or `1..20` with both ends.
fn seeds(text: &str) -> Result<RangeInclusive<u64>, String> {
    let number = |text: &str| {
        text.parse::<u64>()
            .map_err(|_| format!("{text:?} is not a seed"))
    };
    match text.split_once("..") {
        None => number(text).map(|seed| seed..=seed),
        Some((first, last)) => Ok(number(first)?..=number(last.trim_start_matches('='))?),
    }
}

fn text(evaluation: &Evaluation, once: bool) -> String {
    let mut lines = Vec::new();
    for case in &evaluation.cases {
        let word = if case.disagreements.is_empty() {
            "ok  "
        } else {
            "FAIL"
        };
        lines.push(format!(
            "{word} {:<44} {}/{} found",
            case.name, case.found, case.expected
        ));
        lines.extend(
            case.disagreements
                .iter()
                .map(|line| format!("       {line}")),
        );
    }
    lines.push(format!(
        "{} cases: recall {:.3}, precision {:.3}, root first {:.3}, {} false alarms, {}",
        evaluation.cases.len(),
        evaluation.recall,
        evaluation.precision,
        evaluation.root_first,
        evaluation.false_alarms,
        match (evaluation.deterministic, once) {
            (_, true) => "each run once",
            (true, false) => "the same every time",
            (false, false) => "NOT the same every time",
        },
    ));
    lines.join("\n") + "\n"
}
