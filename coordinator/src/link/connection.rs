//! One connection to an agent, whatever brought it: who is there, its stream from
//! where it was left, and what ends it.
//!
//! The agent serves and the coordinator calls, so everything that can take long has
//! its deadline here.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use prost::bytes::Bytes;
use pvelens_proto::agent::v1::{
    DescribeRequest, DescribeResponse, Heartbeat, WatchRequest,
    node_agent_service_client::NodeAgentServiceClient, watch_response::Event,
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tonic::{Status, Streaming, transport::Channel};
use tracing::{info, warn};

use super::{
    Clock, LinkError,
    audit::Audit,
    guarded::Guard,
    handle::{Handle, Held},
    packed,
    quota::Quota,
};
use crate::{
    coordinator::Coordinator,
    live::{Live, Transport},
    untrusted,
};

/// For connecting, for the description and for the first sign of the stream.
pub(super) const ANSWER_DEADLINE: Duration = Duration::from_secs(5);
/// Agents send a heartbeat when there is nothing else.
pub(super) const SILENCE_DEADLINE: Duration = Duration::from_secs(60);
/// The configuration of thousands of guests comes in one message.
pub(super) const MESSAGE_LIMIT_BYTES: usize = 64 << 20;
/// An agent samples every ten seconds, in a few updates.
const UPDATES_PER_SECOND: f64 = 50.0;
/// A whole spool may come at once.
const UPDATES_AT_ONCE: f64 = 20_000.0;

/// What every connection needs.
#[derive(Clone)]
pub(super) struct Context {
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) clock: Clock,
    /// Told whenever there is something to evaluate.
    pub(super) news: Arc<Notify>,
}

impl Context {
    pub(super) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Notes something about an agent. What fails here is tried again with the next link
    /// or the next look at this one.
    pub(super) async fn note(&self, work: impl FnOnce(&mut Live) + Send + 'static) {
        if self.coordinator.keep(work).await.is_none() {
            warn!("what is new of an agent could not be noted");
        }
    }
}

/// By what way an agent is reached.
#[derive(Debug, Clone)]
pub(super) struct Contact {
    /// A socket, or the address from which it dialled.
    pub(super) address: String,
    pub(super) transport: Transport,
    /// End of the certificate that it showed.
    pub(super) certificate_expires_at: Option<Timestamp>,
}

impl Contact {
    pub(super) fn local(address: String) -> Self {
        Self {
            address,
            transport: Transport::Local,
            certificate_expires_at: None,
        }
    }
}

/// A connection whose stream has begun.
pub(super) struct Open<'a> {
    pub(super) context: &'a Context,
    agent: Arc<DescribeResponse>,
    address: &'a str,
    /// Its place among the agents that can be called. Absent when there are too many.
    held: Option<Held<'a>>,
    stream: Streaming<Bytes>,
    audit: Audit,
}

/// Asks the agent who it is. A connection counts from this answer on: in TLS 1.3 ours is
/// complete before the agent has judged us.
pub(super) async fn describe(channel: &Channel) -> Result<DescribeResponse, LinkError> {
    let doing = "asking the agent who it is";
    let mut client = client(channel);
    let agent = answer(doing, client.describe(DescribeRequest {}))
        .await?
        .map_err(|status| LinkError::Refused { doing, status })?
        .into_inner();
    if !is_host_name(&agent.node_name) {
        let shown = untrusted::name(&agent.node_name).into_owned();
        return Err(LinkError::NodeName(shown));
    }
    Ok(agent)
}

impl<'a> Open<'a> {
    /// Begins the stream of an agent that said who it is.
    pub(super) async fn begin(
        context: &'a Context,
        channel: Channel,
        agent: DescribeResponse,
        contact: &'a Contact,
    ) -> Result<Self, LinkError> {
        let doing = "asking the agent for its samples";
        let agent = Arc::new(agent);
        let described = Arc::clone(&agent);
        let cursor = context
            .coordinator
            .keep(move |live| live.cursor(&described));
        let request = WatchRequest {
            cursor: cursor.await.flatten(),
            current_contents: false,
        };
        let stream = answer(doing, packed::watch(channel.clone(), request))
            .await?
            .map_err(|status| LinkError::Refused { doing, status })?;
        let described = Arc::clone(&agent);
        let (known, now) = (contact.clone(), context.now());
        let noting = context.coordinator.keep(move |live| {
            let key = live.connected(&described, &known.address, now)?;
            let expires_at = known.certificate_expires_at;
            live.reached(&key, known.transport, expires_at);
            Some(key)
        });
        let key = noting.await.flatten();
        context.news.notify_one();
        let (node, version) = (&agent.node_name, untrusted::name(&agent.agent_version));
        info!(address = contact.address, %node, %version, "connected to the agent");
        let handle = Handle::new(channel, Arc::clone(&context.clock));
        Ok(Self {
            held: key.map(|key| context.coordinator.agents().hold(key, handle)),
            agent,
            address: &contact.address,
            audit: Audit::new(),
            context,
            stream,
        })
    }

