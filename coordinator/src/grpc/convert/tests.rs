//! A filled answer loses nothing on its way into a message.

use pvelens_proto::v1 as message;
use serde::Serialize;
use serde_json::Value;

use super::*;
use crate::{
    analysis::Depth,
    answer,
    check::VerdictCounts,
    finding::lifecycle::recheck::{Outcome, Rechecked},
    grpc::Role,
    inventory::{
        ClusterSummary, DiskSummary, FilesystemSummary, InterfaceSummary, NodeDetail,
        StorageOnNodeSummary, StorageSummary,
    },
    live::{KeptUpdates, Transport},
    log::{Level, LevelState},
    report::{AnalysisKind, HealthState, KeptFor, Report, Section},
};

mod filled;
mod guest_command;
mod history;
mod intent;

use filled::{Unique, coverage, findings, guest, guest_detail, node, set_aside};

/// Every leaf of the JSON must occur in what `Debug` shows of the message: words
/// of enumerations by their name, instants by their seconds.
fn assert_complete(answer: &impl Serialize, message: &impl std::fmt::Debug) {
    let shown = format!("{message:?}").to_lowercase();
    let mut trues = 0;
    walk(&serde_json::to_value(answer).unwrap(), &mut |leaf| {
        let wanted = match leaf {
            Value::Bool(true) => {
                trues += 1;
                return;
            }
            Value::String(text) => match text.parse::<Timestamp>() {
                Ok(at) => format!("seconds: {}", at.as_second()),
                Err(_) => text.replace('_', "").to_lowercase(),
            },
            Value::Number(number) => number.to_string(),
            other => panic!("{other} is not filled"),
        };
        assert!(shown.contains(&wanted), "{wanted} is missing in {shown}");
    });
    assert_eq!(shown.matches("true").count(), trues, "{shown}");
    assert!(!shown.contains("none"), "{shown}");
}

fn walk(value: &Value, leaf: &mut impl FnMut(&Value)) {
    match value {
        Value::Array(items) => {
            assert!(!items.is_empty());
            items.iter().for_each(|item| walk(item, leaf));
        }
        Value::Object(fields) => fields.values().for_each(|field| walk(field, leaf)),
        other => leaf(other),
    }
}

/// The answer as a message, which must be as rich as its JSON.
fn check<A: Render + Clone, M: Carries<A> + std::fmt::Debug>(answer: A) {
    assert_complete(&answer, &M::structured(answer.clone()));
}

#[test]
fn clusters_nodes_and_storages_are_complete() {
    let u = &mut Unique::default();
    check::<_, message::GetClusterStatusResponse>(answer::ClusterStatus {
        clusters: vec![ClusterSummary {
            id: u.text(),
            name: u.text(),
            standalone: true,
            quorate: Some(true),
            nodes_total: u.number(),
            nodes_online: u.number(),
            guests_total: u.number(),
            guests_running: u.number(),
            storages_total: u.number(),
            profile: u.text(),
            profile_origin: u.text(),
            critical_findings: u.number(),
            warning_findings: u.number(),
        }],
        coverage: coverage(u),
    });
    check::<_, message::ListNodesResponse>(answer::Nodes {
        nodes: vec![node(u), node(u)],
        coverage: coverage(u),
    });
    check::<_, message::GetNodeResponse>(answer::Node {
        node: node(u),
        detail: NodeDetail {
            disks: vec![DiskSummary {
                name: u.text(),
                model: u.text(),
                size_bytes: Some(u.big()),
                read_bytes_per_second: Some(u.ratio()),
                write_bytes_per_second: Some(u.ratio()),
                read_latency_seconds: Some(u.ratio()),
                write_latency_seconds: Some(u.ratio()),
                busy_ratio: Some(u.ratio()),
            }],
            interfaces: vec![InterfaceSummary {
                name: u.text(),
                kind: u.text(),
                operational_state: u.text(),
                received_bytes_per_second: Some(u.ratio()),
                transmitted_bytes_per_second: Some(u.ratio()),
                speed_megabits_per_second: Some(u.number()),
                errors_total: u.big(),
            }],
            filesystems: vec![FilesystemSummary {
                mount_point: u.text(),
                filesystem_type: u.text(),
                read_only: true,
                total_bytes: Some(u.big()),
                used_bytes: Some(u.big()),
            }],
        },
        coverage: coverage(u),
    });
    check::<_, message::ListStoragesResponse>(answer::Storages {
        storages: vec![StorageSummary {
            cluster: u.text(),
            name: u.text(),
            storage_type: u.text(),
            shared: true,
            disabled: true,
            content: vec![u.text(), u.text()],
            nodes: vec![StorageOnNodeSummary {
                node: u.text(),
                status: "inactive".to_owned(),
                figures_at: Some(u.time()),
                total_bytes: Some(u.big()),
                used_bytes: Some(u.big()),
            }],
        }],
        coverage: coverage(u),
    });
}

