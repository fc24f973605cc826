//! ZFS: pools, their devices and scrubs, and datasets.
//!
//! The state of each pool is a file of the kernel. It is read first: with one pool
//! suspended every `zpool` and `zfs` hangs, so then the disk probe is not asked.
//! OpenZFS writes JSON from 2.3 on (PVE 9) and text before (PVE 8).
//!
//! The statistics of single datasets (`objset-*`) are left out: volumes have the
//! same in `/proc/diskstats`, as `zdN`.

use std::{collections::BTreeMap, time::Duration};

use pvelens_proto::agent::v1::{CollectionClass, ZfsDataset, ZfsPool, ZfsPools};

use super::{Answer, CollectError, Collector, Payload, Reading};
use crate::{
    format::FormatError,
    host::SourceError,
    probe::{
        Request,
        request::{DiskRequest, Format},
    },
};

mod json;
mod property;
mod scan_line;
mod schedule;
mod table;
mod tree;

const POOLS: &str = "/proc/spl/kstat/zfs";
const VERSION: &str = "/sys/module/zfs/version";
const ARC_MAX: &str = "/sys/module/zfs/parameters/zfs_arc_max";
const ARC_MIN: &str = "/sys/module/zfs/parameters/zfs_arc_min";
const MODPROBE: &str = "/etc/modprobe.d/zfs.conf";
const MODPROBE_LIMIT: u64 = 64 << 10;
/// Pools of one node.
const POOL_LIMIT: usize = 256;
/// Datasets that are carried; there is one for each disk of each guest, and some
/// nodes keep a file system for each user.
const DATASET_LIMIT: usize = 5_000;
/// The first version that writes JSON.
const JSON_SINCE: (u32, u32) = (2, 3);
const SUSPENDED: &str = "SUSPENDED";

pub(super) const COLLECTOR: Collector = Collector {
    name: "zfs",
    summary: "ZFS pools, devices, scrubs and datasets",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    // Each of the three questions may take 15 s.
    deadline: Duration::from_secs(55),
    paths: &[
        "/proc/spl/kstat/zfs/*/state",
        VERSION,
        ARC_MAX,
        ARC_MIN,
        MODPROBE,
        schedule::CRON,
        schedule::TIMER,
        schedule::ZED,
    ],
    probes: &["zpool_list", "zpool_status", "zfs_list"],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let names = match reading.list(POOLS) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("no ZFS: its module is not loaded"));
        }
        names => names?,
    };
    let mut found = ZfsPools {
        module_version: reading.read_word(VERSION).unwrap_or_default(),
        arc_max_bytes: reading.read_number(ARC_MAX),
        arc_min_bytes: reading.read_number(ARC_MIN),
        configured_arc_max_bytes: reading
            .read_optional(MODPROBE, MODPROBE_LIMIT)
            .and_then(|text| property::option(&text, "zfs_arc_max")),
        ..ZfsPools::default()
    };
    schedule::collect(reading, &mut found);
    let mut is_state_unknown = false;
    // Beside the pools there are files, which have no state. The best known of them
    // is another collector's.
    for name in names.into_iter().filter(|name| name != "arcstats") {
        let path = format!("{POOLS}/{name}/state");
        match reading.read(&path, 256) {
            Ok(state) if state.ends_with('\n') => found.pools.push(ZfsPool {
                name,
                state: state.trim().to_owned(),
                ..ZfsPool::default()
            }),
            Ok(_) => {
                is_state_unknown = true;
                reading.fail(FormatError::truncated("the line does not end").at(&path));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => {
                is_state_unknown = true;
                reading.fail(error);
            }
        }
    }
    if found.pools.is_empty() && !is_state_unknown {
        return Err(CollectError::NoData("no ZFS pools"));
    }
    found.pools.sort_by(|a, b| a.name.cmp(&b.name));
    found.pools.truncate(POOL_LIMIT);
    found.commands_would_hang = found.pools.iter().any(|pool| pool.state == SUSPENDED);
    // A state that could not be read may be that one.
    if !found.commands_would_hang && !is_state_unknown {
        ask(reading, &mut found);
    }
    Ok(Payload::ZfsPools(found))
}

fn ask(reading: &mut Reading<'_>, found: &mut ZfsPools) {
    let format = if property::version(&found.module_version) >= Some(JSON_SINCE) {
        Format::Json
    } else {
        Format::Text
    };
    let list = match reading.ask(&Request::Disk(DiskRequest::ZpoolList { format })) {
        // Without tools or probe the kernel's word is what there is.
        Err(error) if error.is_not_found() => return,
        answer => answer.and_then(|answer| match format {
            Format::Json => understood(&answer, json::pools),
            Format::Text => understood(&answer, table::pools),
        }),
    };
    let mut pools: BTreeMap<String, ZfsPool> = std::mem::take(&mut found.pools)
        .into_iter()
        .map(|pool| (pool.name.clone(), pool))
        .collect();
    for listed in reading.keep(list).unwrap_or_default() {
        let pool = pools.entry(listed.name.clone()).or_default();
        *pool = ZfsPool {
            state: std::mem::take(&mut pool.state),
            ..listed
        };
    }
    let status = reading
        .ask(&Request::Disk(DiskRequest::ZpoolStatus { format }))
        .and_then(|answer| match format {
            Format::Json => understood(&answer, json::status),
            Format::Text => understood(&answer, tree::status),
        });
    for told in reading.keep(status).unwrap_or_default() {
        let pool = pools.entry(told.name.clone()).or_default();
        pool.name = told.name;
        pool.message_id = told.message_id;
        pool.features_pending = told.features_pending;
        pool.scan = told.scan;
        pool.permanent_errors = told.permanent_errors;
        pool.vdevs = told.vdevs;
    }
    found.pools = pools.into_values().collect();
    let datasets = reading
        .ask(&Request::Disk(DiskRequest::ZfsList { format }))
        .and_then(|answer| match format {
            Format::Json => understood(&answer, json::datasets),
            Format::Text => understood(&answer, table::datasets),
        });
    keep_datasets(found, reading.keep(datasets).unwrap_or_default());
}

