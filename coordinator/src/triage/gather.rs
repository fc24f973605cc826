//! Facts of this node, as many as there are in a moment.
//!
//! The agent is asked first. A node in trouble may be one where the agent is dead
//! or stuck, so after a fraction of a second the node is read directly.

use std::time::Duration;

use jiff::Timestamp;
use pvelens_proto::agent::v1::{DescribeResponse, NodeUpdate};

use super::Source;

mod agent;
mod direct;

pub use agent::ask as ask_agent;
pub(crate) use direct::CHILD;
pub(super) use direct::is_needed;
pub use direct::{collect_here, collect_in_child, serve_child, tree_at};

/// For everything that is gathered.
pub const BUDGET: Duration = Duration::from_millis(1500);
/// Of it, for the agent to begin to answer and to send what it has.
pub const AGENT_BUDGET: Duration = Duration::from_millis(800);
/// What was gathered.
#[derive(Debug, Clone)]
pub struct Gathered {
    pub source: Source,
    pub description: DescribeResponse,
    /// In the order in which they were made.
    pub updates: Vec<NodeUpdate>,
    /// The instant of the newest facts.
    pub at: Timestamp,
    /// What history may cost to be gone through again.
    pub replay: Duration,
}

/// Reads the node itself, where the agent gave nothing, and why that was.
///
/// # Errors
/// In words for the user, when there is nothing to read either.
pub fn without_agent(now: Timestamp, why: String) -> Result<Gathered, String> {
    let left = BUDGET.saturating_sub(AGENT_BUDGET);
    collect_in_child(None, now, left, Source::Direct { agent: why })
}
