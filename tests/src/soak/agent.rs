//! The agent that is soaked: a process of its own with the real rounds, the real
//! spool and the real service, whose time is told by the parent.
//!
//! It has given up its capabilities, as the unit has, so that a file without
//! permissions is refused to it. Each line on standard input is one tick:
//! milliseconds since the start, and the clock in milliseconds since the epoch. It
//! answers with a line when every run has ended or was given up.

use std::{
    io::{BufRead, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use pvelens_agent::{
    host::{Clock, Host},
    sampler::Sampler,
    service::{NodeAgent, serve},
    spool::Spool,
};
use pvelens_proto::agent::v1::{
    Cursor, GetSelfReportRequest, Sample, SelfReport, WatchRequest,
    node_agent_service_client::NodeAgentServiceClient, watch_response::Event,
};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};
use tokio::{net::UnixListener, runtime::Runtime, sync::mpsc};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// Instead of the seconds and minutes that a node gives a collector.
const DEADLINE: Duration = Duration::from_millis(400);
/// The unit's settings of the allocator are those of the soaked agent.
const UNIT: &str = include_str!("../../../packaging/systemd/pvelens-agent.service");
/// Full after some hundred cycles.
const SPOOL_LIMIT: usize = 2 << 20;
const DONE: &str = "done";

/// Is the agent until standard input ends.
///
/// # Errors
/// When the node cannot be read or the socket not be made.
pub fn be(directory: &Path) -> Result<()> {
    let none = CapabilitySets {
        effective: CapabilitySet::empty(),
        permitted: CapabilitySet::empty(),
        inheritable: CapabilitySet::empty(),
    };
    set_capabilities(None, none).context("giving up capabilities")?;
    runtime()?.block_on(ticking(directory))
}

#[expect(clippy::print_stdout, reason = "the parent waits for it")]
async fn ticking(directory: &Path) -> Result<()> {
    let clock = Arc::new(AtomicI64::new(0));
    let host = Host::open(&directory.join("pve1"))?.with_clock(Clock::Fixed(Arc::clone(&clock)));
    let host = Arc::new(host);
    let spool = Spool::open(&directory.join("spool"), "soak".to_owned(), SPOOL_LIMIT);
    let spool = Arc::new(spool);
    let (sender, mut ticks) = mpsc::channel(1);
    thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if sender.blocking_send(line).is_err() {
                return;
            }
        }
    });
    let sampler = Sampler::with_deadlines(Arc::clone(&host), Arc::clone(&spool), DEADLINE);
    let agent = NodeAgent::with_ledger(host, spool, sampler.ledger());
    let listener = UnixListener::bind(socket(directory))?;
    let shutdown = CancellationToken::new();
    let serving = tokio::spawn(serve(listener, agent, shutdown.clone()));
    let mut rounds = sampler.into_rounds();
    println!("{DONE}");
    while let Some(line) = ticks.recv().await {
        let (now, wall) = line.split_once(' ').context("a tick is two numbers")?;
        clock.store(wall.parse()?, Ordering::Release);
        rounds.begin(Duration::from_millis(now.parse()?));
        rounds.end().await;
        println!("{DONE}");
        std::io::stdout().flush()?;
    }
    shutdown.cancel();
    serving.await??;
    Ok(())
}

/// The agent, as its parent has it.
#[derive(Debug)]
pub(super) struct Agent {
    process: Child,
    ticks: ChildStdin,
    answers: std::io::BufReader<ChildStdout>,
    runtime: Runtime,
    client: NodeAgentServiceClient<Channel>,
    cursor: Option<Cursor>,
}

impl Agent {
    /// Starts `program agent DIRECTORY`.
    pub(super) fn start(program: &Path, directory: &Path) -> Result<Self> {
        let mut process = Command::new(program)
            .arg("agent")
            .arg(directory)
            .envs(environment())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| program.display().to_string())?;
        let ticks = process.stdin.take().context("no standard input")?;
        let output = process.stdout.take().context("no standard output")?;
        let mut answers = std::io::BufReader::new(output);
        wait(&mut answers)?;
        let runtime = runtime()?;
        let address = format!("unix://{}", socket(directory).display());
        let channel = runtime.block_on(Endpoint::from_shared(address)?.connect())?;
        Ok(Self {
            process,
            ticks,
            answers,
            runtime,
            client: NodeAgentServiceClient::new(channel),
            cursor: None,
        })
    }

    /// One tick, until it has ended.
    pub(super) fn tick(&mut self, now: Duration, clock_millis: i64) -> Result<()> {
        writeln!(self.ticks, "{} {clock_millis}", now.as_millis())?;
        self.ticks.flush()?;
        wait(&mut self.answers)
    }

    pub(super) fn report(&mut self) -> Result<SelfReport> {
        let request = GetSelfReportRequest {};
        let answer = self
            .runtime
            .block_on(self.client.get_self_report(request))?;
        answer.into_inner().report.context("no report")
    }

    /// The samples since it was last asked, and how many updates were missed.
    pub(super) fn samples(&mut self) -> Result<(Vec<Sample>, u64)> {
        let (client, cursor) = (&mut self.client, &mut self.cursor);
        self.runtime.block_on(async {
            let request = WatchRequest {
                cursor: cursor.clone(),
                ..WatchRequest::default()
            };
            let mut events = client.watch(request).await?.into_inner();
            let (mut samples, mut missed, mut goal) = (Vec::new(), 0, None);
            loop {
                let place = cursor.as_ref().map_or(0, |cursor| cursor.sequence);
                if goal.is_some_and(|goal| goal <= place) {
                    return Ok((samples, missed));
                }
                let response = events.message().await?.context("the stream ended")?;
                match response.event {
                    Some(Event::Heartbeat(heartbeat)) => {
                        goal = goal.or(heartbeat.newest.map(|newest| newest.sequence));
                    }
                    Some(Event::Update(update)) => {
                        missed += update.skipped_updates;
                        samples.extend(update.samples);
                        *cursor = update.cursor;
                    }
                    None => {}
                }
            }
        })
    }

    /// Lets it end, and says how it did.
    pub(super) fn stop(self) -> Result<()> {
        let Self {
            mut process,
            ticks,
            client,
            runtime,
            ..
        } = self;
        // The connection ends with the runtime that carries it.
        drop((ticks, client, runtime));
        let status = process.wait()?;
        if !status.success() {
            bail!("the agent ended with {status}");
        }
        Ok(())
    }
}

/// What the unit sets, as pairs.
fn environment() -> impl Iterator<Item = (&'static str, &'static str)> {
    let lines = UNIT.lines();
    lines
        .filter_map(|line| line.strip_prefix("Environment="))
        .flat_map(str::split_whitespace)
        .filter_map(|pair| pair.split_once('='))
}

fn wait(answers: &mut impl BufRead) -> Result<()> {
    let mut line = String::new();
    answers.read_line(&mut line)?;
    if line.trim() != DONE {
        bail!("the agent ended: {line:?}");
    }
    Ok(())
}

fn socket(directory: &Path) -> PathBuf {
    directory.join("local.sock")
}

fn runtime() -> Result<Runtime> {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    Ok(builder.enable_all().build()?)
}
