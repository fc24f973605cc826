//! The newest samples of every agent, and the series derived from them.

use jiff::Timestamp;
use pvelens_proto::agent::v1::{DescribeResponse, NodeUpdate};

use crate::history::History;

/// Keeps what agents delivered.
#[derive(Debug, Default)]
pub struct Store {
    history: History,
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

    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }
}
