//! A cluster through the real path, in simulated time: files, collectors,
//! protobuf, merge, checks.
//!
//! Everything but the network is the product's own code. The wall clock is not
//! looked at, so a run takes as long as its work and gives the same result each
//! time.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    sync::Arc,
};

use futures::FutureExt;
use jiff::Timestamp;
use prost::Message;
use pvelens::{
    check::Params,
    coordinator::{Coordinator, Current},
    finding::{Finding, FindingState},
    intent::Declared,
    store::{Store, StoreError},
    view::CoverageLevel,
    windows,
};
use pvelens_agent::{
    host::{Clock, Host},
    sampler::Sampler,
    service::NodeAgent,
    spool::Spool,
};
use pvelens_proto::agent::v1::{
    DescribeRequest, DescribeResponse, NodeUpdate, node_agent_service_server::NodeAgentService,
};
use tonic::Request;

use crate::sim::{Cluster, noise, temporary_directory};

/// One value for each step of what checks look back at.
const STEP_BEFORE_SECONDS: u64 = 300;
const STORE_BYTES: u64 = 1 << 30;
/// Between two times of writing, and of reading what checks look back at.
const KEEP_SECONDS: i64 = 300;
/// Between two times of tidying the store up.
const TIDY_SECONDS: i64 = 3600;

/// How to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// That pass before, into the store of the coordinator.
    pub hours_before: u64,
    pub minutes: u64,
    pub step_seconds: u64,
    pub params: Params,
    /// What operators state.
    pub intent: Declared,
    /// Updates of one step arrive in another order each time.
    pub shuffled: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            hours_before: 0,
            minutes: 35,
            step_seconds: 30,
            params: Params::default(),
            intent: Declared::default(),
            shuffled: false,
        }
    }
}

/// What a run gave.
#[derive(Debug)]
pub struct Outcome {
    /// Pending and open at the end, worst first.
    pub findings: Vec<Finding>,
    /// Check and subject of whatever was open at some moment.
    pub ever_open: BTreeSet<(String, String)>,
    /// By node.
    pub coverage: BTreeMap<String, CoverageLevel>,
    pub current: Arc<Current>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("writing the files of the simulated cluster")]
    Files(#[from] io::Error),
    #[error("opening the tree of {node}")]
    Open {
        node: String,
        #[source]
        source: pvelens_agent::host::SourceError,
    },
    #[error("keeping what was measured")]
    Store(#[from] StoreError),
    #[error("decoding an update that was just encoded")]
    Decode(#[from] prost::DecodeError),
    #[error("the agent of {0} does not describe itself")]
    Describe(String),
}

/// One agent of the simulated cluster, without a socket.
#[derive(Debug)]
pub struct SimulatedAgent {
    pub description: DescribeResponse,
    pub address: String,
    sampler: Sampler,
    connected: bool,
    /// Whether the cluster file system answered when the host was opened.
    pmxcfs: bool,
    /// How often it was started.
    starts: u32,
}

impl SimulatedAgent {
    /// The agent of a node, on that node's tree and clock.
    ///
    /// # Errors
    /// When the tree cannot be opened.
    pub fn new(cluster: &Cluster, index: usize) -> Result<Self, RunError> {
        let node = cluster.state().nodes[index].name.clone();
        let host = host(cluster, index)?;
        let spool = Arc::new(Spool::new(format!("{node}-1")));
        let agent = NodeAgent::new(Arc::clone(&host), Arc::clone(&spool));
        let description = agent
            .describe(Request::new(DescribeRequest {}))
            .now_or_never()
            .and_then(Result::ok)
            .ok_or_else(|| RunError::Describe(node.clone()))?
            .into_inner();
        Ok(Self {
            description,
            address: format!("/run/simulated/{node}.sock"),
            sampler: Sampler::new(host, spool),
            connected: false,
            pmxcfs: cluster.state().nodes[index].pmxcfs,
            starts: 1,
        })
    }

    /// What a tree refuses is read when its host is opened: the agent starts again
    /// when that has changed. Its word on what it is stays.
    fn follow(&mut self, cluster: &Cluster, index: usize) -> Result<(), RunError> {
        let node = &cluster.state().nodes[index];
        if self.pmxcfs != node.pmxcfs {
            self.pmxcfs = node.pmxcfs;
            self.starts += 1;
            let spool = Arc::new(Spool::new(format!("{}-{}", node.name, self.starts)));
            self.sampler = Sampler::new(host(cluster, index)?, spool);
        }
        Ok(())
    }

    /// What is due now, once over the wire.
    ///
    /// # Errors
    /// When the update does not survive encoding.
    pub fn update(&mut self) -> Result<Option<NodeUpdate>, RunError> {
        let Some(update) = self.sampler.tick_blocking() else {
            return Ok(None);
        };
        Ok(Some(NodeUpdate::decode(update.encode_to_vec().as_slice())?))
    }
}

/// The tree of a node with the node's clock.
///
/// # Errors
/// When the tree cannot be opened.
pub fn host(cluster: &Cluster, index: usize) -> Result<Arc<Host>, RunError> {
    let host = Host::open(cluster.root(index)).map_err(|source| RunError::Open {
        node: cluster.state().nodes[index].name.clone(),
        source,
    })?;
    Ok(Arc::new(
        host.with_clock(Clock::Fixed(cluster.clock(index))),
    ))
}

/// Runs a cluster to the end and says what is open then.
///
/// # Errors
/// When a file cannot be written or read as a whole.
pub fn run(cluster: &mut Cluster, options: &Options) -> Result<Outcome, RunError> {
    let coordinator = Coordinator::new(options.params.clone());
    coordinator.intents().declare(options.intent.clone());
    if options.hours_before == 0 {
        return run_with(cluster, options, &coordinator, |_| ());
    }
    let directory = temporary_directory()?;
    let now = instant(cluster.now_millis());
    let store = Store::open(directory.path(), STORE_BYTES, now)?;
    coordinator.keep_in(Arc::new(store), now)?;
    run_with(cluster, options, &coordinator, |_| ())
}

/// As [`run`], with a coordinator of the caller, who sees every evaluation.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    cluster: &mut Cluster,
    options: &Options,
    coordinator: &Coordinator,
    mut observe: impl FnMut(&Current),
) -> Result<Outcome, RunError> {
    let mut agents = (0..cluster.state().nodes.len())
        .map(|index| SimulatedAgent::new(cluster, index))
        .collect::<Result<Vec<_>, _>>()?;
    let mut keeping = Keeping::new(coordinator, options);
    let before = options.hours_before * 3600 / STEP_BEFORE_SECONDS;
    for step in 0..before {
        let at = instant(cluster.now_millis());
        for index in order(agents.len(), step, options.shuffled) {
            deliver(cluster, &mut agents[index], index, coordinator, at)?;
        }
        keeping.keep(at)?;
        cluster.advance(STEP_BEFORE_SECONDS)?;
    }
    let mut ever_open = BTreeSet::new();
    let steps = options.minutes * 60 / options.step_seconds.max(1);
    let mut current = coordinator.current();
    for step in 0..=steps {
        if step > 0 {
            cluster.advance(options.step_seconds)?;
        }
        let at = instant(cluster.now_millis());
        for index in order(agents.len(), step, options.shuffled) {
            deliver(cluster, &mut agents[index], index, coordinator, at)?;
        }
        keeping.keep(at)?;
        current = coordinator.evaluate(at);
        ever_open.extend(
            current
                .findings
                .iter()
                .filter(|finding| finding.state == FindingState::Open)
                .map(|finding| (finding.check.clone(), finding.subject.clone())),
        );
        observe(&current);
    }
    Ok(Outcome::of(&current, ever_open))
}

/// Does for the store what the running coordinator does, where hours pass before.
struct Keeping<'a> {
    coordinator: &'a Coordinator,
    store: Option<Arc<Store>>,
    kept: Timestamp,
    tidied: Timestamp,
}

