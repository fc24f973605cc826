//! The demonstration: a simulated cluster with planted faults, seen by the real
//! agent and coordinator.
//!
//! The last half hour is lived through in compressed time, so that windows of
//! measured values are full when the report is made.

use std::{io, path::PathBuf, time::Duration};

use jiff::Timestamp;
use pvelens::{
    coordinator::Coordinator,
    render::{self, Style},
};

use crate::{
    run::{self, Options, Outcome, RunError},
    scenario::Coverage,
    score::{Known, Score, score},
    sim::{Cluster, ClusterSpec, fault, label::Labels, temporary_directory},
};

/// Faults that show the most of the product on three nodes.
pub const DEFAULT_SEED: u64 = 4;
/// Minutes that have passed when the report is made.
const PAST_MINUTES: u64 = 35;
const FAULTS_AT_SECONDS: u64 = 60;
const STEP_SECONDS: u64 = 30;

/// What to demonstrate.
#[derive(Debug, Clone)]
pub struct DemoSpec {
    pub nodes: usize,
    pub seed: u64,
    /// Without faults.
    pub healthy: bool,
    /// Kept when given; otherwise a temporary one.
    pub directory: Option<PathBuf>,
}

/// A simulated cluster on disk, half an hour ago.
#[derive(Debug)]
pub struct Demo {
    pub cluster: Cluster,
    spec: ClusterSpec,
    directory: PathBuf,
    /// Removed with everything in it at the end.
    _temporary: Option<tempfile::TempDir>,
}

impl Demo {
    /// Writes the trees and the labels.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn prepare(wanted: &DemoSpec, now: Timestamp) -> io::Result<Self> {
        let (directory, temporary) = match &wanted.directory {
            Some(directory) => {
                std::fs::create_dir_all(directory)?;
                (directory.clone(), None)
            }
            None => {
                let temporary = temporary_directory()?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        let spec = ClusterSpec {
            nodes: wanted.nodes,
            vms: wanted.nodes * 2,
            containers: wanted.nodes + 1,
            seed: wanted.seed,
            ..ClusterSpec::default()
        };
        let past = Duration::from_secs(PAST_MINUTES * 60);
        let start = now.as_second() - i64::try_from(past.as_secs()).unwrap_or(0);
        let trees = directory.join("nodes");
        let mut cluster = Cluster::create_at(&spec, &trees, start * 1000)?;
        if !wanted.healthy {
            for fault in fault::seeded(cluster.state(), wanted.seed) {
                cluster.plan_fault(FAULTS_AT_SECONDS, fault);
            }
        }
        cluster.write_labels()?;
        Ok(Self {
            cluster,
            spec,
            directory,
            _temporary: temporary,
        })
    }

    #[must_use]
    pub fn directory(&self) -> &PathBuf {
        &self.directory
    }

    #[must_use]
    pub fn spec(&self) -> &ClusterSpec {
        &self.spec
    }

    /// Lives through the past half hour.
    ///
    /// # Errors
    /// When a file cannot be written or read as a whole.
    pub fn live_through_the_past(&mut self) -> Result<Outcome, RunError> {
        let options = Options {
            minutes: PAST_MINUTES,
            step_seconds: STEP_SECONDS,
            params: self.spec.params(),
            shuffled: false,
        };
        let coordinator = Coordinator::new(options.params.clone());
        run::run_with(&mut self.cluster, &options, &coordinator, |_| ())
    }

    /// One or two lines: what was planted, and whether exactly that was found.
    #[must_use]
    pub fn verdict(&self, outcome: &Outcome) -> String {
        let labels = self.cluster.labels();
        let planted = planted(labels);
        let coverage = Coverage::default();
        let known = Known {
            expect: &labels.expect,
            allow: &labels.allow,
            forbid: &[],
            coverage: &coverage,
        };
        let Score { disagreements, .. } = score(&known, outcome);
        if disagreements.is_empty() {
            format!("planted: {planted}\nfound exactly these\n")
        } else {
            format!(
                "planted: {planted}\ndisagreements: {}\n",
                disagreements.join("; ")
            )
        }
    }
}

fn planted(labels: &Labels) -> String {
    if labels.expect.is_empty() {
        return "nothing".to_owned();
    }
    let names: Vec<String> = labels
        .expect
        .iter()
        .map(|label| format!("{} ({})", label.check, label.subject))
        .collect();
    names.join(", ")
}

/// The health report as text.
#[must_use]
pub fn report(outcome: &Outcome, style: &Style) -> Option<String> {
    Some(render::render(&outcome.report()?, style))
}
