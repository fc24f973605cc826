//! The agent through thousands of cycles in which everything breaks.
//!
//! A simulated node goes through its time in steps of ten seconds. In each, files
//! are damaged and mended, reads hang and go on, guests vanish and come back, the
//! clock jumps by up to days. The agent is a process of its own with the real
//! rounds, deadlines and service; only its time is told, and its deadlines are
//! short. Whatever was done to it must stand in its self-report, by path and kind,
//! within the interval of who reads that; whatever was mended must be read again;
//! nothing may be named that nobody broke, and it must not grow.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

mod agent;
mod broken;
mod fault;
mod figures;
mod target;
mod turmoil;

use agent::Agent;
pub use agent::be;
use broken::Broken;
use figures::Figures;
use turmoil::Turmoil;

use crate::sim;

/// Simulated time of a cycle.
const CYCLE: Duration = Duration::from_secs(10);
/// After the last fault: what failed is read again within a minute.
const AFTERMATH: u32 = 12;
/// Then so long that every collector is due, six hours at most.
const LONG_CYCLE: Duration = Duration::from_secs(600);
const LONG_CYCLES: u32 = 38;
/// Cycles whose mean is a measured size: the allocator breathes.
const WINDOW: u32 = 100;

/// How to soak.
#[derive(Debug, Clone)]
pub struct Options {
    pub cycles: u32,
    pub seed: u64,
    /// The program that is the agent when it is called with `agent DIRECTORY`.
    pub program: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    /// The figures, for people.
    pub text: String,
    /// What was not as it has to be.
    pub wrong: Vec<String>,
    /// Whether reads were let hang, which only root may.
    pub has_hung: bool,
}

/// Soaks, prints, and fails when something was wrong.
///
/// # Errors
/// When the node cannot be made, or the agent ends.
#[expect(
    clippy::print_stdout,
    reason = "the figures are what the command is for"
)]
pub fn soak(options: &Options) -> Result<ExitCode> {
    let outcome = run(options)?;
    println!("{}", outcome.text);
    for wrong in &outcome.wrong {
        println!("WRONG    {wrong}");
    }
    Ok(if outcome.wrong.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Soaks.
///
/// # Errors
/// As [`soak`].
pub fn run(options: &Options) -> Result<Outcome> {
    let begun = Instant::now();
    let directory = sim::temporary_directory().context("a directory for the node")?;
    let mut soaked = Soaked::start(options, directory.path())?;
    for cycle in 0..options.cycles {
        soaked.cycle(cycle)?;
    }
    soaked.rest()?;
    soaked.end(options, begun)
}

/// The node, the agent, and what is being done to them.
struct Soaked {
    turmoil: Turmoil,
    agent: Agent,
    broken: Broken,
    figures: Figures,
    /// Of the agent's loop, which nobody sets.
    now: Duration,
}

impl Soaked {
    fn start(options: &Options, directory: &Path) -> Result<Self> {
        let cluster = target::create(directory, options.seed)?;
        let targets = target::find(&cluster)?;
        let mut agent = Agent::start(&options.program, directory)?;
        let turmoil = Turmoil::new(cluster, targets, options, fault::can_hang(directory));
        // Once whole, to know what this node lacks anyway.
        agent.tick(Duration::ZERO, turmoil.clock_millis())?;
        let first = agent.report()?;
        Ok(Self {
            broken: Broken::new(&first),
            figures: Figures::new(&first, options.cycles),
            turmoil,
            agent,
            now: Duration::ZERO,
        })
    }

    fn cycle(&mut self, cycle: u32) -> Result<()> {
        self.turmoil.advance(CYCLE)?;
        for held in self.broken.healed(cycle) {
            held.heal(self.turmoil.tree())?;
        }
        self.turmoil.disturb(cycle, &mut self.broken)?;
        self.step(cycle, CYCLE)
    }

    /// Nothing more is broken, and everything becomes due once.
    fn rest(&mut self) -> Result<()> {
        let mut cycle = self.figures.cycles();
        for held in self.broken.all_healed(cycle) {
            held.heal(self.turmoil.tree())?;
        }
        for step in [CYCLE; AFTERMATH as usize]
            .into_iter()
            .chain([LONG_CYCLE; LONG_CYCLES as usize])
        {
            self.turmoil.advance(step)?;
            self.step(cycle, step)?;
            cycle += 1;
        }
        Ok(())
    }

    fn step(&mut self, cycle: u32, step: Duration) -> Result<()> {
        self.now += step;
        self.agent.tick(self.now, self.turmoil.clock_millis())?;
        let report = self.agent.report()?;
        self.broken.look(cycle, &report);
        self.figures.look(cycle, &report);
        if cycle % WINDOW == WINDOW - 1 {
            let (samples, missed) = self.agent.samples()?;
            self.figures.stream(&samples, missed, &self.turmoil.vmids());
        }
        Ok(())
    }

    fn end(mut self, options: &Options, begun: Instant) -> Result<Outcome> {
        let last = self.agent.report()?;
        self.agent.stop()?;
        let mut wrong = self.broken.wrong();
        wrong.extend(self.broken.unrecovered(&last, LONG_CYCLE));
        wrong.extend(self.figures.wrong(&last, self.turmoil.jumps()));
        let mut lines = vec![format!(
            "{} cycles of {} s with seed {}, {} s of real time",
            options.cycles,
            CYCLE.as_secs(),
            options.seed,
            begun.elapsed().as_secs()
        )];
        lines.extend(self.turmoil.lines());
        lines.extend(self.broken.lines());
        lines.extend(self.figures.lines(&last));
        Ok(Outcome {
            text: lines.join("\n"),
            wrong,
            has_hung: self.turmoil.can_hang(),
        })
    }
}
