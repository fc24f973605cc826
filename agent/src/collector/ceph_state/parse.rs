//! The JSON of `ceph status`, `health detail`, `df` and `versions`
//! (`ceph@src/mon/Monitor.cc`, `ceph@src/mon/PGMap.cc`). Keys come and go with
//! releases: what is missing stays empty.

use pvelens_proto::agent::v1::{
    CephDaemonVersion, CephHealthCheck, CephMetadataRank, CephPlacementGroupState, CephPool,
    CephState,
};
use serde_json::Value;

use super::{cut, find};
use crate::format::{
    FormatError,
    free_text::bounded,
    loose::{decimal, list, number, short, small, text},
};

const CHECK_LIMIT: usize = 100;
const POOL_LIMIT: usize = 1_000;
const VERSION_LIMIT: usize = 200;
/// Monitors, metadata servers, flags.
const LIST_LIMIT: usize = 100;
/// Combinations of states that placement groups are in.
const STATE_LIMIT: usize = 200;
const SUMMARY_LIMIT: usize = 300;
const DETAIL_LIMIT: usize = 200;
/// Lines of detail of one check.
const DETAILS: usize = 5;

const FLAGS: &str = "OSDMAP_FLAGS";

/// `ceph status`, and whether something of it is left out.
pub(super) fn status(document: &Value) -> Result<(CephState, bool), FormatError> {
    let part = |key: &str| document.get(key).unwrap_or(&Value::Null);
    let (health, osds, groups) = (part("health"), part("osdmap"), part("pgmap"));
    if !health.is_object() {
        return Err(FormatError::malformed("no health in the status"));
    }
    let (managers, servers) = (part("mgrmap"), part("fsmap"));
    let mut state = CephState {
        fsid: text(document, "fsid"),
        health_status: text(health, "status"),
        checks: checks(health),
        quorum_names: words(list(document, "quorum_names")),
        monitors: small(part("monmap"), "num_mons"),
        osds_total: small(osds, "num_osds"),
        osds_up: small(osds, "num_up_osds"),
        osds_in: small(osds, "num_in_osds"),
        placement_group_states: list(groups, "pgs_by_state")
            .iter()
            .map(|row| CephPlacementGroupState {
                state: text(row, "state_name"),
                count: number(row, "count").unwrap_or_default(),
            })
            .collect(),
        placement_groups: number(groups, "num_pgs"),
        objects: number(groups, "num_objects"),
        used_bytes: number(groups, "bytes_used"),
        available_bytes: number(groups, "bytes_avail"),
        total_bytes: number(groups, "bytes_total"),
        degraded_ratio: decimal(groups, "degraded_ratio"),
        misplaced_ratio: decimal(groups, "misplaced_ratio"),
        unfound_ratio: decimal(groups, "unfound_ratio"),
        manager_available: managers.get("available").and_then(Value::as_bool),
        manager_standbys: small(managers, "num_standbys"),
        metadata_ranks: list(servers, "by_rank").iter().map(rank).collect(),
        metadata_standbys: small(servers, "up:standby"),
        ..CephState::default()
    };
    state.osdmap_flags = flags(&mut state.checks);
    let is_cut = [
        cut(&mut state.checks, CHECK_LIMIT),
        cut(&mut state.placement_group_states, STATE_LIMIT),
        cut(&mut state.metadata_ranks, LIST_LIMIT),
        cut(&mut state.quorum_names, LIST_LIMIT),
    ];
    Ok((state, is_cut.contains(&true)))
}

fn words(list: &[Value]) -> Vec<String> {
    list.iter().filter_map(Value::as_str).map(short).collect()
}

fn rank(row: &Value) -> CephMetadataRank {
    CephMetadataRank {
        filesystem_id: number(row, "filesystem_id").unwrap_or_default(),
        rank: number(row, "rank").unwrap_or_default(),
        name: text(row, "name"),
        status: text(row, "status"),
    }
}

