//! History that the node has kept itself, from `/var/lib/rrdcached/db`.
//!
//! PVE 8 keeps 70 rows of 1, 30, 180, 720 and 10,080 minutes each, PVE 9 keeps
//! 1,440 rows of 1, 30 and 360 minutes and 570 of a week
//! (`pve-cluster@src/pmxcfs/status.c`). A node that was upgraded may have both. A
//! file is up to an hour behind: the newest values are in rrdcached, which is not
//! asked. The figures of today come from other collectors.

use std::time::Duration;

use prost::Message;
use pvelens_proto::{
    agent::v1::{
        CollectionClass, FailureKind, RrdArchive, RrdConsolidation, RrdHistory, RrdLayout,
        RrdObject, RrdObjectKind, RrdSeries,
    },
    timestamp_from_millis,
};

use super::{CollectError, Collector, Payload, Reading, guest_list, pmxcfs};
use crate::{
    format::rrd::{self, Archive, File},
    host::SourceError,
};

const DATABASE: &str = "/var/lib/rrdcached/db";
const LOCAL: &str = "/etc/pve/local";
/// The directories of node, storages and guests.
const LAYOUTS: &[(RrdLayout, [&str; 3])] = &[
    (
        RrdLayout::Pve9,
        ["pve-node-9.0", "pve-storage-9.0", "pve-vm-9.0"],
    ),
    (RrdLayout::Pve8, ["pve2-node", "pve2-storage", "pve2-vm"]),
];
/// A node of PVE 9 has 1.5 MB.
const FILE_LIMIT: u64 = 8 << 20;
const STORAGE_LIMIT: usize = 100;
/// Bytes on the wire of all objects.
const BUDGET: usize = 1_900_000;
const HISTORY_SECONDS: i64 = 400 * 86_400;
/// Finer archives are left to the collectors of today.
const FINEST_SECONDS: u32 = 1_800;
const FINEST_GUEST_SECONDS: u32 = 3_600;
/// Of guests only what tells their load; sizes are in other sources.
const GUEST_COLUMNS: &[&str] = &[
    "cpu",
    "mem",
    "memhost",
    "netin",
    "netout",
    "diskread",
    "diskwrite",
];

pub(super) const COLLECTOR: Collector = Collector {
    name: "rrd_history",
    summary: "history of node, storages and guests that Proxmox VE has kept",
    class: CollectionClass::Slow,
    interval: Duration::from_secs(6 * 3600),
    deadline: Duration::from_secs(60),
    paths: &[
        LOCAL,
        guest_list::PATH,
        "/var/lib/rrdcached/db/pve-node-9.0/*",
        "/var/lib/rrdcached/db/pve-storage-9.0/*/*",
        "/var/lib/rrdcached/db/pve-vm-9.0/*",
        "/var/lib/rrdcached/db/pve2-node/*",
        "/var/lib/rrdcached/db/pve2-storage/*/*",
        "/var/lib/rrdcached/db/pve2-vm/*",
    ],
    probes: &[],
    collect,
};

/// A file to read.
struct Source {
    kind: RrdObjectKind,
    name: String,
    layout: RrdLayout,
    path: String,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let target = reading
        .link_target(LOCAL)
        .map_err(|error| pmxcfs::unread(reading, error))?;
    let node = target.rsplit('/').next().unwrap_or_default().to_owned();
    let guests = guests(reading, &node);
    if !reading.exists(DATABASE) {
        return Err(CollectError::NoData("this node keeps no history"));
    }
    let mut history = RrdHistory::default();
    let mut size = 0_usize;
    for source in sources(reading, &node, guests) {
        let Some(object) = object(reading, &source) else {
            continue;
        };
        size = size.saturating_add(object.encoded_len());
        if size > BUDGET {
            history.truncated = true;
            break;
        }
        history.objects.push(object);
    }
    Ok(Payload::RrdHistory(history))
}

/// What there may be, the most important first.
fn sources(reading: &mut Reading<'_>, node: &str, guests: Vec<u32>) -> Vec<Source> {
    let mut sources = Vec::new();
    for (layout, [nodes, _, _]) in LAYOUTS {
        sources.push(Source {
            kind: RrdObjectKind::Node,
            name: node.to_owned(),
            layout: *layout,
            path: format!("{DATABASE}/{nodes}/{node}"),
        });
    }
    for (layout, [_, storages, _]) in LAYOUTS {
        let directory = format!("{DATABASE}/{storages}/{node}");
        for name in storage_names(reading, &directory) {
            sources.push(Source {
                kind: RrdObjectKind::Storage,
                path: format!("{directory}/{name}"),
                layout: *layout,
                name,
            });
        }
    }
    for vmid in guests {
        for (layout, [_, _, guests]) in LAYOUTS {
            sources.push(Source {
                kind: RrdObjectKind::Guest,
                name: vmid.to_string(),
                layout: *layout,
                path: format!("{DATABASE}/{guests}/{vmid}"),
            });
        }
    }
    sources
}

