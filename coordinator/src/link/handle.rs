//! What is asked of connected agents beside their streams.
//!
//! A handle is a clone of the channel of the connection: it is good as long as that
//! is, and a call on one that ended fails at once. Whoever is found here answered
//! under this name when it connected.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{
    DescribeRequest, DescribeResponse, ListAuditRequest, ListAuditResponse,
    ListGuestCommandsRequest, ListGuestCommandsResponse, RunGuestCommandRequest,
    RunGuestCommandResponse, node_agent_service_client::NodeAgentServiceClient,
};
use tokio::time::timeout;
use tonic::{Code, Status, Streaming, transport::Channel};

use super::{Clock, counts::LinkCounts};
use crate::{
    guest_command::heads::Place,
    untrusted,
    view::{ClusterId, Name},
};

/// The agent gives itself ten seconds to read its files.
const ANSWER_DEADLINE: Duration = Duration::from_secs(12);
/// The longest answers are outputs of commands, far below a mebibyte, and pages of
/// the audit record.
const MESSAGE_LIMIT_BYTES: usize = 32 << 20;
const REASON_LIMIT: usize = 300;

/// Why an agent gave no answer to a call.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CallError {
    #[error("no answer within {} s", .0.as_secs())]
    Deadline(Duration),
    /// In the agent's words, made safe to show.
    #[error("{0}")]
    Refused(String),
    #[error("the agent of this node is too old for guest commands")]
    Unknown,
    #[error("the connection ended before the answer")]
    Ended,
}

/// One connected agent.
#[derive(Clone)]
pub struct Handle {
    client: NodeAgentServiceClient<Channel>,
    clock: Clock,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").finish_non_exhaustive()
    }
}

impl Handle {
    pub(super) fn new(channel: Channel, clock: Clock) -> Self {
        let client =
            NodeAgentServiceClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT_BYTES);
        Self { client, clock }
    }

    /// By the clock of the coordinator.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Who the agent is; whether it lives.
    ///
    /// # Errors
    /// When it does not answer.
    pub async fn describe(&self) -> Result<DescribeResponse, CallError> {
        let mut client = self.client.clone();
        answer(client.describe(DescribeRequest {})).await
    }

    /// The catalogue of the node and, with a VMID, what would run in that guest.
    ///
    /// # Errors
    /// When the agent does not answer, or has no guest commands.
    pub async fn list_guest_commands(
        &self,
        vmid: Option<u32>,
    ) -> Result<ListGuestCommandsResponse, CallError> {
        let mut client = self.client.clone();
        let request = ListGuestCommandsRequest { vmid };
        answer(client.list_guest_commands(request)).await
    }

    /// Begins a command. What comes is for the caller to wait for, with a deadline of
    /// its own.
    ///
    /// # Errors
    /// When the agent does not begin to answer.
    pub async fn run_guest_command(
        &self,
        request: RunGuestCommandRequest,
    ) -> Result<Streaming<RunGuestCommandResponse>, CallError> {
        let mut client = self.client.clone();
        answer(client.run_guest_command(request)).await
    }

    /// Entries of the node's audit record that come after one.
    ///
    /// # Errors
    /// When the agent does not answer, or has no record.
    pub async fn list_audit(
        &self,
        after_sequence: u64,
        limit: u32,
    ) -> Result<ListAuditResponse, CallError> {
        let mut client = self.client.clone();
        let request = ListAuditRequest {
            after_sequence,
            limit,
        };
        answer(client.list_audit(request)).await
    }
}

async fn answer<T>(
    call: impl Future<Output = Result<tonic::Response<T>, Status>>,
) -> Result<T, CallError> {
    match timeout(ANSWER_DEADLINE, call).await {
        Err(_) => Err(CallError::Deadline(ANSWER_DEADLINE)),
        Ok(Err(status)) => Err(status.into()),
        Ok(Ok(response)) => Ok(response.into_inner()),
    }
}

impl From<Status> for CallError {
    fn from(status: Status) -> Self {
        match (status.code(), status.message()) {
            (Code::Unimplemented, _) => Self::Unknown,
            (_, "") => Self::Ended,
            (_, text) => Self::Refused(untrusted::line(text, REASON_LIMIT).into_owned()),
        }
    }
}

/// The agents that are connected, by cluster and node as the view names them.
#[derive(Debug, Default)]
pub struct Agents {
    connected: Mutex<BTreeMap<(ClusterId, Name), (u64, Handle)>>,
    numbers: AtomicU64,
    counts: LinkCounts,
}

impl Agents {
    /// The agent of a node, if it is connected.
    #[must_use]
    pub fn of(&self, cluster: &str, node: &str) -> Option<Handle> {
        let key = (ClusterId::from(cluster), Name::from(node));
        let (_, handle) = self.lock().get(&key)?.clone();
        Some(handle)
    }

    /// Nodes of a cluster whose agent is connected, sorted.
    #[must_use]
    pub fn nodes_of(&self, cluster: &str) -> Vec<Name> {
        let connected = self.lock();
        let of_cluster = connected.keys().filter(|(id, _)| &**id == cluster);
        of_cluster.map(|(_, node)| Name::clone(node)).collect()
    }

    /// What became of those who dialled in.
    #[must_use]
    pub fn counts(&self) -> &LinkCounts {
        &self.counts
    }

    /// An agent is connected as long as the result lives. Of two under one name the
    /// later one counts.
    pub(super) fn hold(&self, key: (ClusterId, Name), handle: Handle) -> Held<'_> {
        let number = self.numbers.fetch_add(1, Ordering::Relaxed);
        self.lock().insert(key.clone(), (number, handle.clone()));
        Held {
            agents: self,
            key,
            number,
            handle,
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(ClusterId, Name), (u64, Handle)>> {
        self.connected
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the agent away again, unless a later connection has its place.
#[derive(Debug)]
pub(super) struct Held<'a> {
    agents: &'a Agents,
    key: (ClusterId, Name),
    number: u64,
    handle: Handle,
}

impl Held<'_> {
    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    pub(super) fn place(&self) -> Place {
        let (cluster, node) = &self.key;
        Place {
            cluster: cluster.to_string(),
            node: node.to_string(),
        }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut connected = self.agents.lock();
        if connected
            .get(&self.key)
            .is_some_and(|(number, _)| *number == self.number)
        {
            connected.remove(&self.key);
        }
    }
}
