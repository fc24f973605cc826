use pvelens_proto::v1 as message;

use super::*;
use crate::{
    answer::metrics::{Figures, MetricEntry, MetricList, MetricSeries, MetricValue, Metrics},
    render::metrics::{Look, Shown},
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
