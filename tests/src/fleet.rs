//! Updates of simulated agents, made directly as messages.

use std::fmt;

use jiff::Timestamp;
use pvelens::live::Live;
use pvelens_proto::{
    Timestamp as WireTime,
    agent::v1::{
        self as wire, Cursor, DescribeResponse, NodeUpdate, Sample, Unchanged, sample::Payload,
    },
    timestamp_from_millis,
};

mod wander;

use wander::{counter, level, seconds, share};

pub const SMALL: Fleet = Fleet {
    start: START,
    clusters: 1,
    nodes_per_cluster: 3,
    guests_per_cluster: 100,
};
pub const ONE_LARGE_CLUSTER: Fleet = Fleet {
    start: START,
    clusters: 1,
    nodes_per_cluster: 32,
    guests_per_cluster: 10_000,
};
pub const MANY_CLUSTERS: Fleet = Fleet {
    start: START,
    clusters: 63,
    nodes_per_cluster: 16,
    guests_per_cluster: 794,
};

const START: i64 = 1_795_600_000;
const STORAGES: u32 = 6;
const DISKS: u32 = 8;
const GIB: u64 = 1 << 30;

/// Every node has an agent; guests are spread evenly.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Seconds since the epoch, of the first round.
    pub start: i64,
    pub clusters: u32,
    pub nodes_per_cluster: u32,
    pub guests_per_cluster: u32,
}

impl fmt::Display for Fleet {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} nodes, {} guests",
            self.nodes(),
            self.guests()
        )
    }
}

/// Time of a round of the fleets that are always the same.
#[must_use]
pub fn at(round: u32) -> Timestamp {
    Timestamp::from_second(START + i64::from(round) * 10).unwrap_or_default()
}

impl Fleet {
    fn wire_at(&self, round: u32) -> WireTime {
        timestamp_from_millis((self.start + i64::from(round) * 10) * 1000)
    }

    #[must_use]
    pub fn nodes(&self) -> u32 {
        self.clusters * self.nodes_per_cluster
    }

    #[must_use]
    pub fn guests(&self) -> u32 {
        self.clusters * self.guests_per_cluster
    }

    /// A store that has heard all rounds up to this one.
    #[must_use]
    pub fn live(&self, rounds: u32) -> Live {
        let mut live = Live::default();
        for round in 0..=rounds {
            for (agent, update) in self.round(round) {
                live.append(&agent, update, at(round));
            }
        }
        live
    }

    /// One update of every agent. Configuration is in full in round 0 only.
    #[must_use]
    pub fn round(&self, round: u32) -> Vec<(DescribeResponse, NodeUpdate)> {
        (0..self.clusters)
            .flat_map(|cluster| {
                (0..self.nodes_per_cluster).map(move |node| self.update(cluster, node, round))
            })
            .collect()
    }

    fn update(&self, cluster: u32, node: u32, round: u32) -> (DescribeResponse, NodeUpdate) {
        let epoch = "1".to_owned();
        let described = DescribeResponse {
            agent_version: "0.1.0".to_owned(),
            node_name: name(node),
            cluster_id: cluster_id(cluster),
            is_pve_node: true,
            epoch: epoch.clone(),
            ..DescribeResponse::default()
        };
        let mut samples = self.measured(node, round);
        let configured = self.configured(&cluster_id(cluster), node, round);
        samples.extend(configured.into_iter().map(|mut sample| {
            if round > 0 {
                sample.payload = Some(Payload::Unchanged(Unchanged { since_sequence: 1 }));
            }
            sample
        }));
        let update = NodeUpdate {
            cursor: Some(Cursor {
                epoch,
                sequence: u64::from(round) + 1,
            }),
            samples,
            ..NodeUpdate::default()
        };
        (described, update)
    }

