//! What we read from the recordings of a real cluster, against what the API of
//! Proxmox VE, the tools on its nodes, QEMU and guest agents said at the same time.
//!
//! `tests/oracle/tolerances.toml` and the files beside it say for every value of
//! theirs what it is compared with and how close it must be, or why it is not. Run with
//! `--nocapture` to see how many values were compared.

#[path = "oracle/access.rs"]
mod access;
#[path = "oracle/account.rs"]
mod account;
#[path = "oracle/api.rs"]
mod api;
#[path = "oracle/compare.rs"]
mod compare;
#[path = "oracle/config.rs"]
mod config;
#[path = "oracle/context.rs"]
mod context;
#[path = "oracle/expected.rs"]
mod expected;
#[path = "oracle/facts.rs"]
mod facts;
#[path = "oracle/feed.rs"]
mod feed;
#[path = "oracle/figures.rs"]
mod figures;
#[path = "oracle/files.rs"]
mod files;
#[path = "oracle/guest.rs"]
mod guest;
#[path = "oracle/ha.rs"]
mod ha;
#[path = "oracle/inventory.rs"]
mod inventory;
#[path = "oracle/logs.rs"]
mod logs;
#[path = "oracle/merged.rs"]
mod merged;
#[path = "oracle/network.rs"]
mod network;
#[path = "oracle/outputs.rs"]
mod outputs;
#[path = "oracle/parts.rs"]
mod parts;
#[path = "oracle/past.rs"]
mod past;
#[path = "oracle/peers.rs"]
mod peers;
#[path = "oracle/recordings.rs"]
mod recordings;
#[path = "oracle/replay.rs"]
mod replay;
#[path = "oracle/storage.rs"]
mod storage;
#[path = "oracle/system.rs"]
mod system;
#[path = "oracle/table.rs"]
mod table;
#[path = "oracle/task.rs"]
mod task;
#[path = "oracle/tools.rs"]
mod tools;

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        path::{Path, PathBuf},
        process::Command,
        sync::{Arc, Once},
    };

    use jiff::SignedDuration;
    use pvelens::{
        analysis::{Depth, Scope, cluster_health},
        check::CHECKS,
        coordinator::{Coordinator, Current},
        finding::FindingState,
        render::{Style, render},
        view::NodeStatus,
    };
    use pvelens_agent::collector::COLLECTORS;
    use serde_json::Value;

    use crate::{
        account::Account,
        compare, expected, feed, figures, inventory, merged, past,
        recordings::{self, STATES},
        table::Table,
    };

    /// The archives, or `None` with a line that says so.
    fn archives() -> Option<PathBuf> {
        let folder = recordings::folder();
        if folder.is_dir() {
            return Some(folder);
        }
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(!in_ci, "no recordings at {}", folder.display());
        static SAID: Once = Once::new();
        SAID.call_once(|| {
            say(&format!(
                "SKIPPED oracle: no recordings at {}",
                folder.display()
            ))
        });
        None
    }

    #[expect(
        clippy::print_stderr,
        reason = "the report of this test, shown with --nocapture"
    )]
    fn say(text: &str) {
        eprintln!("{text}");
    }

    #[test]
    fn every_value_of_the_api_is_ours_or_accounted_for() {
        let Some(archives) = archives() else { return };
        let table = Table::load().unwrap();
        let mut account = Account::default();
        for name in STATES {
            let state = recordings::unpack(&archives, name).unwrap();
            let nodes = compare::collect(&state, &mut account).unwrap();
            figures::compare(&state, &nodes, &table, &mut account).unwrap();
            inventory::compare(&state, &nodes, &table, &mut account).unwrap();
            merged::compare(&state, &nodes, &table, &mut account).unwrap();
            compare::compare(&state, &nodes, &table, &mut account).unwrap();
        }
        say(&account.report(&table));
        for kind in table.kinds() {
            assert!(
                account.of(kind).compared > 0,
                "nothing was compared as {kind}"
            );
        }
        assert!(
            account.wrong.is_empty(),
            "{} values are wrong:\n{}",
            account.wrong.len(),
            account.wrong.join("\n")
        );
        let idle = table.idle_rows();
        assert!(
            idle.is_empty(),
            "rows of the table without use:\n{}",
            idle.join("\n")
        );
    }

    #[test]
    fn what_proxmox_ve_had_kept_is_what_we_measure() {
        let Some(archives) = archives() else { return };
        let (mut metrics, mut values, mut apart) = (BTreeSet::new(), 0, Vec::new());
        for name in STATES {
            let state = recordings::unpack(&archives, name).unwrap();
            let nodes = compare::collect(&state, &mut Account::default()).unwrap();
            let compared = past::compare(&state, &nodes).unwrap();
            metrics.extend(compared.metrics);
            values += compared.values;
            let of_state = compared.apart.into_iter();
            apart.extend(of_state.map(|line| format!("{name}: {line}")));
        }
        say(&format!("{values} imported values of {metrics:?} compared"));
        assert!(metrics.len() >= 10, "{metrics:?}");
        assert!(apart.is_empty(), "{}", apart.join("\n"));
    }

    /// Facts made wrong one by one, in what the first node of a state has at t0.
    const WRONG: &[(&str, &[(&str, &str)])] = &[
        (
            "g-backup-snapshot",
            &[
                ("/guest_configs/guests/1/settings/memory_bytes", "1"),
                ("/guest_configs/guests/0/pending/changed_keys", "[]"),
                ("/memory/total_bytes", "25276502017"),
                ("/cluster_members/cluster/quorate", "false"),
                ("/cluster_broadcast/guests", "[]"),
                ("/tasks/tasks", "[]"),
                ("/cluster_log/entries/0/message", "\"\""),
                ("/ha_state/master_node", "\"pve3\""),
                ("/ha_state/services/0/state", "\"error\""),
                ("/ha_state/local_managers/0/written_at", "0"),
                ("/interface_states/interfaces/1/mac_address", "\"\""),
                ("/units/units/1/active_state", "\"failed\""),
                ("/guest_monitors/guests/0/status", "\"paused\""),
                ("/guest_monitors/guests/0/devices/1/reads_total", "1"),
                ("/guest_agents/guests/0/operating_system/id", "\"\""),
                ("/guest_agents/guests/0/filesystems/filesystems", "[]"),
                ("/backups/last_backups/0/outcome", "\"\""),
                ("/corosync_state/quorum/total_votes", "9"),
            ],
        ),
        (
            "a-healthy",
            &[
                ("/tasks/tasks/2/error", "\"\""),
                ("/access_config/user_config/users/1/enabled", "false"),
                ("/access_config/user_config/rules/0/roles", "[\"NoAccess\"]"),
                ("/access_config/user_config/pools/0/vmids", "[]"),
                ("/firewall_configs/files/0/rules/1/enabled", "false"),
                ("/job_config/jobs/backups/0/schedule", "\"03:00\""),
                ("/datacenter_config/migration_type", "\"insecure\""),
                ("/ha_config/rules/0/nodes/0/priority", "3"),
                ("/host_files/interfaces/2/gateway", "\"\""),
                ("/host_files/resolver/search", "[]"),
                ("/certificates/files/1/certificate/not_after", "0"),
                ("/repositories/repositories/1/suites", "[\"bookworm\"]"),
            ],
        ),
    ];

    /// A comparison that could not fail would prove nothing.
    #[test]
    fn a_wrong_value_is_noticed() {
        let Some(archives) = archives() else { return };
        let table = Table::load().unwrap();
        for (name, facts) in WRONG {
            let state = recordings::unpack(&archives, name).unwrap();
            let mut nodes = compare::collect(&state, &mut Account::default()).unwrap();
            for (pointer, wrong) in *facts {
                let mut values = Value::Object(nodes[0].moments[0].values.clone());
                let before = values.pointer_mut(pointer);
                let before = before.unwrap_or_else(|| panic!("no {pointer}"));
                let right = std::mem::replace(before, wrong.parse().unwrap());
                nodes[0].moments[0].values = values.as_object().unwrap().clone();
                let mut account = Account::default();
                compare::compare(&state, &nodes, &table, &mut account).unwrap();
                assert!(!account.wrong.is_empty(), "{pointer}");
                *values.pointer_mut(pointer).unwrap() = right;
                nodes[0].moments[0].values = values.as_object().unwrap().clone();
            }
            let mut account = Account::default();
            compare::compare(&state, &nodes, &table, &mut account).unwrap();
            assert_eq!(account.wrong, Vec::<String>::new());
        }
    }

    /// `target/debug/pvelens-agent`, built if it is not there yet.
    fn agent_binary() -> PathBuf {
        let target = std::env::current_exe().unwrap();
        let folder = target.parent().and_then(Path::parent).unwrap();
        let binary = folder.join("pvelens-agent");
        if !binary.exists() {
            let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
            let built = Command::new(cargo)
                .args(["build", "--quiet", "--package", "pvelens-agent"])
                .status()
                .unwrap();
            assert!(built.success(), "building pvelens-agent");
        }
        binary
    }

    #[test]
    fn the_agent_program_reads_every_recorded_node_without_failure() {
        let Some(archives) = archives() else { return };
        let binary = agent_binary();
        let mut trees = 0;
        for name in STATES {
            let state = recordings::unpack(&archives, name).unwrap();
            for tree in state.nodes.iter().flat_map(|node| &node.trees) {
                let output = Command::new(&binary)
                    .args(["collect", "--once", "--output", "json", "--root"])
                    .arg(&tree.root)
                    .output()
                    .unwrap();
                let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
                let root = tree.root.display();
                let failures = printed["failures"].as_array().unwrap();
                let unexplained: Vec<_> = failures
                    .iter()
                    .filter(|failure| !tree.lacks(failure["path"].as_str().unwrap()))
                    .collect();
                assert_eq!(unexplained, Vec::<&Value>::new(), "{root}");
                let samples = printed["samples"].as_object().unwrap();
                assert_eq!(samples.len(), COLLECTORS.len(), "{root}");
                trees += 1;
            }
        }
        say(&format!("pvelens-agent collect --once: {trees} trees"));
        assert_eq!(trees, 18);
    }

    /// A coordinator that was fed both moments of a state, and the state at t1.
    fn fed(name: &str) -> Option<(Coordinator, Arc<Current>)> {
        let state = recordings::unpack(&archives()?, name).unwrap();
        let nodes = compare::collect(&state, &mut Account::default()).unwrap();
        Some(feed::feed(&state, &nodes).unwrap())
    }

    /// The health report as text, on one line for each line of the report.
    fn health(current: &Current) -> String {
        let report = cluster_health(current, &Scope::default(), Depth::Full).unwrap();
        render(&report, &Style::default())
    }

    #[test]
    fn lost_quorum_is_said_and_the_data_is_still_shown_with_its_age() {
        let Some((coordinator, current)) = fed("c-quorum-lost") else {
            return;
        };
        let text = health(&current);
        say(&text);
        let headline = text.lines().next().unwrap_or_default();
        assert!(headline.contains("CRITICAL"), "{text}");
        assert!(headline.to_lowercase().contains("lost quorum"), "{text}");
        // What the list of nodes says of one, whatever way the lines are broken.
        let (_, list) = text.split_once("Cluster and nodes").unwrap();
        let line = |node: &str| {
            let mut about = list.split("\n  pve").map(|about| format!("pve{about}"));
            let about = about.find(|about| about.starts_with(&format!("{node} ")));
            let about = about.unwrap();
            about.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(line("pve1").contains("online"), "{text}");
        for node in ["pve2", "pve3"] {
            assert!(!line(node).contains("online"), "{text}");
            assert!(line(node).contains("memory 22 %"), "{text}");
        }
        // The last broadcast of pve3 came 126 s before t1.
        assert!(line("pve3").contains("2 min ago"), "{text}");

        // Ten minutes later nothing new has come: nothing counts as known.
        let later = coordinator.evaluate(current.view.at + SignedDuration::from_mins(10));
        let text = health(&later);
        say(&text);
        assert!(!text.to_lowercase().contains("healthy"), "{text}");
        let words: Vec<&str> = text.split_whitespace().collect();
        assert!(words.join(" ").contains("data from 10 min ago"), "{text}");
        assert!(
            later
                .view
                .nodes
                .iter()
                .all(|node| node.status == NodeStatus::Unknown)
        );
    }

    #[test]
    fn what_fails_in_half_an_hour_is_what_is_wrong_there() {
        let Some(archives) = archives() else { return };
        for name in ["a-healthy", "c-quorum-lost"] {
            let state = recordings::unpack(&archives, name).unwrap();
            let nodes = compare::collect(&state, &mut Account::default()).unwrap();
            let half_an_hour = feed::feed_half_an_hour(&state, &nodes).unwrap();
            say(&health(&half_an_hour.current));
            let expected = expected::findings(name).unwrap();
            assert_eq!(half_an_hour.failed, expected, "{name}");
            let findings = &half_an_hour.current.findings;
            let open = findings
                .iter()
                .filter(|finding| finding.state == FindingState::Open)
                .map(|finding| (finding.check.clone(), finding.subject.clone()));
            assert_eq!(open.collect::<BTreeSet<_>>(), expected, "{name}");
            let verdicts = half_an_hour.current.verdicts;
            assert_eq!(usize::try_from(verdicts.checks), Ok(CHECKS.len()));
            assert!(verdicts.passed > 50, "{verdicts:?}");
        }
    }
}
