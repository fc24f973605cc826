use std::{collections::BTreeMap, path::PathBuf};

use super::*;
use crate::{
    check::{Intended, Outcome, ProfileSeverities, Scope, testing::Scene},
    finding::{Category, Lane, Severity},
};

#[test]
fn ids_are_unique_and_found() {
    for check in CHECKS {
        assert_eq!(find(check.id).map(|found| found.id), Some(check.id));
        assert_eq!(
            CHECKS.iter().filter(|other| other.id == check.id).count(),
            1
        );
    }
    assert_eq!(CHECKS.len(), 50);
    assert!(find("no.such.check").is_none());
}

#[test]
fn every_check_says_what_to_do() {
    const CHANGES: [&str; 6] = [
        "pvesm set",
        "qm set",
        "pct set",
        "systemctl restart",
        "rm ",
        "--delete",
    ];
    for check in CHECKS {
        let remedy = &check.remediation;
        assert!(
            !check.title.is_empty() && !remedy.fix.is_empty(),
            "{}",
            check.id
        );
        assert!(
            !remedy.impact.is_empty() && !remedy.diagnose.is_empty(),
            "{}",
            check.id
        );
        for command in remedy.diagnose {
            assert!(
                !CHANGES.iter().any(|word| command.contains(word)),
                "{command}"
            );
        }
    }
}

#[test]
fn a_healthy_cluster_fails_nothing_and_is_known_throughout() {
    for result in Scene::healthy().run_all() {
        assert!(!result.verdicts.is_empty(), "{}", result.check.id);
        for verdict in &result.verdicts {
            let is_fine = matches!(verdict.outcome, Outcome::Pass | Outcome::NotApplicable(_));
            assert!(is_fine, "{}: {verdict:?}", result.check.id);
        }
    }
}

#[test]
fn nothing_passes_when_everything_is_old() {
    let mut scene = Scene::healthy();
    scene.at = scene
        .at
        .checked_add(jiff::SignedDuration::from_hours(1))
        .unwrap();
    scene.view.at = scene.at;
    for result in scene.run_all() {
        // The silence itself is what this one finds.
        if result.check.id == "observability.coordinator_heartbeat" {
            continue;
        }
        let mut unknown = 0;
        for verdict in &result.verdicts {
            let is_honest = matches!(
                verdict.outcome,
                Outcome::Unknown(_) | Outcome::NotApplicable(_)
            );
            assert!(is_honest, "{}: {verdict:?}", result.check.id);
            unknown += u32::from(matches!(verdict.outcome, Outcome::Unknown(_)));
        }
        // A check of directories that lie on the root file system by design.
        assert!(unknown > 0, "{}", result.check.id);
    }
}

#[test]
fn nothing_about_a_node_passes_while_its_agent_is_silent() {
    let mut scene = Scene::healthy();
    scene.silence(1, 4);
    let node = crate::view::Subject::Node(crate::view::NodeIndex(1));
    for result in scene.run_all() {
        // Its peers vouch for its membership.
        if result.check.id.starts_with("cluster.") {
            continue;
        }
        for verdict in result.of(node) {
            assert!(
                matches!(verdict.outcome, Outcome::Unknown(_)),
                "{}: {verdict:?}",
                result.check.id
            );
        }
    }
    assert_eq!(
        scene.judge("cluster.agent.stale_report", "node/pve2"),
        "warning"
    );
}

#[test]
fn nothing_passes_when_nothing_was_read() {
    let mut scene = Scene::healthy();
    scene.history = crate::history::History::default();
    let cluster = &mut scene.view.clusters[0];
    (cluster.corosync, cluster.memberships) = (None, Vec::new());
    (
        cluster.guest_list_at,
        cluster.guest_configs_at,
        cluster.storage_config_at,
    ) = (None, None, None);
    for node in &mut scene.view.nodes {
        node.agent = None;
        node.facts = crate::view::NodeFacts::default();
        node.status = crate::view::NodeStatus::Unknown;
        node.broadcast = None;
    }
    for guest in &mut scene.view.guests {
        guest.figures = crate::view::GuestFigures::default();
        guest.config = None;
    }
    for storage in &mut scene.view.storages {
        for on in &mut storage.nodes {
            on.status = crate::view::StorageStatus::Unknown;
            (on.total_bytes, on.used_bytes) = (None, None);
        }
    }
    for result in scene.run_all() {
        for verdict in &result.verdicts {
            let is_honest = matches!(
                verdict.outcome,
                Outcome::Unknown(_) | Outcome::NotApplicable(_)
            );
            assert!(is_honest, "{}: {verdict:?}", result.check.id);
        }
    }
}

