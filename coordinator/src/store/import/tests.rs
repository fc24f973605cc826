use std::{num::NonZeroU32, sync::Arc};

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;
use crate::{
    metric::Metric,
    store::{
        block::decode_all_buckets,
        journal::Recorded,
        query::{Found, Span, values},
        row::BlockQuery,
    },
};

/// A day that begins at midnight, and the time of the tests: ten in the morning.
const DAY: i64 = 20_782;
const NOW: i64 = DAY * 86_400 + 10 * HOUR + 600;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// An archive of one column that ends at a full step before now.
fn archive(step: u32, rows: u32, of: impl Fn(u32) -> Option<f32>) -> Archive {
    let (mut runs, mut values) = (Vec::new(), Vec::new());
    for row in 0..rows {
        let value = of(row);
        runs.extend(if value.is_some() { [0, 1] } else { [1, 0] });
        values.extend(value);
    }
    let column = Column::new(&runs, values, rows).unwrap();
    let last = NOW - NOW % i64::from(step);
    let first = last - i64::from(step) * (i64::from(rows) - 1);
    Archive::new(step, first, rows, vec![("cpu", column)]).unwrap()
}

fn past(means: Vec<Archive>, maxima: Vec<Archive>) -> Past {
    Past {
        metric: Metric::CpuRatio,
        formula: Formula::Column("cpu"),
        object: Arc::new(PastObject::new(means, maxima)),
        since: i64::MIN,
    }
}

fn key(series: u32) -> SeriesKey {
    SeriesKey { metric: 1, series }
}

fn import(pasts: Vec<(SeriesKey, Past)>) -> Import {
    Import::new("c/pve1".to_owned(), pasts, at(NOW))
}

fn open() -> (TempDir, Store) {
    let directory = TempDir::new().unwrap();
    let store = Store::open(directory.path(), 1 << 30, at(NOW)).unwrap();
    (directory, store)
}

fn run(mut import: Import, store: &Store) -> u64 {
    while !import.step(store, at(NOW)).unwrap() {}
    import.values()
}

fn found(store: &Store, tier: Tier, hours: i64) -> Found {
    let span = Span {
        from: at(NOW - hours * HOUR),
        until: at(NOW),
        tier,
    };
    let keys = (0..9).map(key).collect();
    store.read(|reader| values(reader, &keys, &span)).unwrap()
}

/// Hour before now, mean and count of each hour of the first series.
fn hours(found: &Found) -> Vec<(i64, f64, u32)> {
    let values = found.series.get(&key(0)).cloned().unwrap_or_default();
    let now = NOW.div_euclid(HOUR);
    let hours = values.hours.iter();
    hours
        .map(|hour| {
            (
                now - hour.index,
                (hour.mean * 1e4).round() / 1e4,
                hour.count,
            )
        })
        .collect()
}

fn measured(series: u32, second: i64, value: f64) -> Recorded {
    Recorded {
        series,
        metric: 1,
        is_corrected: false,
        at_millis: second * 1000,
        value,
    }
}

#[test]
fn half_hours_are_values_within_their_hour_and_peaks_are_kept() {
    let mean = |row: u32| Some(if row.is_multiple_of(2) { 0.1 } else { 0.3 });
    let past = past(
        vec![archive(1800, 4, mean)],
        vec![
            archive(1800, 4, |_| Some(0.9)),
            archive(3600, 9, |_| Some(1.0)),
        ],
    );
    // The last row ends at ten, and so the first one begins at eight.
    let hour = NOW.div_euclid(HOUR) - 2;
    let bucket = past.bucket(hour).unwrap();
    assert_eq!(
        (bucket.count, bucket.minimum, bucket.maximum),
        (60, 0.1, 0.9)
    );
    assert!((bucket.mean - 0.2).abs() < 1e-9);
    assert_eq!(bucket.last, 0.3);
    assert_eq!(bucket.sketch.count(), 60);
    assert_eq!(width_seconds(bucket.flags), Some(HOUR));
    assert_eq!(past.bucket(hour - 1), None);
    assert_eq!(past.bucket(hour + 2), None);
}

