//! A sample of an agent becomes the newest value of its kind.
//!
//! Rates and series are derived here, once per sample. A value that was read
//! again and found unchanged goes the same way as a new one: a counter that
//! stands still is a rate of zero, not an old rate.

use std::{collections::HashMap, sync::Arc};

use jiff::Timestamp;
use pvelens_proto::agent::v1::{self as wire, FailureKind, Sample, SourceFailure, sample::Payload};

use super::{
    agent::{Agent, Collector},
    broadcast::Broadcasts,
    clock::plausible,
    facts::{Held, Kind, KnownConfig, KnownConfigs, Slot, Stamp, StorageEntries, kind_of},
    keys::{Keys, Recorder},
    limit,
    stream::Place,
};
use crate::view::Name;

mod derive;

/// What the agents of one cluster share while one of them is served.
pub(super) struct Shared<'a> {
    pub(super) node: &'a Name,
    pub(super) keys: &'a mut Keys,
    pub(super) recorder: &'a mut Recorder,
    pub(super) configs: &'a mut Configs,
    pub(super) broadcasts: &'a Broadcasts,
}

impl Shared<'_> {
    /// History is for the store alone.
    fn keep_past(&mut self, history: wire::RrdHistory, stamp: Stamp) {
        if self.recorder.journal.is_some() {
            let (cluster, imports) = (self.keys.cluster(), &mut self.recorder.imports);
            imports.offer(cluster, self.node, history, stamp.received);
        }
    }
}

/// Guest configurations that several members hold alike, kept once.
#[derive(Debug, Default)]
pub(super) struct Configs {
    newest: HashMap<u32, Arc<KnownConfig>>,
}

impl Configs {
    fn intern(&mut self, config: wire::GuestConfig) -> Arc<KnownConfig> {
        if let Some(known) = self.newest.get(&config.vmid)
            && *known.config == config
        {
            return Arc::clone(known);
        }
        let name = config
            .settings
            .as_ref()
            .map_or("", |settings| &settings.name);
        let known = Arc::new(KnownConfig {
            name: name.into(),
            config: Arc::new(config),
        });
        self.newest.insert(known.config.vmid, Arc::clone(&known));
        known
    }

    pub(super) fn sweep(&mut self) {
        self.newest.retain(|_, known| Arc::strong_count(known) > 1);
    }
}

impl Agent {
    /// Takes a sample. Returns whether it counted, and a broadcast for the
    /// table that all members share.
    pub(super) fn ingest(
        &mut self,
        sample: Sample,
        place: Place,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) -> (bool, Option<wire::ClusterBroadcast>) {
        let observed = plausible(sample.observed_at.as_ref());
        // Without a time it counts as long past: kept, and never fresh.
        let stamp = Stamp {
            observed: observed.unwrap_or(Timestamp::UNIX_EPOCH),
            ..stamp
        };
        let name = limit::cut(&sample.collector, limit::NAME);
        let known = self.collectors.get_key_value(name);
        if known.is_none() && self.collectors.len() >= limit::COLLECTORS {
            return (false, None);
        }
        let kind = known.and_then(|(_, collector)| collector.kind);
        let newest = known.map(|(_, collector)| collector.stamp.observed);
        if place != Place::Next && newest.is_some_and(|newest| stamp.observed <= newest) {
            return (false, self.fill_in(name, sample.payload, stamp, shared));
        }
        let name = known.map_or_else(|| name.into(), |(name, _)| Name::clone(name));
        let mut failures: Vec<SourceFailure> = sample.failures;
        failures.truncate(limit::FAILURES);
        if observed.is_none() {
            failures.push(refused("the time of the sample is missing or absurd"));
        }
        let mut broadcast = None;
        let mut nothing = None;
        let mut awaits = None;
        let mut is_told = false;
        let kind = match sample.payload {
            None => kind,
            Some(Payload::NoData(none)) => {
                nothing = Some(limit::cut(&none.reason, limit::NAME).into());
                if let Some(kind) = kind {
                    self.facts.slot(kind).clear();
                }
                kind
            }
            Some(Payload::Unchanged(unchanged)) => {
                let since = unchanged.since_sequence;
                if !kind.is_some_and(|kind| self.keep_unchanged(kind, since, stamp, shared)) {
                    awaits = Some((stamp.epoch, since));
                }
                kind
            }
            Some(payload) => match limit::check(&payload) {
                Ok(()) => {
                    is_told = true;
                    self.keep(payload, stamp, shared, &mut broadcast)
                }
                Err(reason) => {
                    failures.push(refused(reason));
                    kind
                }
            },
        };
        let at = self.clock.correct(stamp.observed, stamp.received);
        if kind == Some(Kind::ConfigVersions) {
            let [last, _] = self.polled;
            self.polled = [observed, last];
        }
        if is_told && observed.is_some() {
            self.hear(kind, at, stamp, newest, failures.is_empty(), shared);
        }
        let mut failures: Vec<_> = failures
            .iter()
            .map(|failure| Collector::failure(&name, failure, at))
            .collect();
        failures.sort_by(|a, b| (&a.path, &a.detail).cmp(&(&b.path, &b.detail)));
        let collector = Collector {
            kind,
            stamp,
            failures,
            nothing,
            awaits,
        };
        self.collectors.insert(name, collector);
        (true, broadcast)
    }

