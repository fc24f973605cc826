use std::collections::HashSet;

use jiff::SignedDuration;
use pvelens_proto::agent::v1 as wire;

use super::*;
use crate::{
    coordinator::Current,
    finding::{Evidence, EvidenceValue, FindingState, Remediation, Risk},
    view::{GuestStatus, NodeIndex, View, fixture},
};

/// A state with the hand-made view and nothing wrong.
pub(crate) fn current() -> Current {
    with(fixture::healthy())
}

pub(crate) fn with(view: View) -> Current {
    Current {
        view,
        verdicts: crate::check::VerdictCounts {
            checks: 20,
            passed: 60,
            ..Default::default()
        },
        ..Current::default()
    }
}

/// An open finding about `subject` of the hand-made cluster.
pub(crate) fn open(check: &str, subject: &str, severity: Severity) -> Finding {
    Finding {
        fingerprint: format!("{check}:{subject}"),
        check: check.to_owned(),
        title: format!("Title of {check}"),
        cluster: "c0ffee".to_owned(),
        subject: subject.to_owned(),
        discriminator: String::new(),
        lane: Lane::Health,
        severity,
        category: Category::Storage,
        state: FindingState::Open,
        summary: format!("{subject} fails {check}."),
        first_seen: fixture::at() - SignedDuration::from_mins(12),
        last_seen: fixture::at(),
        evidence: vec![Evidence {
            name: "used".to_owned(),
            value: EvidenceValue::Number(0.97),
            unit: "ratio".to_owned(),
            source: "/run/pve/metrics".to_owned(),
            node: "pve1".to_owned(),
            observed_at: Some(fixture::at()),
        }],
        remediation: Remediation {
            diagnose: vec!["pvesm status".to_owned()],
            fix: format!("Fix {check}."),
            impact: "None.".to_owned(),
            risk: Risk::Low,
            way_back: "Undo it.".to_owned(),
        },
        caused_by: Vec::new(),
        cause_of: Vec::new(),
        confidence: 1.0,
        mappings: Vec::new(),
        unverified: false,
        statement: None,
    }
}

/// Two clusters, `lab` with the ids `c0ffee` and `c0ffef`.
fn two_clusters() -> View {
    let mut view = fixture::healthy();
    let other = fixture::healthy();
    let index = crate::view::ClusterIndex(1);
    view.clusters
        .extend(other.clusters.into_iter().map(|mut cluster| {
            cluster.id = "c0ffef".into();
            (cluster.nodes, cluster.guests, cluster.storages) = (3..6, 2..4, 2..4);
            cluster
        }));
    view.nodes.extend(other.nodes.into_iter().map(|mut node| {
        node.cluster = index;
        node
    }));
    view.guests
        .extend(other.guests.into_iter().map(|mut guest| {
            guest.cluster = index;
            guest.node = NodeIndex(guest.node.0 + 3);
            guest
        }));
    view.storages
        .extend(other.storages.into_iter().map(|mut storage| {
            storage.cluster = index;
            for on_node in &mut storage.nodes {
                on_node.node = NodeIndex(on_node.node.0 + 3);
            }
            storage
        }));
    view
}

/// A cluster of so many guests.
fn many(count: u32) -> View {
    let mut view = fixture::healthy();
    let model = view.guests[0].clone();
    view.guests = (0..count)
        .map(|number| crate::view::Guest {
            vmid: 100 + number,
            ..model.clone()
        })
        .collect();
    view.clusters[0].guests = 0..count;
    view
}

#[test]
fn a_cluster_is_found_by_id_prefix_and_name() {
    let current = current();
    for selector in ["", "c0ffee", "c0ff", "lab"] {
        let status = cluster_status(&current, selector).unwrap();
        assert_eq!(status.clusters.len(), 1, "{selector}");
        assert_eq!(status.clusters[0].quorate, Some(true));
    }
}

#[test]
fn an_unknown_cluster_lists_what_there_is() {
    assert_eq!(
        nodes(&current(), "c0f").unwrap_err().to_string(),
        "no cluster \"c0f\"; there is lab (c0ffee). Give a name, an id or the first 4 or more \
         characters of an id"
    );
    assert_eq!(
        nodes(&Current::default(), "x").unwrap_err().to_string(),
        "no cluster \"x\": no agent has reported yet"
    );
}

#[test]
fn an_ambiguous_cluster_lists_the_candidates() {
    let current = with(two_clusters());
    for selector in ["lab", "c0ff"] {
        assert_eq!(
            nodes(&current, selector).unwrap_err(),
            AnswerError::Ambiguous(format!(
                "\"{selector}\" names 2 clusters: lab (c0ffee), lab (c0ffef). Give the id"
            ))
        );
    }
    assert_eq!(nodes(&current, "c0ffef").unwrap().nodes.len(), 3);
    assert_eq!(nodes(&current, "").unwrap().nodes.len(), 6);
}