#[test]
fn a_long_row_is_in_each_of_its_hours_where_nothing_finer_is_known() {
    let past = past(
        vec![
            archive(6 * 3600, 3, |row| (row > 0).then_some(0.5)),
            archive(1800, 8, |row| (row != 2 && row != 3).then_some(0.25)),
        ],
        Vec::new(),
    );
    let hours: Vec<_> = (0..24)
        .filter_map(|hour| past.bucket(DAY * 24 - 12 + hour))
        .map(|bucket| {
            (
                bucket.index - DAY * 24,
                bucket.mean,
                bucket.count,
                bucket.flags,
            )
        })
        .collect();
    let (fine, coarse) = (WIDTHS[0].0, WIDTHS[1].0);
    // The last long row ends at six, and the half hours begin at six.
    let mut expected: Vec<_> = (-6..6).map(|hour| (hour, 0.5, 60, coarse)).collect();
    expected.extend([6, 8, 9].map(|hour| (hour, 0.25, 60, fine)));
    assert_eq!(hours, expected);
    assert_eq!(width_seconds(fine | coarse), Some(6 * HOUR));
    assert_eq!(width_seconds(crate::store::CORRECTED), None);
}

#[test]
fn a_past_is_imported_once_and_before_what_was_measured() {
    let (_directory, store) = open();
    let values = (0..3).map(|minute| measured(0, NOW - 2 * HOUR + minute * 60, 0.7));
    store
        .write(
            &Batch {
                values: values.collect(),
                ..Batch::default()
            },
            at(NOW),
        )
        .unwrap();
    let pasts = || {
        let week = archive(7 * 86_400, 60, |_| Some(0.4));
        let fine = archive(1800, 20, |_| Some(0.2));
        vec![
            (key(0), past(vec![week, fine], Vec::new())),
            (
                key(5),
                past(vec![archive(1800, 2, |_| Some(0.6))], Vec::new()),
            ),
        ]
    };
    let count = run(import(pasts()), &store);
    let found_before = found(&store, Tier::Hour, 402 * 24);
    let states = store
        .read(|reader| reader.states(StateKind::Imported))
        .unwrap();
    assert_eq!(states.len(), 1);
    assert_eq!(states[0].key, "c/pve1");
    // What is there is not imported again, nor anything that comes before it.
    assert_eq!(run(import(pasts()), &store), 0);
    assert_eq!(found(&store, Tier::Hour, 402 * 24), found_before);

    let own = &found_before.series[&key(0)];
    assert!(own.is_imported);
    assert_eq!(own.buckets.len(), 1);
    let last = own.hours.last().unwrap();
    assert_eq!(last.index, own.buckets[0].index - 1);
    assert!((last.mean - 0.2).abs() < 1e-6);
    // 400 days at most, less the week at hand, and one of the other series.
    assert!(
        (390 * 24..=401 * 24).contains(&own.hours.len()),
        "{}",
        own.hours.len()
    );
    assert_eq!(own.hours.len() as u64 + 1, count);
    let first = own.hours.first().unwrap();
    assert_eq!(width_seconds(first.flags), Some(7 * 86_400));
    assert_eq!(found_before.series[&key(5)].hours.len(), 1);
}

#[test]
fn an_import_that_was_interrupted_goes_on_where_it_stood() {
    let (_directory, store) = open();
    let fine = |past_days: u32| archive(1800, past_days * 48, |row| Some(row as f32 / 1e5));
    let pasts = |series: u32| {
        (0..series)
            .map(|series| (key(series), past(vec![fine(40)], Vec::new())))
            .collect::<Vec<_>>()
    };
    let mut first = import(pasts(300));
    assert!(!first.step(&store, at(NOW)).unwrap());
    let begun = first.values();
    assert!(begun > 0);
    let rest = run(import(pasts(300)), &store);
    assert_eq!(begun + rest, 300 * 40 * 24);
    let (_other, whole) = open();
    run(import(pasts(300)), &whole);
    let of = |store: &Store| hours(&found(store, Tier::Hour, 41 * 24));
    assert_eq!(of(&store), of(&whole));
}

