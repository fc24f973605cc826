//! How high availability is doing, from the status files of its managers.
//!
//! The master writes `manager_status` and each node's own manager `lrm_status`,
//! every few seconds (`pve-ha-manager@src/PVE/HA/{Manager,LRM}.pm`). The
//! command queue next to them is never opened. A field that a later version
//! writes is skipped.

use std::collections::BTreeMap;

use pvelens_proto::{
    Timestamp,
    agent::v1::{
        CollectionClass, HaDisarm, HaLocalManager, HaNodeState, HaServiceState, HaState, Watchdog,
    },
    timestamp_from_millis,
};
use serde::Deserialize;
use serde_json::Value;

use super::{
    CollectError, Collector, FILE_DEADLINE, PMXCFS_FILE_LIMIT, Payload, Reading, STATE, pmxcfs,
    section_file::{self, bound, short},
};
use crate::format::{
    FormatError,
    figure::{Figure, Word},
};

const MANAGER: &str = "/etc/pve/ha/manager_status";
const WATCHDOG_CLIENT: &str = "/run/watchdog-mux.active";
const WATCHDOGS: &str = "/sys/class/watchdog";
/// A node has one or two.
const WATCHDOG_LIMIT: usize = 16;
/// Services and nodes of a cluster.
const ENTRY_LIMIT: usize = 10_000;
/// A cluster has at most some dozens.
const NODE_LIMIT: usize = 256;

pub(super) const COLLECTOR: Collector = Collector {
    name: "ha_state",
    summary: "state of high availability and of its watchdog",
    class: CollectionClass::State,
    interval: STATE,
    deadline: FILE_DEADLINE,
    paths: &[
        MANAGER,
        "/etc/pve/nodes/*/lrm_status",
        WATCHDOG_CLIENT,
        "/sys/class/watchdog/*/identity",
        "/sys/class/watchdog/*/state",
        "/sys/class/watchdog/*/timeout",
    ],
    probes: &[],
    collect,
};

#[derive(Deserialize)]
struct Manager {
    #[serde(default)]
    master_node: Word,
    #[serde(default)]
    timestamp: Figure,
    #[serde(default)]
    node_status: BTreeMap<String, Word>,
    #[serde(default)]
    service_status: BTreeMap<String, Service>,
    #[serde(default)]
    node_request: Value,
    #[serde(default)]
    disarm: Value,
}

#[derive(Deserialize)]
struct Service {
    #[serde(default)]
    state: Word,
    #[serde(default)]
    node: Word,
    #[serde(default)]
    target: Word,
    #[serde(default)]
    uid: Word,
    #[serde(default)]
    running: Figure,
    #[serde(default)]
    failed_nodes: Value,
    #[serde(default)]
    maintenance_node: Word,
}

#[derive(Deserialize)]
struct Local {
    state: Word,
    #[serde(default)]
    mode: Word,
    #[serde(default)]
    timestamp: Figure,
    #[serde(default)]
    results: Value,
}

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let mut nodes = section_file::nodes(reading)?;
    bound(reading, "/etc/pve/nodes", &mut nodes, NODE_LIMIT);
    let mut state = reading
        .read_optional(MANAGER, PMXCFS_FILE_LIMIT)
        .and_then(|text| reading.keep(manager(&text).map_err(|error| error.at(MANAGER))))
        .unwrap_or_default();
    bound(reading, MANAGER, &mut state.services, ENTRY_LIMIT);
    bound(reading, MANAGER, &mut state.nodes, ENTRY_LIMIT);
    for node in nodes {
        let path = format!("/etc/pve/nodes/{node}/lrm_status");
        // A node that never ran the manager has none.
        if let Some(text) = reading.read_optional(&path, PMXCFS_FILE_LIMIT) {
            let local = local(&node, &text).map_err(|error| error.at(&path));
            state.local_managers.extend(reading.keep(local));
        }
    }
    state.watchdog_active = reading.exists(WATCHDOG_CLIENT);
    state.watchdogs = watchdogs(reading);
    Ok(Payload::HaState(state))
}

fn manager(text: &str) -> Result<HaState, FormatError> {
    let manager: Manager =
        serde_json::from_str(text).map_err(|error| pmxcfs::json_error(&error))?;
    let requests = manager.node_request;
    Ok(HaState {
        master_node: short(&manager.master_node.0),
        master_at: seconds(manager.timestamp),
        nodes: manager
            .node_status
            .into_iter()
            .map(|(name, state)| HaNodeState {
                state: short(&state.0),
                maintenance_requested: requests
                    .get(&name)
                    .and_then(|request| request.get("maintenance"))
                    .is_some_and(|wanted| figure(wanted).flag()),
                name: short(&name),
            })
            .collect(),
        services: manager
            .service_status
            .into_iter()
            .map(|(sid, service)| HaServiceState {
                sid: short(&sid),
                state: short(&service.state.0),
                node: short(&service.node.0),
                target: short(&service.target.0),
                uid: short(&service.uid.0),
                running: service.running.flag(),
                failed_nodes: service
                    .failed_nodes
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter_map(Value::as_str)
                    .take(NODE_LIMIT)
                    .map(short)
                    .collect(),
                maintenance_node: short(&service.maintenance_node.0),
            })
            .collect(),
        disarm: disarm(&manager.disarm),
        ..HaState::default()
    })
}

fn disarm(value: &Value) -> Option<HaDisarm> {
    let text = |key| short(value.get(key).and_then(Value::as_str).unwrap_or_default());
    value.is_object().then(|| HaDisarm {
        state: text("state"),
        mode: text("mode"),
    })
}

