//! A coordinator as a process.

use std::{
    fs::{File, OpenOptions},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use pvelens_proto::v1::{
    Agent, CreateTokenRequest, ListAgentsRequest, RevokeAgentRequest,
    enrollment_service_client::EnrollmentServiceClient, fleet_service_client::FleetServiceClient,
};
use tonic::transport::{Channel, Endpoint};

use super::{POLL, quoted, write};

const READY: Duration = Duration::from_secs(60);
/// Within its directory.
pub const STATE: &str = "state";
const MESSAGE_LIMIT: usize = 64 << 20;

/// How a coordinator is run.
#[derive(Debug, Clone)]
pub struct Options {
    pub program: PathBuf,
    /// Its state, its sockets, its settings and its log.
    pub directory: PathBuf,
    pub link: SocketAddr,
    pub api: SocketAddr,
    /// By which it is reached.
    pub name: String,
    /// What its command line begins with, for a namespace or another clock.
    pub wrapper: Vec<String>,
    pub variables: Vec<(String, String)>,
}

/// A coordinator, until it is dropped.
#[derive(Debug)]
pub struct Coordinator {
    options: Options,
    child: Child,
}

impl Options {
    #[must_use]
    pub fn socket(&self, name: &str) -> PathBuf {
        self.directory.join("run").join(name)
    }

    /// What outlives it.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.directory.join(STATE)
    }

    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.directory.join("coordinator.log")
    }

    #[must_use]
    pub fn settings(&self) -> PathBuf {
        self.directory.join("pvelens.toml")
    }

    fn write_settings(&self) -> Result<()> {
        let text = format!(
            "[agents]\nsockets = []\n[sockets]\ndirectory = {sockets}\ngroup = \"\"\noperators_group = \"\"\n\
             [http]\nenabled = false\n[store]\ndirectory = {store}\n\
             [link]\nlisten = \"{link}\"\nnames = [\"{name}\"]\n[api]\nlisten = \"{api}\"\n",
            sockets = quoted(&self.directory.join("run")),
            store = quoted(&self.state()),
            link = self.link,
            api = self.api,
            name = self.name,
        );
        write(&self.settings(), &text).context("writing the settings of the coordinator")
    }
}

impl Coordinator {
    /// Starts it and waits until it answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn start(options: Options) -> Result<Self> {
        options.write_settings()?;
        let child = spawn(&options)?;
        let mut coordinator = Self { options, child };
        coordinator.until_ready().await?;
        Ok(coordinator)
    }

    /// Kills it as a power failure would.
    ///
    /// # Errors
    /// When it cannot be killed.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Ends it as systemd does.
    ///
    /// # Errors
    /// When it does not end well.
    pub fn stop(&mut self) -> Result<()> {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
        let status = self.child.wait()?;
        ensure!(
            status.success(),
            "it ended with {status}: {}",
            self.last_words()
        );
        Ok(())
    }

    /// Starts it again after [`kill`](Self::kill), with the same state.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start_again(&mut self) -> Result<()> {
        self.child = spawn(&self.options)?;
        self.until_ready().await
    }

    /// As [`start_again`](Self::start_again), with another clock.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn start_with(&mut self, variables: Vec<(String, String)>) -> Result<()> {
        self.options.variables = variables;
        self.start_again().await
    }

    /// Whether the process lives.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub fn lives(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    async fn until_ready(&mut self) -> Result<()> {
        let end = Instant::now() + READY;
        loop {
            if let Some(status) = self.child.try_wait()? {
                bail!("the coordinator ended with {status}: {}", self.last_words());
            }
            if self.agents().await.is_ok() {
                return Ok(());
            }
            if Instant::now() > end {
                bail!("the coordinator does not answer: {}", self.last_words());
            }
            tokio::time::sleep(POLL).await;
        }
    }

    /// The end of its log.
    #[must_use]
    pub fn last_words(&self) -> String {
        let log = std::fs::read_to_string(self.options.log()).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// A connection to one of its sockets.
    ///
    /// # Errors
    /// When nobody is there.
    pub async fn channel(&self, socket: &str) -> Result<Channel> {
        channel(&self.options.socket(socket)).await
    }

    /// What it says of its agents.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn agents(&self) -> Result<Vec<Agent>> {
        let channel = self.channel("read.sock").await?;
        let mut client = FleetServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
        let response = client.list_agents(ListAgentsRequest::default()).await?;
        Ok(response.into_inner().agents)
    }

    /// The agent of a node, if it is known.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn agent(&self, node: &str) -> Result<Option<Agent>> {
        let agents = self.agents().await?;
        Ok(agents.into_iter().find(|agent| agent.node == node))
    }

    /// The line of a token for so many nodes.
    ///
    /// # Errors
    /// When there is none to be had.
    pub async fn token(&self, node_count: u32, valid_seconds: u32) -> Result<String> {
        let channel = self.channel("admin.sock").await?;
        let request = CreateTokenRequest {
            node_count,
            valid_seconds,
            ..CreateTokenRequest::default()
        };
        let response = EnrollmentServiceClient::new(channel)
            .create_token(request)
            .await;
        Ok(response
            .map_err(|status| anyhow!("{}", status.message()))?
            .into_inner()
            .join_line)
    }

    /// Ends the certificates of a node.
    ///
    /// # Errors
    /// When it does not.
    pub async fn revoke(&self, node: &str) -> Result<u32> {
        let channel = self.channel("admin.sock").await?;
        let request = RevokeAgentRequest {
            node_name: node.to_owned(),
            ..RevokeAgentRequest::default()
        };
        let response = EnrollmentServiceClient::new(channel)
            .revoke_agent(request)
            .await?;
        Ok(response.into_inner().revoked_certificates)
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop((self.child.kill(), self.child.wait()));
    }
}

/// A connection to a Unix socket.
///
/// # Errors
/// When nobody is there.
pub async fn channel(socket: &Path) -> Result<Channel> {
    let endpoint = Endpoint::from_shared(format!("unix:{}", socket.display()))?;
    let endpoint = endpoint.timeout(Duration::from_secs(30));
    Ok(endpoint.connect().await?)
}

fn spawn(options: &Options) -> Result<Child> {
    let log = appended(&options.log())?;
    let settings = options.settings();
    let mut line = options.wrapper.clone();
    line.push(options.program.display().to_string());
    let (program, arguments) = line.split_first().context("no program")?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .arg("serve")
        .arg("--config")
        .arg(settings)
        .envs(options.variables.iter().cloned())
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log);
    command.spawn().context("starting the coordinator")
}

pub fn appended(path: &Path) -> Result<File> {
    let file = OpenOptions::new().create(true).append(true).open(path);
    file.with_context(|| path.display().to_string())
}
