use jiff::SignedDuration;

use super::*;
use crate::{
    answer::{
        AnswerError,
        tests::{current, open, with},
    },
    coordinator::Current,
    finding::{FindingState, Lane, Severity},
    report::{HealthState, Report},
    view::fixture,
};

fn report(current: &Current) -> Report {
    cluster_health(current, &Scope::default(), Depth::Summary).unwrap()
}

fn lines<'r>(report: &'r Report, title: &str) -> &'r [String] {
    report
        .sections
        .iter()
        .find(|section| section.title == title)
        .map_or(&[], |section| &section.lines)
}

#[test]
fn the_state_is_the_worst_open_health_finding() {
    let mut current = current();
    assert_eq!(report(&current).state, HealthState::Healthy);
    current.findings = vec![open("a.b", "guest/100", Severity::Info)];
    assert_eq!(report(&current).state, HealthState::Healthy);
    current
        .findings
        .push(open("a.c", "node/pve1", Severity::Warning));
    assert_eq!(report(&current).state, HealthState::Warning);
    current
        .findings
        .push(open("a.d", "node/pve1", Severity::Critical));
    assert_eq!(report(&current).state, HealthState::Critical);
    current.findings[2].state = FindingState::Pending;
    assert_eq!(report(&current).state, HealthState::Warning);
    current.findings[1].lane = Lane::Posture;
    let report = report(&current);
    assert_eq!(report.state, HealthState::Healthy);
    assert_eq!(
        lines(&report, "Advice"),
        ["1 point on hardening and hygiene, nothing urgent: `pvelens findings`"]
    );
    assert!(lines(&report, "What is wrong")[1].contains("only just begun"));
}

#[test]
fn nothing_seen_is_unknown_and_never_healthy() {
    let report_of = |current: &Current| {
        let report = report(current);
        assert_eq!(report.state, HealthState::Unknown);
        report.headline
    };
    assert_eq!(
        report_of(&Current::default()),
        "the datacenter cannot be judged; no agent has reported yet."
    );
    let unchecked = Current {
        view: fixture::healthy(),
        ..Current::default()
    };
    assert_eq!(
        report_of(&unchecked),
        "lab cannot be judged; no check could be evaluated."
    );
    let mut old = current();
    old.view.at += SignedDuration::from_mins(12);
    assert_eq!(
        report_of(&old),
        "lab cannot be judged; the newest data of lab was read 12 min ago."
    );
    let mut silent = current();
    for node in &mut silent.view.nodes[1..] {
        node.agent.as_mut().unwrap().last_update_at -= SignedDuration::from_mins(5);
    }
    assert_eq!(
        report_of(&silent),
        "lab cannot be judged; 2 of 3 nodes send nothing."
    );
}

#[test]
fn old_data_does_not_hide_what_was_open() {
    let mut current = current();
    current.view.at += SignedDuration::from_mins(12);
    current.findings = vec![open("a.b", "guest/100", Severity::Critical)];
    current.findings[0].unverified = true;
    let report = report(&current);
    assert_eq!(report.state, HealthState::Critical);
    assert!(
        report.headline.contains("12 min ago"),
        "{}",
        report.headline
    );
    assert!(lines(&report, "What is wrong")[0].ends_with("(not confirmed, its data is old)"));
    assert!(lines(&report, "Cluster and nodes")[1].contains("data from 12 min ago"));
}

#[test]
fn lost_quorum_is_said_before_its_finding_opens() {
    let mut view = fixture::healthy();
    for membership in &mut view.clusters[0].memberships {
        membership.quorate = Some(false);
    }
    let report = report(&with(view));
    assert_eq!(report.state, HealthState::Critical);
    assert_eq!(report.headline, "lab has LOST QUORUM.");
    assert!(lines(&report, "Cluster and nodes")[0].contains("NO QUORUM"));
}

#[test]
fn several_clusters_are_spoken_of_in_the_plural() {
    let mut view = fixture::healthy();
    let mut second = view.clusters[0].clone();
    second.id = "other".into();
    second.nodes = 0..0;
    second.guests = 0..0;
    second.storages = 0..0;
    view.clusters.push(second);
    let mut current = with(view);
    current.findings = vec![open("a.b", "guest/100", Severity::Warning)];
    let headline = report(&current).headline;
    assert!(
        headline.starts_with("2 clusters have 1 warning finding;"),
        "{headline}"
    );
}

