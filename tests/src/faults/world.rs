//! A coordinator and nodes, all joined.

use std::{
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime},
};

use anyhow::{Context, Result, bail};
use pvelens_proto::v1::{
    Agent, AgentTransport, ListFindingsRequest, finding_service_client::FindingServiceClient,
};
use tokio::time::sleep;

use super::{
    Options,
    account::{Account, settle},
    net::Net,
    node::Node,
};
use crate::{
    rig::{Coordinator, POLL, coordinator, node::Place},
    sim::{Cluster, ClusterSpec},
};

pub(super) const LINK_PORT: u16 = 8440;
pub(super) const API_PORT: u16 = 8441;
/// A pipe may wait a minute before it dials again.
pub(super) const LINK: Duration = Duration::from_secs(150);
const COORDINATOR: &str = "coordinator";
/// The simulated node goes on this often.
const STEP: Duration = Duration::from_secs(5);

pub(super) struct World {
    pub(super) options: Options,
    pub(super) directory: PathBuf,
    pub(super) coordinator: Coordinator,
    pub(super) nodes: Vec<Node>,
    pub(super) net: Net,
    /// What the clocks of all processes say; see [`World::set_clock`].
    clock: PathBuf,
    _life: Life,
}

impl World {
    /// Nodes of one cluster, of which the first `joined` have joined and are linked.
    pub(super) async fn new(
        options: &Options,
        name: &str,
        nodes: u8,
        joined: usize,
    ) -> Result<Self> {
        let directory = Self::directory(options, name);
        fs::create_dir_all(&directory)?;
        let net = Net::new(nodes)?;
        let spec = ClusterSpec {
            nodes: nodes.into(),
            vms: 4,
            containers: 2,
            seed: 7,
            ..ClusterSpec::default()
        };
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
        let trees = directory.join("trees");
        let cluster = Cluster::create_at(&spec, &trees, i64::try_from(now.as_millis())?)?;
        let roots: Vec<_> = (0..usize::from(nodes))
            .map(|index| cluster.root(index).to_owned())
            .collect();
        let names = cluster.state().nodes.iter().map(|node| node.name.clone());
        let names: Vec<String> = names.collect();
        let clock = directory.join("clock");
        fs::write(&clock, "+0")?;
        let coordinator =
            Coordinator::start(Self::coordinator(options, &directory, COORDINATOR, &net)).await?;
        let mut world = Self {
            options: options.clone(),
            directory,
            coordinator,
            nodes: Vec::new(),
            net,
            clock,
            _life: Life::of(cluster),
        };
        for (index, (root, name)) in roots.into_iter().zip(names).enumerate() {
            let directory = world.directory.join(&name);
            let network = world.net.at_node(u8::try_from(index)?);
            let place = Place { directory, root };
            let programs = &world.options.programs;
            world
                .nodes
                .push(Node::start(&name, place, programs, network).await?);
        }
        for index in 0..joined {
            world.join(index).await?;
        }
        for index in 0..joined {
            world.until_linked(index).await?;
        }
        Ok(world)
    }

    fn directory(options: &Options, name: &str) -> PathBuf {
        options.directory.join(name.replace(' ', "-"))
    }

    /// Where the coordinator of a world will keep what outlives it: a disk may be
    /// mounted there before.
    pub(super) fn state(options: &Options, name: &str) -> Result<PathBuf> {
        let directory = Self::directory(options, name);
        let state = directory.join(COORDINATOR).join(coordinator::STATE);
        fs::create_dir_all(&state)?;
        Ok(state)
    }

    pub(super) fn coordinator(
        options: &Options,
        directory: &std::path::Path,
        name: &str,
        net: &Net,
    ) -> coordinator::Options {
        let address = Net::coordinator();
        coordinator::Options {
            program: options.programs.coordinator.clone(),
            directory: directory.join(name),
            link: (address, LINK_PORT).into(),
            api: (address, API_PORT).into(),
            name: address.to_string(),
            wrapper: net.at_coordinator(),
            variables: Vec::new(),
        }
    }

    /// Joins a node with a line of its own, and starts its pipe.
    pub(super) async fn join(&mut self, index: usize) -> Result<()> {
        let line = self.coordinator.token(1, 600).await?;
        self.join_with(index, &line).await?;
        self.nodes[index].pipe.start()
    }

    pub(super) async fn join_with(&self, index: usize, line: &str) -> Result<String> {
        let network = self.net.at_node(u8::try_from(index)?);
        let variables = self.nodes[index].agent.variables.clone();
        let programs = &self.options.programs;
        self.nodes[index]
            .join(programs, line, network, &variables)
            .await
    }

