//! Values over time.

use super::*;
use crate::{
    answer::{
        metrics,
        metrics::{Metrics, MetricsFilter, fixture::Kept, metric_list},
    },
    render::metrics::{Look, Shown},
    view::fixture::at,
};

fn ask(kept: &Kept, subjects: &[&str], metrics: &[&str]) -> Metrics {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let filter = MetricsFilter {
        subjects: words(subjects),
        metrics: words(metrics),
        ..MetricsFilter::default()
    };
    metrics::metrics(&current(), Some(&kept.store), &filter, at()).unwrap()
}

/// At both widths, with and without colours, and in ASCII.
fn looks(metrics: &Metrics, rows: Option<u16>) -> String {
    let mut out = String::new();
    for width in [80, 200] {
        for (name, color, ascii) in [
            ("plain", false, false),
            ("colors", true, false),
            ("ASCII", false, true),
        ] {
            let shown = Shown {
                metrics: metrics.clone(),
                look: Look {
                    rows,
                    ascii,
                    width: Some(width),
                },
            };
            let style = Style {
                width: Some(width),
                color,
                ..Style::default()
            };
            let text = render(&shown, &style).replace('\x1b', "␛");
            let head = format!("\n# {width} columns, {name}\n\n");
            out.extend([&*head, &*text]);
        }
    }
    out
}

#[test]
fn a_row_for_each_series() {
    let kept = Kept::lab();
    let one = ask(&kept, &["node/pve1"], &[]);
    insta::assert_snapshot!("metrics_of_a_node", looks(&one, None));
    let several = ask(&kept, &["guest/100", "guest/101", "storage/nas"], &[]);
    insta::assert_snapshot!("metrics_of_several", looks(&several, None));
    insta::assert_snapshot!("metrics_markdown", several.markdown());
}

#[test]
fn a_chart_for_each_metric() {
    let kept = Kept::lab();
    let several = ask(&kept, &["guest/100", "guest/101"], &[]);
    insta::assert_snapshot!("metrics_charts", looks(&several, Some(5)));
    let shown = Shown {
        metrics: ask(&kept, &["node/pve1"], &["disk_latency_seconds"]),
        look: Look {
            rows: Some(0),
            ..Look::default()
        },
    };
    insta::assert_snapshot!("metrics_charts_markdown", shown.markdown());
}

#[test]
fn what_values_are_worth_is_marked() {
    let kept = Kept::lab();
    let mut several = ask(&kept, &["guest/100", "guest/101"], &["cpu_ratio"]);
    several.series[0].is_imported = true;
    several.series[0].imported_until = Some("2026-11-20T14:00:00Z".parse().unwrap());
    several.series[0].imported_width_seconds = Some(21_600);
    several.series[1].is_corrected = true;
    let text = text_at(&several, 200);
    for part in [
        " averages\n",
        " 25 %, corrected\n",
        "for how much of the time",
        "had kept until 2026-11-20 14:00 UTC, over up to 6 h each",
        "clock of a node was wrong",
    ] {
        assert!(text.contains(part), "{part:?} in {text}");
    }
    // What all have alike is said once.
    several.series.truncate(1);
    several.series[0].figures.covered_ratio = 0.5;
    let text = text_at(&several, 200);
    assert!(text.contains("values for 50 % of the time"), "{text}");
    assert!(
        text.contains("had kept until 2026-11-20 14:00 UTC, over up to 6 h each"),
        "{text}"
    );
    let chart = Shown {
        metrics: several,
        look: Look {
            rows: Some(4),
            ..Look::default()
        },
    };
    assert!(text_at(&chart, 80).contains("had kept until 2026-11-20"));
}

#[test]
fn nothing_kept_is_said() {
    let nothing = ask(&Kept::new(), &["node/pve1"], &[]);
    for rows in [None, Some(0)] {
        let text = looks(&nothing, rows);
        assert!(text.contains("nothing is kept of that span"), "{text}");
    }
}

#[test]
fn metrics_are_listed() {
    let kept = Kept::lab();
    let list = |subjects: &[&str]| {
        let subjects: Vec<_> = subjects.iter().map(|one| (*one).to_owned()).collect();
        metric_list(&current(), Some(&kept.store), "", &subjects).unwrap()
    };
    insta::assert_snapshot!("metric_list", both_forms(&list(&[])));
    let of_some = list(&["node/pve1", "guests@pve1"]);
    insta::assert_snapshot!("metric_list_of_subjects", both_forms(&of_some));
}
