//! What every source last gave: as the running agent tells, or read here.

use std::{collections::BTreeMap, io, path::Path, time::Duration};

use hyper_util::rt::TokioIo;
use pvelens_proto::{
    agent::v1::{
        Cursor, DescribeRequest, DescribeResponse, HostIdentity, Sample, WatchRequest,
        node_agent_service_client::NodeAgentServiceClient, sample::Payload, watch_response::Event,
    },
    timestamp_to_millis,
};
use tokio::{net::UnixStream, time::timeout};
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};

use crate::{collector::COLLECTORS, host::Host};

/// For all questions together.
pub(in super::super) const DEADLINE: Duration = Duration::from_secs(5);
/// The configuration of thousands of guests comes in one message.
const MESSAGE_LIMIT_BYTES: usize = 64 << 20;

#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) sources: Vec<Source>,
    /// The newest of each source, by its name.
    pub(super) newest: BTreeMap<String, Newest>,
    /// The node's clock, in milliseconds since the epoch.
    pub(super) at: i64,
    /// When the agent started; 0 = this process, just now.
    pub(super) started_at: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) name: String,
    pub(super) interval_seconds: u32,
    /// The first path it reads: to blame when it names none.
    pub(super) path: String,
}

#[derive(Debug, Clone)]
pub(super) struct Newest {
    pub(super) sample: Sample,
    /// What the sample says is unchanged, or has itself.
    pub(super) payload: Option<Payload>,
}

/// A running agent's answer.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) version: String,
    /// Who made the socket: the agent, or systemd for it.
    pub(super) listener: Option<u32>,
    pub(super) reading: Reading,
}

/// Why the running agent gave no answer.
#[derive(Debug, thiserror::Error)]
pub(in super::super) enum AskError {
    #[error("{0}")]
    Connect(#[source] io::Error),
    #[error("no whole answer within {} s", DEADLINE.as_secs())]
    Deadline,
    #[error("what answers there is not an agent")]
    Foreign(#[from] tonic::transport::Error),
    #[error("it refuses: {}", .0.message())]
    Refused(#[from] Status),
    #[error("it ended the connection")]
    Ended,
}

impl Reading {
    /// Of samples that were taken in this process.
    pub(super) fn of(samples: Vec<Sample>, host: &Host) -> Self {
        let mut reading = Self {
            sources: COLLECTORS
                .iter()
                .map(|collector| Source {
                    name: collector.name.to_owned(),
                    interval_seconds: u32::try_from(collector.interval.as_secs())
                        .unwrap_or(u32::MAX),
                    path: first(collector.paths.iter().copied()),
                })
                .collect(),
            newest: BTreeMap::new(),
            at: host.now().as_millisecond(),
            started_at: 0,
        };
        samples.into_iter().for_each(|sample| reading.keep(sample));
        reading
    }

    fn keep(&mut self, sample: Sample) {
        let before = self.newest.remove(&sample.collector);
        let payload = match &sample.payload {
            Some(Payload::Unchanged(_)) => before.and_then(|before| before.payload),
            payload => payload.clone(),
        };
        let name = sample.collector.clone();
        self.newest.insert(name, Newest { sample, payload });
    }

    pub(super) fn identity(&self) -> Option<&HostIdentity> {
        self.payloads().find_map(|payload| match payload {
            Payload::HostIdentity(identity) => Some(identity),
            _ => None,
        })
    }

    pub(super) fn payloads(&self) -> impl Iterator<Item = &Payload> {
        self.newest.values().filter_map(|it| it.payload.as_ref())
    }
}

impl Newest {
    pub(super) fn observed_at(&self) -> i64 {
        let at = self.sample.observed_at.as_ref();
        at.map(timestamp_to_millis).unwrap_or_default()
    }
}

/// Asks the agent behind a socket.
pub(super) async fn ask(socket: &Path) -> Result<Answer, AskError> {
    timeout(DEADLINE, asked(socket))
        .await
        .unwrap_or(Err(AskError::Deadline))
}

/// A client of the agent behind a socket, and the process that made the socket.
pub(in super::super) async fn connect(
    socket: &Path,
) -> Result<(NodeAgentServiceClient<Channel>, Option<i32>), AskError> {
    #[expect(
        clippy::disallowed_methods,
        reason = "doctor and status ask the agent of this node, over its own socket"
    )]
    let stream = UnixStream::connect(socket)
        .await
        .map_err(AskError::Connect)?;
    let listener = stream.peer_cred().ok().and_then(|peer| peer.pid());
    let client = NodeAgentServiceClient::new(channel(stream).await?)
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES);
    Ok((client, listener))
}

async fn asked(socket: &Path) -> Result<Answer, AskError> {
    let (mut client, listener) = connect(socket).await?;
    let agent = client.describe(DescribeRequest {}).await?.into_inner();
    let mut answer = Answer {
        version: agent.agent_version.clone(),
        listener: listener.and_then(|process| u32::try_from(process).ok()),
        reading: described(agent),
    };
    let mut events = client.watch(WatchRequest::default()).await?.into_inner();
    let mut goal: Option<Cursor> = None;
    let mut place = 0;
    loop {
        let response = events.message().await?.ok_or(AskError::Ended)?;
        match response.event {
            // The first event says how far there is to go.
            Some(Event::Heartbeat(heartbeat)) => {
                let sent_at = heartbeat.sent_at.as_ref();
                answer.reading.at = sent_at.map_or(0, timestamp_to_millis);
                if goal.is_none() {
                    goal = heartbeat.newest;
                }
            }
            Some(Event::Update(update)) => {
                place = update.cursor.map_or(place, |cursor| cursor.sequence);
                for sample in update.samples {
                    answer.reading.keep(sample);
                }
            }
            // An event of a newer agent.
            None => {}
        }
        if goal.as_ref().is_some_and(|goal| goal.sequence <= place) {
            return Ok(answer);
        }
    }
}

fn described(agent: DescribeResponse) -> Reading {
    let started_at = agent.started_at.as_ref().map_or(0, timestamp_to_millis);
    let sources = agent.collectors.into_iter().map(|it| Source {
        path: first(it.paths.iter().map(String::as_str)),
        name: it.name,
        interval_seconds: it.interval_seconds,
    });
    Reading {
        sources: sources.collect(),
        started_at,
        ..Reading::default()
    }
}

fn first<'p>(mut paths: impl Iterator<Item = &'p str>) -> String {
    paths.next().unwrap_or_default().to_owned()
}

/// A channel over this one connection.
async fn channel(stream: UnixStream) -> Result<Channel, tonic::transport::Error> {
    let mut stream = Some(TokioIo::new(stream));
    let connector = tower::service_fn(move |_| {
        let stream = stream
            .take()
            .ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected));
        std::future::ready(stream)
    });
    // The name has no meaning on a Unix socket, but HTTP wants one.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(connector)
        .await
}