    /// What sets clocks of processes, where it is installed.
    pub(super) fn clock_library() -> Result<&'static str> {
        let mut places = FAKETIME.iter().copied();
        let library = places.find(|path| fs::exists(path).unwrap_or(false));
        library.context("no libfaketime; Debian has it in the package libfaketime")
    }

    /// Variables for processes whose clock [`World::set_clock`] sets.
    pub(super) fn clock_variables(&self) -> Result<Vec<(String, String)>> {
        let variables = [
            ("LD_PRELOAD", Self::clock_library()?.to_owned()),
            ("FAKETIME_TIMESTAMP_FILE", self.clock.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            // Only the wall clock jumps.
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ];
        Ok(variables
            .map(|(name, value)| (name.to_owned(), value))
            .to_vec())
    }

    /// Starts all processes anew, with the clock that [`World::set_clock`] sets, and the
    /// coordinator with these variables besides.
    pub(super) async fn follow_clock(&mut self, more: &[(&str, &str)]) -> Result<()> {
        let variables = self.clock_variables()?;
        let more = more
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let all = variables.iter().cloned().chain(more).collect();
        self.coordinator.stop()?;
        self.coordinator.start_with(all).await?;
        for node in &mut self.nodes {
            node.pipe.kill()?;
            node.agent.kill()?;
            node.agent.variables.clone_from(&variables);
            node.pipe.variables.clone_from(&variables);
            node.agent.start()?;
            node.until_serving().await?;
            node.pipe.start()?;
        }
        for index in 0..self.nodes.len() {
            self.until_linked(index).await?;
        }
        Ok(())
    }

    /// Sets the wall clock of processes with [`World::clock_variables`]: `+90d`, `-2h`.
    pub(super) fn set_clock(&self, offset: &str) -> Result<()> {
        // Nobody shall read half of it.
        let beside = self.clock.with_extension("new");
        fs::write(&beside, offset)?;
        Ok(fs::rename(beside, &self.clock)?)
    }

    /// What the coordinator says of a node.
    pub(super) async fn agent(&self, index: usize) -> Result<Agent> {
        let agent = self.coordinator.agent(&self.nodes[index].name).await?;
        Ok(agent.unwrap_or_default())
    }

    /// Waits until something is so of what the coordinator says of a node.
    pub(super) async fn until(
        &self,
        index: usize,
        what: &str,
        within: Duration,
        is_so: impl Fn(&Agent) -> bool,
    ) -> Result<(Agent, Duration)> {
        let began = Instant::now();
        loop {
            let agent = self.agent(index).await?;
            if is_so(&agent) {
                return Ok((agent, began.elapsed()));
            }
            if began.elapsed() > within {
                let name = &self.nodes[index].name;
                let pipe = self.nodes[index].pipe.said();
                let pipe = pipe.lines().last().unwrap_or_default();
                bail!(
                    "{name}: {what}: not within {} s; connected: {}, {:?}; pipe: {pipe}; coordinator: {}",
                    within.as_secs(),
                    agent.connected,
                    agent.last_error,
                    self.coordinator.last_words()
                );
            }
            sleep(POLL * 2).await;
        }
    }

    pub(super) async fn until_linked(&self, index: usize) -> Result<Duration> {
        let linked = |agent: &Agent| agent.connected && agent.transport() == AgentTransport::Link;
        let (_, took) = self.until(index, "linked", LINK, linked).await?;
        Ok(took)
    }

    /// The count of a node, when everything has arrived.
    pub(super) async fn settle(&self, index: usize) -> Result<Account> {
        settle(&self.coordinator, &self.nodes[index]).await
    }

    /// Checks that fail now, also those that have not held for long.
    pub(super) async fn findings(&self) -> Result<Vec<String>> {
        let channel = self.coordinator.channel("read.sock").await?;
        let request = ListFindingsRequest {
            page_size: 200,
            include_pending: true,
            ..ListFindingsRequest::default()
        };
        let response = FindingServiceClient::new(channel)
            .list_findings(request)
            .await?;
        let findings = response.into_inner().findings.into_iter();
        Ok(findings
            .map(|finding| {
                let (check, subject, title) = (finding.check_id, finding.subject, finding.title);
                format!("{check} {subject}: {title}")
            })
            .collect())
    }

    /// Waits until a check fails.
    pub(super) async fn until_found(&self, part: &str, within: Duration) -> Result<String> {
        let began = Instant::now();
        loop {
            let findings = self.findings().await?;
            if let Some(found) = findings.iter().find(|finding| finding.contains(part)) {
                return Ok(found.clone());
            }
            if began.elapsed() > within {
                bail!("no finding with {part:?}, but {findings:?}");
            }
            sleep(POLL * 4).await;
        }
    }
}

/// Debian's.
const FAKETIME: &[&str] = &[
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketime.so.1",
];

/// Moves the simulated nodes through time.
struct Life {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Life {
    fn of(mut cluster: Cluster) -> Self {
        let ended = Arc::new(AtomicBool::new(false));
        let end = Arc::clone(&ended);
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Acquire) {
                thread::park_timeout(STEP);
                // A tree that is gone has no use any more.
                drop(cluster.advance(STEP.as_secs()));
            }
        });
        Self {
            ended,
            thread: Some(thread),
        }
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            drop(thread.join());
        }
    }
}