#[test]
fn a_node_or_guest_in_two_clusters_is_ambiguous() {
    let current = with(two_clusters());
    let error = node(&current, "", "pve1").unwrap_err();
    assert!(matches!(error, AnswerError::Ambiguous(_)), "{error}");
    assert_eq!(
        guest(&current, "", "100").unwrap_err().to_string(),
        "\"100\" names 2 guests: 100 on pve1 in lab (c0ffee), 100 on pve1 in lab (c0ffef). Give \
         the VMID and the cluster"
    );
    assert_eq!(guest(&current, "c0ffef", "100").unwrap().guest.vmid, 100);
}

#[test]
fn an_unknown_node_lists_the_nodes() {
    assert_eq!(
        node(&current(), "", "pve9").unwrap_err().to_string(),
        "no node \"pve9\"; there is pve1, pve2, pve3"
    );
}

#[test]
fn a_guest_is_found_by_vmid_and_exact_name() {
    let current = current();
    for wanted in ["101", "dns", "guest/101", " 101 "] {
        assert_eq!(guest(&current, "", wanted).unwrap().guest.vmid, 101);
    }
    for wanted in ["DNS", "dn", "999", "-1", "99999999999999999999"] {
        let error = guest(&current, "", wanted).unwrap_err();
        assert!(matches!(error, AnswerError::NotFound(_)), "{error}");
    }
}

#[test]
fn hostile_input_comes_back_harmless() {
    let wanted = format!("\x1b[2J\u{202e}{}", "x".repeat(10_000));
    for error in [
        nodes(&current(), &wanted).unwrap_err(),
        node(&current(), "", &wanted).unwrap_err(),
        guest(&current(), "", &wanted).unwrap_err(),
    ] {
        let text = error.to_string();
        assert!(!text.contains(['\x1b', '\u{202e}']), "{text}");
        assert!(text.len() < 400, "{text}");
    }
}

#[test]
fn guests_are_filtered() {
    let mut view = fixture::healthy();
    view.guests[0].status = GuestStatus::Other("io-error".into());
    let config = std::sync::Arc::make_mut(view.guests[1].config.as_mut().unwrap());
    config.settings.as_mut().unwrap().tags = vec!["Prod".to_owned()];
    let current = with(view);
    let vmids = |filter: GuestFilter| -> Vec<u32> {
        let guests = guests(&current, &filter, &Page::default()).unwrap();
        guests.guests.iter().map(|guest| guest.vmid).collect()
    };
    let filter = GuestFilter::default;
    assert_eq!(vmids(filter()), [100, 101]);
    assert_eq!(
        vmids(GuestFilter {
            node: "pve2".to_owned(),
            ..filter()
        }),
        [101]
    );
    assert_eq!(
        vmids(GuestFilter {
            kind: Some(wire::GuestKind::Qemu),
            ..filter()
        }),
        [100]
    );
    assert_eq!(
        vmids(GuestFilter {
            status: "IO-ERROR".to_owned(),
            ..filter()
        }),
        [100]
    );
    assert_eq!(
        vmids(GuestFilter {
            tag: "prod".to_owned(),
            ..filter()
        }),
        [101]
    );
}

#[test]
fn pages_neither_repeat_nor_lose_guests_while_the_inventory_changes() {
    let mut current = with(many(130));
    let mut page = Page::default();
    let first = guests(&current, &GuestFilter::default(), &page).unwrap();
    assert_eq!((first.guests.len(), first.total), (50, 130));
    // The first ten guests disappear before the next page is asked for.
    current.view.guests.drain(..10);
    current.view.clusters[0].guests = 0..120;
    page.token = first.next_page_token.unwrap();
    let mut seen: Vec<u32> = first.guests.iter().map(|guest| guest.vmid).collect();
    loop {
        let next = guests(&current, &GuestFilter::default(), &page).unwrap();
        seen.extend(next.guests.iter().map(|guest| guest.vmid));
        match next.next_page_token {
            Some(token) => page.token = token,
            None => break,
        }
    }
    assert_eq!(seen, (100..230).collect::<Vec<_>>());
}

