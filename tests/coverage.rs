//! Every fact that a check needs is collected, and shown by a tree that was read as
//! the agent reads.

#![cfg(test)]
use std::{collections::BTreeSet, fs, path::PathBuf};

use pvelens::check::inputs::Priority;
use pvelens_tests::coverage::{Coverage, SANDBOXED};

/// Facts of P0 checks that no test system can have, so that their values are in a
/// composed tree only: how they begin, and why.
const COMPOSED: &[(&str, &str)] = &[
    ("blocked_tasks.processes", "nothing waits there"),
    ("bonds.", "the kernel of the test systems has no bonding"),
    (
        "container_filesystems.",
        "the probe is off unless enabled; what it sees of real mounts: agent/tests/containers.rs",
    ),
    ("disk_health.disks.", "its disks are virtual"),
    ("hardware_errors.", "it has no EDAC, pstore or SCSI disks"),
    ("host_files.journal.", "its journal has just begun"),
    (
        "kernels.flags.",
        "the command line of the machine is not recorded",
    ),
    ("lvm.", "it has no device-mapper"),
    ("memory.arc.", "it has no ZFS"),
    (
        "network_links.links.vlan_filtering",
        "its bridges have no VLANs",
    ),
    ("network_mounts.", "it mounts nothing of others"),
    (
        "storage_config.storages.nodes",
        "its storages are those of the simulated node",
    ),
    (
        "time_sync.time_zone",
        "a recording keeps files, not the link that names the zone",
    ),
    ("zfs_pools.", "it has no ZFS"),
];

/// What no tree of files can hold, and which test shows it instead.
const LIVE_ONLY: &[(&str, &str)] = &[
    ("guest_monitors", "sockets: agent/tests/guest_sockets.rs"),
    ("guest_agents", "sockets: agent/tests/guest_sockets.rs"),
    (
        "sensors",
        "read past the tree: agent/src/collector/sensor.rs",
    ),
];

fn is_live_only(fact: &str) -> bool {
    let payload = fact.split('.').next();
    LIVE_ONLY.iter().any(|(name, _)| payload == Some(*name))
}

/// Ids of the catalogue with their priority, when it is at hand.
fn catalogue() -> Option<BTreeSet<(String, String)>> {
    let path = std::env::var_os("PVELENS_CHECKS_MD").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/checks.md"),
        PathBuf::from,
    );
    let text = fs::read_to_string(path).ok()?;
    let entries = text.split("\n### `").skip(1);
    let entries = entries.filter_map(|entry| {
        let (id, rest) = entry.split_once("`\n")?;
        let priority = rest.trim_start_matches('*').split(' ').next()?;
        Some((id.to_owned(), priority.to_owned()))
    });
    Some(entries.filter(|(_, priority)| priority != "P2").collect())
}

#[test]
fn every_check_of_the_first_two_priorities_has_its_inputs() {
    let Some(catalogue) = catalogue() else {
        // `tests/run` says that this is skipped; CI skips nothing.
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(
            !in_ci,
            "the catalogue is not at hand; set PVELENS_CHECKS_MD"
        );
        return;
    };
    assert!(catalogue.len() > 300);
    let coverage = Coverage::measure().unwrap();
    let rows: BTreeSet<(String, String)> = coverage
        .checks
        .iter()
        .map(|(id, inputs)| (id.clone(), format!("{:?}", inputs.priority)))
        .collect();
    assert_eq!(rows, catalogue);
}

#[test]
fn every_fact_is_of_the_wire_and_has_a_collector() {
    let coverage = Coverage::measure().unwrap();
    let mut missing = Vec::new();
    for (id, inputs) in &coverage.checks {
        for fact in &inputs.facts {
            if !coverage.exists(fact) {
                missing.push(format!("{id}: {fact} is no field of the wire"));
            } else if !is_live_only(fact) && coverage.collector(fact).is_none() {
                missing.push(format!("{id}: nobody collects {fact}"));
            } else if !is_live_only(fact) && coverage.trees(fact).next().is_none() {
                missing.push(format!("{id}: no tree shows {fact}"));
            }
        }
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn facts_of_the_first_priority_are_seen_from_the_sandbox_or_through_a_probe() {
    let coverage = Coverage::measure().unwrap();
    let mut unseen = BTreeSet::new();
    for (_, inputs) in coverage
        .checks
        .iter()
        .filter(|(_, inputs)| inputs.priority == Priority::P0)
    {
        for fact in &inputs.facts {
            let is_seen = coverage.trees(fact).any(|tree| SANDBOXED.contains(&tree));
            if !is_seen && !is_live_only(fact) {
                unseen.insert(fact.as_str());
            }
        }
    }
    for (beginning, reason) in COMPOSED {
        let before = unseen.len();
        // They are shown by the composed tree all the same: see above.
        unseen.retain(|fact| !fact.starts_with(beginning));
        assert!(
            unseen.len() < before,
            "{beginning} is seen: not so that {reason}"
        );
    }
    assert_eq!(unseen, BTreeSet::new());
}