    /// What one node measures in one round.
    #[must_use]
    pub fn measured(&self, node: u32, round: u32) -> Vec<Sample> {
        let payloads = [
            ("cpu", cpu(node, round)),
            ("pressure", pressure(round)),
            ("memory", memory(node, round)),
            ("load", load(node, round)),
            ("disk", disks(node, round)),
            ("filesystem", filesystems(round)),
            ("network", self.network(node, round)),
            ("guest_runtime", self.runtimes(node, round)),
            ("broadcast", self.broadcast(round)),
            ("pve_status", self.pve_status(node, round)),
        ];
        let samples = payloads.map(|(collector, payload)| self.sample(collector, round, payload));
        samples.to_vec()
    }

    /// What does not change, in full.
    #[must_use]
    pub fn configured(&self, cluster_id: &str, node: u32, round: u32) -> Vec<Sample> {
        let host = Payload::HostIdentity(wire::HostIdentity {
            node_name: name(node),
            is_pve_node: true,
            root_ca_sha256: cluster_id.to_owned(),
            ..wire::HostIdentity::default()
        });
        let payloads = [
            ("members", self.members(node)),
            ("guest_list", self.guest_list()),
            ("guest_config", self.guest_configs()),
            ("storage_config", self.storage_config()),
            ("corosync", self.corosync()),
            ("host", host),
        ];
        let samples = payloads.map(|(collector, payload)| self.sample(collector, round, payload));
        samples.to_vec()
    }

    fn sample(&self, collector: &str, round: u32, payload: Payload) -> Sample {
        Sample {
            collector: collector.to_owned(),
            observed_at: Some(self.wire_at(round)),
            interval_seconds: 10,
            payload: Some(payload),
            ..Sample::default()
        }
    }

    fn vmids(&self) -> impl Iterator<Item = u32> {
        100..100 + self.guests_per_cluster
    }

    fn vmids_on(&self, node: u32) -> impl Iterator<Item = u32> {
        let nodes = self.nodes_per_cluster;
        self.vmids().filter(move |vmid| vmid % nodes == node)
    }

    fn members(&self, node: u32) -> Payload {
        Payload::ClusterMembers(wire::ClusterMembers {
            node_name: name(node),
            version: 1,
            cluster: Some(wire::ClusterSummary {
                name: "bench".to_owned(),
                config_version: 3,
                node_count: self.nodes_per_cluster,
                quorate: true,
            }),
            members: (0..self.nodes_per_cluster)
                .map(|member| wire::ClusterMember {
                    name: name(member),
                    node_id: member + 1,
                    online: true,
                    ip_address: format!("192.0.2.{member}"),
                })
                .collect(),
        })
    }

    fn guest_list(&self) -> Payload {
        let guests = self.vmids().map(|vmid| wire::GuestListEntry {
            vmid,
            kind: kind(vmid).into(),
            node: name(vmid % self.nodes_per_cluster),
            version: 1,
        });
        Payload::GuestList(wire::GuestList {
            version: 1,
            guests: guests.collect(),
        })
    }

    fn guest_configs(&self) -> Payload {
        let guests = self.vmids().map(|vmid| wire::GuestConfig {
            vmid,
            kind: kind(vmid).into(),
            node: name(vmid % self.nodes_per_cluster),
            sha256: format!("{vmid:064x}"),
            settings: Some(wire::GuestSettings {
                name: format!("guest-{vmid}"),
                cores: Some(4),
                memory_bytes: Some(8 * GIB),
                volumes: vec![wire::GuestVolume {
                    key: "scsi0".to_owned(),
                    kind: wire::VolumeKind::Disk.into(),
                    storage: "storage1".to_owned(),
                    volume: format!("vm-{vmid}-disk-0"),
                    size_bytes: Some(32 * GIB),
                    backup: true,
                    ..wire::GuestVolume::default()
                }],
                nics: vec![wire::GuestNic {
                    key: "net0".to_owned(),
                    model: "virtio".to_owned(),
                    mac_address: format!("BC:24:11:{:02X}:{:02X}:00", vmid / 256 % 256, vmid % 256),
                    bridge: "vmbr0".to_owned(),
                    firewall: true,
                    ..wire::GuestNic::default()
                }],
                ..wire::GuestSettings::default()
            }),
            ..wire::GuestConfig::default()
        });
        Payload::GuestConfigs(wire::GuestConfigs {
            guests: guests.collect(),
        })
    }

