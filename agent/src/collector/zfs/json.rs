//! The JSON of `zpool` and `zfs` from OpenZFS 2.3 on: objects by name below `pools`
//! or `datasets`, properties as `{"value": …}` (`zfs@cmd/zpool/zpool_main.c`). With
//! `-p` and `--json-int` numbers are in full and times are seconds since the epoch.

use pvelens_proto::{
    agent::v1::{
        ZfsDataset, ZfsPool, ZfsScan, ZfsScanKind as Kind, ZfsScanState as State, ZfsVdev,
        ZfsVdevClass as Class,
    },
    timestamp_from_millis,
};
use serde_json::{Map, Value};

use super::{POOL_LIMIT, property, scan_line::local_time, too_many};
use crate::format::{
    FormatError,
    loose::{number, short, small, text},
};

/// Devices of one pool.
pub(super) const VDEV_LIMIT: usize = 4096;
/// Devices below each other: root, raidz, replacing, spare, disk.
const DEPTH_LIMIT: u32 = 16;

/// Where devices of each class are. The first is the tree itself.
const CLASSES: &[(&str, Class)] = &[
    ("vdevs", Class::Data),
    ("special", Class::Special),
    ("dedup", Class::Dedup),
    ("logs", Class::Log),
    ("l2cache", Class::Cache),
    ("spares", Class::Spare),
];

pub(super) fn pools(text: &str) -> Result<Vec<ZfsPool>, FormatError> {
    let document = document(text)?;
    let all = objects(&document, "pools")?;
    if all.len() > POOL_LIMIT {
        return Err(too_many("pools"));
    }
    Ok(all
        .values()
        .map(|pool| property::pool(&|key| value(pool, key)))
        .collect())
}

pub(super) fn datasets(text: &str) -> Result<Vec<ZfsDataset>, FormatError> {
    let document = document(text)?;
    Ok(objects(&document, "datasets")?
        .values()
        .map(|dataset| property::dataset(&|key| value(dataset, key)))
        .collect())
}

/// Of each pool what only its status tells.
pub(super) fn status(text: &str) -> Result<Vec<ZfsPool>, FormatError> {
    let document = document(text)?;
    let all = objects(&document, "pools")?;
    if all.len() > POOL_LIMIT {
        return Err(too_many("pools"));
    }
    all.iter()
        .map(|(name, pool)| pool_status(name, pool))
        .collect()
}

fn pool_status(name: &str, pool: &Value) -> Result<ZfsPool, FormatError> {
    let scan = scan(pool.get("scan_stats"));
    let is_running = scan.state() == State::Running;
    let mut vdevs = Vec::new();
    for (key, class) in CLASSES {
        let Some(Value::Object(children)) = pool.get(*key) else {
            continue;
        };
        // Those beside the tree lie below its root.
        let depth = u32::from(*class != Class::Data);
        add(children, *class, depth, is_running, &mut vdevs)?;
    }
    Ok(ZfsPool {
        name: name.to_owned(),
        message_id: text(pool, "msgid"),
        features_pending: features_pending(&text(pool, "status")),
        permanent_errors: number(pool, "error_count"),
        scan: Some(scan),
        vdevs,
        ..ZfsPool::default()
    })
}

/// By the text of the status, since this one has no code.
pub(super) fn features_pending(status: &str) -> bool {
    status.contains("features are not enabled on the pool")
        || status.contains("formatted using a legacy on-disk format")
}

