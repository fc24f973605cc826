use super::{
    fixture::{Kept, ago, object},
    *,
};
use crate::{
    answer::tests::current,
    metric::Metric,
    store::row::{Object, ObjectKind},
    view::fixture::at,
};

fn about(subjects: &[&str]) -> MetricsFilter {
    MetricsFilter {
        subjects: subjects.iter().map(|one| (*one).to_owned()).collect(),
        ..MetricsFilter::default()
    }
}

fn ask(kept: &Kept, filter: &MetricsFilter) -> Metrics {
    metrics(&current(), Some(&kept.store), filter, at()).unwrap()
}

/// `subject metric part` of each series.
fn names(metrics: &Metrics) -> Vec<String> {
    let series = metrics.series.iter();
    series
        .map(|one| format!("{} {} {}", one.subject, one.metric, one.part))
        .collect()
}

/// Load of a node that counts up from zero, a value each ten seconds for ten minutes.
fn counting() -> Kept {
    let mut kept = Kept::new();
    let values = (0..60).map(|n| (600 - n * 10, f64::from(i32::try_from(n).unwrap())));
    kept.put(&object(ObjectKind::Node, "pve1"), Metric::Load1, "", values);
    kept
}

#[test]
fn figures_and_steps_are_those_of_the_values() {
    let kept = counting();
    // The span begins with the minute that has its begin.
    let filter = MetricsFilter {
        from: Some(ago(600)),
        step_seconds: 60,
        ..about(&["node/pve1"])
    };
    let answer = ask(&kept, &filter);
    assert_eq!(
        (answer.from, answer.until, answer.step_seconds),
        (ago(640), at(), 60)
    );
    let [one] = answer.series.as_slice() else {
        panic!("{answer:?}")
    };
    assert_eq!((&*one.metric, &*one.unit, &*one.part), ("load1", "", ""));
    let figures = one.figures;
    assert_eq!(
        (
            figures.count,
            figures.minimum,
            figures.maximum,
            figures.last
        ),
        (60, 0.0, 59.0, 59.0)
    );
    assert!((figures.mean - 29.5).abs() < 1e-9, "{figures:?}");
    assert!((figures.p95 - 56.0).abs() <= 1.0, "{figures:?}");
    assert!(figures.covered_ratio > 0.99, "{figures:?}");
    let first = one.values[0];
    assert_eq!((first.at, first.mean, first.last), (ago(640), 0.5, 1.0));
    let second = one.values[1];
    assert_eq!(
        (
            second.at,
            second.minimum,
            second.mean,
            second.maximum,
            second.last
        ),
        (ago(580), 2.0, 4.5, 7.0, 7.0)
    );
    assert_eq!(one.values.len(), 11);
}

#[test]
fn a_step_without_values_is_left_out() {
    let mut kept = Kept::new();
    let values = [(3600, 1.0), (3590, 1.0), (600, 3.0)];
    let node = object(ObjectKind::Node, "pve1");
    kept.put(&node, Metric::Load1, "", values.into_iter());
    let filter = MetricsFilter {
        from: Some(ago(3600)),
        step_seconds: 600,
        ..about(&["pve1"])
    };
    let answer = ask(&kept, &filter);
    let one = &answer.series[0];
    assert_eq!(one.values.len(), 2);
    assert_eq!(one.figures.count, 3);
    assert!(one.figures.covered_ratio < 0.3, "{:?}", one.figures);
}

#[test]
fn steps_are_of_lengths_that_people_use() {
    let kept = Kept::lab();
    let step = |hours: i64, step_seconds, points| {
        let filter = MetricsFilter {
            from: Some(ago(hours * 3600)),
            step_seconds,
            points,
            ..about(&["node/pve1"])
        };
        ask(&kept, &filter).step_seconds
    };
    assert_eq!(step(1, 0, 0), 60);
    assert_eq!(step(1, 0, 24), 300);
    assert_eq!(step(1, 7, 0), 10);
    assert_eq!(step(1, 61, 0), 120);
    assert_eq!(step(24, 0, 0), 900);
    assert_eq!(step(24, 60, 0), 60);
    assert_eq!(step(24, 0, 24), 3600);
    assert_eq!(step(24, 60, 24), 3600);
    // Finer values are kept for hours only.
    assert_eq!(step(24, 10, 0), 60);
    assert_eq!(step(24 * 30, 60, 0), 1800);
    assert_eq!(step(24 * 300, 60, 0), 21_600);
}