    /// A sample that comes after newer ones of its collector. What a newer one
    /// speaks of as unchanged is taken all the same.
    fn fill_in(
        &mut self,
        name: &str,
        payload: Option<Payload>,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) -> Option<wire::ClusterBroadcast> {
        let payload = match payload? {
            Payload::NoData(_) | Payload::Unchanged(_) => return None,
            payload => payload,
        };
        limit::check(&payload).ok()?;
        let collector = self.collectors.get_mut(name)?;
        if collector.awaits != Some((stamp.epoch, stamp.sequence)) {
            // The table takes what is newer of each node.
            return match payload {
                Payload::ClusterBroadcast(broadcast) => Some(broadcast),
                _ => None,
            };
        }
        collector.awaits = None;
        let newest = collector.stamp;
        let mut broadcast = None;
        let kind = self.keep(payload, stamp, shared, &mut broadcast)?;
        if let Some(collector) = self.collectors.get_mut(name) {
            collector.kind = Some(kind);
        }
        self.keep_unchanged(kind, stamp.sequence, newest, shared);
        broadcast
    }

    /// Makes the payload the newest of its kind.
    fn keep(
        &mut self,
        payload: Payload,
        stamp: Stamp,
        shared: &mut Shared<'_>,
        broadcast: &mut Option<wire::ClusterBroadcast>,
    ) -> Option<Kind> {
        let kind = kind_of(&payload);
        self.note_digest(&payload, stamp);
        let facts = &mut self.facts;
        match payload {
            Payload::Cpu(value) => self.keep_cpu(value.into(), stamp, shared),
            Payload::Pressure(value) => self.keep_pressure(value.into(), stamp, shared),
            Payload::Memory(value) => self.keep_memory(value.into(), stamp, shared),
            Payload::Disks(value) => self.keep_disks(value.into(), stamp, shared),
            Payload::Filesystems(value) => self.keep_filesystems(value.into(), stamp, shared),
            Payload::Network(value) => self.keep_network(value.into(), stamp, shared),
            Payload::GuestRuntimes(mut value) => {
                sort_unique(&mut value.guests, |guest| guest.vmid);
                self.keep_runtimes(value.into(), stamp, shared);
            }
            Payload::PveStatus(mut value) => {
                sort_unique(&mut value.guests, |guest| guest.vmid);
                value.storages.sort_by(|a, b| a.name.cmp(&b.name));
                value.storages.dedup_by(|a, b| a.name == b.name);
                self.keep_pve_status(value.into(), stamp, shared);
            }
            Payload::ClusterBroadcast(value) => {
                put(&mut facts.broadcast, ().into(), stamp);
                *broadcast = Some(value);
            }
            Payload::Load(value) => self.keep_load(value.into(), stamp, shared),
            Payload::Sensors(value) => self.keep_sensors(value.into(), stamp, shared),
            Payload::ClusterMembers(value) => put(&mut facts.members, value.into(), stamp),
            Payload::ConfigVersions(value) => put(&mut facts.config_versions, value.into(), stamp),
            Payload::CorosyncConfig(value) => put(&mut facts.corosync, value.into(), stamp),
            Payload::HostIdentity(value) => put(&mut facts.host, value.into(), stamp),
            Payload::GuestList(mut value) => {
                sort_unique(&mut value.guests, |guest| guest.vmid);
                put(&mut facts.guest_list, value.into(), stamp);
            }
            Payload::GuestConfigs(mut value) => {
                sort_unique(&mut value.guests, |config| config.vmid);
                // Collecting would go on in the memory of the longer items, and keep it.
                let mut configs = KnownConfigs::with_capacity(value.guests.len());
                configs.extend(
                    value
                        .guests
                        .into_iter()
                        .map(|config| shared.configs.intern(config)),
                );
                put(&mut facts.guest_configs, configs.into(), stamp);
            }
            Payload::StorageConfig(value) => {
                let mut entries = StorageEntries::with_capacity(value.storages.len());
                entries.extend(value.storages.into_iter().map(Arc::new));
                entries.sort_by(|a, b| a.name.cmp(&b.name));
                entries.dedup_by(|a, b| a.name == b.name);
                put(&mut facts.storages, entries.into(), stamp);
            }
            Payload::AccessConfig(value) => put(&mut facts.access_config, value.into(), stamp),
            Payload::DatacenterConfig(value) => {
                put(&mut facts.datacenter_config, value.into(), stamp)
            }
            Payload::JobConfig(value) => put(&mut facts.job_config, value.into(), stamp),
            Payload::ReplicationConfig(value) => {
                put(&mut facts.replication_config, value.into(), stamp)
            }
            Payload::NotificationConfig(value) => {
                put(&mut facts.notification_config, value.into(), stamp)
            }
            Payload::MetricServerConfig(value) => {
                put(&mut facts.metric_server_config, value.into(), stamp)
            }
            Payload::NodeConfigs(value) => put(&mut facts.node_configs, value.into(), stamp),
            Payload::HaConfig(value) => put(&mut facts.ha_config, value.into(), stamp),
            Payload::FirewallConfigs(value) => {
                put(&mut facts.firewall_configs, value.into(), stamp)
            }
            Payload::SdnConfig(value) => put(&mut facts.sdn_config, value.into(), stamp),
            Payload::MappingConfig(value) => put(&mut facts.mapping_config, value.into(), stamp),
            Payload::CpuModelConfig(value) => put(&mut facts.cpu_model_config, value.into(), stamp),
            Payload::CephConfig(value) => put(&mut facts.ceph_config, value.into(), stamp),
            Payload::HaState(value) => put(&mut facts.ha_state, value.into(), stamp),
            Payload::Tasks(value) => put(&mut facts.tasks, value.into(), stamp),
            Payload::Backups(value) => put(&mut facts.backups, value.into(), stamp),
            Payload::ReplicationState(value) => {
                put(&mut facts.replication_state, value.into(), stamp)
            }
            Payload::ClusterLog(value) => put(&mut facts.cluster_log, value.into(), stamp),
            Payload::JobStates(value) => put(&mut facts.job_states, value.into(), stamp),
            Payload::CorosyncState(value) => put(&mut facts.corosync_state, value.into(), stamp),
            Payload::Units(value) => put(&mut facts.units, value.into(), stamp),
            Payload::NetworkMounts(value) => put(&mut facts.network_mounts, value.into(), stamp),
            Payload::Lvm(value) => put(&mut facts.lvm, value.into(), stamp),
            Payload::ZfsPools(value) => put(&mut facts.zfs_pools, value.into(), stamp),
            Payload::MdArrays(value) => put(&mut facts.md_arrays, value.into(), stamp),
            Payload::MultipathMaps(value) => put(&mut facts.multipath_maps, value.into(), stamp),
            Payload::CephState(value) => put(&mut facts.ceph_state, value.into(), stamp),
            Payload::GuestMonitors(value) => put(&mut facts.guest_monitors, value.into(), stamp),
            Payload::GuestAgents(value) => put(&mut facts.guest_agents, value.into(), stamp),
            Payload::ContainerFilesystems(value) => {
                put(&mut facts.container_filesystems, value.into(), stamp)
            }
            Payload::JournalEvents(value) => put(&mut facts.journal_events, value.into(), stamp),
            Payload::TimeSync(value) => put(&mut facts.time_sync, value.into(), stamp),
            Payload::Bonds(value) => put(&mut facts.bonds, value.into(), stamp),
            Payload::InterfaceStates(value) => {
                put(&mut facts.interface_states, value.into(), stamp)
            }
            Payload::SelfReport(value) => put(&mut facts.self_report, value.into(), stamp),
            Payload::DiskHealth(value) => put(&mut facts.disk_health, value.into(), stamp),
            Payload::Packages(value) => put(&mut facts.packages, value.into(), stamp),
            Payload::PackageUpdates(value) => put(&mut facts.package_updates, value.into(), stamp),
            Payload::Repositories(value) => put(&mut facts.repositories, value.into(), stamp),
            Payload::Kernels(value) => put(&mut facts.kernels, value.into(), stamp),
            Payload::Certificates(value) => put(&mut facts.certificates, value.into(), stamp),
            Payload::Subscription(value) => put(&mut facts.subscription, value.into(), stamp),
            Payload::SshdConfig(value) => put(&mut facts.sshd_config, value.into(), stamp),
            Payload::Listeners(value) => put(&mut facts.listeners, value.into(), stamp),
            Payload::KernelSettings(value) => put(&mut facts.kernel_settings, value.into(), stamp),
            Payload::CpuFeatures(value) => put(&mut facts.cpu_features, value.into(), stamp),
            Payload::Firmware(value) => put(&mut facts.firmware, value.into(), stamp),
            Payload::PciDevices(value) => put(&mut facts.pci_devices, value.into(), stamp),
            Payload::HardwareErrors(value) => put(&mut facts.hardware_errors, value.into(), stamp),
            Payload::HostFiles(value) => put(&mut facts.host_files, value.into(), stamp),
            Payload::RrdHistory(value) => {
                shared.keep_past(value, stamp);
                put(&mut facts.rrd_history, ().into(), stamp);
            }
            Payload::NetworkLinks(value) => put(&mut facts.network_links, value.into(), stamp),
            Payload::DiskConnections(value) => {
                put(&mut facts.disk_connections, value.into(), stamp)
            }
            Payload::BlockedTasks(value) => put(&mut facts.blocked_tasks, value.into(), stamp),
            Payload::SensorLimits(value) => put(&mut facts.sensor_limits, value.into(), stamp),
            Payload::LocalMedia(value) => put(&mut facts.local_media, value.into(), stamp),
            // Outcomes; the caller has dealt with them.
            Payload::NoData(_) | Payload::Unchanged(_) => {}
        }
        kind
    }

