//! What the checks of outages ask for: links, high availability, thin pools, mounts.

use std::sync::Arc;

use pvelens_proto::agent::v1 as wire;

use super::Scene;
use crate::view::{CollectorFailure, Fact, Node, fixture::fact};

const MEMBERS: u32 = 3;
const LINKS: u32 = 2;

/// A member whose links work, with a thin pool and an NFS storage, and without
/// anything for high availability to do.
pub(super) fn complete(node: &mut Node) {
    let own = node.node_id.unwrap();
    let facts = &mut node.facts;
    facts.members = fact(wire::ClusterMembers::default());
    facts.config_versions = fact(wire::ConfigVersions::default());
    facts.ha_config = fact(wire::HaConfig::default());
    facts.ha_state = fact(wire::HaState::default());
    facts.units = fact(wire::Units {
        units: ["pve-cluster.service", "watchdog-mux.service"]
            .map(unit)
            .to_vec(),
        ..wire::Units::default()
    });
    facts.corosync_state = fact(wire::CorosyncState {
        local_node_id: own,
        peers: (1..=MEMBERS).filter(|id| *id != own).map(peer).collect(),
        ..wire::CorosyncState::default()
    });
    facts.network_mounts = fact(wire::NetworkMounts {
        mounts: vec![wire::NetworkMount {
            mount_point: "/mnt/pve/nas".to_owned(),
            filesystem_type: "nfs4".to_owned(),
            server: "10.0.9.1".to_owned(),
            state: wire::NetworkMountState::Answers.into(),
            ..wire::NetworkMount::default()
        }],
    });
    facts.lvm = fact(wire::Lvm {
        volume_groups: vec![wire::VolumeGroup {
            name: "pve".to_owned(),
            free_bytes: 16 << 30,
            ..wire::VolumeGroup::default()
        }],
        logical_volumes: vec![pool("data"), pool("more")],
        ..wire::Lvm::default()
    });
}

fn unit(name: &str) -> wire::Unit {
    wire::Unit {
        name: name.to_owned(),
        load_state: "loaded".to_owned(),
        active_state: "active".to_owned(),
        ..wire::Unit::default()
    }
}

fn peer(node_id: u32) -> wire::CorosyncPeer {
    wire::CorosyncPeer {
        node_id,
        is_reachable: true,
        links: (0..LINKS)
            .map(|link_number| wire::CorosyncPeerLink {
                link_number,
                is_enabled: true,
                is_connected: true,
                ..wire::CorosyncPeerLink::default()
            })
            .collect(),
    }
}

fn pool(name: &str) -> wire::LogicalVolume {
    wire::LogicalVolume {
        volume_group: "pve".to_owned(),
        name: name.to_owned(),
        kind: wire::LogicalVolumeKind::ThinPool.into(),
        size_bytes: 1 << 40,
        state: wire::LogicalVolumeState::Active.into(),
        data_ratio: Some(0.4),
        health: wire::LogicalVolumeHealth::Good.into(),
        thin_pool: Some(wire::ThinPool {
            metadata_ratio: Some(0.1),
            status: Some(wire::ThinPoolStatus {
                mode: wire::ThinPoolMode::ReadWrite.into(),
                ..wire::ThinPoolStatus::default()
            }),
            ..wire::ThinPool::default()
        }),
        ..wire::LogicalVolume::default()
    }
}

/// The fact of a node, to change it.
pub(crate) fn edit<T: Clone>(fact: &mut Fact<T>) -> &mut T {
    Arc::make_mut(&mut fact.as_mut().unwrap().value)
}

impl Scene {
    /// What every member reads of high availability: the VM 100 on pve1 and the
    /// container 101 on pve2 are cared for, pve1 is the master.
    pub(crate) fn ha(&mut self, change: impl Fn(&mut wire::HaConfig, &mut wire::HaState)) {
        let now = pvelens_proto::timestamp_from_millis(self.at.as_millisecond() - 4_000);
        let guests = [("vm:100", "pve1"), ("ct:101", "pve2")];
        let mut config = wire::HaConfig {
            resources: guests
                .map(|(sid, _)| wire::HaResource {
                    sid: sid.to_owned(),
                    state: "started".to_owned(),
                    ..wire::HaResource::default()
                })
                .to_vec(),
            ..wire::HaConfig::default()
        };
        let mut state = wire::HaState {
            master_node: "pve1".to_owned(),
            master_at: Some(now),
            services: guests
                .map(|(sid, node)| wire::HaServiceState {
                    sid: sid.to_owned(),
                    state: "started".to_owned(),
                    node: node.to_owned(),
                    ..wire::HaServiceState::default()
                })
                .to_vec(),
            local_managers: [
                ("pve1", "active"),
                ("pve2", "active"),
                ("pve3", "wait_for_agent_lock"),
            ]
            .map(|(node, state)| wire::HaLocalManager {
                node: node.to_owned(),
                state: state.to_owned(),
                mode: "active".to_owned(),
                written_at: Some(now),
                result_count: 0,
            })
            .to_vec(),
            watchdog_active: true,
            ..wire::HaState::default()
        };
        change(&mut config, &mut state);
        for node in &mut self.view.nodes {
            node.facts.ha_config = fact(config.clone());
            node.facts.ha_state = fact(state.clone());
        }
    }

    /// A collector of a node failed.
    pub(crate) fn fail(
        &mut self,
        node: usize,
        collector: &str,
        path: &str,
        kind: wire::FailureKind,
    ) {
        let at = self.at;
        self.node(node).failures.push(CollectorFailure {
            collector: collector.into(),
            path: path.to_owned(),
            kind,
            detail: "so the test says".to_owned(),
            at,
        });
    }
}
