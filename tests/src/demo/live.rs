//! Living through the past in lockstep, and then on in real time.
//!
//! In lockstep the coordinator is waited for after each step: a window of ten
//! minutes is full only when everything that was sampled has arrived.

use std::{
    collections::BTreeSet,
    fs::Permissions,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, Instant},
};

use pvelens::{
    config::{self, Config},
    coordinator::{Coordinator, Current},
    link::{self, Clock},
    log::Log,
    serve::{self, Server},
};
use pvelens_agent::guest::catalogue::Catalogue;
use tokio::{sync::Notify, time::sleep};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{Demo, DemoError, PAST_MINUTES, STEP_SECONDS, agents::Agent, guest_agent};
use crate::{
    run::{Outcome, instant},
    sim::{Cluster, label::Labels, state::Kind},
};

/// Until what was sampled has arrived.
const ARRIVAL_DEADLINE: Duration = Duration::from_secs(20);
const ARRIVAL_POLL: Duration = Duration::from_micros(300);
/// Of guest commands: there is nothing to be protected.
const POLICY: &str = "[[allow]]\nguests = [\"all\"]\ncommands = [\"all\"]\n";
/// The port of the product.
const PORT: u16 = 8442;

/// Where clients find the coordinator.
#[derive(Debug)]
pub struct Bound {
    /// Of the Unix sockets.
    pub directory: PathBuf,
    /// Of gRPC over TLS, once somebody was invited.
    pub remote: SocketAddr,
}

/// A cluster with running agents and a coordinator that knows its past.
#[derive(Debug)]
pub struct Live {
    demo: Demo,
    agents: Vec<Agent>,
    coordinator: Arc<Coordinator>,
    /// Milliseconds since the epoch: the time of the simulation.
    clock: Arc<AtomicI64>,
    tasks: TaskTracker,
    shutdown: CancellationToken,
}