/// The published catalogue, when it is at hand.
fn catalogue() -> Option<String> {
    let path = std::env::var_os("PVELENS_CHECKS_MD").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/checks.md"),
        PathBuf::from,
    );
    std::fs::read_to_string(path).ok()
}

#[test]
fn the_registry_is_what_the_catalogue_says() {
    let Some(text) = catalogue() else {
        // `tests/run` says that this is skipped; CI skips nothing.
        let in_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        assert!(
            !in_ci,
            "the catalogue is not at hand; set PVELENS_CHECKS_MD"
        );
        return;
    };
    let entries: BTreeMap<&str, &str> = text
        .split("\n### `")
        .skip(1)
        .filter_map(|entry| entry.split_once("`\n"))
        .collect();
    let rows: BTreeMap<&str, Vec<&str>> = text
        .lines()
        .skip_while(|line| !line.starts_with("| check | homelab"))
        .take_while(|line| line.starts_with('|'))
        .filter_map(|line| {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            Some((cells.get(1)?.trim_matches('`'), cells))
        })
        .collect();
    let floor: Vec<&str> = text
        .lines()
        .filter(|line| {
            [
                "- public exposure:",
                "- failing disks:",
                "- failed backups:",
                "- data at risk:",
            ]
            .iter()
            .any(|start| line.starts_with(start))
        })
        .flat_map(|line| line.split('`').skip(1).step_by(2))
        .collect();
    assert!(floor.len() > 30, "the floor was not found");
    let reads = |key: &str, id: &str| {
        let (key, id) = (format!("| `{key}"), format!("`{id}`"));
        let row = text.lines().find(|line| line.contains(&key));
        let checks = row.and_then(|row| row.split('|').nth(3));
        checks
            .unwrap_or_else(|| panic!("{key} was not found"))
            .contains(&id)
    };
    let inputs = crate::check::inputs::all().unwrap();
    for check in CHECKS {
        let id = check.id;
        let entry = entries
            .get(id)
            .unwrap_or_else(|| panic!("{id} is not in the catalogue"));
        let status: Vec<&str> = entry
            .lines()
            .next()
            .unwrap()
            .trim_matches('*')
            .split(" · ")
            .collect();
        let priority = format!("{:?}", inputs[id].priority);
        assert_eq!(status[0], priority, "{id}");
        assert_eq!(status[1], severity(check.severity), "{id}");
        assert_eq!(status[2], category(check.category), "{id}");
        assert_eq!(
            status[3].trim_end_matches(" (merge)"),
            scope(check.scope),
            "{id}"
        );
        assert_eq!(status[4], check.timing.class(), "{id}");
        assert_eq!(status[5], lane(check.lane), "{id}");
        let map = entry
            .lines()
            .find(|line| line.starts_with("- Map:"))
            .unwrap();
        let map = map.split(" · Ref").next().unwrap();
        let codes: Vec<&str> = map.split('`').skip(1).step_by(2).collect();
        assert_eq!(codes, check.mappings, "{id}");
        assert_eq!(check.floor, floor.contains(&id), "{id}");
        let has = |wanted: Intended| check.intents.contains(&wanted);
        assert_eq!(has(Intended::Off), reads("schedules.off", id), "{id}");
        assert_eq!(
            has(Intended::Rotated),
            reads("storages.rotated", id),
            "{id}"
        );
        // Rule G5 is about others, too.
        let mut intents = check.intents.iter();
        assert!(
            check.floor
                || !reads("maintenance.windows", id)
                || intents.any(|intended| matches!(intended, Intended::Maintenance(_))),
            "{id}"
        );
        assert_eq!(check.profile, rows.get(id).map(|cells| row(cells)), "{id}");
    }
}

fn row(cells: &[&str]) -> ProfileSeverities {
    let parse = |cell: &str| match cell {
        "info" => Some(Severity::Info),
        "warning" => Some(Severity::Warning),
        "critical" => Some(Severity::Critical),
        _ => None,
    };
    ProfileSeverities {
        homelab: parse(cells[2]),
        production: parse(cells[3]),
        strict: parse(cells[4]),
        hosting: parse(cells[5]),
    }
}

fn severity(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    }
}

fn category(category: Category) -> String {
    format!("{category:?}").to_lowercase()
}

fn scope(scope: Scope) -> String {
    format!("{scope:?}").to_lowercase()
}

fn lane(lane: Lane) -> String {
    format!("{lane:?}").to_lowercase()
}
