//! A hand-made healthy cluster for unit tests: three nodes with agents, a VM and
//! a container, a shared and a local storage. Tests change what they are about.

use std::sync::Arc;

use pvelens_proto::agent::v1 as wire;

use super::*;

/// The instant of the view.
pub(crate) fn at() -> Timestamp {
    Timestamp::from_second(1_795_600_000).unwrap_or_default()
}

/// A fact observed at the instant of the view.
#[expect(clippy::unnecessary_wraps, reason = "facts are optional")]
pub(crate) fn fact<T>(value: T) -> Fact<T> {
    Some(Dated {
        value: Arc::new(value),
        at: at(),
    })
}

pub(crate) fn healthy() -> View {
    let cluster = ClusterIndex(0);
    let names = ["pve1", "pve2", "pve3"];
    let nodes = (0..)
        .zip(names)
        .map(|(index, name)| node(index, name))
        .collect();
    let all: Vec<NodeIndex> = (0..3).map(NodeIndex).collect();
    View {
        at: at(),
        clusters: vec![Cluster {
            id: "c0ffee".into(),
            name: "lab".into(),
            standalone: false,
            memberships: all
                .iter()
                .map(|reporter| Membership {
                    reporter: *reporter,
                    at: at(),
                    quorate: Some(true),
                    online: all.clone(),
                    offline: Vec::new(),
                })
                .collect(),
            corosync: fact(wire::CorosyncConfig {
                cluster_name: "lab".to_owned(),
                config_version: 3,
                transport: "knet".to_owned(),
                secauth: "on".to_owned(),
                nodes: (1..)
                    .zip(names)
                    .map(|(id, name)| corosync_node(id, name))
                    .collect(),
                quorum_provider: "corosync_votequorum".to_owned(),
                ..wire::CorosyncConfig::default()
            }),
            guest_list_at: Some(at()),
            guest_list_counts: true,
            storage_config_at: Some(at()),
            guest_configs_at: Some(at()),
            nodes: 0..3,
            guests: 0..2,
            storages: 0..2,
            subscribed: Some(true),
            shared_files: vec![SharedFile {
                path: "/etc/pve/storage.cfg",
                copies: all
                    .iter()
                    .map(|node| Copy {
                        node: *node,
                        digest: "5707a6e".into(),
                        since: Timestamp::UNIX_EPOCH,
                        at: at(),
                    })
                    .collect(),
            }],
        }],
        nodes,
        guests: vec![
            guest(10, 100, wire::GuestKind::Qemu, "web", NodeIndex(0)),
            guest(11, 101, wire::GuestKind::Lxc, "dns", NodeIndex(1)),
        ],
        storages: vec![
            storage(cluster, "local", "dir", false, &all),
            storage(cluster, "nas", "nfs", true, &all),
        ],
    }
}

fn corosync_node(node_id: u32, name: &str) -> wire::CorosyncNode {
    wire::CorosyncNode {
        name: name.to_owned(),
        node_id,
        quorum_votes: 1,
        addresses: (0..2)
            .map(|link_number| wire::RingAddress {
                link_number,
                address: format!("10.{link_number}.0.{node_id}"),
            })
            .collect(),
    }
}

