//! The newest payload of each kind from one agent.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1::{self as wire, sample::Payload};

use super::clock::Clock;
use crate::view::Name;

/// When and where in its stream a sample was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// By the node's clock.
    pub(crate) observed: Timestamp,
    pub(crate) received: Timestamp,
    /// Sequence number of the full payload; absent when its epoch has ended.
    pub(super) sequence: Option<u64>,
}

/// A payload and its stamp.
#[derive(Debug)]
pub(crate) struct Held<T> {
    pub(crate) value: Arc<T>,
    pub(crate) stamp: Stamp,
}

pub(crate) type Slot<T> = Option<Held<T>>;

/// A configuration with the name that the view shares.
#[derive(Debug, Clone)]
pub(crate) struct KnownConfig {
    pub(crate) config: Arc<wire::GuestConfig>,
    pub(crate) name: Name,
}

/// Sorted by VMID.
pub(crate) type KnownConfigs = Vec<Arc<KnownConfig>>;
/// Sorted by name.
pub(crate) type StorageEntries = Vec<Arc<wire::StorageEntry>>;

/// What can be done to a slot whatever its type.
pub(super) trait AnySlot {
    fn stamp(&mut self) -> Option<&mut Stamp>;
    fn clear(&mut self);
}

impl<T> AnySlot for Slot<T> {
    fn stamp(&mut self) -> Option<&mut Stamp> {
        self.as_mut().map(|held| &mut held.stamp)
    }

    fn clear(&mut self) {
        *self = None;
    }
}

macro_rules! facts {
    ($($field:ident: $kind:ident($type:ty)),+ $(,)?) => {
        /// What a payload is about.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(super) enum Kind {
            $($kind),+
        }

        /// The newest payload of each kind.
        #[derive(Debug, Default)]
        pub(crate) struct Facts {
            $(pub(crate) $field: Slot<$type>),+
        }

        impl Facts {
            pub(super) fn slot(&mut self, kind: Kind) -> &mut dyn AnySlot {
                match kind {
                    $(Kind::$kind => &mut self.$field),+
                }
            }

            /// `Unchanged` may no longer refer to what is held.
            pub(super) fn end_epoch(&mut self) {
                $(if let Some(held) = &mut self.$field {
                    held.stamp.sequence = None;
                })+
            }
        }
    };
}

facts! {
    cpu: Cpu(wire::CpuTimes),
    pressure: Pressure(wire::Pressure),
    memory: Memory(wire::Memory),
    load: Load(wire::Load),
    disks: Disks(wire::Disks),
    filesystems: Filesystems(wire::Filesystems),
    network: Network(wire::Network),
    guest_runtimes: GuestRuntimes(wire::GuestRuntimes),
    // The content goes to the table that all members share.
    broadcast: Broadcast(()),
    pve_status: PveStatus(wire::PveStatus),
    sensors: Sensors(wire::Sensors),
    members: Members(wire::ClusterMembers),
    guest_list: GuestList(wire::GuestList),
    config_versions: ConfigVersions(wire::ConfigVersions),
    guest_configs: GuestConfigs(KnownConfigs),
    storages: Storages(StorageEntries),
    corosync: Corosync(wire::CorosyncConfig),
    host: Host(wire::HostIdentity),
}

/// What the payload is about; absent for an outcome.
pub(super) fn kind_of(payload: &Payload) -> Option<Kind> {
    Some(match payload {
        Payload::NoData(_) | Payload::Unchanged(_) => return None,
        Payload::Cpu(_) => Kind::Cpu,
        Payload::Pressure(_) => Kind::Pressure,
        Payload::Memory(_) => Kind::Memory,
        Payload::Load(_) => Kind::Load,
        Payload::Disks(_) => Kind::Disks,
        Payload::Filesystems(_) => Kind::Filesystems,
        Payload::Network(_) => Kind::Network,
        Payload::GuestRuntimes(_) => Kind::GuestRuntimes,
        Payload::ClusterBroadcast(_) => Kind::Broadcast,
        Payload::PveStatus(_) => Kind::PveStatus,
        Payload::Sensors(_) => Kind::Sensors,
        Payload::ClusterMembers(_) => Kind::Members,
        Payload::GuestList(_) => Kind::GuestList,
        Payload::ConfigVersions(_) => Kind::ConfigVersions,
        Payload::GuestConfigs(_) => Kind::GuestConfigs,
        Payload::StorageConfig(_) => Kind::Storages,
        Payload::CorosyncConfig(_) => Kind::Corosync,
        Payload::HostIdentity(_) => Kind::Host,
    })
}

impl<T> Held<T> {
    /// When it was observed, by the coordinator's clock.
    pub(crate) fn at(&self, clock: &Clock) -> Timestamp {
        clock.correct(self.stamp.observed, self.stamp.received)
    }
}
