//! Collectors: each reads one source and gives one payload.
//!
//! A collector keeps nothing between runs and publishes what the kernel or PVE
//! says, counters as counters; rates are computed by the coordinator. Adding
//! one means a file below `collector/` and a row in [`COLLECTORS`].

use std::time::{Duration, Instant};

use pvelens_proto::{
    agent::v1::{CollectionClass, NoData, Sample},
    timestamp_from_millis,
};

pub use pvelens_proto::agent::v1::sample::Payload;

use crate::host::{Host, SourceError};

mod access_config;
mod asked;
mod backups;
mod blocked_tasks;
mod bonds;
mod broadcast;
mod ceph_config;
mod ceph_state;
mod certificates;
mod cluster_log;
mod config_versions;
mod container_filesystems;
mod corosync;
mod corosync_state;
mod cpu;
mod cpu_features;
mod cpu_models;
mod datacenter_config;
mod disk;
mod disk_connections;
mod disk_health;
mod filesystem;
mod firewall_config;
mod firmware;
mod guest_agent;
mod guest_config;
mod guest_list;
mod guest_monitor;
mod guest_runtime;
mod ha_config;
mod ha_state;
mod hardware_errors;
mod host_files;
mod host_identity;
mod interface_state;
mod job_config;
mod job_state;
mod journal;
mod kernel_settings;
mod kernels;
mod listeners;
mod load;
mod local_media;
mod lvm;
mod mapping_config;
mod md_arrays;
mod members;
mod memory;
mod metric_server_config;
mod multipath;
mod network;
mod network_links;
mod network_mounts;
mod node_config;
mod notification_config;
mod package_updates;
mod packages;
mod pci_devices;
mod pmxcfs;
mod pressure;
mod pve_status;
mod reading;
mod replication_config;
mod replication_state;
mod repositories;
mod rrd_history;
mod run;
mod running_vm;
mod sdn_config;
mod section_file;
mod sensor;
mod sensor_limits;
mod sshd;
mod storage_config;
mod subscription;
mod tasks;
mod time_sync;
mod unit;
mod zfs;

pub use asked::Answer;
pub use host_identity::{identify, is_pve_node};
pub use reading::Reading;
pub use run::Runner;
use run::Whereabouts;
pub(crate) use {
    access_config::pools_of,
    config_versions::{NAME as CONFIG_VERSIONS, marks as config_marks},
    filesystem::parse_mountinfo,
    guest_runtime::start_ticks,
    network_mounts::source_hosts,
    run::{caught, failed},
    tasks::{ACTIVE as ACTIVE_TASKS, running as running_tasks},
};
#[cfg(feature = "fuzzing")]
pub(crate) use {guest_agent::hear as hear_guest_agent, guest_monitor::ask_all as ask_monitor};

/// Every collector, fast ones first.
pub const COLLECTORS: &[Collector] = &[
    cpu::COLLECTOR,
    pressure::COLLECTOR,
    memory::COLLECTOR,
    load::COLLECTOR,
    disk::COLLECTOR,
    filesystem::COLLECTOR,
    network::COLLECTOR,
    guest_runtime::COLLECTOR,
    broadcast::COLLECTOR,
    pve_status::COLLECTOR,
    sensor::COLLECTOR,
    guest_monitor::COLLECTOR,
    guest_agent::COLLECTOR,
    ha_state::COLLECTOR,
    interface_state::COLLECTOR,
    bonds::COLLECTOR,
    blocked_tasks::COLLECTOR,
    hardware_errors::COLLECTOR,
    cpu_features::COLLECTOR,
    members::COLLECTOR,
    config_versions::COLLECTOR,
    guest_list::COLLECTOR,
    guest_config::COLLECTOR,
    storage_config::COLLECTOR,
    corosync::COLLECTOR,
    access_config::COLLECTOR,
    datacenter_config::COLLECTOR,
    job_config::COLLECTOR,
    replication_config::COLLECTOR,
    notification_config::COLLECTOR,
    metric_server_config::COLLECTOR,
    node_config::COLLECTOR,
    md_arrays::COLLECTOR,
    lvm::COLLECTOR,
    zfs::COLLECTOR,
    multipath::COLLECTOR,
    disk_health::COLLECTOR,
    ha_config::COLLECTOR,
    firewall_config::COLLECTOR,
    sdn_config::COLLECTOR,
    mapping_config::COLLECTOR,
    cpu_models::COLLECTOR,
    ceph_config::COLLECTOR,
    tasks::COLLECTOR,
    cluster_log::COLLECTOR,
    replication_state::COLLECTOR,
    job_state::COLLECTOR,
    backups::COLLECTOR,
    local_media::COLLECTOR,
    rrd_history::COLLECTOR,
    corosync_state::COLLECTOR,
    network_mounts::COLLECTOR,
    container_filesystems::COLLECTOR,
    ceph_state::COLLECTOR,
    unit::COLLECTOR,
    time_sync::COLLECTOR,
    sshd::COLLECTOR,
    journal::COLLECTOR,
    host_identity::COLLECTOR,
    listeners::COLLECTOR,
    network_links::COLLECTOR,
    disk_connections::COLLECTOR,
    sensor_limits::COLLECTOR,
    kernel_settings::COLLECTOR,
    host_files::COLLECTOR,
    pci_devices::COLLECTOR,
    firmware::COLLECTOR,
    kernels::COLLECTOR,
    packages::COLLECTOR,
    package_updates::COLLECTOR,
    repositories::COLLECTOR,
    certificates::COLLECTOR,
    subscription::COLLECTOR,
];

