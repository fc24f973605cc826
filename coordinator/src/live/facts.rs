//! The newest payload of each kind from one agent.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::agent::v1::{self as wire, sample::Payload};

use super::{clock::Clock, stream::EpochId};
use crate::view::Name;

/// When and where in its stream a sample was.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stamp {
    /// By the node's clock.
    pub(crate) observed: Timestamp,
    pub(crate) received: Timestamp,
    pub(super) epoch: EpochId,
    /// Sequence number of the full payload, within its epoch.
    pub(super) sequence: u64,
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
    access_config: AccessConfig(wire::AccessConfig),
    datacenter_config: DatacenterConfig(wire::DatacenterConfig),
    job_config: JobConfig(wire::JobConfig),
    replication_config: ReplicationConfig(wire::ReplicationConfig),
    notification_config: NotificationConfig(wire::NotificationConfig),
    metric_server_config: MetricServerConfig(wire::MetricServerConfig),
    node_configs: NodeConfigs(wire::NodeConfigs),
    ha_config: HaConfig(wire::HaConfig),
    firewall_configs: FirewallConfigs(wire::FirewallConfigs),
    sdn_config: SdnConfig(wire::SdnConfig),
    mapping_config: MappingConfig(wire::MappingConfig),
    cpu_model_config: CpuModelConfig(wire::CpuModelConfig),
    ceph_config: CephConfig(wire::CephConfig),
    ha_state: HaState(wire::HaState),
    tasks: Tasks(wire::Tasks),
    backups: Backups(wire::Backups),
    replication_state: ReplicationState(wire::ReplicationState),
    cluster_log: ClusterLog(wire::ClusterLog),
    job_states: JobStates(wire::JobStates),
    corosync_state: CorosyncState(wire::CorosyncState),
    units: Units(wire::Units),
    network_mounts: NetworkMounts(wire::NetworkMounts),
    lvm: Lvm(wire::Lvm),
    zfs_pools: ZfsPools(wire::ZfsPools),
    md_arrays: MdArrays(wire::MdArrays),
    multipath_maps: MultipathMaps(wire::MultipathMaps),
    ceph_state: CephState(wire::CephState),
    guest_monitors: GuestMonitors(wire::GuestMonitors),
    guest_agents: GuestAgents(wire::GuestAgents),
    container_filesystems: ContainerFilesystems(wire::ContainerFilesystems),
    journal_events: JournalEvents(wire::JournalEvents),
    time_sync: TimeSync(wire::TimeSync),
    bonds: Bonds(wire::Bonds),
    interface_states: InterfaceStates(wire::InterfaceStates),
    self_report: SelfReport(wire::SelfReport),
    disk_health: DiskHealth(wire::DiskHealth),
    packages: Packages(wire::Packages),
    package_updates: PackageUpdates(wire::PackageUpdates),
    repositories: Repositories(wire::Repositories),
    kernels: Kernels(wire::Kernels),
    certificates: Certificates(wire::Certificates),
    subscription: Subscription(wire::Subscription),
    sshd_config: SshdConfig(wire::SshdConfig),
    listeners: Listeners(wire::Listeners),
    kernel_settings: KernelSettings(wire::KernelSettings),
    cpu_features: CpuFeatures(wire::CpuFeatures),
    firmware: Firmware(wire::Firmware),
    pci_devices: PciDevices(wire::PciDevices),
    hardware_errors: HardwareErrors(wire::HardwareErrors),
    host_files: HostFiles(wire::HostFiles),
    // The content goes to the store.
    rrd_history: RrdHistory(()),
    network_links: NetworkLinks(wire::NetworkLinks),
    disk_connections: DiskConnections(wire::DiskConnections),
    blocked_tasks: BlockedTasks(wire::BlockedTasks),
    sensor_limits: SensorLimits(wire::SensorLimits),
    local_media: LocalMedia(wire::LocalMedia),
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
        Payload::AccessConfig(_) => Kind::AccessConfig,
        Payload::DatacenterConfig(_) => Kind::DatacenterConfig,
        Payload::JobConfig(_) => Kind::JobConfig,
        Payload::ReplicationConfig(_) => Kind::ReplicationConfig,
        Payload::NotificationConfig(_) => Kind::NotificationConfig,
        Payload::MetricServerConfig(_) => Kind::MetricServerConfig,
        Payload::NodeConfigs(_) => Kind::NodeConfigs,
        Payload::HaConfig(_) => Kind::HaConfig,
        Payload::FirewallConfigs(_) => Kind::FirewallConfigs,
        Payload::SdnConfig(_) => Kind::SdnConfig,
        Payload::MappingConfig(_) => Kind::MappingConfig,
        Payload::CpuModelConfig(_) => Kind::CpuModelConfig,
        Payload::CephConfig(_) => Kind::CephConfig,
        Payload::HaState(_) => Kind::HaState,
        Payload::Tasks(_) => Kind::Tasks,
        Payload::Backups(_) => Kind::Backups,
        Payload::ReplicationState(_) => Kind::ReplicationState,
        Payload::ClusterLog(_) => Kind::ClusterLog,
        Payload::JobStates(_) => Kind::JobStates,
        Payload::CorosyncState(_) => Kind::CorosyncState,
        Payload::Units(_) => Kind::Units,
        Payload::NetworkMounts(_) => Kind::NetworkMounts,
        Payload::Lvm(_) => Kind::Lvm,
        Payload::ZfsPools(_) => Kind::ZfsPools,
        Payload::MdArrays(_) => Kind::MdArrays,
        Payload::MultipathMaps(_) => Kind::MultipathMaps,
        Payload::CephState(_) => Kind::CephState,
        Payload::GuestMonitors(_) => Kind::GuestMonitors,
        Payload::GuestAgents(_) => Kind::GuestAgents,
        Payload::ContainerFilesystems(_) => Kind::ContainerFilesystems,
        Payload::JournalEvents(_) => Kind::JournalEvents,
        Payload::TimeSync(_) => Kind::TimeSync,
        Payload::Bonds(_) => Kind::Bonds,
        Payload::InterfaceStates(_) => Kind::InterfaceStates,
        Payload::SelfReport(_) => Kind::SelfReport,
        Payload::DiskHealth(_) => Kind::DiskHealth,
        Payload::Packages(_) => Kind::Packages,
        Payload::PackageUpdates(_) => Kind::PackageUpdates,
        Payload::Repositories(_) => Kind::Repositories,
        Payload::Kernels(_) => Kind::Kernels,
        Payload::Certificates(_) => Kind::Certificates,
        Payload::Subscription(_) => Kind::Subscription,
        Payload::SshdConfig(_) => Kind::SshdConfig,
        Payload::Listeners(_) => Kind::Listeners,
        Payload::KernelSettings(_) => Kind::KernelSettings,
        Payload::CpuFeatures(_) => Kind::CpuFeatures,
        Payload::Firmware(_) => Kind::Firmware,
        Payload::PciDevices(_) => Kind::PciDevices,
        Payload::HardwareErrors(_) => Kind::HardwareErrors,
        Payload::HostFiles(_) => Kind::HostFiles,
        Payload::RrdHistory(_) => Kind::RrdHistory,
        Payload::NetworkLinks(_) => Kind::NetworkLinks,
        Payload::DiskConnections(_) => Kind::DiskConnections,
        Payload::BlockedTasks(_) => Kind::BlockedTasks,
        Payload::SensorLimits(_) => Kind::SensorLimits,
        Payload::LocalMedia(_) => Kind::LocalMedia,
    })
}

impl<T> Held<T> {
    /// When it was observed, by the coordinator's clock.
    pub(crate) fn at(&self, clock: &Clock) -> Timestamp {
        clock.correct(self.stamp.observed, self.stamp.received)
    }
}
