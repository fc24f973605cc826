//! A simulated cluster: one file tree per node, moved through time.
//!
//! Data flows one way: a [`ClusterSpec`] becomes a [`State`]; time and faults
//! change the state; the files are written from the state and never read back.
//! So a fault is an edit of what the node *is*, and every file that shows it
//! agrees. The same specification, seed and steps give the same bytes.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

pub mod build;
mod cgroup;
mod config;
pub mod fault;
mod ha;
pub mod label;
mod metrics;
mod network;
pub(crate) mod noise;
pub mod past;
mod pmxcfs;
mod probe;
mod proc;
mod rrd;
pub mod series;
pub mod state;
mod step;
mod system;
pub mod tree;
mod write;

pub use build::ClusterSpec;
pub use state::State;

use fault::Fault;
use label::Labels;
use series::Override;
use tree::{Edit, Tree};

/// Where simulated time begins: a fixed instant, so that runs are the same.
pub const START_MILLIS: i64 = 1_795_600_000_000;

/// A directory for the trees, in memory where the system offers that: a run
/// writes thousands of small files that nobody keeps.
///
/// # Errors
/// When no directory can be made.
pub fn temporary_directory() -> io::Result<tempfile::TempDir> {
    const MEMORY: &str = "/dev/shm";
    let chosen = std::env::var_os("TMPDIR").is_some();
    if !chosen
        && let Ok(directory) = tempfile::Builder::new()
            .prefix("pvelens-")
            .tempdir_in(MEMORY)
    {
        return Ok(directory);
    }
    tempfile::Builder::new().prefix("pvelens-").tempdir()
}

/// Something that happens at a time.
#[derive(Debug, Clone)]
enum Event {
    Fault(Fault),
    Edit(Edit),
    Override(Override),
    Task(past::Task),
}

/// A cluster on disk.
#[derive(Debug)]
pub struct Cluster {
    state: State,
    trees: Vec<Tree>,
    directory: PathBuf,
    clocks: Vec<Arc<AtomicI64>>,
    /// Seconds after the start, in order of planning.
    plan: Vec<(u64, Event)>,
    overrides: Vec<Override>,
    labels: Labels,
    versions: pmxcfs::Versions,
}

