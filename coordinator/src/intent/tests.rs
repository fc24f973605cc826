use std::time::Duration;

use pvelens_proto::agent::v1 as wire;

use super::*;
use crate::{
    check::{CheckVerdicts, Failure, Outcome, Verdict, find, testing::Scene},
    finding::{Finding, FindingState, lifecycle::Lifecycle},
    view::{GuestIndex, NodeIndex, NodeStatus, fixture},
};

fn objects(names: &[&str]) -> Vec<Object> {
    names.iter().map(|name| name.parse().unwrap()).collect()
}

/// In effect from an hour ago for so many hours from now.
pub(super) fn said(what: What, about: &[&str], hours: i64) -> Statement {
    Statement {
        id: "0a1b2c3d".to_owned(),
        what,
        cluster: String::new(),
        objects: objects(about),
        author: "anna (uid 1000)".to_owned(),
        on_behalf_of: String::new(),
        reason: "it is known".to_owned(),
        from: fixture::at() - SignedDuration::from_hours(1),
        until: Some(fixture::at() + SignedDuration::from_hours(hours)),
    }
}

fn acknowledged(check: &str) -> What {
    What::Acknowledged {
        check: check.to_owned(),
        fingerprint: String::new(),
    }
}

fn suppressed(check: &str) -> What {
    What::Suppressed {
        check: check.to_owned(),
        fingerprint: String::new(),
    }
}

/// The failure of a check for an object of the hand-made cluster, carried on.
struct Run {
    scene: Scene,
    lifecycle: Lifecycle,
    check: &'static Check,
    subject: Subject,
}

impl Run {
    fn of(check: &str, subject: &str, statements: Vec<Statement>) -> Self {
        let mut scene = Scene::healthy();
        scene.intent.statements = statements.into_iter().map(Arc::new).collect();
        let cluster = crate::view::ClusterIndex(0);
        let subject = scene.view.find_subject(cluster, subject).unwrap();
        Self {
            scene,
            lifecycle: Lifecycle::default(),
            check: find(check).unwrap(),
            subject,
        }
    }

    /// So many minutes after the instant of the view.
    fn at(&mut self, minutes: i64, outcome: Outcome) -> Option<Finding> {
        let input = crate::check::Input {
            at: self.scene.at + SignedDuration::from_mins(minutes),
            ..self.scene.input()
        };
        let results = [CheckVerdicts {
            check: self.check,
            verdicts: vec![Verdict {
                subject: self.subject,
                outcome,
            }],
        }];
        self.lifecycle.update(&input, &results).pop()
    }

    fn fail(&mut self, minutes: i64) -> Finding {
        let failure = Failure {
            severity: Severity::Critical,
            lane: None,
            discriminator: String::new(),
            summary: "It is broken.".to_owned(),
            evidence: Vec::new(),
            confidence: 1.0,
            hold: Some(Duration::ZERO),
            instead: None,
        };
        self.at(minutes, Outcome::Fail(Box::new(failure))).unwrap()
    }

    /// Fails until it is open.
    fn open(&mut self) -> Finding {
        self.fail(-10);
        self.fail(0)
    }
}

#[test]
fn what_is_acknowledged_is_shown_with_who_and_why_and_what_ends_is_as_before() {
    let known = said(acknowledged("storage.pool.inactive"), &["storage/nas"], 1);
    let mut run = Run::of("storage.pool.inactive", "storage/nas", vec![known]);
    let finding = run.open();
    assert_eq!(finding.state, FindingState::Acknowledged);
    assert_eq!(finding.severity, Severity::Critical);
    let stated = finding.statement.unwrap();
    assert_eq!(
        (&*stated.id, &*stated.author),
        ("0a1b2c3d", "anna (uid 1000)")
    );
    assert_eq!(stated.severity_without, None);
    assert_eq!(run.fail(59).state, FindingState::Acknowledged);
    let finding = run.fail(60);
    assert_eq!(finding.state, FindingState::Open);
    assert!(finding.statement.is_none());
    assert_eq!(
        finding.first_seen,
        fixture::at() - SignedDuration::from_mins(10)
    );
}

