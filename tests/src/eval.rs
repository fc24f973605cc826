//! Runs scenarios and seeds and sums up how well findings and labels agree.

use std::{
    collections::BTreeMap,
    ops::RangeInclusive,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use serde::Serialize;

use crate::{
    run::{self, Options, RunError},
    scenario::{Coverage, Scenario, ScenarioError},
    score::{Known, Score, score},
    sim::{Cluster, ClusterSpec, fault, temporary_directory},
};

/// The sums of an evaluation, and every case.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Evaluation {
    pub cases: Vec<Case>,
    /// Expected findings that were found.
    pub recall: f64,
    /// Reported findings that were expected.
    pub precision: f64,
    /// Cases whose first finding without a cause is a planted root.
    pub root_first: f64,
    pub false_alarms: usize,
    /// The same run twice, and with its updates in another order, gave the
    /// same bytes.
    pub deterministic: bool,
    /// By check: how often it was expected.
    pub checks: BTreeMap<String, usize>,
}

/// One scenario or one seed.
#[derive(Debug, Clone, Serialize)]
pub struct Case {
    pub name: String,
    pub expected: usize,
    pub found: usize,
    pub reported: usize,
    pub false_alarms: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_first: Option<bool>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub disagreements: Vec<String>,
}

/// Why there is no evaluation.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("making a directory for the simulated cluster")]
    Directory(#[from] std::io::Error),
}

/// How often each case runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    Once,
    /// Again the same way, and again with its updates in another order.
    Thrice,
}

impl Evaluation {
    /// Runs and compares, as many cases at a time as there are processors.
    ///
    /// # Errors
    /// When a case cannot be run at all.
    pub fn of(
        scenarios: &[Scenario],
        seeds: Option<RangeInclusive<u64>>,
        repeat: Repeat,
    ) -> Result<Self, EvalError> {
        let jobs: Vec<Job<'_>> = scenarios
            .iter()
            .map(Job::Scenario)
            .chain(seeds.into_iter().flatten().map(Job::Seed))
            .collect();
        let mut evaluation = Self {
            deterministic: true,
            ..Self::default()
        };
        let mut scores = Vec::new();
        for (job, result) in jobs.iter().zip(run_all(&jobs, repeat)) {
            let (score, same) = result?;
            evaluation.count(&job.name(), &score, same);
            if let Job::Scenario(scenario) = job {
                for label in &scenario.expect {
                    *evaluation.checks.entry(label.check.clone()).or_default() += 1;
                }
            }
            scores.push(score);
        }
        evaluation.sum_up(&scores);
        Ok(evaluation)
    }

    /// Whether everything agrees.
    #[must_use]
    pub fn agrees(&self) -> bool {
        self.deterministic && self.cases.iter().all(|case| case.disagreements.is_empty())
    }

    fn count(&mut self, name: &str, score: &Score, same: bool) {
        let mut disagreements = score.disagreements.clone();
        if !same {
            disagreements.push("another run gave another result".to_owned());
            self.deterministic = false;
        }
        self.cases.push(Case {
            name: name.to_owned(),
            expected: score.expected,
            found: score.found,
            reported: score.reported,
            false_alarms: score.false_alarms,
            root_first: score.root_first,
            disagreements,
        });
    }

    fn sum_up(&mut self, scores: &[Score]) {
        let sum = |of: fn(&Score) -> usize| scores.iter().map(of).sum::<usize>();
        let reported = sum(|score| score.reported);
        self.false_alarms = sum(|score| score.false_alarms);
        self.recall = share(sum(|score| score.found), sum(|score| score.expected));
        self.precision = share(reported - self.false_alarms, reported);
        let ranked: Vec<bool> = scores.iter().filter_map(|score| score.root_first).collect();
        self.root_first = share(ranked.iter().filter(|first| **first).count(), ranked.len());
    }
}

