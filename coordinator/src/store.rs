//! The newest samples of every agent, and the series derived from them.

use jiff::Timestamp;
use pvelens_proto::agent::v1::{Cursor, DescribeResponse, NodeUpdate};

use crate::history::History;

/// Keeps what agents delivered.
#[derive(Debug, Default)]
pub struct Store {
    history: History,
}

/// An agent as the store knows it. Sorted by cluster, then node.
#[derive(Debug, Clone, PartialEq)]
pub struct AgentRecord {
    /// As `View` names it.
    pub cluster: String,
    pub node: String,
    pub version: String,
    pub is_pve_node: bool,
    /// Socket or address it is reached at.
    pub address: String,
    pub connected: bool,
    pub last_update_at: Option<Timestamp>,
    /// Positive when the node's clock is ahead.
    pub clock_offset_seconds: Option<f64>,
    pub updates_total: u64,
    pub skipped_updates_total: u64,
    /// Why the last connection ended; empty while connected.
    pub last_error: String,
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Appended {
    Accepted,
    /// Its sequence number was already kept.
    Duplicate,
}

impl Store {
    /// Keeps an update of the agent that described itself so.
    pub fn append(
        &mut self,
        _agent: &DescribeResponse,
        _update: NodeUpdate,
        _received_at: Timestamp,
    ) -> Appended {
        Appended::Accepted
    }

    /// An agent answered at `address`.
    pub fn connected(&mut self, _agent: &DescribeResponse, _address: &str, _at: Timestamp) {}

    /// The connection to the agent at `address` ended or could not be made.
    pub fn disconnected(&mut self, _address: &str, _reason: &str, _at: Timestamp) {}

    /// A heartbeat: `sent_at` by the node's clock.
    pub fn heartbeat(
        &mut self,
        _agent: &DescribeResponse,
        _sent_at: Timestamp,
        _received_at: Timestamp,
    ) {
    }

    /// Where to resume the stream of an agent.
    #[must_use]
    pub fn cursor(&self, _agent: &DescribeResponse) -> Option<Cursor> {
        None
    }

    #[must_use]
    pub fn agents(&self) -> Vec<AgentRecord> {
        Vec::new()
    }

    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}