#[test]
fn a_fine_question_is_answered_from_hours_before_the_first_fine_value() {
    let (_directory, store) = open();
    let past = past(vec![archive(1800, 96, |_| Some(0.25))], Vec::new());
    run(import(vec![(key(0), past)]), &store);
    for tier in Tier::ALL {
        let found = found(&store, tier, 24);
        assert_eq!(hours(&found).len(), 24, "{tier:?}");
        assert!(found.series[&key(0)].is_imported);
    }
    // Own values come, and what was imported ends before them.
    let values = (0..30).map(|minute| measured(0, NOW - HOUR + minute * 60, 0.5));
    let values = values.collect();
    store
        .write(
            &Batch {
                values,
                ..Batch::default()
            },
            at(NOW),
        )
        .unwrap();
    for tier in [Tier::Raw, Tier::Minute, Tier::FiveMinutes] {
        let found = found(&store, tier, 24);
        assert_eq!(hours(&found).first(), Some(&(24, 0.25, 60)));
        assert_eq!(hours(&found).last(), Some(&(2, 0.25, 60)), "{tier:?}");
        let values = &found.series[&key(0)];
        let span = Span {
            from: at(NOW - 24 * HOUR),
            until: at(NOW),
            tier,
        };
        // Three quarters of an hour would be two lengths of one hour.
        let steps = values.steps(&span, 900);
        assert!(steps.is_sorted_by(|one, next| one.index < next.index));
        let imported = steps.iter().filter(|step| step.flags != 0);
        assert!((88..=92).contains(&imported.count()), "{}", steps.len());
        assert_eq!(steps.iter().filter(|step| step.flags == 0).count(), 3);
        let coarse = values.steps(&span, 6 * HOUR);
        assert_eq!(coarse.len(), 5);
        assert_eq!(
            coarse.iter().map(|step| step.count).sum::<u32>(),
            23 * 60 + 30
        );
    }
}

#[test]
fn what_a_node_did_not_know_and_what_cannot_be_is_left_out() {
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        -0.5,
        1e30,
        0.125,
        -0.0,
    ];
    let of = |row: u32| odd.get(usize::try_from(row).unwrap()).copied();
    let past = past(vec![archive(3600, 7, of)], Vec::new());
    let now = NOW.div_euclid(HOUR);
    let values: Vec<_> = (now - 9..now)
        .filter_map(|hour| past.bucket(hour))
        .collect();
    let values: Vec<_> = values
        .iter()
        .map(|bucket| (now - bucket.index, bucket.mean))
        .collect();
    assert_eq!(values, [(2, 0.125), (1, 0.0)]);

    for (runs, values, rows) in [
        (vec![0, 3], vec![1.0; 2], 9),
        (vec![0, 3], vec![1.0; 4], 9),
        (vec![8, 3], vec![1.0; 3], 9),
        (vec![u32::MAX, 3], vec![1.0; 3], u32::MAX),
    ] {
        assert!(Column::new(&runs, values, rows).is_none());
    }
    for (step, rows) in [(0, 5), (59, 5), (604_801, 5), (1800, 40_001)] {
        assert!(
            Archive::new(step, NOW, rows, Vec::new()).is_none(),
            "{step} {rows}"
        );
    }
}