/// A share; of nothing, everything.
#[expect(clippy::cast_precision_loss, reason = "numbers of findings are small")]
fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        1.0
    } else {
        part as f64 / whole as f64
    }
}

/// One case to run.
#[derive(Debug, Clone, Copy)]
enum Job<'a> {
    Scenario(&'a Scenario),
    Seed(u64),
}

impl Job<'_> {
    fn name(&self) -> String {
        match self {
            Self::Scenario(scenario) => scenario.name.clone(),
            Self::Seed(seed) => format!("seed-{seed}"),
        }
    }

    fn run(&self, shuffled: bool) -> Result<(Score, String), EvalError> {
        match self {
            Self::Scenario(scenario) => of_scenario(scenario, shuffled),
            Self::Seed(seed) => of_seed(*seed, shuffled),
        }
    }
}

type JobResult = Result<(Score, bool), EvalError>;

/// Results in the order of the jobs.
fn run_all(jobs: &[Job<'_>], repeat: Repeat) -> Vec<JobResult> {
    let next = AtomicUsize::new(0);
    let workers = thread::available_parallelism().map_or(1, usize::from);
    let mut results: Vec<(usize, JobResult)> = thread::scope(|scope| {
        let work = || {
            let mut done = Vec::new();
            loop {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(job) = jobs.get(index) else {
                    return done;
                };
                done.push((index, repeated(repeat, |shuffled| job.run(shuffled))));
            }
        };
        let threads: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .flat_map(|thread| match thread.join() {
                Ok(done) => done,
                Err(panic) => std::panic::resume_unwind(panic),
            })
            .collect()
    });
    results.sort_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The score of the first run, and whether the others were like it.
fn repeated(
    repeat: Repeat,
    run: impl Fn(bool) -> Result<(Score, String), EvalError>,
) -> Result<(Score, bool), EvalError> {
    let (score, bytes) = run(false)?;
    let same = match repeat {
        Repeat::Once => true,
        Repeat::Thrice => run(false)?.1 == bytes && run(true)?.1 == bytes,
    };
    Ok((score, same))
}

/// Runs one scenario.
///
/// # Errors
/// When it cannot be run.
pub fn of_scenario(scenario: &Scenario, shuffled: bool) -> Result<(Score, String), EvalError> {
    let directory = temporary_directory()?;
    let mut cluster = scenario.cluster(directory.path())?;
    let options = Options {
        hours_before: scenario.run.hours_before,
        minutes: scenario.run.minutes,
        step_seconds: scenario.run.step_seconds,
        params: scenario.cluster.params(),
        intent: scenario.intent.clone(),
        shuffled,
    };
    let outcome = run::run(&mut cluster, &options)?;
    let known = Known {
        expect: &scenario.expect,
        forbid: &scenario.forbid,
        coverage: &scenario.coverage,
    };
    Ok((score(&known, &outcome), outcome.bytes()))
}

/// Runs one seed: a cluster made from it, with the faults chosen by it.
///
/// # Errors
/// When it cannot be run.
pub fn of_seed(seed: u64, shuffled: bool) -> Result<(Score, String), EvalError> {
    let directory = temporary_directory()?;
    let spec = ClusterSpec {
        seed,
        ..ClusterSpec::default()
    };
    let mut cluster = Cluster::create(&spec, directory.path())?;
    for fault in fault::seeded(cluster.state(), seed) {
        cluster.plan_fault(FAULTS_AT_SECONDS, fault);
    }
    cluster.write_labels()?;
    let labels = cluster.labels().clone();
    let options = Options {
        params: spec.params(),
        shuffled,
        ..Options::default()
    };
    let outcome = run::run(&mut cluster, &options)?;
    let known = Known {
        expect: &labels.expect,
        forbid: &[],
        coverage: &Coverage::default(),
    };
    Ok((score(&known, &outcome), outcome.bytes()))
}

/// After the first samples of the healthy state.
const FAULTS_AT_SECONDS: u64 = 60;
