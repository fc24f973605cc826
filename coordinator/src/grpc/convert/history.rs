//! Values over time.

use pvelens_proto::v1 as message;

use super::{Carries, all, timestamp};
use crate::{
    answer::metrics::{Figures, MetricEntry, MetricList, MetricSeries, MetricValue, Metrics},
    render::metrics::Shown,
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
