//! The demonstration: a simulated cluster with planted faults, seen by the real
//! agent and coordinator.
//!
//! The last half hour is lived through in compressed time over the real link,
//! so that windows of measured values are full when the report is made; then
//! the cluster lives on in real time.

use std::{io, path::PathBuf, time::Duration};

use jiff::Timestamp;
use pvelens::{
    analysis::{self, Depth, Scope},
    coordinator::Current,
    render::{self, Style},
};

use crate::{
    run::{Outcome, RunError},
    scenario::Coverage,
    score::{Known, Score, score},
    sim::{
        Cluster, ClusterSpec, fault, label::Labels, past::Task, state::Kind, temporary_directory,
    },
};

mod agents;
mod guest_agent;
mod live;

pub use live::{Bound, Live};

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
        cluster.write_history()?;
        if !wanted.healthy {
            for fault in fault::seeded(cluster.state(), wanted.seed) {
                cluster.plan_fault(FAULTS_AT_SECONDS, fault);
            }
        }
        for (seconds, task) in tasks(&cluster, start) {
            cluster.plan_task(seconds, task);
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
}

/// What goes on in any cluster: backups, package lists, a guest that is restarted. With
/// the seconds after the start at which each has ended.
fn tasks(cluster: &Cluster, start: i64) -> Vec<(u64, Task)> {
    let guests = &cluster.state().guests;
    let mut planned = Vec::new();
    let mut plan = |ends: u64, length: u64, node, kind: &str, id: String| {
        let begins = ends.saturating_sub(length);
        let task = Task {
            node,
            seconds: start + i64::try_from(begins).unwrap_or(0),
            length_seconds: i64::try_from(length).unwrap_or(0),
            kind: kind.to_owned(),
            id,
            user: "root@pam".to_owned(),
            end: "OK".to_owned(),
        };
        planned.push((ends, task));
    };
    plan(120, 9, 0, "aptupdate", String::new());
    for (guest, ends) in guests.iter().take(3).zip([400, 650, 960]) {
        plan(ends, 190, guest.node, "vzdump", guest.vmid.to_string());
    }
    if let Some(guest) = guests.iter().find(|guest| guest.kind == Kind::Qemu) {
        plan(1500, 3, guest.node, "qmsnapshot", guest.vmid.to_string());
    }
    planned
}

/// One or two lines: what was planted, and whether exactly that was found.
#[must_use]
pub fn verdict(labels: &Labels, outcome: &Outcome) -> String {
    let planted = planted(labels);
    let coverage = Coverage::default();
    let known = Known {
        expect: &labels.expect,
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
pub fn report(current: &Current, style: &Style) -> Option<String> {
    let report = analysis::cluster_health(current, &Scope::default(), Depth::Summary).ok()?;
    Some(render::render(&report, style))
}

/// Why the demonstration ended.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("writing the files of the simulated cluster")]
    Files(#[from] io::Error),
    #[error("the coordinator did not take over what the agent of {0} sampled")]
    Stuck(String),
    #[error(transparent)]
    Serve(#[from] pvelens::serve::ServeError),
    #[error(transparent)]
    Store(#[from] pvelens::store::StoreError),
}
