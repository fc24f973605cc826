//! How replication from this node goes, from
//! `/var/lib/pve-manager/pve-replication-state.json`.
//!
//! Kept by VMID and target, not by job: a guest has one job for each target
//! (`pve-guest-common@src/PVE/ReplicationState.pm`).

use std::collections::BTreeMap;

use pvelens_proto::{
    Timestamp,
    agent::v1::{CollectionClass, ReplicationState, ReplicationTargetState},
    timestamp_from_millis,
};
use serde::Deserialize;

use super::{
    CollectError, Collector, FILE_DEADLINE, Payload, Reading, STATE, pmxcfs, tasks::ERROR_LIMIT,
};
use crate::{
    format::{
        FormatError,
        figure::{Figure, Word},
        free_text,
    },
    host::SourceError,
};

const PATH: &str = "/var/lib/pve-manager/pve-replication-state.json";
/// About 400 bytes for each job.
const LIMIT: u64 = 4 << 20;
const TARGET_LIMIT: usize = 5_000;
const STORAGE_LIMIT: usize = 50;

pub(super) const COLLECTOR: Collector = Collector {
    name: "replication_state",
    summary: "last runs and failures of replication from this node",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &[PATH],
    probes: &[],
    collect,
};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Entry {
    last_iteration: Figure,
    last_try: Figure,
    last_sync: Figure,
    fail_count: Figure,
    error: Word,
    duration: Figure,
    pid: Figure,
    ptime: Word,
    last_node: Word,
    storeid_list: Vec<Word>,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let text = match reading.read(PATH, LIMIT) {
        Err(error) if error.is_not_found() => {
            return Err(CollectError::NoData("no replication ran on this node"));
        }
        other => other?,
    };
    let (mut state, malformed) = parse(&text).map_err(|error| error.at(PATH))?;
    if malformed > 0 {
        let detail = format!("{malformed} entries are not in the format");
        reading.fail(FormatError::malformed(detail).at(PATH));
    }
    if state.targets.len() > TARGET_LIMIT {
        state.targets.truncate(TARGET_LIMIT);
        let kind = pvelens_proto::agent::v1::FailureKind::TooLarge;
        reading.fail(SourceError::new(PATH, kind, "too many targets"));
    }
    Ok(Payload::ReplicationState(state))
}

/// The targets, and the number of entries that are none.
fn parse(text: &str) -> Result<(ReplicationState, usize), FormatError> {
    let all: BTreeMap<String, BTreeMap<String, serde_json::Value>> =
        serde_json::from_str(text).map_err(|error| pmxcfs::json_error(&error))?;
    let mut state = ReplicationState::default();
    let mut malformed = 0_usize;
    for (vmid, targets) in all {
        for (target, entry) in targets {
            match entry_of(&vmid, &target, entry) {
                Some(target) => state.targets.push(target),
                None => malformed = malformed.saturating_add(1),
            }
        }
    }
    state
        .targets
        .sort_by(|a, b| (a.vmid, &a.target).cmp(&(b.vmid, &b.target)));
    Ok((state, malformed))
}

fn entry_of(vmid: &str, target: &str, entry: serde_json::Value) -> Option<ReplicationTargetState> {
    let entry: Entry = serde_json::from_value(entry).ok()?;
    Some(ReplicationTargetState {
        vmid: vmid.parse().ok()?,
        // `local/NODE`, the only type there is.
        target: free_text::bounded(target.strip_prefix("local/").unwrap_or(target), ERROR_LIMIT),
        last_iteration_at: time(entry.last_iteration),
        last_try_at: time(entry.last_try),
        last_sync_at: time(entry.last_sync),
        failures: entry.fail_count.small().unwrap_or_default(),
        error: free_text::shortened(&entry.error.0, ERROR_LIMIT),
        duration_seconds: entry.duration.float().filter(|seconds| *seconds >= 0.0),
        pid: entry.pid.small(),
        start_ticks: entry.ptime.0.parse().ok(),
        last_node: free_text::bounded(&entry.last_node.0, ERROR_LIMIT),
        storages: entry
            .storeid_list
            .iter()
            .take(STORAGE_LIMIT)
            .map(|storage| free_text::bounded(&storage.0, ERROR_LIMIT))
            .collect(),
    })
}

/// PVE writes 0 for never.
fn time(figure: Figure) -> Option<Timestamp> {
    let seconds = i64::try_from(figure.whole().filter(|seconds| *seconds > 0)?).ok()?;
    seconds.checked_mul(1000).map(timestamp_from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    #[test]
    fn figures_and_errors_are_read() {
        let text = r#"{"101":{"local/pve2":{"last_iteration":1795349087,"last_try":"1795349080","last_sync":0,"fail_count":3,
            "error":"command 'x --password canary-x' failed","duration":2.5,"pid":77,"ptime":"4711","last_node":"pve1","storeid_list":["tank"]},
            "local/pve3":{}},"x":{"local/a":{}}}"#;
        let (state, malformed) = parse(text).unwrap();
        assert_eq!(malformed, 1);
        let [first, second] = state.targets.as_slice() else {
            panic!("{state:?}");
        };
        assert_eq!(
            (first.vmid, first.target.as_str(), first.failures),
            (101, "pve2", 3)
        );
        assert_eq!(first.last_try_at.unwrap().seconds, 1_795_349_080);
        assert_eq!((first.last_sync_at, first.start_ticks), (None, Some(4711)));
        assert_eq!(first.storages, ["tank"]);
        assert_eq!(
            (second.target.as_str(), second.duration_seconds),
            ("pve3", None)
        );
        assert!(!format!("{state:?}").contains("canary"));
    }

    #[test]
    fn none_is_no_data_and_a_cut_one_is_named() {
        let none = sample(&COLLECTOR, &[]);
        assert!(matches!(none.payload, Some(Payload::NoData(_))));
        let path = "var/lib/pve-manager/pve-replication-state.json";
        assert_eq!(kinds(&sample(&COLLECTOR, &[(path, "{}")])), []);
        let cut = sample(&COLLECTOR, &[(path, "{\"101\":{")]);
        assert_eq!(kinds(&cut), [FailureKind::Truncated]);
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\{?(\"(101|local/a|error|pid)\":|[{}\\[\\],:0-9\"a-z]){0,14}\\}?") {
            drop(parse(&text));
        }
    }
}
