//! Faults of the cluster as a whole: membership, time, corosync, network.

use pvelens::finding::Severity::{Critical, Warning};
use serde::{Deserialize, Serialize};

use super::{super::state::State, is_fragile};
use crate::sim::label::Labels;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "snake_case", deny_unknown_fields)]
pub enum ClusterFault {
    /// A node loses power.
    NodeOffline { node: String },
    /// A node runs on, but no other node hears it: it is a minority of one.
    Partition { node: String },
    /// The cluster network is gone: every node is alone.
    Split {},
    /// The agent of a node stops.
    AgentSilent { node: String },
    /// The clock of a node is ahead.
    ClockSkew { node: String, seconds: f64 },
    /// Corosync has one link only.
    SingleLink {},
    /// Corosync traffic is neither encrypted nor authenticated.
    CryptoOff {},
    /// An even number of votes without a quorum device.
    NoQdevice {},
    /// Two guests on one bridge have the same address.
    DuplicateMac { vmid: u32, other: u32 },
    /// A bridge that a guest uses does not exist on a node.
    BridgeMissing { node: String, vmid: u32 },
}

impl ClusterFault {
    pub const NAMES: &[&str] = &[
        "node_offline",
        "partition",
        "split",
        "agent_silent",
        "clock_skew",
        "single_link",
        "crypto_off",
        "no_qdevice",
        "duplicate_mac",
        "bridge_missing",
    ];

    pub(super) fn apply(&self, state: &mut State) {
        let now = state.now_millis();
        match self {
            Self::NodeOffline { node } => {
                if let Some(node) = state.node_mut(node) {
                    node.powered = false;
                    node.cut_off_millis = now;
                }
            }
            Self::Partition { node } => {
                if let Some(node) = state.node_mut(node) {
                    node.network_group = node.id;
                    node.cut_off_millis = now;
                }
            }
            Self::Split {} => {
                for node in &mut state.nodes {
                    node.network_group = node.id;
                    node.cut_off_millis = now;
                }
            }
            Self::AgentSilent { node } => {
                if let Some(node) = state.node_mut(node) {
                    node.agent = false;
                }
            }
            Self::ClockSkew { node, seconds } => {
                if let Some(node) = state.node_mut(node) {
                    node.skew_millis = super::super::state::milliseconds(*seconds);
                }
            }
            Self::SingleLink {} => {
                state.corosync.links = 1;
                state.corosync.config_version += 1;
            }
            Self::CryptoOff {} => {
                state.corosync.secauth = false;
                state.corosync.config_version += 1;
            }
            Self::NoQdevice {} => {
                state.corosync.qdevice = false;
                state.corosync.config_version += 1;
            }
            Self::DuplicateMac { vmid, other } => {
                let address = state.guest(*vmid).and_then(|guest| guest.mac());
                if let (Some(address), Some(other)) = (address, state.guest_mut(*other)) {
                    other.set_mac(&address);
                }
            }
            Self::BridgeMissing { node, vmid } => {
                if let Some(guest) = state.guest_mut(*vmid) {
                    let net = guest
                        .get("net0")
                        .unwrap_or_default()
                        .replace("vmbr0", "vmbr1");
                    guest.set("net0", net);
                }
                if let Some(node) = state.node_mut(node) {
                    node.bridges.retain(|bridge| bridge.name != "vmbr1");
                    node.nics.retain(|nic| nic.master != "vmbr1");
                }
            }
        }
    }

    pub(super) fn label(&self, state: &State, labels: &mut Labels) {
        match self {
            Self::NodeOffline { node } => {
                labels.root("cluster.node.offline", format!("node/{node}"), Critical);
                if is_fragile(state, 1) {
                    labels.consequence("cluster.quorum.fragile", "cluster", Critical);
                }
            }
            Self::Partition { node } => {
                // Lost on that node only, because it is alone.
                labels.consequence("cluster.quorum.lost", "cluster", Critical);
                labels.root("cluster.node.offline", format!("node/{node}"), Critical);
                if is_fragile(state, 1) {
                    labels.consequence("cluster.quorum.fragile", "cluster", Critical);
                }
            }
            Self::Split {} => {
                labels.root("cluster.corosync.link_down", "cluster", Critical);
                labels.consequence("cluster.quorum.lost", "cluster", Critical);
                if !state.ha.guests.is_empty() {
                    for node in &state.nodes {
                        let subject = format!("node/{}", node.name);
                        labels.consequence("ha.lrm.stale", subject, Critical);
                    }
                }
            }
            Self::AgentSilent { node } => {
                labels.root(
                    "cluster.agent.stale_report",
                    format!("node/{node}"),
                    Warning,
                );
            }
            Self::ClockSkew { seconds, .. } => {
                let severity = if *seconds > 2.0 { Critical } else { Warning };
                labels.root("cluster.nodes.clock_skew", "cluster", severity);
            }
            Self::SingleLink {} => labels.root("cluster.corosync.single_link", "cluster", Warning),
            Self::CryptoOff {} => labels.root("cluster.corosync.crypto_off", "cluster", Critical),
            Self::NoQdevice {} => {
                let check = if state.nodes.len() == 2 {
                    "cluster.quorum.two_node_no_qdevice"
                } else {
                    "cluster.quorum.even_votes_no_qdevice"
                };
                labels.root(check, "cluster", Warning);
            }
            Self::DuplicateMac { vmid, other } => {
                labels.root(
                    "guest.mac_duplicate",
                    format!("guest/{}", vmid.min(other)),
                    Critical,
                );
            }
            Self::BridgeMissing { node, .. } => {
                labels.root(
                    "network.bridge.missing_on_node",
                    format!("node/{node}"),
                    Warning,
                );
            }
        }
    }
}
