//! What was true when.

use pvelens_proto::v1 as message;

use super::{Carries, all, timestamp};
use crate::{
    answer::{
        analyses::{Analyses, AnalysisEntry},
        events::{EventEntry, Events},
        metrics::{Figures, MetricEntry, MetricList, MetricSeries, MetricValue, Metrics},
        revisions::{
            Configuration, ConfigurationChange, ConfigurationSetting, RevisionEntry, Revisions,
        },
    },
    chronicle::{EventKind, Level, revision::author::Author},
    render::{events::Told, metrics::Shown},
    report::AnalysisKind,
};

impl Carries<Shown> for message::QueryMetricsResponse {
    fn structured(shown: Shown) -> Self {
        let Metrics {
            from,
            until,
            step_seconds,
            series,
            left_out,
            notes,
            coverage,
        } = shown.metrics;
        Self {
            from: Some(timestamp(from)),
            until: Some(timestamp(until)),
            step_seconds,
            series: all(series),
            left_out_total: left_out,
            notes,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, shown: Shown) -> Self {
        Self {
            from: Some(timestamp(shown.metrics.from)),
            until: Some(timestamp(shown.metrics.until)),
            step_seconds: shown.metrics.step_seconds,
            left_out_total: shown.metrics.left_out,
            rendered,
            ..Self::default()
        }
    }
}

impl From<MetricSeries> for message::MetricSeries {
    fn from(series: MetricSeries) -> Self {
        let MetricSeries {
            cluster,
            subject,
            metric,
            unit,
            part,
            figures,
            values,
            is_imported,
            imported_until,
            imported_width_seconds,
            is_corrected,
        } = series;
        Self {
            cluster_id: cluster,
            subject,
            metric,
            unit,
            part,
            figures: Some(figures.into()),
            values: all(values),
            is_imported,
            imported_until: imported_until.map(timestamp),
            imported_width_seconds,
            is_corrected,
        }
    }
}

impl From<Figures> for message::MetricFigures {
    fn from(figures: Figures) -> Self {
        let Figures {
            count,
            minimum,
            mean,
            p95,
            maximum,
            last,
            covered_ratio,
        } = figures;
        Self {
            count,
            minimum,
            mean,
            p95,
            maximum,
            last,
            covered_ratio,
        }
    }
}

impl From<MetricValue> for message::MetricValue {
    fn from(value: MetricValue) -> Self {
        let MetricValue {
            at,
            minimum,
            mean,
            p95,
            maximum,
            last,
        } = value;
        Self {
            at: Some(timestamp(at)),
            minimum,
            mean,
            p95,
            maximum,
            last,
        }
    }
}

impl Carries<MetricList> for message::ListMetricsResponse {
    fn structured(list: MetricList) -> Self {
        let MetricList { metrics } = list;
        Self {
            metrics: all(metrics),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, _: MetricList) -> Self {
        Self {
            rendered,
            ..Self::default()
        }
    }
}

impl From<MetricEntry> for message::Metric {
    fn from(entry: MetricEntry) -> Self {
        let MetricEntry {
            name,
            unit,
            title,
            part,
            subjects,
            parts,
        } = entry;
        Self {
            name,
            unit,
            title,
            part,
            subjects_total: subjects.unwrap_or_default(),
            parts,
        }
    }
}

impl Carries<Told> for message::ListEventsResponse {
    fn structured(told: Told) -> Self {
        let Events {
            from,
            until,
            events,
            older_left_out,
            notes,
            coverage,
        } = told.events;
        Self {
            from: Some(timestamp(from)),
            until: Some(timestamp(until)),
            events: all(events),
            older_left_out,
            notes,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, told: Told) -> Self {
        Self {
            from: Some(timestamp(told.events.from)),
            until: Some(timestamp(told.events.until)),
            older_left_out: told.events.older_left_out,
            rendered,
            ..Self::default()
        }
    }
}

impl From<EventEntry> for message::Event {
    fn from(event: EventEntry) -> Self {
        let EventEntry {
            cluster,
            subject,
            at,
            ended_at,
            kind,
            level,
            node,
            text,
            user,
        } = event;
        Self {
            cluster_id: cluster,
            subject,
            at: Some(timestamp(at)),
            ended_at: ended_at.map(timestamp),
            kind: message::EventKind::from(kind).into(),
            level: message::EventLevel::from(level).into(),
            node,
            text,
            user,
        }
    }
}

impl From<EventKind> for message::EventKind {
    fn from(kind: EventKind) -> Self {
        match kind {
            EventKind::Task => Self::Task,
            EventKind::Log => Self::Log,
            EventKind::Login => Self::Login,
            EventKind::Kernel => Self::Kernel,
            EventKind::Link => Self::Link,
            EventKind::Quorum => Self::Quorum,
            EventKind::Ha => Self::Ha,
            EventKind::Node => Self::Node,
            EventKind::Guest => Self::Guest,
            EventKind::Agent => Self::Agent,
            EventKind::Config => Self::Config,
            EventKind::Finding => Self::Finding,
            EventKind::Intent => Self::Intent,
            EventKind::Audit => Self::Audit,
            EventKind::Health => Self::Health,
        }
    }
}

impl From<Level> for message::EventLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::Info => Self::Info,
            Level::Warning => Self::Warning,
            Level::Error => Self::Error,
        }
    }
}

