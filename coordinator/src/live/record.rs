//! What is told of an agent.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::agent::Agent;

/// An agent as it is known. Sorted by cluster, then node.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct AgentRecord {
    /// As `View` names it; empty for an address where none ever answered.
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
    /// Newest entry of its record of guest commands. Not known here.
    pub audit_sequence: Option<u64>,
    /// What does not fit in that record; empty = nothing.
    pub audit_problem: String,
    pub transport: Transport,
    /// End of the certificate of its link.
    pub certificate_expires_at: Option<Timestamp>,
    /// What was kept of its stream, the present epoch first.
    pub kept_updates: Vec<KeptUpdates>,
    /// Updates that came again after they had been kept.
    pub repeated_updates_total: u64,
    /// Time that its updates had to wait, since they were more than a node may send.
    pub throttled_seconds_total: f64,
    /// What is wrong with who it says it is; empty = nothing.
    pub identity_problem: String,
}

/// How an agent is reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Transport {
    /// A socket on the coordinator's own host.
    #[default]
    Local,
    /// It dialled in and shows a certificate.
    Link,
}

/// Sequence numbers that were kept of one epoch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct KeptUpdates {
    pub epoch: String,
    /// Sorted, without overlap; both ends included.
    pub ranges: Vec<(u64, u64)>,
    /// Oldest ranges that are not remembered, since there were too many. Numbers
    /// up to the end of the last of them count as kept.
    pub given_up_ranges_total: u64,
}

impl Agent {
    pub(super) fn record(&self, cluster: &str, node: &str) -> AgentRecord {
        AgentRecord {
            cluster: cluster.to_owned(),
            node: node.to_owned(),
            version: self.version.to_string(),
            is_pve_node: self.is_pve_node,
            address: self.address.clone(),
            connected: self.connected,
            last_update_at: self.last_update_at,
            clock_offset_seconds: self.clock.offset().map(|offset| offset.as_secs_f64()),
            updates_total: self.updates_total,
            skipped_updates_total: self.skipped_updates_total,
            last_error: self.last_error.to_string(),
            audit_sequence: None,
            audit_problem: String::new(),
            transport: self.transport,
            certificate_expires_at: self.certificate_expires_at,
            kept_updates: self.stored.kept(|epoch| self.stream.is_present(epoch)),
            repeated_updates_total: self.stream.repeated(),
            throttled_seconds_total: self.throttled.as_secs_f64(),
            identity_problem: self.identity_problem(),
        }
    }
}