/// On this machine only: the ports of the product may be those of a real coordinator.
fn free_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// Values of a demonstration that was there before: the same times had others then.
fn forget_values(directory: &Path) -> io::Result<()> {
    for suffix in ["", "-wal", "-shm"] {
        match std::fs::remove_file(directory.join(format!("{}{suffix}", pvelens::store::FILE))) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// What the coordinator keeps, with everything else of the demonstration.
fn store(demo: &Demo) -> io::Result<config::Store> {
    let directory = demo.directory().join("store");
    std::fs::create_dir_all(&directory)?;
    std::fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
    Ok(config::Store {
        // The settings take no relative path.
        directory: std::path::absolute(directory)?,
        ..config::Store::default()
    })
}

impl Live {
    /// Starts the agents, connects a coordinator, and lives through the past.
    ///
    /// # Errors
    /// When a file cannot be written, a socket cannot be bound, or the
    /// coordinator does not follow.
    pub async fn start(demo: Demo, shutdown: CancellationToken) -> Result<Self, DemoError> {
        let directory = demo.directory().join("agents");
        std::fs::create_dir_all(&directory)?;
        let tasks = TaskTracker::new();
        let mut agents = Vec::new();
        for index in 0..demo.cluster.state().nodes.len() {
            agents.push(Agent::start(&demo.cluster, index, &directory, &tasks, &shutdown).await?);
        }
        let coordinator = Arc::new(Coordinator::new(demo.spec().params()));
        let settings = Config {
            store: store(&demo)?,
            ..Config::default()
        };
        forget_values(&settings.store.directory)?;
        let now = instant(demo.cluster.now_millis());
        serve::open_store(&coordinator, &settings, now).await?;
        let mut live = Self {
            clock: Arc::new(AtomicI64::new(demo.cluster.now_millis())),
            coordinator,
            demo,
            agents,
            tasks,
            shutdown,
        };
        live.live_through_the_past().await?;
        Ok(live)
    }

    async fn live_through_the_past(&mut self) -> Result<(), DemoError> {
        let links = self.shutdown.child_token();
        let news = Arc::new(Notify::new());
        for agent in &self.agents {
            self.tasks.spawn(link::watch_agent(
                Arc::clone(&self.coordinator),
                agent.socket.clone(),
                self.now(),
                Arc::clone(&news),
                links.clone(),
            ));
        }
        for step in 0..=PAST_MINUTES * 60 / STEP_SECONDS {
            if step > 0 {
                self.advance(STEP_SECONDS)?;
            } else {
                self.sample();
            }
            self.arrive().await?;
            self.coordinator
                .evaluate(instant(self.demo.cluster.now_millis()));
        }
        links.cancel();
        // Who serves next goes on where the store stands, and has the past at once.
        let (coordinator, now) = (Arc::clone(&self.coordinator), self.now());
        let writing = tokio::task::spawn_blocking(move || coordinator.write_down(now()));
        writing.await.map_err(io::Error::other)??;
        Ok(())
    }

    /// Moves the cluster, the clocks and the agents.
    fn advance(&mut self, seconds: u64) -> Result<(), DemoError> {
        self.demo.cluster.advance(seconds)?;
        self.clock
            .store(self.demo.cluster.now_millis(), Ordering::Release);
        self.sample();
        Ok(())
    }

    fn sample(&mut self) {
        for (index, agent) in self.agents.iter_mut().enumerate() {
            agent.tick(self.demo.cluster.agent_reachable(index));
        }
    }

    /// Waits until the coordinator has all that was sampled, and gives it the
    /// heartbeats that time has been too short for.
    async fn arrive(&self) -> Result<(), DemoError> {
        let started = Instant::now();
        for (index, agent) in self
            .agents
            .iter()
            .enumerate()
            .filter(|(_, agent)| agent.is_up())
        {
            let newest = agent.spool.newest();
            while self.coordinator.live().cursor(&agent.description).as_ref() != Some(&newest) {
                if started.elapsed() > ARRIVAL_DEADLINE {
                    return Err(DemoError::Stuck(agent.description.node_name.clone()));
                }
                sleep(ARRIVAL_POLL).await;
            }
            let cluster = &self.demo.cluster;
            self.coordinator.live().heartbeat(
                &agent.description,
                instant(cluster.state().node_millis(index)),
                instant(cluster.now_millis()),
            );
        }
        Ok(())
    }

    /// The clock of the coordinator: that of the simulation.
    fn now(&self) -> Clock {
        let clock = Arc::clone(&self.clock);
        Arc::new(move || instant(clock.load(Ordering::Acquire)))
    }

    #[must_use]
    pub fn current(&self) -> Arc<Current> {
        self.coordinator.current()
    }

    #[must_use]
    pub fn labels(&self) -> &Labels {
        self.demo.cluster.labels()
    }

    /// What is open now, to be compared with the labels.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome::of(&self.coordinator.current(), BTreeSet::new())
    }

    /// Binds the coordinator's sockets and the MCP port; another port when that
    /// one is taken.
    ///
    /// # Errors
    /// When a socket cannot be bound.
    pub async fn bind(&self) -> Result<(Server, Bound), DemoError> {
        let directory = self.demo.directory().join("run");
        std::fs::create_dir_all(&directory)?;
        let wanted = SocketAddr::from((Ipv4Addr::LOCALHOST, PORT));
        let is_free = TcpListener::bind(wanted).is_ok();
        let config = Config {
            agents: config::Agents {
                sockets: self
                    .agents
                    .iter()
                    .map(|agent| agent.socket.clone())
                    .collect(),
                ..config::Agents::default()
            },
            sockets: config::Sockets {
                directory: directory.clone(),
                group: String::new(),
                operators_group: String::new(),
            },
            http: config::Http {
                listen: SocketAddr::from((Ipv4Addr::LOCALHOST, if is_free { PORT } else { 0 })),
                ..config::Http::default()
            },
            link: config::Link {
                listen: free_port()?,
                names: vec![Ipv4Addr::LOCALHOST.to_string()],
                ..config::Link::default()
            },
            api: config::Api {
                listen: free_port()?,
            },
            store: store(&self.demo)?,
            ..Config::default()
        };
        let trust = serve::open_trust(&self.coordinator, &config, self.now()()).await;
        let bound = Bound {
            remote: config.api.listen,
            directory,
        };
        let server = Server::bind(Arc::clone(&self.coordinator), config, None).await?;
        Ok((server.trusting(trust), bound))
    }

    /// Lets the guest agents of running VMs answer, and the nodes allow every command.
    fn wake_guests(&self) -> Result<(), DemoError> {
        let catalogue = Catalogue::embedded().map_err(io::Error::other)?;
        let catalogue = Arc::new(catalogue);
        let cluster = &self.demo.cluster;
        for index in 0..cluster.state().nodes.len() {
            let policy = cluster.root(index).join("etc/pvelens/guest-policy.toml");
            if let Some(folder) = policy.parent() {
                std::fs::create_dir_all(folder)?;
            }
            std::fs::write(&policy, POLICY)?;
            // Whoever else could write it would decide what runs.
            std::fs::set_permissions(&policy, Permissions::from_mode(0o600))?;
        }
        let guests = cluster.state().guests.iter();
        for guest in guests.filter(|guest| guest.kind == Kind::Qemu && guest.running) {
            guest_agent::serve(cluster.root(guest.node), guest.vmid, &catalogue)?;
        }
        Ok(())
    }

    /// Lives on in real time and serves until shutdown.
    ///
    /// # Errors
    /// When serving fails or a file cannot be written.
    pub async fn live_on(mut self, server: Server, log: Arc<Log>) -> Result<(), DemoError> {
        self.wake_guests()?;
        let clock = self.now();
        let shutdown = self.shutdown.clone();
        let tasks = self.tasks.clone();
        let moving = tokio::task::spawn_blocking(move || self.move_with_the_wall_clock());
        let served = server.run(log, clock, shutdown.clone()).await;
        shutdown.cancel();
        if let Ok(moved) = moving.await {
            moved?;
        }
        tasks.close();
        tasks.wait().await;
        Ok(served?)
    }

    /// A second at a time; the demo's files go away with it at the end.
    fn move_with_the_wall_clock(&mut self) -> Result<(), DemoError> {
        let started = Instant::now();
        let mut moved = 0;
        while !self.shutdown.is_cancelled() {
            std::thread::sleep(Duration::from_millis(200));
            let due = started.elapsed().as_secs().saturating_sub(moved);
            if due > 0 {
                self.advance(due)?;
                moved += due;
            }
        }
        Ok(())
    }

    /// Ends the agents.
    pub async fn stop(self) {
        self.shutdown.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    #[must_use]
    pub fn cluster(&self) -> &Cluster {
        &self.demo.cluster
    }
}
