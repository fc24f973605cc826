//! Connections to node agents.
//!
//! The agent serves and the coordinator calls, so everything that can take long
//! has its deadline here. A connection resumes where it was left; whatever
//! ends it is recorded, and the next attempt comes after a jittered delay that
//! grows as long as no data arrives.

use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use backon::{BackoffBuilder, ExponentialBuilder};
use hyper_util::rt::TokioIo;
use jiff::Timestamp;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixStream,
    sync::Notify,
    time::sleep,
};
use tokio_util::sync::CancellationToken;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use tracing::warn;

use crate::{coordinator::Coordinator, untrusted};

mod admission;
mod audit;
mod claims;
mod connection;
mod counts;
#[cfg(test)]
pub(crate) mod fixture;
mod guarded;
mod handle;
mod known;
mod listen;
mod packed;
mod quota;
mod renewal;
#[cfg(test)]
mod tests;

pub use counts::{LinkCounts, LinkFigures};
pub use handle::{Agents, CallError, Handle};
pub use listen::Listening;

pub(crate) use connection::is_host_name;

use connection::{ANSWER_DEADLINE, Contact, Context, Open, SILENCE_DEADLINE, answer, describe};

/// The clock of the coordinator: the real one, or that of a simulation.
pub type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

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
    let local = Local {
        contact: Contact::local(socket.display().to_string()),
        socket,
        context: Context {
            coordinator,
            clock,
            news,
        },
    };
    shutdown.run_until_cancelled(local.follow()).await;
}

/// Follows the agent behind a socket.
struct Local {
    context: Context,
    socket: PathBuf,
    contact: Contact,
}

impl Local {
    async fn follow(&self) {
        let mut last_reason = String::new();
        let mut delays = delays();
        let address = &self.contact.address;
        loop {
            let mut delivered = false;
            let error = self.connection(&mut delivered).await;
            let reason = untrusted::line(&error.to_string(), REASON_LIMIT).into_owned();
            // An agent that is down fails the same way every time.
            if reason != last_reason || delivered {
                warn!(address, reason, "no connection to the agent");
            }
            let (lost, why) = (address.clone(), reason.clone());
            let noting = self
                .context
                .note(move |live| live.disconnected(&lost, &why));
            noting.await;
            self.context.news.notify_one();
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
            Ok(mut open) => open.receive(delivered, None).await,
            Err(error) => error,
        }
    }

    async fn open(&self) -> Result<Open<'_>, LinkError> {
        let doing = "connecting";
        let stream = answer(doing, UnixStream::connect(&self.socket))
            .await?
            .map_err(LinkError::Connect)?;
        let channel = answer(doing, channel(endpoint(), stream))
            .await?
            .map_err(|error| LinkError::Connect(io::Error::other(error)))?;
        let agent = describe(&channel).await?;
        Open::begin(&self.context, channel, agent, &self.contact).await
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

/// A channel over this one connection: when it ends, so does the channel, and
/// reconnecting stays in one place.
///
/// # Errors
/// When the other side does not speak HTTP/2.
pub(crate) async fn channel(
    endpoint: Endpoint,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
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
