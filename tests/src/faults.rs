//! What a link, and the disk of a coordinator, must outlive: real processes, real TLS,
//! network namespaces.
//!
//! A world is one coordinator in a namespace of its own and nodes, each with an agent
//! in an empty namespace and its pipe in another. Beside each agent an independent
//! reader of `local.sock` writes down what the agent emits. After each case that record
//! and what the agent still holds are compared with what the coordinator has kept.

use std::{fmt, path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;

mod account;
mod cases;
mod hostile;
mod net;
mod node;
mod world;

pub use hostile::{Misdeed, misbehave, scan};

use crate::rig::Programs;

/// What to try.
#[derive(Debug, Clone)]
pub struct Options {
    pub programs: Programs,
    /// This program, for what a stranger does.
    pub hostile: PathBuf,
    pub kills: u32,
    pub seed: u64,
    /// Cases whose name contains this; all when empty.
    pub only: String,
    /// Leaves out what takes minutes.
    pub short: bool,
    pub directory: PathBuf,
}

/// How one case went.
#[derive(Debug)]
pub struct Outcome {
    pub name: &'static str,
    pub took: Duration,
    /// What was seen, or what was wrong.
    pub result: Result<String, String>,
}

/// Why they cannot be tried here, if they cannot.
#[must_use]
pub fn hindrance() -> Option<String> {
    net::hindrance()
}

/// Runs the cases, one after the other.
///
/// # Errors
/// When a world cannot be made.
pub async fn run(options: &Options, told: impl Fn(&Outcome)) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for case in cases::ALL {
        let is_left_out = options.short && !case.is_short;
        if is_left_out || !case.name.contains(&options.only) {
            continue;
        }
        let outcome = cases::run(case, options).await;
        told(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The exit status of a program that ran them.
#[must_use]
pub fn status(outcomes: &[Outcome]) -> ExitCode {
    let is_good = !outcomes.is_empty() && outcomes.iter().all(|outcome| outcome.result.is_ok());
    ExitCode::from(u8::from(!is_good))
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (word, text) = match &self.result {
            Ok(seen) => ("ok", seen),
            Err(wrong) => ("FAILED", wrong),
        };
        let seconds = self.took.as_secs();
        write!(f, "{word:6} {:30} {seconds:4} s  {text}", self.name)
    }
}
