use pvelens_proto::v1 as message;

use super::*;
use crate::{
    answer::{
        analyses::{Analyses, AnalysisEntry},
        events::{EventEntry, Events},
        metrics::{Figures, MetricEntry, MetricList, MetricSeries, MetricValue, Metrics},
        revisions::{
            Configuration, ConfigurationChange, ConfigurationSetting, RevisionEntry, Revisions,
        },
    },
    chronicle::{self, EventKind, revision::author::Author},
    render::{
        events::Told,
        metrics::{Look, Shown},
    },
};

#[test]
fn values_and_metrics_are_complete() {
    let u = &mut Unique::default();
    let value = |u: &mut Unique| MetricValue {
        at: u.time(),
        minimum: u.ratio(),
        mean: u.ratio(),
        p95: u.ratio(),
        maximum: u.ratio(),
        last: u.ratio(),
    };
    check::<_, message::QueryMetricsResponse>(Shown {
        metrics: Metrics {
            from: u.time(),
            until: u.time(),
            step_seconds: u.number(),
            series: vec![MetricSeries {
                cluster: u.text(),
                subject: u.text(),
                metric: u.text(),
                unit: u.text(),
                part: u.text(),
                figures: Figures {
                    count: u.big(),
                    minimum: u.ratio(),
                    mean: u.ratio(),
                    p95: u.ratio(),
                    maximum: u.ratio(),
                    last: u.ratio(),
                    covered_ratio: u.ratio(),
                },
                values: vec![value(u), value(u)],
                is_imported: true,
                imported_until: Some(u.time()),
                imported_width_seconds: Some(u.number()),
                is_corrected: true,
            }],
            left_out: u.number(),
            notes: vec![u.text(), u.text()],
            coverage: coverage(u),
        },
        look: Look::default(),
    });
    check::<_, message::ListMetricsResponse>(MetricList {
        metrics: vec![MetricEntry {
            name: u.text(),
            unit: u.text(),
            title: u.text(),
            part: u.text(),
            subjects: Some(u.number()),
            parts: vec![u.text(), u.text()],
        }],
    });
}

#[test]
fn events_and_revisions_are_complete() {
    let u = &mut Unique::default();
    check::<_, message::ListEventsResponse>(Told {
        events: Events {
            from: u.time(),
            until: u.time(),
            events: vec![EventEntry {
                cluster: u.text(),
                subject: u.text(),
                at: u.time(),
                ended_at: Some(u.time()),
                kind: EventKind::Kernel,
                level: chronicle::Level::Warning,
                node: u.text(),
                text: u.text(),
                user: u.text(),
            }],
            older_left_out: true,
            notes: vec![u.text()],
            coverage: coverage(u),
        },
        is_timeline: false,
    });
    check::<_, message::ListRevisionsResponse>(Revisions {
        revisions: vec![RevisionEntry {
            cluster: u.text(),
            subject: u.text(),
            at: u.time(),
            not_before: Some(u.time()),
            is_new: true,
            is_gone: true,
            author: Author {
                users: vec![u.text(), u.text()],
                by: u.text(),
            },
            changes: vec![ConfigurationChange {
                setting: u.text(),
                before: Some(u.text()),
                after: Some(u.text()),
            }],
            changes_left_out: u.number(),
            is_read_anew: true,
            digest: u.text(),
        }],
        older_left_out: true,
        known_since: Some(u.time()),
        notes: vec![u.text()],
        coverage: coverage(u),
    });
    check::<_, message::GetConfigurationResponse>(Configuration {
        cluster: u.text(),
        subject: u.text(),
        at: u.time(),
        settings: vec![ConfigurationSetting {
            setting: u.text(),
            value: u.text(),
        }],
        is_absent: true,
        digest: u.text(),
        coverage: coverage(u),
    });
}

#[test]
fn analyses_are_complete() {
    let u = &mut Unique::default();
    check::<_, message::ListAnalysesResponse>(Analyses {
        analyses: vec![AnalysisEntry {
            id: u.text(),
            kind: "cluster_health".to_owned(),
            cluster: u.text(),
            cluster_name: u.text(),
            at: u.time(),
            source: u.text(),
            state: HealthState::Critical,
            state_before: Some(HealthState::Warning),
            headline: u.text(),
            critical: u.number(),
            warning: u.number(),
            info: u.number(),
        }],
        older_left_out: true,
        coverage: coverage(u),
    });
}