fn add(
    children: &Map<String, Value>,
    class: Class,
    depth: u32,
    is_running: bool,
    vdevs: &mut Vec<ZfsVdev>,
) -> Result<(), FormatError> {
    if depth > DEPTH_LIMIT {
        return Err(too_many("devices below each other"));
    }
    for (name, vdev) in children {
        if vdevs.len() >= VDEV_LIMIT {
            return Err(too_many("devices"));
        }
        let is_resilvering = is_running && number(vdev, "scan_processed").unwrap_or_default() > 0;
        vdevs.push(ZfsVdev {
            name: path_or(vdev, name),
            depth,
            class: class.into(),
            kind: kind(vdev, name),
            state: text(vdev, "state"),
            read_errors_total: number(vdev, "read_errors"),
            write_errors_total: number(vdev, "write_errors"),
            checksum_errors_total: number(vdev, "checksum_errors"),
            slow_ios_total: number(vdev, "slow_ios"),
            allocated_bytes: number(vdev, "alloc_space"),
            size_bytes: number(vdev, "total_space"),
            configured_ashift: small(vdev, "configured_ashift"),
            physical_ashift: small(vdev, "physical_ashift"),
            resilvering: is_resilvering,
        });
        if let Some(Value::Object(children)) = vdev.get("vdevs") {
            add(children, class, depth.saturating_add(1), is_running, vdevs)?;
        }
    }
    Ok(())
}

/// The type; the number of parity disks is in the name alone, `raidz2-0`.
fn kind(vdev: &Value, name: &str) -> String {
    let kind = text(vdev, "vdev_type");
    match name.split(['-', ':']).next() {
        Some(exact) if matches!(kind.as_str(), "raidz" | "draid") => short(exact),
        _ => kind,
    }
}

/// The path of a leaf, as in the text.
fn path_or(vdev: &Value, name: &str) -> String {
    let path = text(vdev, "path");
    if path.is_empty() {
        name.to_owned()
    } else {
        path
    }
}

fn scan(stats: Option<&Value>) -> ZfsScan {
    let Some(stats) = stats else {
        return ZfsScan {
            kind: Kind::None.into(),
            ..ZfsScan::default()
        };
    };
    let kind = match text(stats, "function").as_str() {
        // Without one there are statistics of a rebuild alone.
        "" | "NONE" => Kind::None,
        "SCRUB" => Kind::Scrub,
        "RESILVER" => Kind::Resilver,
        _ => Kind::Unspecified,
    };
    let paused = number(stats, "scrub_pause").is_some_and(|since| since > 0);
    let state = match text(stats, "state").as_str() {
        "SCANNING" if paused => State::Paused,
        "SCANNING" => State::Running,
        "FINISHED" => State::Finished,
        "CANCELED" => State::Canceled,
        _ => State::Unspecified,
    };
    let is_over = matches!(state, State::Finished | State::Canceled);
    let told = text(stats, if is_over { "end_time" } else { "start_time" });
    ZfsScan {
        kind: kind.into(),
        state: state.into(),
        started_at: time(stats, "start_time"),
        ended_at: time(stats, "end_time").filter(|_| is_over),
        local_time: local_time(&told).unwrap_or_default(),
        errors: number(stats, "errors"),
        processed_bytes: number(stats, "processed"),
        done_ratio: done(stats).filter(|_| !is_over),
    }
}

fn time(stats: &Value, key: &str) -> Option<pvelens_proto::Timestamp> {
    let seconds = i64::try_from(number(stats, key).filter(|seconds| *seconds > 0)?).ok()?;
    Some(timestamp_from_millis(seconds.checked_mul(1000)?))
}

#[expect(clippy::cast_precision_loss, reason = "a part of a whole")]
fn done(stats: &Value) -> Option<f64> {
    let skipped = number(stats, "skipped").unwrap_or_default();
    let total = number(stats, "to_examine")?.saturating_sub(skipped);
    let done = number(stats, "issued")?;
    (total > 0).then(|| (done as f64 / total as f64).min(1.0))
}

fn document(text: &str) -> Result<Value, FormatError> {
    serde_json::from_str(text).map_err(|error| {
        if error.is_eof() {
            FormatError::truncated("the document does not end")
        } else {
            FormatError::malformed("not JSON")
        }
    })
}

fn objects<'a>(document: &'a Value, key: &str) -> Result<&'a Map<String, Value>, FormatError> {
    document
        .get(key)
        .and_then(Value::as_object)
        .ok_or_else(|| FormatError::malformed(format!("no {key}")))
}