#[test]
fn guests_and_agents_are_complete() {
    let u = &mut Unique::default();
    check::<_, message::ListGuestsResponse>(answer::Guests {
        guests: vec![guest(u), guest(u)],
        total: u.number(),
        next_page_token: Some(u.text()),
        coverage: coverage(u),
    });
    check::<_, message::GetGuestResponse>(answer::Guest {
        guest: guest(u),
        detail: guest_detail(u),
        findings: findings(u),
        coverage: coverage(u),
    });
    check::<_, message::ListAgentsResponse>(answer::Agents {
        agents: vec![AgentSummary {
            cluster: u.text(),
            node: u.text(),
            version: u.text(),
            is_pve_node: true,
            connected: true,
            last_update: Some(u.time()),
            clock_offset_seconds: Some(u.ratio()),
            updates_total: u.big(),
            skipped_updates_total: u.big(),
            last_error: u.text(),
            address: u.text(),
            audit_sequence: Some(u.big()),
            audit_problem: u.text(),
            transport: Transport::Link,
            certificate_expires: Some(u.time()),
            kept_updates: vec![KeptUpdates {
                epoch: u.text(),
                ranges: vec![(u.big(), u.big())],
                given_up_ranges_total: u.big(),
            }],
            repeated_updates_total: u.big(),
            throttled_seconds_total: u.ratio(),
            identity_problem: u.text(),
        }],
    });
}

#[test]
fn findings_and_reports_are_complete() {
    let u = &mut Unique::default();
    check::<_, message::ListFindingsResponse>(answer::Findings {
        findings: findings(u),
        total: u.number(),
        next_page_token: Some(u.text()),
        set_aside: Some(set_aside(u)),
        coverage: coverage(u),
    });
    let report = Report {
        kind: AnalysisKind::ClusterHealth,
        depth: Depth::Full,
        at: u.time(),
        state: HealthState::Critical,
        headline: u.text(),
        profiles: vec![u.text()],
        sections: vec![Section {
            title: u.text(),
            source: u.text(),
            lines: vec![u.text(), u.text()],
        }],
        findings: findings(u),
        coverage: coverage(u),
        verdicts: VerdictCounts {
            checks: u.number(),
            passed: u.number(),
            failed: u.number(),
            unknown: u.number(),
            not_applicable: u.number(),
        },
        duration_milliseconds: u.number(),
        set_aside: Some(set_aside(u)),
        kept: Some(KeptFor {
            asked_at: u.time(),
            is_outdated: true,
            notes: vec![u.text(), u.text()],
        }),
    };
    check::<_, message::Report>(report.clone());
    let then = message::GetAnalysisResponse::rendered("the text".to_owned(), report.clone());
    assert_eq!(then.rendered, "the text");
    assert!(then.report.unwrap().kept.unwrap().is_outdated);
    let rendered = message::Report::rendered("the text".to_owned(), report.clone());
    assert_eq!(rendered.rendered, "the text");
    assert_eq!(rendered.state(), message::HealthState::Critical);
    assert_eq!(rendered.headline, report.headline);
    assert!(rendered.findings.is_empty() && rendered.coverage.is_none());
}

#[test]
fn rechecks_access_and_log_levels_are_complete() {
    let u = &mut Unique::default();
    let outcomes = [
        Outcome::Resolved,
        Outcome::Recovering,
        Outcome::Event,
        Outcome::NotReadSince,
        Outcome::Unknown,
        Outcome::Failing,
    ];
    let answer = answer::Recheck {
        findings: outcomes
            .into_iter()
            .zip(findings(u).into_iter().cycle())
            .map(|(outcome, finding)| Rechecked { outcome, finding })
            .collect(),
        resolved: u.number(),
        failing: u.number(),
        undecided: u.number(),
        coverage: coverage(u),
    };
    let rendered = message::RecheckResponse::rendered("the text".to_owned(), answer.clone());
    assert_eq!(
        (rendered.failing_total, rendered.undecided_total),
        (answer.failing, answer.undecided)
    );
    for (sent, told) in message::RecheckResponse::structured(answer.clone())
        .findings
        .iter()
        .zip(outcomes)
    {
        assert_eq!(sent.outcome(), message::RecheckOutcome::from(told));
    }
    check::<_, message::GetAccessResponse>(answer::Access {
        role: Role::Operator,
        methods: vec![u.text(), u.text()],
        version: u.text(),
        started_at: u.time(),
    });
    let state = LevelState {
        level: Level::Trace,
        configured: Level::Warn,
        reverts_at: Some(u.time()),
    };
    check::<_, message::GetLogLevelResponse>(state.clone());
    check::<_, message::SetLogLevelResponse>(state);
}

#[test]
fn instants_before_the_epoch_keep_their_order() {
    let at = Timestamp::new(-2, -250_000_000).unwrap();
    let sent = timestamp(at);
    assert_eq!((sent.seconds, sent.nanos), (-3, 750_000_000));
}