#[test]
fn what_begins_later_or_is_about_others_changes_nothing() {
    let check = "storage.pool.inactive";
    let later = Statement {
        from: fixture::at() + SignedDuration::from_mins(30),
        ..said(suppressed(check), &["*"], 9)
    };
    let elsewhere = Statement {
        cluster: "other".to_owned(),
        ..said(suppressed(check), &["*"], 9)
    };
    let one = |fingerprint: &str| What::Suppressed {
        check: check.to_owned(),
        fingerprint: fingerprint.to_owned(),
    };
    let statements = vec![
        later,
        elsewhere,
        said(suppressed(check), &["storage/local", "node/pve1"], 9),
        said(suppressed("storage.pool.space"), &["*"], 9),
        said(one("ffff"), &["storage/nas"], 9),
    ];
    let mut run = Run::of(check, "storage/nas", statements);
    let finding = run.open();
    assert_eq!(finding.state, FindingState::Open);
    assert_eq!(run.fail(30).state, FindingState::Suppressed);
    // Of one finding alone.
    let meant = said(one(&finding.fingerprint), &["storage/nas"], 9);
    let mut run = Run::of(check, "storage/nas", vec![meant]);
    assert_eq!(run.open().state, FindingState::Suppressed);
}

#[test]
fn nothing_hides_or_lowers_a_finding_of_the_floor() {
    let check = "guest.state.io_error";
    let statements = || {
        vec![
            said(What::Maintenance, &["*"], 9),
            said(suppressed(check), &["*"], 9),
        ]
    };
    let mut run = Run::of(check, "guest/100", statements());
    let finding = run.open();
    assert_eq!(finding.state, FindingState::Open);
    assert_eq!(finding.severity, Severity::Critical);
    assert!(finding.statement.is_none());
    // Somebody may know of it.
    let mut statements = statements();
    statements.push(said(acknowledged(check), &["tag/lab", "*"], 9));
    let mut run = Run::of(check, "guest/100", statements);
    let finding = run.open();
    assert_eq!(finding.state, FindingState::Acknowledged);
    assert_eq!(finding.severity, Severity::Critical);
    for check in crate::check::CHECKS.iter().filter(|check| check.floor) {
        let year = fixture::at() + SignedDuration::from_hours(1);
        assert!(
            may_suppress(check, fixture::at(), year).is_err(),
            "{}",
            check.id
        );
        assert!(check.intents.is_empty(), "{}", check.id);
    }
}

#[test]
fn maintenance_lowers_what_is_about_availability_and_nothing_else() {
    let window = || said(What::Maintenance, &["node/pve2"], 1);
    let mut run = Run::of("cluster.node.offline", "node/pve2", vec![window()]);
    let finding = run.open();
    assert_eq!(finding.state, FindingState::Open);
    assert_eq!(finding.severity, Severity::Info);
    let stated = finding.statement.unwrap();
    assert_eq!(stated.kind, StatementKind::Maintenance);
    assert_eq!(stated.severity_without, Some(Severity::Critical));
    assert_eq!(run.fail(60).severity, Severity::Critical);
    for (check, subject) in [
        ("cluster.node.offline", "node/pve1"),
        ("node.rootfs.space", "node/pve2"),
        ("node.mem.oom_kill", "node/pve2"),
    ] {
        let mut run = Run::of(check, subject, vec![window()]);
        assert_eq!(run.open().severity, Severity::Critical, "{check}");
    }
    // Both at once: lowered by one, and somebody knows of it.
    let statements = vec![
        window(),
        said(acknowledged("cluster.node.offline"), &["node/pve2"], 2),
    ];
    let mut run = Run::of("cluster.node.offline", "node/pve2", statements);
    let finding = run.open();
    assert_eq!(
        (finding.state, finding.severity),
        (FindingState::Acknowledged, Severity::Info)
    );
}

#[test]
fn what_follows_for_the_cluster_is_explained_when_all_that_miss_are_named() {
    let lost = |named: &[&str]| {
        let window = said(What::Maintenance, named, 1);
        let mut run = Run::of("cluster.quorum.lost", "cluster", vec![window]);
        for node in [0, 1] {
            run.scene.node(node).status = NodeStatus::Offline;
        }
        run.open().severity
    };
    assert_eq!(lost(&["node/pve1"]), Severity::Critical);
    assert_eq!(lost(&["node/pve1", "node/pve3"]), Severity::Critical);
    // A cluster without quorum is never only information.
    assert_eq!(lost(&["node/pve1", "node/pve2"]), Severity::Warning);
    assert_eq!(lost(&["cluster"]), Severity::Warning);
    let window = said(What::Maintenance, &["storage/nas"], 1);
    let explains = |subject, part: &str| {
        let scene = Scene::healthy();
        object::explain(&window.objects, &scene.view, subject, part)
    };
    let node = Subject::Node(NodeIndex(0));
    assert!(explains(node, "/mnt/pve/nas") && !explains(node, "/mnt/pve/other"));
}