fn storage_names(reading: &mut Reading<'_>, directory: &str) -> Vec<String> {
    let mut names = match reading.list(directory) {
        Ok(names) => names,
        Err(error) => {
            if !error.is_not_found() {
                reading.fail(error);
            }
            return Vec::new();
        }
    };
    // What the upgrade to PVE 9 has put away.
    names.retain(|name| !name.ends_with(".old"));
    if names.len() > STORAGE_LIMIT {
        names.truncate(STORAGE_LIMIT);
        let detail = format!("more than {STORAGE_LIMIT} storages");
        reading.fail(SourceError::new(directory, FailureKind::TooLarge, detail));
    }
    names
}

/// VMIDs of the guests of a node.
fn guests(reading: &mut Reading<'_>, node: &str) -> Vec<u32> {
    let list = guest_list::read(reading);
    let Some(list) = reading.keep(list) else {
        return Vec::new();
    };
    let guests = list.guests.into_iter();
    guests
        .filter(|guest| guest.node == node)
        .map(|guest| guest.vmid)
        .collect()
}

/// `None` when there is no such file, or it is named as a failure.
fn object(reading: &mut Reading<'_>, source: &Source) -> Option<RrdObject> {
    let bytes = match reading.read_bytes(&source.path, FILE_LIMIT) {
        Ok(bytes) => bytes,
        Err(error) => {
            if !error.is_not_found() {
                reading.fail(error);
            }
            return None;
        }
    };
    let file = reading.keep(rrd::parse(&bytes).map_err(|error| error.at(&source.path)))?;
    let archives = file.archives.iter();
    Some(RrdObject {
        kind: source.kind.into(),
        name: source.name.clone(),
        layout: source.layout.into(),
        updated_at: Some(timestamp_from_millis(
            i64::from(file.updated).saturating_mul(1000),
        )),
        archives: archives
            .filter_map(|archive| kept(&file, archive, source.kind))
            .collect(),
    })
}

/// The part of an archive that is carried, if any.
fn kept(file: &File<'_>, archive: &Archive<'_>, kind: RrdObjectKind) -> Option<RrdArchive> {
    let is_guest = kind == RrdObjectKind::Guest;
    let consolidation = match archive.consolidation {
        "AVERAGE" => RrdConsolidation::Average,
        "MAX" if !is_guest => RrdConsolidation::Maximum,
        _ => return None,
    };
    let finest = if is_guest {
        FINEST_GUEST_SECONDS
    } else {
        FINEST_SECONDS
    };
    if archive.step_seconds < finest {
        return None;
    }
    let step = i64::from(archive.step_seconds);
    let first = archive.first(file.updated);
    let oldest = i64::from(file.updated).saturating_sub(HISTORY_SECONDS);
    // Rows that are too old.
    let skip = oldest
        .saturating_sub(first)
        .checked_div(step)
        .and_then(|rows| usize::try_from(rows).ok())
        .unwrap_or(0);
    let series: Vec<RrdSeries> = file
        .columns
        .iter()
        .enumerate()
        .filter(|(_, name)| !is_guest || GUEST_COLUMNS.contains(name))
        .filter_map(|(column, name)| series(archive, column, name, skip))
        .collect();
    let skipped = i64::try_from(skip).unwrap_or(i64::MAX).saturating_mul(step);
    (!series.is_empty()).then(|| RrdArchive {
        consolidation: consolidation.into(),
        step_seconds: archive.step_seconds,
        first_at: Some(timestamp_from_millis(
            first.saturating_add(skipped).saturating_mul(1000),
        )),
        rows: u32::try_from(archive.rows.saturating_sub(skip)).unwrap_or(u32::MAX),
        series,
    })
}