/// Interval of the fast class, and of polling the change counters.
pub(crate) const FAST: Duration = Duration::from_secs(10);
/// At the latest, the configuration is read again after this time.
pub(crate) const CONFIG: Duration = Duration::from_secs(600);
/// Interval of the state class.
pub(crate) const STATE: Duration = Duration::from_secs(30);
/// Interval of what changes by the day.
pub(crate) const SLOW: Duration = Duration::from_secs(3600);
/// Files only: a read that takes longer hangs.
pub(crate) const FILE_DEADLINE: Duration = Duration::from_secs(2);
/// Limit of one file in pmxcfs (`pve-cluster@src/pmxcfs/memdb.h`).
pub(crate) const PMXCFS_FILE_LIMIT: u64 = 1 << 20;
/// Limit of a file in `/proc` or `/sys`.
pub(crate) const KERNEL_FILE_LIMIT: u64 = 4 << 20;

/// Limit of a file that holds one word or number.
const WORD_LIMIT: u64 = 256;

/// How one source is read.
#[derive(Debug, Clone, Copy)]
pub struct Collector {
    /// Stable across versions.
    pub name: &'static str,
    /// What it gives, for people.
    pub summary: &'static str,
    pub class: CollectionClass,
    pub interval: Duration,
    /// After this a run counts as hung.
    pub deadline: Duration,
    /// Every path it may read; `*` stands for one component, `**` for any
    /// number of them.
    pub paths: &'static [&'static str],
    /// The entries of the probes' menu that it may ask for.
    pub probes: &'static [&'static str],
    pub collect: fn(&mut Reading<'_>) -> Result<Payload, CollectError>,
}

impl Collector {
    /// Whether it reads configuration that announces its changes in
    /// `/etc/pve/.version`. The interval of such a collector is its longest pause.
    #[must_use]
    pub fn runs_on_change(&self) -> bool {
        self.class == CollectionClass::Config && self.interval > FAST
    }
}

/// Why a collector has no payload.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CollectError {
    /// The source does not exist on this node; not a failure.
    #[error("nothing to collect: {0}")]
    NoData(&'static str),
    #[error(transparent)]
    Source(#[from] SourceError),
}

/// Runs one collector on this thread, without deadline.
#[must_use]
pub fn collect_once(collector: &Collector, host: &Host) -> Sample {
    collect_watched(collector, host, &Whereabouts::default())
}

/// As [`collect_once`], with a place for what is being read.
fn collect_watched(collector: &Collector, host: &Host, whereabouts: &Whereabouts) -> Sample {
    let observed_at = host.now();
    let started = Instant::now();
    let mut reading = Reading::new(host, whereabouts);
    let payload = match (collector.collect)(&mut reading) {
        Ok(payload) => Some(payload),
        Err(CollectError::NoData(reason)) => Some(Payload::NoData(NoData {
            reason: reason.to_owned(),
        })),
        Err(CollectError::Source(error)) => {
            reading.fail(error);
            None
        }
    };
    let (read_bytes, failures) = reading.end();
    Sample {
        duration_microseconds: microseconds(started.elapsed()),
        read_bytes,
        failures,
        payload,
        ..empty_sample(collector, observed_at)
    }
}

/// A sample that says only which collector it is about.
fn empty_sample(collector: &Collector, observed_at: jiff::Timestamp) -> Sample {
    Sample {
        collector: collector.name.to_owned(),
        observed_at: Some(timestamp_from_millis(observed_at.as_millisecond())),
        interval_seconds: u32::try_from(collector.interval.as_secs()).unwrap_or(u32::MAX),
        ..Sample::default()
    }
}

fn microseconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_micros()).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::{collections::BTreeSet, fs, os::unix::fs::symlink};

    use pvelens_proto::agent::v1::FailureKind;

    use super::*;

    /// What root can read, and the agent in its sandbox cannot.
    const NOT_FOR_US: (&str, &str) = (
        ".pvelens/refused.json",
        include_str!("../tests/fixtures/sandboxed/refused.json"),
    );

    /// Runs a collector over a tree of files. A path that ends in `@` is a link
    /// to its content, one that ends in `/` a directory.
    pub(crate) fn sample(collector: &Collector, files: &[(&str, &str)]) -> Sample {
        let directory = tree(files);
        collect_once(collector, &Host::open(directory.path()).unwrap())
    }

    /// Writes such a tree.
    pub(crate) fn tree(files: &[(&str, &str)]) -> tempfile::TempDir {
        let directory = tempfile::TempDir::new().unwrap();
        for (path, content) in [&NOT_FOR_US].into_iter().chain(files) {
            let full = directory.path().join(path.trim_end_matches(['@', '/']));
            fs::create_dir_all(full.parent().unwrap()).unwrap();
            if path.ends_with('@') {
                symlink(content, full).unwrap();
            } else if path.ends_with('/') {
                fs::create_dir(full).unwrap();
            } else {
                fs::write(full, content).unwrap();
            }
        }
        directory
    }

    pub(crate) fn kinds(sample: &Sample) -> Vec<FailureKind> {
        sample
            .failures
            .iter()
            .map(|failure| failure.kind())
            .collect()
    }

    #[test]
    fn names_are_unique_and_every_collector_says_what_it_reads() {
        let names: BTreeSet<_> = COLLECTORS.iter().map(|collector| collector.name).collect();
        assert_eq!(names.len(), COLLECTORS.len());
        for collector in COLLECTORS {
            assert!(!collector.summary.is_empty(), "{}", collector.name);
            let reads = collector.paths.len() + collector.probes.len();
            assert!(reads > 0, "{}", collector.name);
            assert!(collector.paths.iter().all(|path| path.starts_with('/')));
            assert!(collector.deadline < collector.interval);
        }
    }
}