#[test]
fn what_was_rolled_up_is_told_as_before() {
    let kept = Kept::lab();
    for step_seconds in [0, 60, 3600] {
        let filter = MetricsFilter {
            step_seconds,
            ..about(&["node/pve1", "guest/100", "guest/101"])
        };
        let before = ask(&kept, &filter);
        kept.store.maintain(at()).unwrap();
        let after = ask(&kept, &filter);
        assert_eq!(names(&before), names(&after));
        assert_eq!(before.series.len(), 6);
        for (before, after) in before.series.iter().zip(&after.series) {
            let counted = |one: &MetricSeries| {
                let Figures {
                    count,
                    minimum,
                    maximum,
                    last,
                    ..
                } = one.figures;
                (count, minimum, maximum, last, one.values.len())
            };
            assert_eq!(counted(before), counted(after));
            let error = (before.figures.mean - after.figures.mean).abs();
            assert!(error <= before.figures.mean * 1e-6, "{before:?}");
        }
    }
}

#[test]
fn of_two_guests_that_had_the_vmid_the_last_one_is_meant() {
    let mut kept = Kept::new();
    for generation in [1, 2] {
        let guest = Object {
            generation,
            ..object(ObjectKind::Qemu, "100")
        };
        let value = f64::from(generation) / 10.0;
        let values = (0..10).map(|minute| (600 - minute * 60, value));
        kept.put(&guest, Metric::CpuRatio, "", values);
    }
    for subject in ["guest/100", "100", "web", "guest/web"] {
        let answer = ask(&kept, &about(&[subject]));
        assert_eq!(names(&answer), ["guest/100 cpu_ratio "]);
        assert_eq!(answer.series[0].figures.maximum, 0.2, "{subject}");
        assert_eq!(answer.series[0].figures.count, 10);
    }
}

#[test]
fn subjects_name_nodes_guests_storages_and_all_guests_of_a_node() {
    let kept = Kept::lab();
    let cpu = |subjects: &[&str]| {
        let filter = MetricsFilter {
            metrics: vec!["cpu_ratio".to_owned()],
            ..about(subjects)
        };
        names(&ask(&kept, &filter))
    };
    assert_eq!(cpu(&["guests@pve1"]), ["guest/100 cpu_ratio "]);
    assert_eq!(cpu(&["guests@pve2"]), ["guest/101 cpu_ratio "]);
    assert_eq!(
        cpu(&["web", "node/pve1", "guest/100"]),
        ["guest/100 cpu_ratio ", "node/pve1 cpu_ratio "]
    );
    for storage in ["storage/nas", "nas", "storage/nas@pve1"] {
        let answer = ask(&kept, &about(&[storage]));
        assert_eq!(names(&answer), ["storage/nas@pve1 used_ratio "]);
    }
}

#[test]
fn a_guest_that_is_gone_is_found_by_its_vmid() {
    let mut kept = Kept::new();
    let gone = object(ObjectKind::Qemu, "999");
    kept.put(&gone, Metric::CpuRatio, "", [(3600, 0.5)].into_iter());
    for subject in ["guest/999", "999"] {
        assert_eq!(
            names(&ask(&kept, &about(&[subject]))),
            ["guest/999 cpu_ratio "]
        );
    }
    let never = ask(&kept, &about(&["guest/998"]));
    assert!(never.series.is_empty());
    assert_eq!(never.notes, ["nothing is kept of that span"]);
}

#[test]
fn parts_are_series_and_can_be_chosen() {
    let kept = Kept::lab();
    let latency = |part: &str| {
        let filter = MetricsFilter {
            metrics: vec!["disk_latency_seconds".to_owned()],
            part: part.to_owned(),
            ..about(&["node/pve1"])
        };
        names(&ask(&kept, &filter))
    };
    assert_eq!(
        latency(""),
        [
            "node/pve1 disk_latency_seconds nvme0n1",
            "node/pve1 disk_latency_seconds sda"
        ]
    );
    assert_eq!(latency("sda"), ["node/pve1 disk_latency_seconds sda"]);
}

#[test]
fn what_is_too_much_is_counted() {
    let kept = Kept::lab();
    let filter = MetricsFilter {
        series: 2,
        ..about(&["node/pve1", "web"])
    };
    let answer = ask(&kept, &filter);
    assert_eq!((answer.series.len(), answer.left_out), (2, 3));
    assert!(answer.notes[0].starts_with("3 more series"), "{answer:?}");
}

#[test]
fn corrected_times_are_marked() {
    let mut kept = Kept::new();
    let node = object(ObjectKind::Node, "pve1");
    kept.put_corrected(&node, Metric::Load1, [(60, 1.0)].into_iter());
    assert!(ask(&kept, &about(&["pve1"])).series[0].is_corrected);
}

