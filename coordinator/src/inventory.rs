//! Nodes, guests and storages as people and programs see them.
//!
//! This is the one JSON form of the inventory: the command line and MCP show
//! it, and `grpc` converts it. It is made from a view and holds no reference to
//! it. Figures that are not known are left out.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::live::{KeptUpdates, Transport};

pub mod coverage;
pub mod detail;
pub mod summary;
pub mod word;

/// What an answer covers. Data that was not seen is never silently missing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Coverage {
    /// The instant the answer describes.
    pub at: Timestamp,
    /// One entry per node that the answer is about, sorted by cluster and name.
    pub nodes: Vec<NodeCoverage>,
    /// What could not be assessed, in words, worst first.
    pub not_assessed: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct NodeCoverage {
    pub cluster: String,
    pub node: String,
    pub level: CoverageWord,
    /// Observation time of the newest sample about this node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub newest: Option<Timestamp>,
    /// The agent reported before and is silent now.
    pub stale: bool,
    /// Collectors of this node that failed, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<FailureSummary>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CoverageWord {
    None,
    Basic,
    Full,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FailureSummary {
    pub collector: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// `not_found`, `permission_denied`, `timed_out`, ...
    pub kind: String,
    pub detail: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ClusterSummary {
    /// Fingerprint of the root CA certificate.
    pub id: String,
    pub name: String,
    pub standalone: bool,
    /// Absent on a standalone node and when no member's word is fresh.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quorate: Option<bool>,
    pub nodes_total: u32,
    pub nodes_online: u32,
    pub guests_total: u32,
    pub guests_running: u32,
    pub storages_total: u32,
    /// `homelab`, `production` or `strict`.
    pub profile: String,
    /// Where the profile comes from: `proposed: ...` or `declared`.
    pub profile_origin: String,
    /// Open health findings.
    pub critical_findings: u32,
    pub warning_findings: u32,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeSummary {
    pub cluster: String,
    pub name: String,
    /// `online`, `offline` or `unknown`.
    pub status: String,
    pub coverage: CoverageWord,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<u32>,
    /// Busy share of all CPUs, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iowait_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load1: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_total_bytes: Option<u64>,
    /// Total less available.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_available_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arc_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub swap_used_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub root_used_bytes: Option<u64>,
    /// Share of time in which tasks waited, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_pressure_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_pressure_ratio: Option<f64>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub ip_address: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kernel_release: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub pve_manager_version: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cpu_model: String,
    pub guests_running: u32,
    pub guests_total: u32,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub agent_version: String,
}

/// Disks, interfaces and file systems of one node.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NodeDetail {
    pub disks: Vec<DiskSummary>,
    pub interfaces: Vec<InterfaceSummary>,
    pub filesystems: Vec<FilesystemSummary>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct DiskSummary {
    pub name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub model: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_latency_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_latency_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub busy_ratio: Option<f64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct InterfaceSummary {
    pub name: String,
    pub kind: String,
    /// `up`, `down`, `unknown`.
    pub operational_state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transmitted_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub speed_megabits_per_second: Option<u32>,
    pub errors_total: u64,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct FilesystemSummary {
    pub mount_point: String,
    pub filesystem_type: String,
    pub read_only: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GuestSummary {
    pub cluster: String,
    pub vmid: u32,
    /// `qemu` or `lxc`.
    pub kind: String,
    /// Chosen by whoever owns the guest: data, never an instruction.
    pub name: String,
    pub node: String,
    /// `running`, `stopped`, `paused`, `io-error`, ... or `unknown`.
    pub status: String,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub template: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
    /// Operation that holds the guest.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub lock: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uptime_seconds: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Of the guest's CPUs, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_maximum_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_used_bytes: Option<u64>,
    /// Whose figure the memory is: `balloon`, `cgroup`, `host`, `broadcast`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub memory_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_host_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_maximum_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disk_used_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub received_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transmitted_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_bytes_per_second: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpu_pressure_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_pressure_ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub io_pressure_ratio: Option<f64>,
}

/// Configuration of one guest.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct GuestDetail {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sockets: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cpu_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub os_type: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub machine: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub bios: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start_on_boot: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protection: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub agent_enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unprivileged: Option<bool>,
    pub volumes: Vec<VolumeSummary>,
    pub nics: Vec<NicSummary>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub snapshots: Vec<SnapshotSummary>,
    /// Settings that apply at the next start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pending_keys: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created: Option<Timestamp>,
    /// Which of the guests that had this VMID one after the other, from one, as
    /// long as the coordinator runs.
    pub generation: u32,
    /// When that guest was seen first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub generation_since: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct VolumeSummary {
    pub key: String,
    pub kind: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub storage: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub volume: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mount_point: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    pub backup: bool,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cache: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct NicSummary {
    pub key: String,
    pub model: String,
    pub mac_address: String,
    pub bridge: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vlan_tag: Option<u32>,
    pub firewall: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct SnapshotSummary {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taken: Option<Timestamp>,
    pub has_memory_state: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StorageSummary {
    pub cluster: String,
    pub name: String,
    pub storage_type: String,
    pub shared: bool,
    pub disabled: bool,
    pub content: Vec<String>,
    /// One entry per node that may use it, sorted by node.
    pub nodes: Vec<StorageOnNodeSummary>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StorageOnNodeSummary {
    pub node: String,
    /// `active`, `inactive`, `disabled` or `unknown`.
    pub status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub figures_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_bytes: Option<u64>,
}

/// One agent and what it delivers.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct AgentSummary {
    pub cluster: String,
    pub node: String,
    pub version: String,
    pub is_pve_node: bool,
    pub connected: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_update: Option<Timestamp>,
    /// Positive when the node's clock is ahead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_offset_seconds: Option<f64>,
    pub updates_total: u64,
    /// Updates the agent dropped before they were read.
    pub skipped_updates_total: u64,
    /// Why the last connection ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub last_error: String,
    pub address: String,
    /// Number of the newest entry in the node's record of guest commands.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub audit_sequence: Option<u64>,
    /// What does not fit in that record: it was shortened or rewritten.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub audit_problem: String,
    pub transport: Transport,
    /// End of the certificate of its link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate_expires: Option<Timestamp>,
    /// What was kept of its stream, the present epoch first.
    pub kept_updates: Vec<KeptUpdates>,
    /// Updates that came again after they had been kept.
    pub repeated_updates_total: u64,
    /// Time that its updates had to wait, since they were more than a node may send.
    pub throttled_seconds_total: f64,
    /// What is wrong with who it says it is.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub identity_problem: String,
}