/// By code, which is how `serde_json` keeps them.
fn checks(health: &Value) -> Vec<CephHealthCheck> {
    let checks = health.get("checks").and_then(Value::as_object);
    let mut checks: Vec<CephHealthCheck> = checks
        .into_iter()
        .flatten()
        .map(|(code, check)| {
            let summary = check.get("summary").unwrap_or(&Value::Null);
            CephHealthCheck {
                code: short(code),
                severity: text(check, "severity"),
                summary: message(summary, SUMMARY_LIMIT),
                is_muted: check.get("muted").and_then(Value::as_bool) == Some(true),
                count: number(summary, "count"),
                details: Vec::new(),
            }
        })
        .collect();
    checks.sort_by(|a, b| a.code.cmp(&b.code));
    checks
}

fn message(object: &Value, limit: usize) -> String {
    let message = object.get("message").and_then(Value::as_str);
    bounded(message.unwrap_or_default(), limit)
}

/// `noout,norebalance flag(s) set` (`ceph@src/osd/OSDMap.cc`, `check_health`).
fn flags(checks: &mut [CephHealthCheck]) -> Vec<String> {
    let Some(check) = find(checks, FLAGS) else {
        return Vec::new();
    };
    check
        .summary
        .split_once(" flag")
        .map_or("", |(flags, _)| flags)
        .split(',')
        .map(str::trim)
        .filter(|flag| !flag.is_empty() && !flag.contains(' '))
        .take(LIST_LIMIT)
        .map(str::to_owned)
        .collect()
}

/// Adds to the checks what `ceph health detail` says about them.
pub(super) fn details(
    document: &Value,
    checks: &mut [CephHealthCheck],
) -> Result<bool, FormatError> {
    let all = document.get("checks").and_then(Value::as_object);
    let all = all.ok_or_else(|| FormatError::malformed("no checks in the detail"))?;
    for (code, found) in all {
        // A check that came up since the status is in the next one.
        if let Some(check) = find(checks, code) {
            let lines = list(found, "detail").iter().take(DETAILS);
            check.details = lines.map(|line| message(line, DETAIL_LIMIT)).collect();
        }
    }
    Ok(false)
}

/// `ceph df`.
pub(super) fn pools(document: &Value, pools: &mut Vec<CephPool>) -> Result<bool, FormatError> {
    if document.get("pools").is_none() {
        return Err(FormatError::malformed("no pools in the space"));
    }
    pools.extend(list(document, "pools").iter().filter_map(pool));
    pools.sort_by_key(|pool| pool.id);
    Ok(cut(pools, POOL_LIMIT))
}

fn pool(row: &Value) -> Option<CephPool> {
    let space = row.get("stats").unwrap_or(&Value::Null);
    Some(CephPool {
        id: number(row, "id")?,
        name: text(row, "name"),
        stored_bytes: number(space, "stored"),
        used_bytes: number(space, "bytes_used"),
        available_bytes: number(space, "max_avail"),
        // A part of 1, whatever its name says.
        used_ratio: decimal(space, "percent_used"),
        objects: number(space, "objects"),
        ..CephPool::default()
    })
}

/// `{"mon":{"ceph version 19.2.3-pve1 (COMMIT) squid (stable)":3},"overall":…}`.
pub(super) fn versions(
    document: &Value,
    versions: &mut Vec<CephDaemonVersion>,
) -> Result<bool, FormatError> {
    let kinds = document
        .as_object()
        .ok_or_else(|| FormatError::malformed("no versions"))?;
    for (kind, counts) in kinds {
        // The sum of the others.
        if kind == "overall" {
            continue;
        }
        for (name, count) in counts.as_object().into_iter().flatten() {
            let count = count.as_u64().and_then(|count| count.try_into().ok());
            versions.push(version(kind, name, count.unwrap_or_default()));
            if versions.len() > VERSION_LIMIT {
                return Ok(cut(versions, VERSION_LIMIT));
            }
        }
    }
    Ok(false)
}