fn node(index: u32, name: &str) -> Node {
    Node {
        key: ObjectKey(index),
        cluster: ClusterIndex(0),
        name: name.into(),
        coverage: CoverageLevel::Full,
        agent: Some(AgentState {
            version: "0.1.0".into(),
            connected: true,
            last_update_at: at(),
            clock_offset_seconds: Some(0.0),
            is_pve_node: true,
            last_error: "".into(),
            doubled: None,
            identity_problem: None,
            refused_coordinator: None,
        }),
        status: NodeStatus::Online,
        node_id: Some(index + 1),
        ip_address: format!("10.0.0.{}", index + 1).into(),
        facts: NodeFacts {
            cpu: fact(wire::CpuTimes {
                online_cpus: 8,
                boot_time: Some(pvelens_proto::timestamp_from_millis(1_795_000_000_000)),
                ..wire::CpuTimes::default()
            }),
            memory: fact(wire::Memory {
                total_bytes: 64 << 30,
                free_bytes: 30 << 30,
                available_bytes: 40 << 30,
                swap_total_bytes: 8 << 30,
                swap_free_bytes: 8 << 30,
                ..wire::Memory::default()
            }),
            load: fact(wire::Load {
                load1: 1.0,
                load5: 1.0,
                load15: 1.0,
                uptime_seconds: 600_000.0,
                ..wire::Load::default()
            }),
            filesystems: fact(wire::Filesystems {
                filesystems: vec![wire::Filesystem {
                    mount_point: "/".to_owned(),
                    source: "/dev/mapper/pve-root".to_owned(),
                    filesystem_type: "ext4".to_owned(),
                    device: "252:1".to_owned(),
                    state: wire::FilesystemState::Measured.into(),
                    total_bytes: Some(100 << 30),
                    used_bytes: Some(20 << 30),
                    available_bytes: Some(75 << 30),
                    inodes_total: Some(6_000_000),
                    inodes_free: Some(5_900_000),
                    ..wire::Filesystem::default()
                }],
            }),
            ..NodeFacts::default()
        },
        rates: None,
        broadcast: Some(Dated {
            value: wire::BroadcastNode {
                name: name.to_owned(),
                subscription_level: "c".to_owned(),
                ..wire::BroadcastNode::default()
            },
            at: at(),
        }),
        failures: Vec::new(),
        nothing: Vec::new(),
        guests_running: u32::from(index < 2),
        guests_total: u32::from(index < 2),
    }
}

fn guest(key: u32, vmid: u32, kind: wire::GuestKind, name: &str, node: NodeIndex) -> Guest {
    let volume = match kind {
        wire::GuestKind::Lxc => ("rootfs", wire::VolumeKind::Rootfs),
        _ => ("scsi0", wire::VolumeKind::Disk),
    };
    Guest {
        key: ObjectKey(key),
        cluster: ClusterIndex(0),
        vmid,
        generation: 1,
        generation_since: Some(at()),
        kind,
        name: name.into(),
        node,
        status: GuestStatus::Running,
        template: false,
        config: Some(Arc::new(wire::GuestConfig {
            vmid,
            kind: kind.into(),
            node: format!("pve{}", node.0 + 1),
            settings: Some(wire::GuestSettings {
                name: name.to_owned(),
                cores: Some(2),
                memory_bytes: Some(2 << 30),
                agent_enabled: Some(true),
                unprivileged: (kind == wire::GuestKind::Lxc).then_some(true),
                volumes: vec![wire::GuestVolume {
                    key: volume.0.to_owned(),
                    kind: volume.1.into(),
                    storage: "nas".to_owned(),
                    volume: format!("{vmid}/vm-{vmid}-disk-0.qcow2"),
                    size_bytes: Some(32 << 30),
                    backup: true,
                    ..wire::GuestVolume::default()
                }],
                nics: vec![wire::GuestNic {
                    key: "net0".to_owned(),
                    model: "virtio".to_owned(),
                    mac_address: format!("BC:24:11:00:00:{vmid:02X}"),
                    bridge: "vmbr0".to_owned(),
                    firewall: true,
                    ..wire::GuestNic::default()
                }],
                ..wire::GuestSettings::default()
            }),
            ..wire::GuestConfig::default()
        })),
        pve_status: None,
        runtime: None,
        figures: GuestFigures {
            at: Some(at()),
            uptime_seconds: Some(500_000.0),
            cpus: Some(2.0),
            cpu_ratio: Some(0.05),
            memory_maximum_bytes: Some(2 << 30),
            memory_used_bytes: Some(1 << 30),
            memory_source: Some(MemorySource::Balloon),
            ..GuestFigures::default()
        },
        rates: None,
    }
}

fn storage(
    cluster: ClusterIndex,
    name: &str,
    kind: &str,
    shared: bool,
    nodes: &[NodeIndex],
) -> Storage {
    Storage {
        cluster,
        name: name.into(),
        entry: Arc::new(wire::StorageEntry {
            name: name.to_owned(),
            storage_type: kind.to_owned(),
            shared,
            content: vec!["images".to_owned(), "rootdir".to_owned()],
            path: format!("/mnt/pve/{name}"),
            ..wire::StorageEntry::default()
        }),
        nodes: nodes
            .iter()
            .map(|node| StorageOnNode {
                key: ObjectKey(if shared { 20 } else { 30 } + node.0),
                node: *node,
                status: StorageStatus::Active,
                at: Some(at()),
                total_bytes: Some(1 << 40),
                used_bytes: Some(300 << 30),
            })
            .collect(),
    }
}
