//! Hand-made updates of a small cluster for unit tests.

use jiff::Timestamp;
use pvelens_proto::{
    Timestamp as WireTime,
    agent::v1::{
        self as wire, Cursor, DescribeResponse, NodeUpdate, Sample, Unchanged, sample::Payload,
    },
    timestamp_from_millis,
};

use super::{Appended, Live};

/// Second zero of the tests.
const START: i64 = 1_795_600_000;

pub(crate) fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

pub(crate) fn wire_at(second: i64) -> WireTime {
    timestamp_from_millis((START + second) * 1000)
}

/// An agent whose clock is right.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    pub(crate) described: DescribeResponse,
    sequence: u64,
}

impl Feed {
    pub(crate) fn new(cluster: &str, node: &str) -> Self {
        Self {
            described: DescribeResponse {
                agent_version: "0.1.0".to_owned(),
                node_name: node.to_owned(),
                cluster_id: cluster.to_owned(),
                is_pve_node: !cluster.is_empty(),
                epoch: format!("{cluster}/{node}/1"),
                ..DescribeResponse::default()
            },
            sequence: 0,
        }
    }

    /// The agent starts with an empty spool.
    pub(crate) fn restart(&mut self, epoch: &str) {
        epoch.clone_into(&mut self.described.epoch);
        self.sequence = 0;
    }

    pub(crate) fn update(&mut self, samples: Vec<Sample>) -> NodeUpdate {
        self.sequence += 1;
        NodeUpdate {
            cursor: Some(Cursor {
                epoch: self.described.epoch.clone(),
                sequence: self.sequence,
            }),
            samples,
            ..NodeUpdate::default()
        }
    }

    /// Observed and received at the second.
    pub(crate) fn send(
        &mut self,
        live: &mut Live,
        second: i64,
        payloads: Vec<Payload>,
    ) -> Appended {
        let samples = payloads
            .into_iter()
            .map(|payload| sample(second, payload))
            .collect();
        let update = self.update(samples);
        live.append(&self.described, update, at(second))
    }
}

/// Of the collector that the payload is named for.
pub(crate) fn sample(second: i64, payload: Payload) -> Sample {
    let collector = match &payload {
        Payload::Cpu(_) => "cpu",
        Payload::Pressure(_) => "pressure",
        Payload::Memory(_) => "memory",
        Payload::Disks(_) => "disk",
        Payload::GuestRuntimes(_) => "guest_runtime",
        Payload::ClusterBroadcast(_) => "broadcast",
        Payload::PveStatus(_) => "pve_status",
        Payload::ClusterMembers(_) => "members",
        Payload::GuestList(_) => "guest_list",
        Payload::GuestConfigs(_) => "guest_config",
        Payload::StorageConfig(_) => "storage_config",
        Payload::CorosyncConfig(_) => "corosync",
        _ => "other",
    };
    named(collector, second, Some(payload))
}

pub(crate) fn named(collector: &str, second: i64, payload: Option<Payload>) -> Sample {
    Sample {
        collector: collector.to_owned(),
        observed_at: Some(wire_at(second)),
        interval_seconds: 10,
        payload,
        ..Sample::default()
    }
}

pub(crate) fn unchanged(collector: &str, second: i64, since_sequence: u64) -> Sample {
    let payload = Payload::Unchanged(Unchanged { since_sequence });
    named(collector, second, Some(payload))
}

/// As the node sees the cluster; `online` says it of each member.
pub(crate) fn members(node: &str, quorate: bool, members: &[(&str, bool)]) -> Payload {
    Payload::ClusterMembers(wire::ClusterMembers {
        node_name: node.to_owned(),
        version: 1,
        cluster: Some(wire::ClusterSummary {
            name: "lab".to_owned(),
            config_version: 3,
            node_count: u32::try_from(members.len()).unwrap(),
            quorate,
        }),
        members: (1..)
            .zip(members)
            .map(|(node_id, (name, online))| wire::ClusterMember {
                name: (*name).to_owned(),
                node_id,
                online: *online,
                ip_address: format!("192.0.2.{node_id}"),
            })
            .collect(),
    })
}

pub(crate) fn standalone(node: &str) -> Payload {
    Payload::ClusterMembers(wire::ClusterMembers {
        node_name: node.to_owned(),
        version: 1,
        ..wire::ClusterMembers::default()
    })
}

pub(crate) fn guest_list(guests: &[(u32, &str)]) -> Payload {
    Payload::GuestList(wire::GuestList {
        version: 1,
        guests: guests
            .iter()
            .map(|(vmid, node)| wire::GuestListEntry {
                vmid: *vmid,
                kind: wire::GuestKind::Qemu.into(),
                node: (*node).to_owned(),
                version: 1,
            })
            .collect(),
    })
}