impl<'a> Keeping<'a> {
    fn new(coordinator: &'a Coordinator, options: &Options) -> Self {
        let store = coordinator.store().filter(|_| options.hours_before > 0);
        Self {
            coordinator,
            store: store.cloned(),
            kept: Timestamp::UNIX_EPOCH,
            tidied: Timestamp::UNIX_EPOCH,
        }
    }

    fn keep(&mut self, at: Timestamp) -> Result<(), StoreError> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let is_due = |last: Timestamp, seconds| at.duration_since(last).as_secs() >= seconds;
        if is_due(self.tidied, TIDY_SECONDS) {
            store.maintain(at)?;
            self.tidied = at;
        }
        if is_due(self.kept, KEEP_SECONDS) {
            self.coordinator.write_down(at)?;
            windows::look_back(self.coordinator, at)?;
            self.kept = at;
        }
        Ok(())
    }
}

/// What one agent has to say in one step.
fn deliver(
    cluster: &Cluster,
    agent: &mut SimulatedAgent,
    index: usize,
    coordinator: &Coordinator,
    at: Timestamp,
) -> Result<(), RunError> {
    if !cluster.agent_reachable(index) {
        if agent.connected {
            coordinator
                .live()
                .disconnected(&agent.address, "connection reset by peer");
            agent.connected = false;
        }
        return Ok(());
    }
    if !agent.connected {
        coordinator
            .live()
            .connected(&agent.description, &agent.address, at);
        agent.connected = true;
    }
    let sent_at = instant(cluster.state().node_millis(index));
    coordinator
        .live()
        .heartbeat(&agent.description, sent_at, at);
    agent.follow(cluster, index)?;
    if let Some(update) = agent.update()? {
        coordinator.live().append(&agent.description, update, at);
    }
    Ok(())
}

fn order(count: usize, step: u64, shuffled: bool) -> Vec<usize> {
    let mut order: Vec<usize> = (0..count).collect();
    if shuffled {
        for last in (1..count).rev() {
            order.swap(last, noise::choose(step, "order", last + 1));
        }
    }
    order
}

/// An instant of simulated time.
#[must_use]
pub fn instant(millis: i64) -> Timestamp {
    // Simulated time lies in this century.
    Timestamp::from_millisecond(millis).unwrap_or_default()
}

impl Outcome {
    #[must_use]
    pub fn of(current: &Arc<Current>, ever_open: BTreeSet<(String, String)>) -> Self {
        Self {
            findings: current.findings.clone(),
            ever_open,
            coverage: current
                .view
                .nodes
                .iter()
                .map(|node| (node.name.to_string(), node.coverage))
                .collect(),
            current: Arc::clone(current),
        }
    }

    /// The findings as everybody is shown them; two equal runs give the same.
    #[must_use]
    pub fn bytes(&self) -> String {
        serde_json::to_string(&self.findings).unwrap_or_default()
    }
}
