//! The agents: joined by the command, and then many in one process.

use std::{net::SocketAddr, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use jiff::Timestamp;
use pvelens_agent::{
    host::Host,
    identity::Identity,
    service::{NodeAgent, serve_link},
    spool::Spool,
};
use rustls::ServerConfig;
use tokio::{
    net::TcpStream,
    sync::Semaphore,
    task::{self, JoinSet},
    time::{interval, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::Options;
use crate::{
    fleet::{Fleet, name},
    rig::{Coordinator, node::Place},
};

/// Of one spool. Thousands of them are in one process.
const SPOOL_LIMIT: usize = 1 << 20;
/// Commands that join at the same time.
const JOINING: usize = 4;
/// Rounds between two looks at what seldom changes.
const CONFIGURED_EVERY: u32 = 6;
/// As the pipe of the product has it: the first wait, and the longest.
const FIRST_DELAY: Duration = Duration::from_secs(1);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
const STEADY: Duration = Duration::from_secs(30);

/// Agents that have joined.
#[derive(Debug)]
pub(super) struct Agents {
    fleet: Fleet,
    agents: Vec<Agent>,
}

#[derive(Debug, Clone)]
struct Agent {
    number: u32,
    node: u32,
    cluster_id: String,
    spool: Arc<Spool>,
    service: NodeAgent,
    tls: Arc<ServerConfig>,
}

impl Agents {
    pub(super) async fn join(
        fleet: Fleet,
        count: u32,
        directory: &Path,
        options: &Options,
        coordinator: &Coordinator,
    ) -> Result<Self> {
        let mut lines = Vec::new();
        for _ in 0..fleet.clusters {
            lines.push(coordinator.token(fleet.nodes_per_cluster, 3600).await?);
        }
        let places = Arc::new(Semaphore::new(JOINING));
        let mut joining = JoinSet::new();
        for number in 0..count {
            let cluster = number % fleet.clusters;
            let node = number / fleet.clusters;
            let line = lines.get(usize::try_from(cluster)?).cloned();
            let line = line.unwrap_or_default();
            let place = Place {
                directory: directory.join(format!("agents/{number}")),
                root: directory.join(format!("agents/{number}/root")),
            };
            let programs = options.programs.clone();
            let permit = Arc::clone(&places).acquire_owned().await?;
            joining.spawn(async move {
                let joined = task::spawn_blocking(move || {
                    place.write_tree(&format!("cluster {cluster}"), &name(node))?;
                    place.write_settings()?;
                    place.join(&programs, &line, &[])?;
                    agent(number, node, &place)
                });
                let joined = joined.await?;
                drop(permit);
                joined
            });
        }
        let mut agents = Vec::new();
        while let Some(joined) = joining.join_next().await {
            agents.push(joined??);
        }
        Ok(Self { fleet, agents })
    }

    /// Samples and links until `shutdown`.
    pub(super) fn run(
        self,
        link: SocketAddr,
        round: Duration,
        shutdown: &CancellationToken,
    ) -> impl Future<Output = ()> + use<> {
        let tasks = TaskTracker::new();
        let count = u32::try_from(self.agents.len()).unwrap_or(u32::MAX).max(1);
        for agent in self.agents {
            // Spread over the interval, as nodes are that started at any time.
            let phase = round * agent.number / count;
            let sampling = agent.clone().sample(self.fleet, phase, round);
            let end = shutdown.clone();
            tasks.spawn(async move { end.run_until_cancelled(sampling).await });
            let linking = agent.link(link);
            let end = shutdown.clone();
            tasks.spawn(async move { end.run_until_cancelled(linking).await });
        }
        tasks.close();
        async move { tasks.wait().await }
    }
}

/// One that has joined.
fn agent(number: u32, node: u32, place: &Place) -> Result<Agent> {
    let identity = Identity::load(&place.identity())?.context("there is no identity")?;
    let host = Arc::new(Host::open(&place.root)?);
    let spool = Arc::new(Spool::with_limit(format!("scale-{number}"), SPOOL_LIMIT));
    Ok(Agent {
        number,
        node,
        tls: identity.server_config()?,
        cluster_id: identity.cluster,
        service: NodeAgent::new(host, Arc::clone(&spool)),
        spool,
    })
}

impl Agent {
    async fn sample(self, mut fleet: Fleet, phase: Duration, every: Duration) {
        sleep(phase).await;
        let mut ticks = interval(every);
        let mut round = 0;
        loop {
            ticks.tick().await;
            // Counters go on by rounds, time is the machine's.
            fleet.start = Timestamp::now().as_second() - i64::from(round) * 10;
            let mut samples = fleet.measured(self.node, round);
            if round % CONFIGURED_EVERY == 0 {
                let configured = fleet.configured(&self.cluster_id, self.node, round);
                samples.extend(configured.into_iter().map(|mut sample| {
                    sample.interval_seconds *= CONFIGURED_EVERY;
                    sample
                }));
            }
            let spool = Arc::clone(&self.spool);
            // Nobody stops it, and it does not panic.
            drop(task::spawn_blocking(move || spool.append(samples)).await);
            round += 1;
        }
    }

    /// Dials, and serves what is there as the server of TLS.
    async fn link(self, coordinator: SocketAddr) {
        let mut delay = FIRST_DELAY;
        loop {
            let began = tokio::time::Instant::now();
            if let Ok(stream) = TcpStream::connect(coordinator).await {
                // A link that ends is dialled again, whatever it was.
                drop(stream.set_nodelay(true));
                drop(serve_link(stream, &self.service, Arc::clone(&self.tls)).await);
            }
            if began.elapsed() >= STEADY {
                delay = FIRST_DELAY;
            }
            let jitter = delay.mul_f64(f64::from(self.number % 97) / 97.0);
            sleep(delay + jitter).await;
            delay = (delay * 2).min(LONGEST_DELAY);
        }
    }
}