impl Cluster {
    /// Makes the trees of every node below `directory`, as of now.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn create(spec: &ClusterSpec, directory: &Path) -> io::Result<Self> {
        Self::create_at(spec, directory, START_MILLIS)
    }

    /// As [`Self::create`], beginning at an instant in milliseconds since the
    /// epoch.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn create_at(spec: &ClusterSpec, directory: &Path, start_millis: i64) -> io::Result<Self> {
        let state = build::state(spec, start_millis);
        let trees = state
            .nodes
            .iter()
            .map(|node| Tree::create(&directory.join(&node.name)))
            .collect::<io::Result<_>>()?;
        let clocks = state.nodes.iter().map(|_| Arc::default()).collect();
        let mut cluster = Self {
            state,
            trees,
            directory: directory.to_path_buf(),
            clocks,
            plan: Vec::new(),
            overrides: Vec::new(),
            labels: Labels::default(),
            versions: pmxcfs::Versions::default(),
        };
        for index in 0..cluster.trees.len() {
            system::write_static(&cluster.state, index, &mut cluster.trees[index])?;
        }
        cluster.write()?;
        Ok(cluster)
    }

    /// Writes the history that the nodes have kept before.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn write_history(&self) -> io::Result<()> {
        for (index, tree) in self.trees.iter().enumerate() {
            rrd::write(&self.state, index, tree.root())?;
        }
        Ok(())
    }

    /// Plans a fault, and writes its label before anything has run.
    pub fn plan_fault(&mut self, at_seconds: u64, fault: Fault) {
        fault.label(&self.state, &mut self.labels);
        self.plan.push((at_seconds, Event::Fault(fault)));
    }

    /// Plans a task to be in the list of its node.
    pub fn plan_task(&mut self, at_seconds: u64, task: past::Task) {
        self.plan.push((at_seconds, Event::Task(task)));
    }

    /// Plans an edit of one file of one node.
    pub fn plan_edit(&mut self, at_seconds: u64, edit: Edit) {
        self.plan.push((at_seconds, Event::Edit(edit)));
    }

    /// Plans a series to be held at a value.
    pub fn plan_override(&mut self, at_seconds: u64, change: Override) {
        self.plan.push((at_seconds, Event::Override(change)));
    }

    /// Writes the labels of all planned faults beside the trees.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_labels(&self) -> io::Result<PathBuf> {
        let path = self.directory.join("labels.json");
        let mut text = serde_json::to_string_pretty(&self.labels)?;
        text.push('\n');
        std::fs::write(&path, text)?;
        Ok(path)
    }

    /// What the planned faults will show.
    #[must_use]
    pub fn labels(&self) -> &Labels {
        &self.labels
    }

    /// Moves the cluster through time and writes what changed.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn advance(&mut self, seconds: u64) -> io::Result<()> {
        self.state.elapsed_seconds += seconds;
        self.apply_due();
        let elapsed = self.state.elapsed_seconds;
        for change in self
            .overrides
            .extract_if(.., |change| !change.holds_at(elapsed))
        {
            change.undo(&mut self.state);
        }
        for change in &mut self.overrides {
            change.apply(&mut self.state);
        }
        step::advance(&mut self.state, seconds);
        self.write()
    }

    fn apply_due(&mut self) {
        let elapsed = self.state.elapsed_seconds;
        let (due, later) = std::mem::take(&mut self.plan)
            .into_iter()
            .partition(|(at, _)| *at <= elapsed);
        self.plan = later;
        let due: Vec<(u64, Event)> = due;
        for (_, event) in due {
            match event {
                Event::Fault(fault) => {
                    let before = self.state.guests.clone();
                    fault.apply(&mut self.state);
                    past::tell_edits(&mut self.state, &before);
                }
                Event::Task(task) => self.state.tasks.push(task),
                Event::Edit(edit) => {
                    if let Some(index) = self.state.node_index(&edit.node) {
                        self.trees[index].add_edit(edit);
                    }
                }
                Event::Override(change) => self.overrides.push(change),
            }
        }
    }

    fn write(&mut self) -> io::Result<()> {
        self.versions.update(&self.state);
        for (index, tree) in self.trees.iter_mut().enumerate() {
            let node = &self.state.nodes[index];
            // The clock runs on also where nothing is written any more.
            self.clocks[index].store(self.state.node_millis(index), Ordering::Release);
            if node.powered {
                write::node(&self.state, &self.versions, index, tree)?;
            }
        }
        Ok(())
    }

    /// What the cluster is at this moment.
    #[must_use]
    pub fn state(&self) -> &State {
        &self.state
    }

    /// For whoever changes it between two steps; the files follow at the next.
    pub fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The files of a node, for whoever breaks some.
    pub fn tree_mut(&mut self, index: usize) -> &mut Tree {
        &mut self.trees[index]
    }

    /// The instant the files show, in milliseconds since the epoch.
    #[must_use]
    pub fn now_millis(&self) -> i64 {
        self.state.now_millis()
    }

    /// Root directory of a node's tree.
    #[must_use]
    pub fn root(&self, index: usize) -> &Path {
        self.trees[index].root()
    }

    /// The clock of a node, in milliseconds since the epoch, skew included.
    #[must_use]
    pub fn clock(&self, index: usize) -> Arc<AtomicI64> {
        Arc::clone(&self.clocks[index])
    }

    /// Whether the agent of a node runs and can be reached.
    #[must_use]
    pub fn agent_reachable(&self, index: usize) -> bool {
        let node = &self.state.nodes[index];
        node.agent && node.powered
    }
}

#[cfg(test)]
mod tests;