/// What a tool wrote, in its format.
fn understood<T>(
    answer: &Answer,
    parse: fn(&str) -> Result<T, FormatError>,
) -> Result<T, SourceError> {
    parse(answer.success()?).map_err(|error| error.at(&answer.source))
}

/// Volumes come first when there are too many: guests are on them.
fn keep_datasets(found: &mut ZfsPools, mut datasets: Vec<ZfsDataset>) {
    if let Some(omitted) = datasets.len().checked_sub(DATASET_LIMIT) {
        datasets.sort_by_key(|dataset| !dataset.is_volume);
        datasets.truncate(DATASET_LIMIT);
        found.omitted_datasets = u32::try_from(omitted).unwrap_or(u32::MAX);
    }
    datasets.sort_by(|a, b| a.name.cmp(&b.name));
    found.datasets = datasets;
}

/// What does not fit is a failure of the tool's reply.
fn too_many(what: &str) -> FormatError {
    FormatError::malformed(format!("too many {what}"))
}

#[cfg(test)]
mod tests {
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const STATE: (&str, &str) = ("proc/spl/kstat/zfs/rpool/state", "ONLINE\n");

    fn found(files: &[(&str, &str)]) -> (Vec<FailureKind>, ZfsPools) {
        let node = sample(&COLLECTOR, files);
        let kinds = kinds(&node);
        let Some(Payload::ZfsPools(found)) = node.payload else {
            panic!("{kinds:?} {:?}", node.payload);
        };
        (kinds, found)
    }

    #[test]
    fn a_node_without_zfs_or_pools_has_nothing() {
        for files in [&[][..], &[("proc/spl/kstat/zfs/arcstats", "x\n")]] {
            let node = sample(&COLLECTOR, files);
            assert!(matches!(node.payload, Some(Payload::NoData(_))), "{node:?}");
            assert_eq!(kinds(&node), []);
        }
    }

    #[test]
    fn without_a_probe_the_kernel_says_the_state() {
        let (kinds, found) = found(&[STATE, ("proc/spl/kstat/zfs/arcstats", "x\n")]);
        assert_eq!(kinds, []);
        assert_eq!(found.pools.len(), 1);
        assert_eq!(found.pools[0].state, "ONLINE");
        assert_eq!(found.pools[0].health, "");
    }

    #[test]
    fn with_a_suspended_pool_or_an_unknown_state_no_tool_is_asked() {
        let broken = (".pvelens/probe/disk/zpool_list.text", "not a reply");
        let (kinds, suspended) = found(&[
            STATE,
            ("proc/spl/kstat/zfs/tank/state", "SUSPENDED\n"),
            broken,
        ]);
        assert_eq!(kinds, []);
        assert!(suspended.commands_would_hang);
        assert_eq!(suspended.pools.len(), 2);
        let (kinds, unknown) = found(&[STATE, ("proc/spl/kstat/zfs/tank/state", "ONL"), broken]);
        assert_eq!(kinds, [FailureKind::Truncated]);
        assert!(!unknown.commands_would_hang);
        assert_eq!(unknown.pools.len(), 1);
    }

    #[test]
    fn the_version_chooses_the_format() {
        for (version, format) in [("2.2.8-pve1\n", "text"), ("2.3.4-pve1\n", "json")] {
            let path = format!(".pvelens/probe/disk/zpool_list.{format}");
            let (kinds, _) = found(&[STATE, ("sys/module/zfs/version", version), (&path, "x")]);
            assert_eq!(kinds[0], FailureKind::Malformed, "{version}");
        }
    }

    #[test]
    fn of_too_many_datasets_volumes_are_kept() {
        let dataset = |number: usize| ZfsDataset {
            name: format!("rpool/{number}"),
            is_volume: number >= DATASET_LIMIT,
            ..ZfsDataset::default()
        };
        let mut found = ZfsPools::default();
        keep_datasets(&mut found, (0..DATASET_LIMIT + 3).map(dataset).collect());
        assert_eq!(found.datasets.len(), DATASET_LIMIT);
        assert_eq!(found.omitted_datasets, 3);
        assert_eq!(found.datasets.iter().filter(|d| d.is_volume).count(), 3);
    }
}