/// `None` when no value is known.
fn series(archive: &Archive<'_>, column: usize, name: &str, skip: usize) -> Option<RrdSeries> {
    let mut series = RrdSeries {
        name: name.to_owned(),
        ..RrdSeries::default()
    };
    let mut run = 0_u32;
    let mut run_is_known = false;
    for row in skip..archive.rows {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "seven digits are enough for history; what is too large is left out"
        )]
        let value = archive
            .value(row, column)
            .map(|value| value as f32)
            .filter(|value| value.is_finite());
        if value.is_some() != run_is_known {
            series.runs.push(run);
            run = 0;
            run_is_known = value.is_some();
        }
        run = run.saturating_add(1);
        series.values.extend(value);
    }
    if run_is_known {
        series.runs.push(run);
    }
    (!series.values.is_empty()).then_some(series)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::fs;

    use super::*;
    use crate::{
        collector::{
            collect_once,
            tests::{kinds, sample, tree},
        },
        host::Host,
    };

    const NODE: &[u8] =
        include_bytes!("../../tests/fixtures/node/var/lib/rrdcached/db/pve-node-9.0/pve1");
    const STORAGE: &[u8] =
        include_bytes!("../../tests/fixtures/node/var/lib/rrdcached/db/pve2-storage/pve1/local");
    const VMLIST: &str = "{\"version\":1,\"ids\":{\"101\":{\"node\":\"pve1\",\"type\":\"qemu\"},\"102\":{\"node\":\"b\",\"type\":\"qemu\"}}}\n";

    fn history(files: &[(&str, &[u8])]) -> (RrdHistory, Vec<FailureKind>) {
        let directory = tree(&[
            ("etc/pve/local@", "nodes/pve1"),
            ("etc/pve/.vmlist", VMLIST),
        ]);
        for (path, bytes) in files {
            let path = directory.path().join("var/lib/rrdcached/db").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, bytes).unwrap();
        }
        let read = collect_once(&COLLECTOR, &Host::open(directory.path()).unwrap());
        let kinds = kinds(&read);
        match read.payload {
            Some(Payload::RrdHistory(history)) => (history, kinds),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn node_storages_and_own_guests_are_read() {
        let (history, failures) = history(&[
            ("pve-node-9.0/pve1", NODE),
            ("pve-node-9.0/b", NODE),
            ("pve2-storage/pve1/local", STORAGE),
            ("pve2-storage/pve1/x.old", STORAGE),
            ("pve-vm-9.0/101", NODE),
            ("pve-vm-9.0/102", NODE),
        ]);
        assert_eq!(failures, []);
        let found: Vec<_> = history
            .objects
            .iter()
            .map(|object| (object.kind(), object.name.as_str(), object.layout()))
            .collect();
        assert_eq!(
            found,
            [
                (RrdObjectKind::Node, "pve1", RrdLayout::Pve9),
                (RrdObjectKind::Storage, "local", RrdLayout::Pve8),
                (RrdObjectKind::Guest, "101", RrdLayout::Pve9),
            ]
        );
        let node = &history.objects[0];
        assert!(
            node.archives
                .iter()
                .all(|a| a.step_seconds >= FINEST_SECONDS)
        );
        let has = |object: &RrdObject, wanted| {
            object.archives.iter().any(|a| a.consolidation() == wanted)
        };
        assert!(has(node, RrdConsolidation::Maximum));
        assert!(!has(&history.objects[2], RrdConsolidation::Maximum));
        for archive in history.objects.iter().flat_map(|object| &object.archives) {
            for series in &archive.series {
                let known: u32 = series.runs.iter().skip(1).step_by(2).sum();
                assert_eq!(usize::try_from(known).unwrap(), series.values.len());
                assert!(series.runs.iter().sum::<u32>() <= archive.rows);
            }
        }
    }

    #[test]
    fn a_broken_file_is_named_and_the_others_are_read() {
        let (history, failures) = history(&[
            ("pve-node-9.0/pve1", &NODE[..NODE.len() / 2]),
            ("pve2-storage/pve1/local", STORAGE),
            ("pve2-storage/pve1/text", b"no database, but text that is longer than the head of one, which has a hundred and twenty-eight bytes, so that it is read up to there"),
        ]);
        assert_eq!(failures, [FailureKind::Truncated, FailureKind::Malformed]);
        assert_eq!(history.objects.len(), 1);
    }

    #[test]
    fn a_node_without_database_has_no_history() {
        let none = sample(
            &COLLECTOR,
            &[
                ("etc/pve/local@", "nodes/pve1"),
                ("etc/pve/.vmlist", VMLIST),
            ],
        );
        assert_eq!(kinds(&none), []);
        assert!(matches!(none.payload, Some(Payload::NoData(_))));
    }
}
