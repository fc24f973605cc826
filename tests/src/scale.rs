//! A thousand agents and fifty thousand guests against one coordinator.
//!
//! The coordinator is a process of its own. The agents are the real service with the
//! real TLS, each with a certificate that it got by `pvelens-agent join` and a
//! connection of its own; they live in one process and read no node: what they would
//! have read is made from [`Fleet`], and put into their spools.

use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::PathBuf,
    time::{Duration, Instant},
};

use anyhow::{Result, bail, ensure};
use jiff::Timestamp;
use pvelens::store::FILE;
use pvelens_proto::v1::AgentTransport;
use tokio::{task::spawn_blocking, time::sleep};
use tokio_util::sync::CancellationToken;

mod agents;
mod queries;

use crate::{
    fleet::Fleet,
    rig::{
        Coordinator, POLL, Programs,
        coordinator::Options as CoordinatorOptions,
        figures::{Distribution, cpu_time, peak_resident_bytes, written_bytes},
    },
    sim::temporary_directory,
};
use agents::Agents;
use queries::Queries;

/// Seconds between two rounds of an agent.
const INTERVAL: f64 = 10.0;
const NODES_PER_CLUSTER: u32 = 16;
/// For all links to be there.
const LINKS: Duration = Duration::from_secs(600);

/// What to try.
#[derive(Debug, Clone)]
pub struct Options {
    pub agents: u32,
    pub guests: u32,
    pub seconds: u64,
    /// How much faster than in reality time passes for the agents.
    pub factor: f64,
    pub programs: Programs,
    /// Kept when given.
    pub directory: Option<PathBuf>,
}

/// What came of it.
#[derive(Debug)]
pub struct Report {
    nodes: u32,
    guests: u32,
    factor: f64,
    measured: Duration,
    pub cpu: Duration,
    agents_cpu: Duration,
    pub peak_bytes: u64,
    /// By the coordinator, while it was measured.
    written_bytes: u64,
    /// The file of its store and the log beside it, at the end.
    store_bytes: u64,
    pub view_age: Distribution,
    pub list_guests: Distribution,
    pub list_all: Distribution,
    pub joined: Duration,
    pub linked: Duration,
    pub linked_again: Duration,
    ready_again: Duration,
    pub view_complete_again: Duration,
    pub guests_seen: u32,
}

/// Runs the whole of it.
///
/// # Errors
/// When something does not start, or links do not come up.
pub async fn run(options: &Options) -> Result<Report> {
    let temporary = temporary_directory()?;
    let directory = options.directory.as_deref().unwrap_or(temporary.path());
    let clusters = options.agents.div_ceil(NODES_PER_CLUSTER).max(1);
    let nodes_per_cluster = options.agents.div_ceil(clusters);
    let fleet = Fleet {
        start: Timestamp::now().as_second(),
        clusters,
        nodes_per_cluster,
        guests_per_cluster: options.guests.div_ceil(clusters),
    };
    let mut coordinator = Coordinator::start(CoordinatorOptions {
        program: options.programs.coordinator.clone(),
        directory: directory.join("coordinator"),
        link: free_port()?,
        api: free_port()?,
        name: Ipv4Addr::LOCALHOST.to_string(),
        wrapper: Vec::new(),
        variables: unit_variables(include_str!("../../packaging/systemd/pvelens.service")),
    })
    .await?;
    let began = Instant::now();
    let interval = Duration::from_secs_f64(INTERVAL / options.factor);
    let agents = Agents::join(fleet, options.agents, directory, options, &coordinator).await?;
    let joined = began.elapsed();

    let shutdown = CancellationToken::new();
    let began = Instant::now();
    let link = coordinator.options().link;
    let running = agents.run(link, interval, &shutdown);
    until_linked(&coordinator, options.agents).await?;
    let linked = began.elapsed();
    until_seen(&coordinator, fleet.guests()).await?;

    let (cpu_before, own_before) = (cpu_time(coordinator.pid())?, cpu_time(std::process::id())?);
    let written_before = written_bytes(coordinator.pid())?;
    let began = Instant::now();
    // On a thread of its own: a client does not share one with a thousand agents.
    let (socket, time) = (
        coordinator.options().socket("read.sock"),
        Duration::from_secs(options.seconds),
    );
    let queries = spawn_blocking(move || Queries::ask_for(time, &socket)).await??;
    let measured = began.elapsed();
    let cpu = cpu_time(coordinator.pid())?.saturating_sub(cpu_before);
    let agents_cpu = cpu_time(std::process::id())?.saturating_sub(own_before);
    let written_bytes = written_bytes(coordinator.pid())?.saturating_sub(written_before);
    let store = coordinator.options().directory.join("state");
    let store_bytes = [FILE.to_owned(), format!("{FILE}-wal")]
        .iter()
        .filter_map(|name| std::fs::metadata(store.join(name)).ok())
        .map(|file| file.len())
        .sum();
    let mut peak_bytes = peak_resident_bytes(coordinator.pid())?;

    coordinator.kill()?;
    let began = Instant::now();
    coordinator.start_again().await?;
    let ready_again = began.elapsed();
    until_linked(&coordinator, options.agents).await?;
    let linked_again = began.elapsed();
    let guests_seen = until_seen(&coordinator, fleet.guests()).await?;
    let view_complete_again = began.elapsed();
    peak_bytes = peak_bytes.max(peak_resident_bytes(coordinator.pid())?);
    ensure!(coordinator.lives()?, "the coordinator ended");
    shutdown.cancel();
    running.await;
    Ok(Report {
        nodes: options.agents,
        guests: fleet.guests(),
        factor: options.factor,
        measured,
        cpu,
        agents_cpu,
        peak_bytes,
        written_bytes,
        store_bytes,
        view_age: queries.view_age,
        list_guests: queries.list_guests,
        list_all: queries.list_all,
        joined,
        linked,
        linked_again,
        ready_again,
        view_complete_again,
        guests_seen,
    })
}