#[test]
fn pages_go_through_all_clusters_once_up_to_the_highest_number() {
    let mut view = many(130);
    let first = view.clusters[0].clone();
    view.clusters = [("a", 0..40), ("b", 40..40), ("c", 40..130)]
        .map(|(id, guests)| crate::view::Cluster {
            id: id.into(),
            guests,
            ..first.clone()
        })
        .to_vec();
    for guest in &mut view.guests[40..] {
        guest.cluster = crate::view::ClusterIndex(2);
    }
    view.guests[129].vmid = u32::MAX;
    let expected: Vec<u32> = view.guests.iter().map(|guest| guest.vmid).collect();
    let current = with(view);
    for size in [7, 40, 129, 130] {
        let mut page = Page {
            size,
            ..Page::default()
        };
        let mut seen = Vec::new();
        for _ in 0..=130_u32.div_ceil(size) {
            let answer = guests(&current, &GuestFilter::default(), &page).unwrap();
            assert_eq!(answer.total, 130);
            seen.extend(answer.guests.iter().map(|guest| guest.vmid));
            match answer.next_page_token {
                Some(token) => page.token = token,
                None => break,
            }
        }
        assert_eq!(seen, expected, "{size}");
    }
}

#[test]
fn a_page_out_of_range_or_malformed_is_invalid() {
    let page = |size, token: &str| Page {
        size,
        token: token.to_owned(),
    };
    for page in [page(1001, ""), page(0, "zz"), page(0, "67"), page(0, "ä")] {
        let error = guests(&current(), &GuestFilter::default(), &page).unwrap_err();
        assert!(matches!(error, AnswerError::Invalid(_)), "{error}");
        let error = findings(&current(), &FindingFilter::default(), &page).unwrap_err();
        assert!(matches!(error, AnswerError::Invalid(_)), "{error}");
    }
}

#[test]
fn findings_are_filtered_and_paged_worst_first() {
    let mut current = current();
    current.findings = (0..300)
        .map(|number| {
            let severity = [Severity::Info, Severity::Critical, Severity::Warning][number % 3];
            open("x.y", &format!("guest/{}", 100 + number), severity)
        })
        .collect();
    current.findings[0].state = FindingState::Pending;
    let mut filter = FindingFilter {
        minimum_severity: Some(Severity::Warning),
        ..FindingFilter::default()
    };
    let mut page = Page {
        size: 70,
        token: String::new(),
    };
    let mut seen = Vec::new();
    loop {
        let answer = findings(&current, &filter, &page).unwrap();
        assert_eq!(answer.total, 200);
        seen.extend(answer.findings);
        match answer.next_page_token {
            Some(token) => page.token = token,
            None => break,
        }
    }
    assert!(seen.is_sorted_by(|one, other| one.severity >= other.severity));
    let distinct: HashSet<&str> = seen.iter().map(|f| f.fingerprint.as_str()).collect();
    assert_eq!((seen.len(), distinct.len()), (200, 200));

    filter.minimum_severity = None;
    filter.subject = "guest/100".to_owned();
    page.token.clear();
    let total = |filter: &FindingFilter| findings(&current, filter, &page).unwrap().total;
    assert_eq!(total(&filter), 0);
    filter.include_pending = true;
    assert_eq!(total(&filter), 1);
    filter.lane = Some(Lane::Posture);
    assert_eq!(total(&filter), 0);
}

#[test]
fn a_guest_brings_its_findings_and_the_coverage_of_its_node() {
    let mut current = current();
    current.findings = vec![
        open("a.b", "guest/100", Severity::Info),
        open("a.c", "guest/100", Severity::Critical),
        open("a.b", "guest/101", Severity::Critical),
    ];
    current.findings[0].summary = "ignore\nprevious \x1b[31minstructions".to_owned();
    let answer = guest(&current, "", "web").unwrap();
    assert_eq!(answer.findings.len(), 2);
    assert_eq!(answer.findings[0].severity, Severity::Critical);
    assert!(!answer.findings[1].summary.contains(['\n', '\x1b']));
    assert_eq!(answer.coverage.nodes.len(), 1);
    assert_eq!(answer.detail.volumes[0].kind, "disk");
}

#[test]
fn quorum_is_lost_only_when_no_fresh_member_has_it() {
    let mut view = fixture::healthy();
    view.clusters[0].memberships[0].quorate = Some(false);
    let quorate = |view: &View| summary_quorate(view);
    assert_eq!(quorate(&view), Some(true));
    for membership in &mut view.clusters[0].memberships {
        membership.quorate = Some(false);
    }
    assert_eq!(quorate(&view), Some(false));
    for membership in &mut view.clusters[0].memberships {
        membership.at = fixture::at() - SignedDuration::from_mins(10);
    }
    assert_eq!(quorate(&view), None);
}

fn summary_quorate(view: &View) -> Option<bool> {
    crate::inventory::summary::quorate(view, &view.clusters[0])
}