/// A figure whose type is not certain; absent when it is none.
fn figure(value: &Value) -> Figure {
    Figure::deserialize(value).unwrap_or_default()
}

fn local(node: &str, text: &str) -> Result<HaLocalManager, FormatError> {
    let local: Local = serde_json::from_str(text).map_err(|error| pmxcfs::json_error(&error))?;
    Ok(HaLocalManager {
        node: short(node),
        state: short(&local.state.0),
        mode: short(&local.mode.0),
        written_at: seconds(local.timestamp),
        result_count: u32::try_from(local.results.as_object().map_or(0, serde_json::Map::len))
            .unwrap_or(u32::MAX),
    })
}

fn watchdogs(reading: &mut Reading<'_>) -> Vec<Watchdog> {
    let mut names = match reading.list(WATCHDOGS) {
        // The kernel has no driver loaded.
        Err(error) if error.is_not_found() => Vec::new(),
        result => reading.keep(result).unwrap_or_default(),
    };
    bound(reading, WATCHDOGS, &mut names, WATCHDOG_LIMIT);
    names
        .iter()
        .map(|name| {
            let path = |file: &str| format!("{WATCHDOGS}/{name}/{file}");
            Watchdog {
                name: short(name),
                identity: reading.read_word(&path("identity")).unwrap_or_default(),
                state: reading.read_word(&path("state")).unwrap_or_default(),
                timeout_seconds: reading.read_number(&path("timeout")),
            }
        })
        .collect()
}

fn seconds(figure: Figure) -> Option<Timestamp> {
    let seconds = i64::try_from(figure.whole()?).ok()?;
    seconds.checked_mul(1000).map(timestamp_from_millis)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pvelens_proto::agent::v1::FailureKind;

    use super::*;
    use crate::collector::tests::{kinds, sample};

    const STATUS: &str = r#"{"master_node":"b","timestamp":1795349091,"node_status":{"b":"online","a":"maintenance"},
        "node_request":{"a":{"maintenance":1}},"disarm":{"state":"disarming","mode":"freeze"},
        "service_status":{"vm:102":{"state":"migrate","node":"a","target":"b","uid":"u","running":"1","failed_nodes":["c"],"maintenance_node":"a","cmd":["x"]},
        "ct:110":{"state":"started","node":"b","uid":"v"}}}"#;

    #[test]
    fn nodes_and_services_are_read_as_the_master_sees_them() {
        let state = manager(STATUS).unwrap();
        assert_eq!(state.master_node, "b");
        assert_eq!(state.master_at.unwrap().seconds, 1_795_349_091);
        assert!(state.nodes[0].maintenance_requested && !state.nodes[1].maintenance_requested);
        let vm = &state.services[1];
        assert_eq!((vm.target.as_str(), vm.running), ("b", true));
        assert_eq!(vm.failed_nodes, ["c"]);
        assert!(!state.services[0].running);
        assert_eq!(state.disarm.unwrap().state, "disarming");
    }

    #[test]
    fn what_a_later_version_writes_otherwise_costs_only_itself() {
        let state = manager(
            r#"{"master_node":"a","disarm":1,"node_request":[],"service_status":{"vm:1":{"state":"started","failed_nodes":null}}}"#,
        )
        .unwrap();
        assert_eq!((state.disarm, state.services.len()), (None, 1));
        let local = local("a", r#"{"state":"active","results":[]}"#).unwrap();
        assert_eq!(local.result_count, 0);
    }

    #[test]
    fn each_node_says_how_its_own_manager_does() {
        let sweep = sample(
            &COLLECTOR,
            &[
                ("etc/pve/ha/manager_status", STATUS),
                (
                    "etc/pve/nodes/a/lrm_status",
                    r#"{"timestamp":5,"mode":"maintenance","state":"active","results":{"u":{"exit_code":0}}}"#,
                ),
                ("etc/pve/nodes/b/lrm_status", "{\"state\":"),
                ("run/watchdog-mux.active/", ""),
                (
                    "sys/class/watchdog/watchdog0/identity",
                    "Software Watchdog\n",
                ),
                ("sys/class/watchdog/watchdog0/timeout", "10\n"),
            ],
        );
        assert_eq!(kinds(&sweep), [FailureKind::Truncated]);
        assert_eq!(sweep.failures[0].path, "/etc/pve/nodes/b/lrm_status");
        let Some(Payload::HaState(state)) = sweep.payload else {
            panic!("{sweep:?}");
        };
        let [local] = state.local_managers.as_slice() else {
            panic!("{state:?}");
        };
        assert_eq!(
            (local.mode.as_str(), local.result_count),
            ("maintenance", 1)
        );
        assert!(state.watchdog_active);
        assert_eq!(state.watchdogs[0].timeout_seconds, Some(10));
    }

    #[test]
    fn a_node_that_never_used_it_has_an_empty_state() {
        let sweep = sample(&COLLECTOR, &[("etc/pve/nodes/a/host.fw", "")]);
        assert_eq!(kinds(&sweep), []);
        assert_eq!(sweep.payload, Some(Payload::HaState(HaState::default())));
    }

    proptest! {
        #[test]
        fn any_text_parses_or_fails(text in "\\{?(\"(master_node|timestamp|node_status|service_status|state|results)\":|[{}\\[\\],:0-9\"a-z]){0,12}\\}?") {
            drop((manager(&text), local("a", &text)));
        }
    }
}