#[test]
fn shares_are_those_of_one_row() {
    let columns = |columns: &[(&'static str, f32)]| {
        let columns = columns
            .iter()
            .map(|(name, value)| (*name, Column::new(&[0, 1], vec![*value], 1).unwrap()));
        Archive::new(3600, NOW - NOW % HOUR, 1, columns.collect()).unwrap()
    };
    let of = |formula, archive| {
        let past = Past {
            metric: Metric::UsedRatio,
            formula,
            object: Arc::new(PastObject::new(vec![archive], Vec::new())),
            since: i64::MIN,
        };
        past.bucket(NOW.div_euclid(HOUR) - 1)
            .map(|bucket| bucket.mean)
    };
    let share = Formula::Share("used", "total");
    assert_eq!(
        of(share, columns(&[("used", 3.0), ("total", 4.0)])),
        Some(0.75)
    );
    assert_eq!(of(share, columns(&[("used", 5.0), ("total", 4.0)])), None);
    assert_eq!(of(share, columns(&[("used", 0.0), ("total", 0.0)])), None);
    assert_eq!(of(share, columns(&[("used", 3.0)])), None);
    let without = Formula::ShareWithout("free", "total", "arc");
    let all = |arc| columns(&[("free", 1.0), ("total", 4.0), ("arc", arc)]);
    assert_eq!(of(without, all(0.0)), Some(0.25));
    assert_eq!(of(without, all(1e9)), None);
    assert_eq!(
        of(Formula::Percent("cpu"), columns(&[("cpu", 50.0)])),
        Some(0.5)
    );
    assert_eq!(of(Formula::Positive("cpu"), columns(&[("cpu", 0.0)])), None);
}

#[test]
fn nothing_is_taken_from_before_a_guest_was_made() {
    let mut past = past(vec![archive(6 * 3600, 9, |_| Some(0.5))], Vec::new());
    past.since = NOW - 8 * HOUR + 60;
    let hour = NOW.div_euclid(HOUR);
    assert_eq!(past.bucket(hour - 8), None);
    assert!(past.bucket(hour - 7).is_some());
}

fn wild() -> impl Strategy<Value = Archive> {
    let value = prop_oneof![
        any::<f32>(),
        0.0_f32..1.0,
        Just(f32::MAX),
        Just(f32::MIN_POSITIVE)
    ];
    let near = NOW - 500 * 86_400..NOW + 86_400;
    let first = prop_oneof![4 => near, 1 => any::<i64>()];
    let step =
        prop_oneof![3 => 60_u32..700_000, 1 => prop::sample::select(vec![1800, 21_600, 604_800])];
    let runs = prop::collection::vec(0_u32..40, 0..30);
    (
        step,
        first,
        runs,
        prop::collection::vec(value, 600),
        0_u32..20,
    )
        .prop_filter_map("no archive", |(step, first, runs, values, more)| {
            let known: u32 = runs.iter().skip(1).step_by(2).sum();
            let rows = runs.iter().sum::<u32>() + more;
            let values = values
                .into_iter()
                .cycle()
                .take(usize::try_from(known).ok()?);
            let column = Column::new(&runs, values.collect(), rows)?;
            Archive::new(step, first, rows, vec![("cpu", column)])
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Whatever a node sends, what is kept can be read back and is possible.
    #[test]
    fn hostile_rows_are_harmless(
        means in prop::collection::vec(wild(), 0..20),
        maxima in prop::collection::vec(wild(), 0..20),
        since in prop_oneof![Just(i64::MIN), any::<i64>()],
    ) {
        let (_directory, store) = open();
        let mut past = past(means, maxima);
        past.since = since;
        let count = run(import(vec![(key(0), past)]), &store);
        let blocks = store.read(|reader| {
            let rows = reader.blocks(&BlockQuery::default())?;
            let all: Result<Vec<_>, _> = rows
                .iter()
                .map(|row| reader.block(row.id, 0, 1 << 20))
                .collect();
            Ok(rows.into_iter().zip(all?).collect::<Vec<_>>())
        }).unwrap();
        let mut seen = 0;
        for (row, bytes) in blocks {
            prop_assert_eq!(row.source, Source::Rrd);
            for (_, buckets) in decode_all_buckets(&bytes).unwrap() {
                for bucket in buckets {
                    seen += 1;
                    let hour = bucket.index * HOUR;
                    prop_assert!(hour + HOUR <= NOW && hour >= NOW - 401 * 86_400);
                    prop_assert!(hour >= since);
                    prop_assert!(bucket.minimum >= 0.0 && bucket.maximum <= 10.0);
                    prop_assert!(bucket.count > 0 && bucket.count <= 60);
                    prop_assert!(width_seconds(bucket.flags).is_some());
                }
            }
        }
        prop_assert_eq!(seen, count);
        prop_assert!(count <= 401 * 24);
        let step = NonZeroU32::new(3_600_000).unwrap();
        for (_, values) in found(&store, Tier::Hour, 402 * 24).series {
            let rolled = crate::store::bucket::roll_buckets(&values.hours, step, step);
            prop_assert_eq!(rolled.len(), values.hours.len());
        }
    }
}