    fn storage_config(&self) -> Payload {
        let storages = (0..STORAGES).map(|storage| wire::StorageEntry {
            name: format!("storage{storage}"),
            storage_type: if storage % 2 == 0 { "lvmthin" } else { "nfs" }.to_owned(),
            shared: storage % 2 == 1,
            content: vec!["images".to_owned()],
            ..wire::StorageEntry::default()
        });
        Payload::StorageConfig(wire::StorageConfig {
            storages: storages.collect(),
            ..wire::StorageConfig::default()
        })
    }

    fn corosync(&self) -> Payload {
        let nodes = (0..self.nodes_per_cluster).map(|node| wire::CorosyncNode {
            name: name(node),
            node_id: node + 1,
            quorum_votes: 1,
            addresses: Vec::new(),
        });
        Payload::CorosyncConfig(wire::CorosyncConfig {
            cluster_name: "bench".to_owned(),
            nodes: nodes.collect(),
            ..wire::CorosyncConfig::default()
        })
    }

    fn network(&self, node: u32, round: u32) -> Payload {
        let names = ["lo", "eno1", "eno2", "bond0", "vmbr0"].map(str::to_owned);
        let taps = self.vmids_on(node).map(|vmid| format!("tap{vmid}i0"));
        let interfaces = names
            .into_iter()
            .chain(taps)
            .map(|name| wire::NetworkInterface {
                name,
                received_bytes_total: counter(1_000_000, node, round),
                transmitted_bytes_total: counter(500_000, node, round),
                ..wire::NetworkInterface::default()
            });
        Payload::Network(wire::Network {
            interfaces: interfaces.collect(),
        })
    }

    fn runtimes(&self, node: u32, round: u32) -> Payload {
        let guests = self.vmids_on(node).map(|vmid| wire::GuestRuntime {
            vmid,
            kind: kind(vmid).into(),
            pid: Some(vmid),
            start_ticks: Some(u64::from(vmid)),
            cpu_seconds_total: Some(seconds(5.0, vmid, round)),
            memory_current_bytes: Some(level(4 * GIB, vmid, round)),
            memory_file_bytes: Some(GIB),
            oom_kills_total: Some(0),
            memory_pressure: Some(stalled(round)),
            ..wire::GuestRuntime::default()
        });
        Payload::GuestRuntimes(wire::GuestRuntimes {
            guests: guests.collect(),
        })
    }

    fn pve_status(&self, node: u32, round: u32) -> Payload {
        let computed_at = Some(self.wire_at(round));
        let guests = self.vmids_on(node).map(|vmid| wire::PveGuestStatus {
            computed_at,
            vmid,
            kind: kind(vmid).into(),
            status: "running".to_owned(),
            qmp_status: "running".to_owned(),
            name: format!("guest-{vmid}"),
            uptime_seconds: Some(f64::from(round) * 10.0 + 100_000.0),
            cpu_ratio: Some(share(0.12, vmid, round)),
            cpus: Some(4.0),
            memory_used_bytes: Some(level(3 * GIB, vmid, round)),
            memory_host_bytes: Some(level(5 * GIB, vmid, round)),
            memory_maximum_bytes: Some(8 * GIB),
            received_bytes_total: Some(counter(10_000, vmid, round)),
            transmitted_bytes_total: Some(counter(5_000, vmid, round)),
            read_bytes_total: Some(counter(20_000, vmid, round)),
            written_bytes_total: Some(counter(40_000, vmid, round)),
            pid: Some(vmid),
            ..wire::PveGuestStatus::default()
        });
        let storages = (0..STORAGES).map(|storage| wire::PveStorageStatus {
            computed_at,
            name: format!("storage{storage}"),
            enabled: true,
            active: true,
            total_bytes: Some(1000 * GIB),
            used_bytes: Some(400 * GIB),
            ..wire::PveStorageStatus::default()
        });
        Payload::PveStatus(wire::PveStatus {
            node: Some(wire::PveNodeStatus {
                computed_at,
                ..wire::PveNodeStatus::default()
            }),
            guests: guests.collect(),
            storages: storages.collect(),
        })
    }

