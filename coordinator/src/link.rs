//! Connections to node agents.
//!
//! The agent serves and the coordinator calls, so everything that can take long
//! has its deadline here. A connection resumes where the store stands; whatever
//! ends it is recorded, and the next attempt comes after a jittered delay that
//! grows as long as no data arrives.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use pvelens_proto::agent::v1::{
    AuditHead, DescribeRequest, DescribeResponse, Heartbeat, NodeUpdate, WatchRequest,
    WatchResponse, node_agent_service_client::NodeAgentServiceClient, watch_response::Event,
};
use tokio::{
    net::UnixStream,
    sync::{Notify, Semaphore},
    task,
    time::{sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status, Streaming,
    transport::{Channel, Endpoint},
};
use tracing::{info, warn};

use crate::{
    coordinator::Coordinator,
    guest_command::heads::{self, Noted},
    untrusted,
};

#[cfg(test)]
pub(crate) mod fixture;
mod handle;
#[cfg(test)]
mod tests;

pub use handle::{Agents, CallError, Handle};

use handle::Held;

/// The clock of the coordinator: the real one, or that of a simulation.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// For connecting, for the description and for the first sign of the stream.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Agents send a heartbeat when there is nothing else.
const SILENCE_DEADLINE: Duration = Duration::from_secs(60);
/// The configuration of thousands of guests comes in one message.
const MESSAGE_LIMIT_BYTES: usize = 64 << 20;
const SHORTEST_DELAY: Duration = Duration::from_millis(500);
const LONGEST_DELAY: Duration = Duration::from_secs(30);
const REASON_LIMIT: usize = 300;

/// Why a connection ended.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("{}", connect_words(.0))]
    Connect(#[source] io::Error),
    #[error("{0}: no answer within {seconds} s", seconds = ANSWER_DEADLINE.as_secs())]
    Deadline(&'static str),
    #[error("{doing}: {}", status.message())]
    Refused { doing: &'static str, status: Status },
    #[error("the agent says of itself that it is the node {0:?}, which is no host name")]
    NodeName(String),
    #[error("the agent sent nothing for {} s", SILENCE_DEADLINE.as_secs())]
    Silent,
    #[error("the agent closed the connection")]
    Closed,
}

/// Follows the agent behind a socket until `shutdown`; `news` is told whenever
/// there is something to evaluate.
pub async fn watch_agent(
    coordinator: Arc<Coordinator>,
    socket: PathBuf,
    clock: Clock,
    news: Arc<Notify>,
    shutdown: CancellationToken,
) {
    let link = Link {
        address: socket.display().to_string(),
        socket,
        coordinator,
        clock,
        news,
    };
    shutdown.run_until_cancelled(link.follow()).await;
}

/// A connection that delivers.
struct Open<'a> {
    agent: Arc<DescribeResponse>,
    /// Its place among the agents that can be called. Absent when there are too many.
    held: Option<Held<'a>>,
    /// The record of guest commands was compared with the one that was known.
    compared: AtomicBool,
    /// Held while the agent is asked about its record.
    asking: Arc<Semaphore>,
}

struct Link {
    coordinator: Arc<Coordinator>,
    socket: PathBuf,
    /// The socket as the administrator knows it.
    address: String,
    clock: Clock,
    news: Arc<Notify>,
}

impl Link {
    async fn follow(&self) {
        let mut last_reason = String::new();
        let mut delays = delays();
        loop {
            let mut delivered = false;
            let error = self.connection(&mut delivered).await;
            let reason = untrusted::line(&error.to_string(), REASON_LIMIT).into_owned();
            // An agent that is down fails the same way every time.
            if reason != last_reason || delivered {
                warn!(address = self.address, reason, "no connection to the agent");
            }
            self.coordinator
                .disconnected(&self.address, &reason, (self.clock)());
            self.news.notify_one();
            last_reason = reason;
            if delivered {
                delays = self::delays();
            }
            // Without a limit of attempts the delays never end.
            sleep(delays.next().unwrap_or(LONGEST_DELAY)).await;
        }
    }

    /// One connection, from its beginning to what ended it.
    async fn connection(&self, delivered: &mut bool) -> LinkError {
        match self.open().await {
            Ok((open, stream)) => self.receive(&open, stream, delivered).await,
            Err(error) => error,
        }
    }

    async fn open(&self) -> Result<(Open<'_>, Streaming<WatchResponse>), LinkError> {
        let doing = "connecting";
        let stream = answer(doing, UnixStream::connect(&self.socket))
            .await?
            .map_err(LinkError::Connect)?;
        let channel = answer(doing, channel(endpoint(), stream))
            .await?
            .map_err(|error| LinkError::Connect(io::Error::other(error)))?;
        let mut client = NodeAgentServiceClient::new(channel.clone())
            .max_decoding_message_size(MESSAGE_LIMIT_BYTES);

        let doing = "asking the agent who it is";
        let agent = answer(doing, client.describe(DescribeRequest {}))
            .await?
            .map_err(|status| LinkError::Refused { doing, status })?
            .into_inner();
        if !is_host_name(&agent.node_name) {
            let shown = untrusted::name(&agent.node_name).into_owned();
            return Err(LinkError::NodeName(shown));
        }
        let doing = "asking the agent for its samples";
        let request = WatchRequest {
            cursor: self.coordinator.cursor(&agent),
        };
        let stream = answer(doing, client.watch(request))
            .await?
            .map_err(|status| LinkError::Refused { doing, status })?
            .into_inner();

        let key = self
            .coordinator
            .connected(&agent, &self.address, (self.clock)());
        self.news.notify_one();
        let (node, version) = (&agent.node_name, untrusted::name(&agent.agent_version));
        info!(address = self.address, %node, %version, "connected to the agent");
        let handle = Handle::new(channel, Arc::clone(&self.clock));
        let open = Open {
            held: key.map(|key| self.coordinator.agents().hold(key, handle)),
            agent: Arc::new(agent),
            compared: AtomicBool::new(false),
            asking: Arc::new(Semaphore::new(1)),
        };
        Ok((open, stream))
    }

    async fn receive(
        &self,
        open: &Open<'_>,
        mut stream: Streaming<WatchResponse>,
        delivered: &mut bool,
    ) -> LinkError {
        loop {
            let response = match timeout(SILENCE_DEADLINE, stream.message()).await {
                Err(_) => return LinkError::Silent,
                Ok(Ok(None)) => return LinkError::Closed,
                Ok(Err(status)) => {
                    let doing = "receiving samples";
                    return LinkError::Refused { doing, status };
                }
                Ok(Ok(Some(response))) => response,
            };
            match response.event {
                Some(Event::Update(update)) => {
                    self.append(&open.agent, update).await;
                    *delivered = true;
                }
                Some(Event::Heartbeat(heartbeat)) => {
                    self.heartbeat(&open.agent, &heartbeat);
                    if let Some(head) = &heartbeat.audit_head {
                        self.note_audit(open, head);
                    }
                }
                // An event of a newer agent.
                None => {}
            }
        }
    }

    /// The store may be busy with an evaluation: wait for it where waiting
    /// holds up no other connection.
    async fn append(&self, agent: &Arc<DescribeResponse>, update: NodeUpdate) {
        let coordinator = Arc::clone(&self.coordinator);
        let agent = Arc::clone(agent);
        let received_at = (self.clock)();
        let appended =
            task::spawn_blocking(move || coordinator.append(&agent, update, received_at));
        if let Err(error) = appended.await {
            warn!(address = self.address, %error, "an update could not be kept");
        }
        self.news.notify_one();
    }

    fn heartbeat(&self, agent: &DescribeResponse, heartbeat: &Heartbeat) {
        let sent_at = heartbeat
            .sent_at
            .as_ref()
            .map(pvelens_proto::timestamp_to_millis)
            .and_then(|millis| Timestamp::from_millisecond(millis).ok());
        // Without a believable time it still shows that the agent lives.
        let received_at = (self.clock)();
        self.coordinator
            .heartbeat(agent, sent_at.unwrap_or(received_at), received_at);
    }

    /// Keeps where the record of guest commands ends. What is not seen from the end
    /// alone is asked for beside the stream: once for each connection, and when the
    /// record seems to have become shorter.
    fn note_audit(&self, open: &Open<'_>, head: &AuditHead) {
        let Some(held) = &open.held else { return };
        let (place, now) = (held.place(), (self.clock)());
        let heads = self.coordinator.guest_commands().heads();
        let noted = heads.note(&place, head, now);
        if matches!(noted, Noted::Ahead(_) | Noted::Problem) {
            heads::save_soon(&self.coordinator);
        }
        let is_first = !open.compared.swap(true, Ordering::Relaxed);
        let known = match noted {
            Noted::Doubtful(known) => known,
            Noted::Ahead(Some(known)) if is_first => known,
            Noted::Ahead(_) | Noted::Unchanged => return,
            Noted::Problem => return self.news.notify_one(),
        };
        // One question at a time, however many heartbeats come.
        let Ok(turn) = Arc::clone(&open.asking).try_acquire_owned() else {
            return;
        };
        let (coordinator, news) = (Arc::clone(&self.coordinator), Arc::clone(&self.news));
        let agent = held.handle();
        // Ends by itself within the deadline of the call.
        tokio::spawn(async move {
            let after = known.sequence.saturating_sub(1);
            // Without an answer the next heartbeat is as doubtful as this one.
            if let Ok(answer) = agent.list_audit(after, 1).await {
                let heads = coordinator.guest_commands().heads();
                if heads.compare(&place, &known, &answer, now) {
                    heads::save_soon(&coordinator);
                    news.notify_one();
                }
            }
            drop(turn);
        });
    }
}

/// What the administrator can do about it.
fn connect_words(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such socket; is the agent running?".to_owned(),
        io::ErrorKind::ConnectionRefused => {
            "nobody serves the socket; is the agent running?".to_owned()
        }
        io::ErrorKind::PermissionDenied => {
            "no permission to use the socket; the coordinator must be in its group".to_owned()
        }
        _ => format!("connecting: {error}"),
    }
}

async fn answer<T>(doing: &'static str, call: impl Future<Output = T>) -> Result<T, LinkError> {
    timeout(ANSWER_DEADLINE, call)
        .await
        .map_err(|_| LinkError::Deadline(doing))
}

/// A channel over this one connection: when it ends, so does the channel, and
/// reconnecting stays in one place.
///
/// # Errors
/// When the other side does not speak HTTP/2.
pub(crate) async fn channel(
    endpoint: Endpoint,
    stream: UnixStream,
) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream
            .take()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        std::future::ready(stream)
    });
    endpoint.connect_with_connector(connector).await
}

/// The name has no meaning on a Unix socket, but HTTP wants one.
pub(crate) fn endpoint() -> Endpoint {
    Endpoint::from_static("http://localhost")
}

fn delays() -> impl Iterator<Item = Duration> {
    ExponentialBuilder::default()
        .with_min_delay(SHORTEST_DELAY)
        .with_max_delay(LONGEST_DELAY)
        .with_jitter()
        .without_max_times()
        .build()
}

/// PVE names nodes by one label of a host name; other machines may use several.
fn is_host_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}

/// The sockets in a directory, sorted; none when it is not there.
///
/// # Errors
/// When the directory is there and cannot be read.
pub fn sockets_in(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut sockets = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "sock")
        {
            sockets.push(path);
        }
    }
    sockets.sort();
    Ok(sockets)
}