#[test]
fn what_is_off_on_purpose_does_not_fail() {
    let off = |calendar: &str| What::Off {
        calendar: calendar.parse().unwrap(),
        grace_minutes: 0,
    };
    let judge = |what: What, about: &str| {
        let mut scene = Scene::healthy();
        scene.node(1).status = NodeStatus::Offline;
        for membership in &mut scene.view.clusters[0].memberships {
            membership.online.retain(|node| node.get() != 1);
            membership.offline = vec![NodeIndex(1)];
        }
        scene.intent.statements = vec![Arc::new(said(what, &[about], 9))];
        scene.judge("cluster.node.offline", "node/pve2")
    };
    let fails = judge(off("always"), "node/pve1");
    assert!(fails.contains("critical"), "{fails}");
    let off_now = judge(off("always"), "node/pve2");
    assert_eq!(off_now, "not applicable");
    // The hand-made instant is a Wednesday.
    assert_eq!(judge(off("thu"), "node/pve2"), fails);
    assert_eq!(judge(off("wed"), "node/pve2"), off_now);
}

#[test]
fn a_rotated_storage_is_missed_when_it_is_away_for_too_long() {
    let rotated = || said(What::Rotated { every_days: 14 }, &["storage/nas"], 24 * 90);
    let mut run = Run::of("storage.pool.inactive", "storage/nas", vec![rotated()]);
    assert_eq!(run.open().severity, Severity::Info);
    let day = 24 * 60;
    assert_eq!(run.fail(13 * day).severity, Severity::Info);
    let finding = run.fail(14 * day);
    assert_eq!(finding.severity, Severity::Critical);
    assert!(finding.statement.is_none());
}

#[test]
fn an_event_that_somebody_knows_of_is_dealt_with() {
    let known = said(acknowledged("node.mem.oom_kill"), &["node/pve1"], 9);
    let mut run = Run::of("node.mem.oom_kill", "node/pve1", vec![known]);
    assert_eq!(run.open().state, FindingState::Acknowledged);
    assert!(run.at(1, Outcome::Pass).is_none());
    let mut run = Run::of("node.mem.oom_kill", "node/pve1", Vec::new());
    run.open();
    assert!(run.at(1, Outcome::Pass).is_some());
}

#[test]
fn guests_are_chosen_by_tag_and_by_pool() {
    let mut scene = Scene::healthy();
    scene.settings(0).tags = vec!["web".to_owned(), "lab-3".to_owned()];
    scene.node(0).facts.access_config = fixture::fact(wire::AccessConfig {
        user_config: Some(wire::UserConfig {
            pools: vec![wire::GuestPool {
                id: "customers/a".to_owned(),
                vmids: vec![100],
                storages: Vec::new(),
            }],
            ..wire::UserConfig::default()
        }),
        ..wire::AccessConfig::default()
    });
    let has = |object: &str| {
        let object: Object = object.parse().unwrap();
        object.has(&scene.view, Subject::Guest(GuestIndex(0)))
    };
    for object in [
        "*",
        "guest/100",
        "tag/web",
        "tag/WEB",
        "pool/customers",
        "pool/customers/a",
    ] {
        assert!(has(object), "{object}");
    }
    for object in [
        "guest/101",
        "tag/we",
        "tag/lab",
        "pool/customers/b",
        "pool/cust",
        "node/pve1",
        "cluster",
    ] {
        assert!(!has(object), "{object}");
    }
    for text in [
        "",
        "web",
        "guest/x",
        "node/",
        "node/a b",
        "shelf/3",
        "storage/@pve1",
        "tag/a\u{1b}[31m",
        &format!("node/{}", "x".repeat(200)),
    ] {
        assert!(text.parse::<Object>().is_err(), "{text}");
    }
}

#[test]
fn own_tags_and_statements_say_what_needs_no_backup() {
    let mut scene = Scene::healthy();
    scene.settings(1).tags = vec!["ci".to_owned()];
    let guest = scene.view.guests[1].clone();
    let needs_none = |scene: &Scene| scene.intent.needs_no_backup(&scene.view, &guest, scene.at);
    assert!(!needs_none(&scene));
    scene
        .intent
        .tags
        .set(Meaning::NoBackup, objects(&["tag/ci"]));
    assert!(needs_none(&scene));
    scene.intent = Intent::default();
    scene.intent.statements = vec![Arc::new(said(What::NoBackup, &["tag/ci"], 1))];
    assert!(needs_none(&scene));
    // The tag by its own name does not count any more where others are named.
    scene.settings(1).tags = vec!["no-backup".to_owned()];
    scene.intent = Intent::default();
    let guest = scene.view.guests[1].clone();
    assert!(scene.intent.needs_no_backup(&scene.view, &guest, scene.at));
    scene
        .intent
        .tags
        .set(Meaning::NoBackup, objects(&["tag/ci"]));
    assert!(!scene.intent.needs_no_backup(&scene.view, &guest, scene.at));
}