#[test]
fn one_line_per_check_over_many_objects() {
    let mut current = current();
    current.findings = (0..12)
        .map(|number| {
            let mut finding = open(
                "guest.disk.x",
                &format!("guest/{}", 112 - number),
                Severity::Warning,
            );
            finding.title = "Disk cache is unsafe".to_owned();
            finding
        })
        .collect();
    let report = report(&current);
    assert_eq!(
        lines(&report, "What is wrong"),
        ["warning: 12 guests: disk cache is unsafe (101, 102, 103, 104, 105, 106 and 6 more)"]
    );
    assert_eq!(
        lines(&report, "Do first"),
        ["1. 12 guests, first guest 101 (dns): Fix guest.disk.x."]
    );
}

#[test]
fn places_of_one_object_are_listed() {
    let mut current = current();
    current.findings = ["sda", "sdb"]
        .map(|disk| {
            let mut finding = open("disk.x", "node/pve1", Severity::Warning);
            finding.discriminator = disk.to_owned();
            finding.fingerprint.push_str(disk);
            finding
        })
        .to_vec();
    assert_eq!(
        lines(&report(&current), "What is wrong"),
        ["warning: node pve1, 2 places: title of disk.x (sda, sdb)"]
    );
}

#[test]
fn causes_come_first_with_their_consequences_folded_under_them() {
    let mut current = current();
    let mut consequence = open("b.symptom", "node/pve2", Severity::Critical);
    consequence.caused_by = vec!["a.cause:cluster".to_owned()];
    let mut second = open("c.symptom", "guest/101", Severity::Warning);
    second.caused_by = vec![consequence.fingerprint.clone()];
    current.findings = vec![
        consequence,
        second,
        open("z.other", "node/pve3", Severity::Warning),
        open("a.cause", "cluster", Severity::Warning),
    ];
    let report = report(&current);
    assert_eq!(
        lines(&report, "What is wrong"),
        [
            "warning: cluster fails a.cause (since 09:34)",
            "  leads to 2 more: title of b.symptom (pve2); title of c.symptom (101)",
            "warning: node/pve3 fails z.other (since 09:34)",
        ]
    );
    assert_eq!(lines(&report, "Do first").len(), 2);
}

#[test]
fn a_circle_of_causes_hides_nothing() {
    let mut current = current();
    let mut one = open("a.one", "node/pve1", Severity::Critical);
    let mut other = open("b.other", "node/pve1", Severity::Critical);
    one.caused_by = vec![other.fingerprint.clone()];
    other.caused_by = vec![one.fingerprint.clone()];
    current.findings = vec![one, other];
    assert_eq!(lines(&report(&current), "What is wrong").len(), 2);
}

#[test]
fn a_scope_narrows_findings_and_coverage() {
    let mut view = fixture::healthy();
    let config = std::sync::Arc::make_mut(view.guests[1].config.as_mut().unwrap());
    config.settings.as_mut().unwrap().tags = vec!["prod".to_owned()];
    let mut current = with(view);
    current.findings = vec![
        open("a.cluster", "cluster", Severity::Critical),
        open("a.node", "node/pve2", Severity::Warning),
        open("a.storage", "storage/local@pve2", Severity::Warning),
        open("a.guest", "guest/101", Severity::Warning),
        open("a.guest", "guest/100", Severity::Warning),
    ];
    let subjects = |scope: Scope| -> Vec<String> {
        let report = cluster_health(&current, &scope, Depth::Summary).unwrap();
        report
            .findings
            .into_iter()
            .map(|finding| finding.subject)
            .collect()
    };
    let none = Scope::default;
    assert_eq!(
        subjects(Scope {
            node: "pve2".to_owned(),
            ..none()
        }),
        ["guest/101", "node/pve2", "storage/local@pve2"]
    );
    assert_eq!(
        subjects(Scope {
            guest: "web".to_owned(),
            ..none()
        }),
        ["guest/100"]
    );
    assert_eq!(
        subjects(Scope {
            tag: "prod".to_owned(),
            ..none()
        }),
        ["guest/101"]
    );
    assert_eq!(
        subjects(Scope {
            cluster: "lab".to_owned(),
            ..none()
        })
        .len(),
        5
    );
    let error = |scope: Scope| cluster_health(&current, &scope, Depth::Summary).unwrap_err();
    assert!(matches!(
        error(Scope {
            tag: "nope".to_owned(),
            ..none()
        }),
        AnswerError::NotFound(_)
    ));
    assert!(matches!(
        error(Scope {
            tag: "prod".to_owned(),
            node: "pve1".to_owned(),
            ..none()
        }),
        AnswerError::Invalid(_)
    ));
}