    /// Keeps what comes, until something ends it. What is too much has to wait, which the
    /// guard of the link hears of.
    pub(super) async fn receive(
        &mut self,
        delivered: &mut bool,
        guard: Option<&Guard>,
    ) -> LinkError {
        let mut quota = Quota::new(UPDATES_PER_SECOND, UPDATES_AT_ONCE);
        loop {
            let message = match timeout(SILENCE_DEADLINE, self.stream.message()).await {
                Err(_) => return LinkError::Silent,
                Ok(Ok(None)) => return LinkError::Closed,
                Ok(Err(status)) => return unreadable(status),
                Ok(Ok(Some(message))) => message,
            };
            match self.keep(message).await {
                Some(Ok(Kept::Update)) => {
                    *delivered = true;
                    if let Some(held) = &self.held {
                        self.audit.keep_up(self.context, held);
                    }
                }
                Some(Ok(Kept::Heartbeat(heartbeat))) => {
                    if let (Some(held), Some(head)) = (&self.held, &heartbeat.audit_head) {
                        self.audit.note(self.context, held, head);
                    }
                }
                Some(Ok(Kept::Nothing)) => {}
                Some(Err(status)) => return unreadable(status),
                None => warn!(address = self.address, "an update could not be kept"),
            }
            let wait = quota.spend(1.0);
            if !wait.is_zero() {
                match guard {
                    Some(guard) => guard.waited(wait),
                    None => self.throttled(wait).await,
                }
                sleep(wait).await;
            }
        }
    }

    pub(super) fn agent(&self) -> Arc<DescribeResponse> {
        Arc::clone(&self.agent)
    }

    async fn throttled(&self, time: Duration) {
        let (agent, now) = (self.agent(), self.context.now());
        let noting = self
            .context
            .note(move |live| live.throttled(&agent, time, now));
        noting.await;
    }

    /// Reads a message and keeps what it says. None = that failed half-way.
    async fn keep(&self, message: Bytes) -> Option<Result<Kept, Status>> {
        let coordinator = Arc::clone(&self.context.coordinator);
        let agent = Arc::clone(&self.agent);
        // When it came, not when it is its turn.
        let received_at = self.context.now();
        let keeping = self.context.coordinator.turns().take(move || {
            Ok(match packed::read(message)?.event {
                Some(Event::Update(update)) => {
                    coordinator.live().append(&agent, update, received_at);
                    Kept::Update
                }
                Some(Event::Heartbeat(heartbeat)) => {
                    let sent_at = sent_at(&heartbeat).unwrap_or(received_at);
                    coordinator.live().heartbeat(&agent, sent_at, received_at);
                    Kept::Heartbeat(heartbeat)
                }
                // An event of a newer agent.
                None => Kept::Nothing,
            })
        });
        let kept = keeping.await;
        if !matches!(kept, Some(Ok(Kept::Heartbeat(_) | Kept::Nothing))) {
            self.context.news.notify_one();
        }
        kept
    }
}

/// What became of a message.
enum Kept {
    Update,
    Heartbeat(Heartbeat),
    Nothing,
}

fn unreadable(status: Status) -> LinkError {
    let doing = "receiving samples";
    LinkError::Refused { doing, status }
}

/// Without a believable time it still shows that the agent lives.
fn sent_at(heartbeat: &Heartbeat) -> Option<Timestamp> {
    let sent_at = heartbeat.sent_at.as_ref()?;
    Timestamp::from_millisecond(pvelens_proto::timestamp_to_millis(sent_at)).ok()
}

pub(super) fn client(channel: &Channel) -> NodeAgentServiceClient<Channel> {
    NodeAgentServiceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_LIMIT_BYTES)
}

/// What a call gives within the deadline.
///
/// # Errors
/// When it takes longer.
pub(super) async fn answer<T>(
    doing: &'static str,
    call: impl Future<Output = T>,
) -> Result<T, LinkError> {
    timeout(ANSWER_DEADLINE, call)
        .await
        .map_err(|_| LinkError::Deadline(doing))
}

/// PVE names nodes by one label of a host name; other machines may use several.
pub(crate) fn is_host_name(name: &str) -> bool {
    (1..=253).contains(&name.len())
        && !name.starts_with(['-', '.'])
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'))
}