impl Carries<Revisions> for message::ListRevisionsResponse {
    fn structured(answer: Revisions) -> Self {
        let Revisions {
            revisions,
            older_left_out,
            known_since,
            notes,
            coverage,
        } = answer;
        Self {
            revisions: all(revisions),
            older_left_out,
            known_since: known_since.map(timestamp),
            notes,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: Revisions) -> Self {
        Self {
            older_left_out: answer.older_left_out,
            known_since: answer.known_since.map(timestamp),
            rendered,
            ..Self::default()
        }
    }
}

impl From<RevisionEntry> for message::Revision {
    fn from(revision: RevisionEntry) -> Self {
        let RevisionEntry {
            cluster,
            subject,
            at,
            not_before,
            is_new,
            is_gone,
            author,
            changes,
            changes_left_out,
            is_read_anew,
            digest,
        } = revision;
        let Author { users, by } = author;
        Self {
            cluster_id: cluster,
            subject,
            at: Some(timestamp(at)),
            not_before: not_before.map(timestamp),
            is_new,
            is_gone,
            author: Some(message::RevisionAuthor { users, by }),
            changes: all(changes),
            changes_left_out_total: changes_left_out,
            is_read_anew,
            digest,
        }
    }
}

impl From<ConfigurationChange> for message::ConfigurationChange {
    fn from(change: ConfigurationChange) -> Self {
        let ConfigurationChange {
            setting,
            before,
            after,
        } = change;
        Self {
            setting,
            before,
            after,
        }
    }
}

impl Carries<Configuration> for message::GetConfigurationResponse {
    fn structured(answer: Configuration) -> Self {
        let Configuration {
            cluster,
            subject,
            at,
            settings,
            is_absent,
            digest,
            coverage,
        } = answer;
        Self {
            cluster_id: cluster,
            subject,
            at: Some(timestamp(at)),
            settings: all(settings),
            is_absent,
            digest,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: Configuration) -> Self {
        Self {
            cluster_id: answer.cluster,
            subject: answer.subject,
            at: Some(timestamp(answer.at)),
            is_absent: answer.is_absent,
            digest: answer.digest,
            rendered,
            ..Self::default()
        }
    }
}

impl From<ConfigurationSetting> for message::ConfigurationSetting {
    fn from(line: ConfigurationSetting) -> Self {
        let ConfigurationSetting { setting, value } = line;
        Self { setting, value }
    }
}

impl Carries<Analyses> for message::ListAnalysesResponse {
    fn structured(answer: Analyses) -> Self {
        let Analyses {
            analyses,
            older_left_out,
            coverage,
        } = answer;
        Self {
            analyses: all(analyses),
            older_left_out,
            coverage: Some(coverage.into()),
            rendered: String::new(),
        }
    }

    fn rendered(rendered: String, answer: Analyses) -> Self {
        Self {
            older_left_out: answer.older_left_out,
            rendered,
            ..Self::default()
        }
    }
}

impl From<AnalysisEntry> for message::KeptAnalysis {
    fn from(entry: AnalysisEntry) -> Self {
        let AnalysisEntry {
            id,
            kind,
            cluster,
            cluster_name,
            at,
            source,
            state,
            state_before,
            headline,
            critical,
            warning,
            info,
        } = entry;
        // A kind of a newer version has no number here.
        let kind = match kind == AnalysisKind::ClusterHealth.as_str() {
            true => message::AnalysisKind::ClusterHealth,
            false => message::AnalysisKind::Unspecified,
        };
        let state_before = state_before.map(message::HealthState::from);
        Self {
            id,
            kind: kind.into(),
            cluster_id: cluster,
            cluster_name,
            at: Some(timestamp(at)),
            source,
            state: message::HealthState::from(state).into(),
            state_before: state_before.unwrap_or_default().into(),
            headline,
            critical_total: critical,
            warning_total: warning,
            info_total: info,
        }
    }
}