    /// The held payload of the kind was read again. False when what was read
    /// again has not arrived.
    fn keep_unchanged(
        &mut self,
        kind: Kind,
        since: u64,
        stamp: Stamp,
        shared: &mut Shared<'_>,
    ) -> bool {
        let Some(held) = self.facts.slot(kind).stamp() else {
            return false;
        };
        // It speaks of another payload: what is held is older, or another agent's.
        if held.epoch != stamp.epoch || held.sequence < since {
            return false;
        }
        let stamp = Stamp {
            sequence: held.sequence,
            ..stamp
        };
        let derived = match kind {
            Kind::Cpu => {
                value(self.facts.cpu.as_ref()).map(|cpu| self.keep_cpu(cpu, stamp, shared))
            }
            Kind::Pressure => value(self.facts.pressure.as_ref())
                .map(|pressure| self.keep_pressure(pressure, stamp, shared)),
            Kind::Memory => value(self.facts.memory.as_ref())
                .map(|memory| self.keep_memory(memory, stamp, shared)),
            Kind::Disks => {
                value(self.facts.disks.as_ref()).map(|disks| self.keep_disks(disks, stamp, shared))
            }
            Kind::Filesystems => value(self.facts.filesystems.as_ref())
                .map(|list| self.keep_filesystems(list, stamp, shared)),
            Kind::Network => value(self.facts.network.as_ref())
                .map(|network| self.keep_network(network, stamp, shared)),
            Kind::Load => {
                value(self.facts.load.as_ref()).map(|load| self.keep_load(load, stamp, shared))
            }
            Kind::Sensors => value(self.facts.sensors.as_ref())
                .map(|sensors| self.keep_sensors(sensors, stamp, shared)),
            Kind::GuestRuntimes => value(self.facts.guest_runtimes.as_ref())
                .map(|list| self.keep_runtimes(list, stamp, shared)),
            Kind::PveStatus => value(self.facts.pve_status.as_ref())
                .map(|status| self.keep_pve_status(status, stamp, shared)),
            _ => None,
        };
        if derived.is_none()
            && let Some(held) = self.facts.slot(kind).stamp()
        {
            *held = stamp;
        }
        true
    }
}

fn value<T>(held: Option<&Held<T>>) -> Option<Arc<T>> {
    held.map(|held| Arc::clone(&held.value))
}

fn put<T>(slot: &mut Slot<T>, value: Arc<T>, stamp: Stamp) {
    *slot = Some(Held { value, stamp });
}

/// Merging joins these lists by id; a list that names one twice is hostile.
fn sort_unique<T>(list: &mut Vec<T>, id: fn(&T) -> u32) {
    if !list.is_sorted_by(|a, b| id(a) < id(b)) {
        list.sort_by_key(id);
        list.dedup_by_key(|entry| id(entry));
    }
}

fn refused(reason: &str) -> SourceFailure {
    SourceFailure {
        path: String::new(),
        kind: FailureKind::Malformed.into(),
        detail: reason.to_owned(),
    }
}