#[test]
fn what_is_not_known_is_refused_with_what_to_ask_instead() {
    let kept = Kept::lab();
    let refused = |filter: &MetricsFilter| {
        let store = Some(&*kept.store);
        metrics(&current(), store, filter, at()).unwrap_err()
    };
    let wrong = MetricsFilter {
        metrics: vec!["cpu_use".to_owned()],
        ..about(&["node/pve1"])
    };
    let error = refused(&wrong);
    assert!(matches!(error, PastError::NoMetric(_)), "{error:?}");
    assert!(error.to_string().contains("cpu_ratio"), "{error}");
    for (subject, part) in [
        ("node/pve9", "pve1, pve2, pve3"),
        ("guests@pve9", "pve1, pve2, pve3"),
        ("mail", "guests@NODE"),
        ("guest/mail", "no guest"),
    ] {
        let error = refused(&about(&[subject]));
        assert!(
            matches!(error, PastError::Answer(AnswerError::NotFound(_))),
            "{error:?}"
        );
        assert!(error.to_string().contains(part), "{error}");
    }
    let inverted = MetricsFilter {
        from: Some(ago(60)),
        until: Some(ago(120)),
        ..about(&["node/pve1"])
    };
    let future = MetricsFilter {
        from: Some(ago(-60)),
        ..about(&["node/pve1"])
    };
    for filter in [inverted, future, about(&[])] {
        let error = refused(&filter);
        assert!(
            matches!(error, PastError::Answer(AnswerError::Invalid(_))),
            "{error:?}"
        );
    }
    let error = metrics(&current(), None, &about(&["pve1"]), at()).unwrap_err();
    assert!(matches!(error, PastError::NoStore), "{error:?}");
}

#[test]
fn the_list_has_all_metrics_or_those_of_the_subjects() {
    let kept = Kept::lab();
    let list = |subjects: &[&str]| {
        let subjects: Vec<_> = subjects.iter().map(|one| (*one).to_owned()).collect();
        metric_list(&current(), Some(&kept.store), "", &subjects)
            .unwrap()
            .metrics
    };
    let all = list(&[]);
    assert_eq!(all.len(), METRICS.len());
    assert!(
        all.iter()
            .all(|entry| entry.subjects.is_none() && entry.parts.is_empty())
    );
    let of_node = list(&["node/pve1"]);
    assert_eq!(of_node.len(), 2);
    assert_eq!(
        (&*of_node[0].name, of_node[0].subjects),
        ("cpu_ratio", Some(1))
    );
    assert_eq!(of_node[1].parts, ["nvme0n1", "sda"]);
    assert_eq!(list(&["node/pve1", "web"])[0].subjects, Some(2));
    // What there is needs no store, what something has does.
    assert!(metric_list(&current(), None, "", &[]).is_ok());
    let of_node = metric_list(&current(), None, "", &["pve1".to_owned()]);
    assert!(matches!(of_node, Err(PastError::NoStore)));
}

/// Seven days that the node had kept, of a fresh install or of one of an hour.
#[test]
fn a_past_that_is_imported_is_there_in_every_answer() {
    let node = object(ObjectKind::Node, "pve1");
    let mut kept = Kept::new();
    kept.import(&node, Metric::Load1, "loadavg", (7 * 48, 0), 0.5);
    for hours in [1, 24, 72, 30 * 24] {
        let filter = MetricsFilter {
            from: Some(ago(hours * 3600)),
            ..about(&["node/pve1"])
        };
        let answer = ask(&kept, &filter);
        let [one] = answer.series.as_slice() else {
            panic!("{hours} h: {answer:?}")
        };
        assert!(one.is_imported);
        assert_eq!(one.imported_width_seconds, Some(3600));
        let until = one.imported_until.unwrap();
        assert!(until <= at() && until > ago(3600), "{until}");
        let figures = one.figures;
        assert_eq!(
            (figures.minimum, figures.mean, figures.last),
            (0.5, 0.5, 0.5)
        );
        let week = 7.0 * 24.0 / hours as f64;
        assert!(figures.covered_ratio <= week.min(1.0) + 0.01, "{figures:?}");
        if hours >= 24 {
            assert!(figures.covered_ratio > week.min(1.0) * 0.95, "{figures:?}");
        }
        // Without holes from its begin on.
        let step = i64::from(answer.step_seconds);
        let times = one.values.iter().map(|value| value.at.as_second());
        let times: Vec<i64> = times.collect();
        assert!(
            times.windows(2).all(|two| two[1] - two[0] == step),
            "{hours} h"
        );
    }

    let mut kept = Kept::new();
    let values = (0..360).map(|n| (3600 - n * 10, 2.0));
    kept.put(&node, Metric::Load1, "", values);
    kept.import(
        &object(ObjectKind::Node, "pve2"),
        Metric::Load1,
        "loadavg",
        (96, 0),
        0.5,
    );
    let answer = ask(&kept, &about(&["node/pve1"]));
    assert!(!answer.series[0].is_imported);
    assert_eq!(answer.series[0].imported_until, None);
}