/// A port that nobody uses at the moment.
fn free_port() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// Waits until so many agents are connected by a link.
async fn until_linked(coordinator: &Coordinator, wanted: u32) -> Result<()> {
    let end = Instant::now() + LINKS;
    loop {
        let agents = coordinator.agents().await.unwrap_or_default();
        let linked = agents.iter().filter(|agent| {
            agent.connected && agent.transport() == AgentTransport::Link && agent.updates_total > 0
        });
        let linked = linked.count();
        if linked >= usize::try_from(wanted)? {
            return Ok(());
        }
        if Instant::now() > end {
            let why = agents.iter().find(|agent| !agent.connected);
            let why = why.map(|agent| agent.last_error.clone());
            bail!(
                "{linked} of {wanted} links are up; {why:?}; {}",
                coordinator.last_words()
            );
        }
        sleep(POLL * 4).await;
    }
}

/// Waits until the view has all guests.
async fn until_seen(coordinator: &Coordinator, wanted: u32) -> Result<u32> {
    let end = Instant::now() + LINKS;
    loop {
        let seen = queries::total_guests(coordinator).await.unwrap_or(0);
        if seen >= wanted {
            return Ok(seen);
        }
        if Instant::now() > end {
            bail!("{seen} of {wanted} guests are in the view");
        }
        sleep(POLL * 4).await;
    }
}

/// The environment that its unit gives a service.
fn unit_variables(unit: &str) -> Vec<(String, String)> {
    unit.lines()
        .filter_map(|line| line.strip_prefix("Environment="))
        .flat_map(str::split_whitespace)
        .filter_map(|word| word.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

impl Report {
    /// What is not as it shall be.
    #[must_use]
    pub fn wrong(&self) -> Vec<String> {
        let mut wrong = Vec::new();
        if self.peak_bytes >= 2 << 30 {
            wrong.push("the coordinator needs 2 GiB or more".to_owned());
        }
        if self.list_guests.percentile(99) >= 0.050 {
            wrong.push("a page of guests takes 50 ms or more for one of a hundred".to_owned());
        }
        wrong
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let milliseconds = |values: &Distribution, percent| values.percentile(percent) * 1000.0;
        let wall = self.measured.as_secs_f64();
        writeln!(
            f,
            "{} agents, {} guests, one round in {:.1} s (time factor {}), measured for {wall:.0} s",
            self.nodes,
            self.guests,
            INTERVAL / self.factor,
            self.factor
        )?;
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let share = |time: Duration| 100.0 * time.as_secs_f64() / wall;
        writeln!(
            f,
            "  coordinator CPU        {:.0} % of one core",
            share(self.cpu)
        )?;
        writeln!(
            f,
            "  all agents' CPU        {:.0} % of one core",
            share(self.agents_cpu)
        )?;
        writeln!(
            f,
            "  coordinator RSS, peak  {:.0} MiB (goal below 2048)",
            mebibytes(self.peak_bytes)
        )?;
        // By the clock of the agents: what they send is what is written.
        let days = wall * self.factor / 86_400.0;
        writeln!(
            f,
            "  coordinator writes     {:.1} MiB, {:.0} MB a day; its store has {:.1} MiB",
            mebibytes(self.written_bytes),
            mebibytes(self.written_bytes) * 1.048_576 / days,
            mebibytes(self.store_bytes)
        )?;
        writeln!(
            f,
            "  view age               p50 {:.2} s, p99 {:.2} s",
            self.view_age.percentile(50),
            self.view_age.percentile(99)
        )?;
        writeln!(
            f,
            "  ListGuests, 50 of them p50 {:.1} ms, p99 {:.1} ms (goal below 50), {} calls",
            milliseconds(&self.list_guests, 50),
            milliseconds(&self.list_guests, 99),
            self.list_guests.count()
        )?;
        writeln!(
            f,
            "  ListGuests, 1000       p50 {:.1} ms, p99 {:.1} ms",
            milliseconds(&self.list_all, 50),
            milliseconds(&self.list_all, 99)
        )?;
        let seconds = |time: Duration| time.as_secs_f64();
        writeln!(f, "  all joined             {:.1} s", seconds(self.joined))?;
        writeln!(f, "  all linked at first    {:.1} s", seconds(self.linked))?;
        writeln!(
            f,
            "  after SIGKILL          answers after {:.1} s, all links after {:.1} s, all {} guests after {:.1} s",
            seconds(self.ready_again),
            seconds(self.linked_again),
            self.guests_seen,
            seconds(self.view_complete_again)
        )
    }
}