fn version(kind: &str, name: &str, daemons: u32) -> CephDaemonVersion {
    let mut words = name
        .strip_prefix("ceph version ")
        .unwrap_or(name)
        .split(' ');
    let mut next = || short(words.next().unwrap_or_default());
    let (version, commit, release) = (next(), next(), next());
    CephDaemonVersion {
        daemon_type: short(kind),
        version,
        release,
        commit: commit.trim_matches(['(', ')']).to_owned(),
        daemons,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn flags_come_from_their_check() {
        let health = |message: &str| {
            let checks = json!({FLAGS: {"severity": "HEALTH_WARN", "summary": {"message": message, "count": 2}, "muted": true}});
            let document = json!({"health": {"status": "HEALTH_WARN", "checks": checks}});
            status(&document).unwrap().0
        };
        let state = health("noout,pauserd flag(s) set");
        assert_eq!(state.osdmap_flags, ["noout", "pauserd"]);
        assert!(state.checks[0].is_muted);
        assert_eq!(state.checks[0].count, Some(2));
        assert_eq!(health("something else").osdmap_flags, [""; 0]);
    }

    #[test]
    fn details_are_bounded_and_go_to_their_check() {
        let mut checks = vec![CephHealthCheck {
            code: "OSD_DOWN".to_owned(),
            ..CephHealthCheck::default()
        }];
        let line = json!({"message": format!("osd.0\n{}", "x".repeat(1000))});
        let lines: Vec<_> = std::iter::repeat_n(line, 9).collect();
        let document = json!({"checks": {"OSD_DOWN": {"detail": lines}, "NEW": {"detail": lines}}});
        details(&document, &mut checks).unwrap();
        assert_eq!(checks.len(), 1);
        assert_eq!(checks[0].details.len(), 5);
        assert!(
            checks[0]
                .details
                .iter()
                .all(|line| line.chars().count() == 200)
        );
    }

    #[test]
    fn versions_are_taken_apart() {
        let name = "ceph version 19.2.3-pve1 (2f03f1cd) squid (stable)";
        let document =
            json!({"mon": {name: 3}, "mds": {}, "osd": {"strange": 1}, "overall": {name: 3}});
        let mut found = Vec::new();
        versions(&document, &mut found).unwrap();
        let [mon, osd] = found.as_slice() else {
            panic!("{found:?}");
        };
        assert_eq!(
            (mon.version.as_str(), mon.commit.as_str()),
            ("19.2.3-pve1", "2f03f1cd")
        );
        assert_eq!((mon.release.as_str(), mon.daemons), ("squid", 3));
        assert_eq!(
            (osd.version.as_str(), osd.release.as_str()),
            ("strange", "")
        );
    }

    #[test]
    fn more_than_is_kept_is_told() {
        let rows: Vec<_> = (0..2_000).map(|id| json!({"id": id})).collect();
        let mut found = Vec::new();
        assert!(pools(&json!({ "pools": rows }), &mut found).unwrap());
        assert_eq!(found.len(), POOL_LIMIT);
        pools(&json!({}), &mut found).unwrap_err();
    }

    proptest! {
        #[test]
        fn any_document_parses_or_fails(
            key in "health|osdmap|pgmap|checks|pools|mon|quorum_names|fsmap",
            value in "\\{\\}|\\[\\{\\}\\]|\\[1\\]|-1|\"\\\\n\"|\\{\"checks\":\\{\"A\":1\\}\\}|\\{\"by_rank\":[1]\\}|1e400",
        ) {
            if let Ok(document) = serde_json::from_str(&format!("{{\"{key}\":{value}}}")) {
                let mut checks = vec![CephHealthCheck::default()];
                drop(status(&document));
                drop(details(&document, &mut checks));
                drop(pools(&document, &mut Vec::new()));
                drop(versions(&document, &mut Vec::new()));
            }
        }
    }
}