/// The text of a property, or of the object itself.
fn value(object: &Value, key: &str) -> String {
    let property = object.pointer("/properties").and_then(|all| all.get(key));
    match (property, key) {
        (Some(property), _) => text(property, "value"),
        (None, "health") => text(object, "state"),
        (None, "guid") => text(object, "pool_guid"),
        (None, key) => text(object, key),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STATUS: &str = r#"{"output_version":{"command":"zpool status","vers_major":0,"vers_minor":1},"pools":{"rpool":{"name":"rpool","state":"DEGRADED","pool_guid":1,"txg":5,"msgid":"ZFS-8000-9P","status":"One or more devices has experienced an unrecoverable error.","error_count":2,
        "scan_stats":{"function":"SCRUB","state":"FINISHED","start_time":1794095000,"end_time":1794096000,"to_examine":500,"examined":500,"skipped":0,"processed":4096,"errors":2,"scrub_pause":0,"issued":500},
        "vdevs":{"rpool":{"name":"rpool","vdev_type":"root","state":"DEGRADED","read_errors":0,"write_errors":0,"checksum_errors":0,"vdevs":{"mirror-0":{"name":"mirror-0","vdev_type":"mirror","state":"DEGRADED","alloc_space":400,"total_space":1000,"read_errors":0,"write_errors":0,"checksum_errors":0,"vdevs":{
            "sda3":{"name":"sda3","vdev_type":"disk","path":"/dev/sda3","state":"ONLINE","read_errors":0,"write_errors":0,"checksum_errors":"7","slow_ios":3,"configured_ashift":9,"physical_ashift":12},
            "sdb3":{"name":"sdb3","vdev_type":"disk","path":"/dev/sdb3","state":"FAULTED","read_errors":1,"write_errors":2,"checksum_errors":0,"slow_ios":0}}}}}},
        "logs":{"nvme0n1p1":{"name":"nvme0n1p1","vdev_type":"disk","path":"/dev/nvme0n1p1","state":"ONLINE","read_errors":0,"write_errors":0,"checksum_errors":0,"slow_ios":0}},
        "spares":{"sdd":{"name":"sdd","path":"/dev/sdd","state":"AVAIL"}}}}}"#;

    #[test]
    fn devices_are_a_tree_with_classes() {
        let pool = &status(STATUS).unwrap()[0];
        let tree: Vec<(&str, u32, Class)> = pool
            .vdevs
            .iter()
            .map(|vdev| (vdev.name.as_str(), vdev.depth, vdev.class()))
            .collect();
        assert_eq!(
            tree,
            [
                ("rpool", 0, Class::Data),
                ("mirror-0", 1, Class::Data),
                ("/dev/sda3", 2, Class::Data),
                ("/dev/sdb3", 2, Class::Data),
                ("/dev/nvme0n1p1", 1, Class::Log),
                ("/dev/sdd", 1, Class::Spare)
            ]
        );
        let leaf = &pool.vdevs[2];
        assert_eq!(
            (leaf.checksum_errors_total, leaf.slow_ios_total),
            (Some(7), Some(3))
        );
        assert_eq!(
            (leaf.configured_ashift, leaf.physical_ashift),
            (Some(9), Some(12))
        );
        assert_eq!(pool.vdevs[5].read_errors_total, None);
        assert_eq!(pool.permanent_errors, Some(2));
        assert_eq!(pool.message_id, "ZFS-8000-9P");
    }

    #[test]
    fn the_name_tells_the_parity() {
        let named = |name: &str, kind: &str| {
            let vdev = serde_json::json!({"vdev_type": kind});
            super::kind(&vdev, name)
        };
        assert_eq!(named("raidz2-0", "raidz"), "raidz2");
        assert_eq!(named("draid1:4d:8c:0s-0", "draid"), "draid1");
        assert_eq!(named("sda-1", "disk"), "disk");
    }

    #[test]
    fn a_scan_has_times_and_progress() {
        let scan = status(STATUS).unwrap().remove(0).scan.unwrap();
        assert_eq!((scan.kind(), scan.state()), (Kind::Scrub, State::Finished));
        assert_eq!(scan.ended_at.unwrap().seconds, 1_794_096_000);
        assert_eq!((scan.errors, scan.processed_bytes), (Some(2), Some(4096)));
        assert_eq!((scan.done_ratio, scan.local_time.as_str()), (None, ""));
        let running = STATUS
            .replace("FINISHED", "SCANNING")
            .replace("\"issued\":500", "\"issued\":125");
        let scan = status(&running).unwrap().remove(0).scan.unwrap();
        assert_eq!(
            (scan.state(), scan.done_ratio),
            (State::Running, Some(0.25))
        );
        assert_eq!(scan.ended_at, None);
        let never = status(r#"{"pools":{"rpool":{"state":"ONLINE"}}}"#).unwrap();
        assert_eq!(never[0].scan.as_ref().unwrap().kind(), Kind::None);
        assert_eq!(never[0].permanent_errors, None);
    }

    #[test]
    fn properties_are_numbers_or_text() {
        let list = r#"{"pools":{"rpool":{"name":"rpool","type":"POOL","state":"ONLINE","pool_guid":9,"properties":{"size":{"value":1000,"source":{"type":"NONE","data":"-"}},"allocated":{"value":"400"},"fragmentation":{"value":"12%"},"ashift":{"value":12},"autotrim":{"value":"on"},"readonly":{"value":"off"},"expandsize":{"value":"-"}}}}}"#;
        let pool = &pools(list).unwrap()[0];
        assert_eq!(
            (pool.size_bytes, pool.allocated_bytes),
            (Some(1000), Some(400))
        );
        assert_eq!(
            (pool.fragmentation_ratio, pool.ashift),
            (Some(0.12), Some(12))
        );
        assert_eq!((pool.health.as_str(), pool.guid.as_str()), ("ONLINE", "9"));
        assert_eq!((pool.autotrim, pool.expandable_bytes), (Some(true), None));
        let list = r#"{"datasets":{"rpool/data/vm-101-disk-0":{"name":"rpool/data/vm-101-disk-0","type":"VOLUME","pool":"rpool","properties":{"used":{"value":7},"volsize":{"value":34359738368},"refreservation":{"value":0},"keystatus":{"value":"-"},"sync":{"value":"disabled"}}}}}"#;
        let volume = &datasets(list).unwrap()[0];
        assert!(volume.is_volume);
        assert_eq!(
            (volume.used_bytes, volume.volume_bytes),
            (7, Some(34_359_738_368))
        );
        assert_eq!(
            (volume.refreservation_bytes, volume.key_status.as_str()),
            (None, "")
        );
        assert_eq!((volume.sync.as_str(), volume.mounted), ("disabled", None));
    }

    #[test]
    fn what_nests_too_deep_or_is_no_document_fails() {
        let deep = format!(
            "{{\"pools\":{{\"p\":{}{}}}}}",
            "{\"vdevs\":{\"v\":".repeat(30) + "{}",
            "}}".repeat(30)
        );
        assert!(status(&deep).is_err());
        for text in ["", "{", "[]", "{\"pools\":[]}"] {
            assert!(status(text).is_err() && pools(text).is_err(), "{text}");
            assert!(datasets(text).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "(\\{\"(pools|datasets)\":\\{\"p\":\\{\"(vdevs|properties|scan_stats|logs)\":\\{(\"[a-z_]{1,5}\":(\\{\\}|[0-9]{1,3}|\"\\PC{0,3}\"))?\\}\\}\\}\\}|\\PC{0,40})") {
            drop(status(&text));
            drop(pools(&text));
            drop(datasets(&text));
        }
    }
}