    /// Every member hears the whole cluster.
    fn broadcast(&self, round: u32) -> Payload {
        let computed_at = Some(self.wire_at(round));
        let nodes = 0..self.nodes_per_cluster;
        let storages = nodes.clone().flat_map(|node| {
            (0..STORAGES).map(move |storage| wire::BroadcastStorage {
                node: name(node),
                name: format!("storage{storage}"),
                computed_at,
                total_bytes: Some(1000 * GIB),
                used_bytes: Some(400 * GIB),
            })
        });
        let guests = self.vmids().map(|vmid| wire::BroadcastGuest {
            vmid,
            computed_at,
            name: format!("guest-{vmid}"),
            status: "running".to_owned(),
            cpu_ratio: Some(0.12),
            memory_maximum_bytes: Some(8 * GIB),
            memory_used_bytes: Some(3 * GIB),
            ..wire::BroadcastGuest::default()
        });
        Payload::ClusterBroadcast(wire::ClusterBroadcast {
            nodes: nodes
                .map(|node| wire::BroadcastNode {
                    name: name(node),
                    computed_at,
                    cpu_ratio: Some(0.3),
                    ..wire::BroadcastNode::default()
                })
                .collect(),
            guests: guests.collect(),
            storages: storages.collect(),
        })
    }
}

/// As the fingerprint of a root CA.
fn cluster_id(cluster: u32) -> String {
    format!("{cluster:064x}")
}

/// Of one node in its cluster.
#[must_use]
pub fn name(node: u32) -> String {
    format!("pve{node:02}")
}

/// One container for three VMs.
fn kind(vmid: u32) -> wire::GuestKind {
    if vmid % 4 == 3 {
        wire::GuestKind::Lxc
    } else {
        wire::GuestKind::Qemu
    }
}

fn cpu(node: u32, round: u32) -> Payload {
    Payload::Cpu(wire::CpuTimes {
        user_seconds_total: seconds(100.0, node, round),
        idle_seconds_total: f64::from(round) * 540.0,
        online_cpus: 64,
        ..wire::CpuTimes::default()
    })
}

fn stalled(round: u32) -> wire::ResourcePressure {
    let stall = wire::StallTime {
        stalled_microseconds_total: u64::from(round) * 1000,
        ..wire::StallTime::default()
    };
    wire::ResourcePressure {
        some: Some(stall),
        full: Some(stall),
    }
}

fn pressure(round: u32) -> Payload {
    Payload::Pressure(wire::Pressure {
        cpu: Some(stalled(round)),
        memory: Some(stalled(round)),
        io: Some(stalled(round)),
    })
}

fn load(node: u32, round: u32) -> Payload {
    Payload::Load(wire::Load {
        load1: share(2.0, node, round),
        ..wire::Load::default()
    })
}

fn memory(node: u32, round: u32) -> Payload {
    Payload::Memory(wire::Memory {
        total_bytes: 512 * GIB,
        available_bytes: level(200 * GIB, node, round),
        ..wire::Memory::default()
    })
}

fn disks(node: u32, round: u32) -> Payload {
    let disks = (0..DISKS).map(|disk| wire::Disk {
        name: format!("nvme{disk}n1"),
        reads_total: counter(1000, node, round),
        read_seconds_total: seconds(0.5, disk, round),
        writes_total: counter(2000, disk, round),
        write_seconds_total: seconds(1.0, node, round),
        ..wire::Disk::default()
    });
    Payload::Disks(wire::Disks {
        disks: disks.collect(),
    })
}

fn filesystems(round: u32) -> Payload {
    let mounts = ["/", "/boot/efi", "/var/lib/vz"];
    let filesystems = mounts.map(|mount_point| wire::Filesystem {
        mount_point: mount_point.to_owned(),
        state: wire::FilesystemState::Measured.into(),
        total_bytes: Some(100 * GIB),
        // A block is written now and then.
        used_bytes: Some(40 * GIB + u64::from(round / 6) * 4096),
        ..wire::Filesystem::default()
    });
    Payload::Filesystems(wire::Filesystems {
        filesystems: filesystems.to_vec(),
    })
}
