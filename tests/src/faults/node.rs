//! One node: the agent, its pipe, and the reader that writes down what it emits.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use pvelens_proto::agent::v1::{
    Cursor, NodeUpdate, WatchRequest, node_agent_service_client::NodeAgentServiceClient,
    watch_response::Event,
};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::net::without_network;
use crate::rig::{
    POLL, Programs,
    coordinator::{appended, channel},
    node::{Place, join},
};

const READY: Duration = Duration::from_secs(30);
const MESSAGE_LIMIT: usize = 64 << 20;
/// What comes within this time is what there is.
const QUIET: Duration = Duration::from_millis(700);

/// Epoch and sequence number.
pub(super) type Key = (String, u64);

/// What came from the local socket of an agent.
pub(super) type Log = Arc<Mutex<BTreeSet<Key>>>;

#[derive(Debug)]
pub(super) struct Node {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) log: Log,
    pub(super) agent: Process,
    pub(super) pipe: Process,
    _reader: AbortOnDropHandle<()>,
}

impl Node {
    /// Settings, agent and reader of a node that has not joined yet.
    pub(super) async fn start(
        name: &str,
        place: Place,
        programs: &Programs,
        network: Vec<String>,
    ) -> Result<Self> {
        place.write_settings()?;
        let agent = |task: &str, wrapper: Vec<String>| {
            let mut line = wrapper;
            line.push(programs.agent.display().to_string());
            line.extend([task.to_owned(), "--config".to_owned()]);
            line.push(place.settings().display().to_string());
            line
        };
        let mut serving = agent("run", without_network());
        serving.push("--link-socket".to_owned());
        serving.push(place.socket("link.sock").display().to_string());
        let agent_process = Process::new(serving, place.directory.join("agent.log"));
        let pipe = Process::new(agent("link", network), place.directory.join("pipe.log"));
        let log = Log::default();
        let reader = read(place.socket("local.sock"), Arc::clone(&log));
        let mut node = Self {
            name: name.to_owned(),
            log,
            agent: agent_process,
            pipe,
            _reader: AbortOnDropHandle::new(tokio::spawn(reader)),
            place,
        };
        node.agent.start()?;
        node.until_serving().await?;
        Ok(node)
    }

    pub(super) async fn until_serving(&self) -> Result<()> {
        let socket = self.place.socket("local.sock");
        let serving = async {
            while channel(&socket).await.is_err() {
                sleep(POLL).await;
            }
        };
        timeout(READY, serving)
            .await
            .with_context(|| format!("the agent of {} does not answer", self.name))
    }

    /// Joins by the documented command, in the network of the pipe.
    pub(super) async fn join(
        &self,
        programs: &Programs,
        line: &str,
        network: Vec<String>,
        variables: &[(String, String)],
    ) -> Result<String> {
        let (agent, directory) = (programs.agent.clone(), self.place.directory.clone());
        let (line, variables) = (line.to_owned(), variables.to_vec());
        let joining = move || join(&agent, &directory, &line, &network, &variables);
        tokio::task::spawn_blocking(joining).await?
    }

    /// What the agent holds now, without what it only repeats.
    pub(super) async fn held(&self) -> Result<BTreeSet<Key>> {
        let mut held = BTreeSet::new();
        let mut stream = watch(&self.place.socket("local.sock"), None).await?;
        while let Ok(message) = timeout(QUIET, stream.message()).await {
            let Some(message) = message? else { break };
            if let Some(Event::Update(update)) = message.event {
                held.extend(key(&update));
            }
        }
        Ok(held)
    }

    pub(super) fn emitted(&self) -> BTreeSet<Key> {
        lock(&self.log).clone()
    }
}

fn lock(log: &Log) -> MutexGuard<'_, BTreeSet<Key>> {
    log.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The key of an update that is news.
fn key(update: &NodeUpdate) -> Option<Key> {
    let cursor = update.cursor.as_ref().filter(|_| !update.baseline)?;
    Some((cursor.epoch.clone(), cursor.sequence))
}

pub(super) async fn watch(
    socket: &Path,
    cursor: Option<Cursor>,
) -> Result<tonic::Streaming<pvelens_proto::agent::v1::WatchResponse>> {
    let address = format!("unix:{}", socket.display());
    let channel = tonic::transport::Endpoint::from_shared(address)?
        .connect()
        .await?;
    let mut client = NodeAgentServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
    let request = WatchRequest {
        cursor,
        ..WatchRequest::default()
    };
    Ok(client.watch(request).await?.into_inner())
}

/// Writes down what an agent emits, from where it stopped, whatever ends it.
async fn read(socket: PathBuf, log: Log) {
    let mut cursor = None;
    loop {
        if let Ok(mut stream) = watch(&socket, cursor.clone()).await {
            while let Ok(Some(message)) = stream.message().await {
                if let Some(Event::Update(update)) = message.event {
                    lock(&log).extend(key(&update));
                    cursor = update.cursor;
                }
            }
        }
        sleep(POLL).await;
    }
}

/// A program that is killed and started again.
#[derive(Debug)]
pub(super) struct Process {
    line: Vec<String>,
    pub(super) variables: Vec<(String, String)>,
    pub(super) log: PathBuf,
    child: Option<Child>,
}

impl Process {
    pub(super) fn new(line: Vec<String>, log: PathBuf) -> Self {
        Self {
            line,
            variables: Vec::new(),
            log,
            child: None,
        }
    }

    pub(super) fn start(&mut self) -> Result<()> {
        ensure!(self.child.is_none(), "it runs already");
        let log = appended(&self.log)?;
        let (program, arguments) = self.line.split_first().context("no program")?;
        let child = Command::new(program)
            .args(arguments)
            .envs(self.variables.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .with_context(|| program.clone())?;
        self.child = Some(child);
        Ok(())
    }

    /// Without a warning.
    pub(super) fn kill(&mut self) -> Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill()?;
            child.wait()?;
        }
        Ok(())
    }

    /// Stops its clock, or lets it go on.
    pub(super) fn freeze(&self, frozen: bool) -> Result<()> {
        let child = self.child.as_ref().context("it does not run")?;
        let signal = if frozen {
            rustix::process::Signal::STOP
        } else {
            rustix::process::Signal::CONT
        };
        let pid = rustix::process::Pid::from_child(child);
        Ok(rustix::process::kill_process(pid, signal)?)
    }

    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.kill());
    }
}