pub(crate) fn guest_configs(guests: &[(u32, &str, &str)]) -> Payload {
    Payload::GuestConfigs(wire::GuestConfigs {
        guests: guests
            .iter()
            .map(|(vmid, node, name)| wire::GuestConfig {
                vmid: *vmid,
                kind: wire::GuestKind::Qemu.into(),
                node: (*node).to_owned(),
                settings: Some(wire::GuestSettings {
                    name: (*name).to_owned(),
                    ..wire::GuestSettings::default()
                }),
                ..wire::GuestConfig::default()
            })
            .collect(),
    })
}

pub(crate) fn storages(names: &[&str]) -> Payload {
    Payload::StorageConfig(wire::StorageConfig {
        storages: names
            .iter()
            .map(|name| wire::StorageEntry {
                name: (*name).to_owned(),
                storage_type: "dir".to_owned(),
                ..wire::StorageEntry::default()
            })
            .collect(),
        ..wire::StorageConfig::default()
    })
}

/// VMs that run, computed at the second.
pub(crate) fn pve_status(second: i64, guests: &[(u32, &str)]) -> wire::PveStatus {
    wire::PveStatus {
        node: Some(wire::PveNodeStatus {
            computed_at: Some(wire_at(second)),
            ..wire::PveNodeStatus::default()
        }),
        guests: guests
            .iter()
            .map(|(vmid, qmp_status)| wire::PveGuestStatus {
                computed_at: Some(wire_at(second)),
                vmid: *vmid,
                kind: wire::GuestKind::Qemu.into(),
                status: if *qmp_status == "stopped" {
                    "stopped"
                } else {
                    "running"
                }
                .to_owned(),
                qmp_status: (*qmp_status).to_owned(),
                uptime_seconds: Some(1000.0),
                cpu_ratio: Some(0.5),
                cpus: Some(2.0),
                memory_used_bytes: Some(1 << 30),
                memory_maximum_bytes: Some(2 << 30),
                disk_used_bytes: Some(0),
                ..wire::PveGuestStatus::default()
            })
            .collect(),
        storages: Vec::new(),
    }
}

pub(crate) fn storage_status(second: i64, name: &str, active: bool) -> wire::PveStorageStatus {
    wire::PveStorageStatus {
        computed_at: Some(wire_at(second)),
        name: name.to_owned(),
        enabled: true,
        active,
        total_bytes: Some(if active { 100 } else { 0 }),
        used_bytes: Some(if active { 40 } else { 0 }),
        ..wire::PveStorageStatus::default()
    }
}

pub(crate) fn runtime(vmid: u32, start_ticks: u64, cpu_seconds: f64) -> wire::GuestRuntime {
    wire::GuestRuntime {
        vmid,
        kind: wire::GuestKind::Qemu.into(),
        start_ticks: Some(start_ticks),
        cpu_seconds_total: Some(cpu_seconds),
        process_resident_bytes: Some(3 << 30),
        ..wire::GuestRuntime::default()
    }
}

pub(crate) fn runtimes(guests: Vec<wire::GuestRuntime>) -> Payload {
    Payload::GuestRuntimes(wire::GuestRuntimes { guests })
}

pub(crate) fn cpu(busy: f64, idle: f64) -> Payload {
    Payload::Cpu(wire::CpuTimes {
        user_seconds_total: busy,
        idle_seconds_total: idle,
        online_cpus: 4,
        ..wire::CpuTimes::default()
    })
}

/// Broadcast of nodes and of running guests, all computed at the second.
pub(crate) fn broadcast(second: i64, nodes: &[&str], guests: &[u32]) -> wire::ClusterBroadcast {
    wire::ClusterBroadcast {
        nodes: nodes
            .iter()
            .map(|name| wire::BroadcastNode {
                name: (*name).to_owned(),
                computed_at: Some(wire_at(second)),
                cpu_ratio: Some(0.25),
                memory_total_bytes: Some(100),
                memory_used_bytes: Some(60),
                ..wire::BroadcastNode::default()
            })
            .collect(),
        guests: guests
            .iter()
            .map(|vmid| wire::BroadcastGuest {
                vmid: *vmid,
                computed_at: Some(wire_at(second)),
                name: format!("vm{vmid}"),
                status: "running".to_owned(),
                memory_used_bytes: Some(7),
                memory_maximum_bytes: Some(10),
                ..wire::BroadcastGuest::default()
            })
            .collect(),
        storages: Vec::new(),
    }
}

pub(crate) fn broadcast_storage(second: i64, node: &str, name: &str) -> wire::BroadcastStorage {
    wire::BroadcastStorage {
        node: node.to_owned(),
        name: name.to_owned(),
        computed_at: Some(wire_at(second)),
        total_bytes: Some(100),
        used_bytes: Some(70),
    }
}
