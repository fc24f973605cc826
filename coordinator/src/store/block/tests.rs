use std::num::NonZeroU32;

use proptest::prelude::*;

use super::*;
use crate::store::{
    bucket::{roll_buckets, roll_points},
    sketch::{Bin, Sketch},
};

fn key(metric: u16, series: u32) -> SeriesKey {
    SeriesKey { metric, series }
}

fn point(at_millis: i64, value: f64) -> Point {
    Point {
        at_millis,
        value,
        flags: 0,
    }
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        4 => Just(0.0),
        1 => Just(-0.0),
        2 => (0..1000_i32).prop_map(|pages| f64::from(pages) * 4096.0),
        2 => (-10_000..10_000_i32).prop_map(|ratio| f64::from(ratio) / 10_000.0),
        2 => (0.0..1e9_f64).prop_map(|rate| f64::from_bits(rate.to_bits() >> 40 << 40)),
        1 => -1e3..1e3_f64,
        1 => proptest::num::f64::NORMAL,
        1 => proptest::num::f64::SUBNORMAL,
        1 => Just(f64::MAX),
        1 => Just(f64::MIN),
    ]
}

/// Times with gaps, and values that are often the same.
fn any_points() -> impl Strategy<Value = Vec<Point>> {
    let gap = prop_oneof![4 => Just(10_000), 1 => 1..100_000_i64, 1 => 1..1_i64 << 40];
    let step = (
        gap,
        any_value(),
        prop_oneof![9 => Just(0), 1 => any::<u8>()],
    );
    let steps = prop::collection::vec(step, 0..40);
    (any::<bool>(), -1_i64 << 45..1 << 45, any_value(), steps).prop_map(
        |(constant, start, value, steps)| {
            let mut at_millis = start;
            let each = steps.into_iter().map(|(gap, own, flags)| {
                at_millis += gap;
                Point {
                    at_millis,
                    value: if constant { value } else { own },
                    flags,
                }
            });
            each.collect()
        },
    )
}

fn any_series() -> impl Strategy<Value = Vec<Series<Point>>> {
    let name = (
        prop_oneof![0..4_u16, any::<u16>()],
        prop_oneof![0..20_u32, any::<u32>()],
    );
    prop::collection::btree_map(name, any_points(), 0..30).prop_map(|series| {
        let named = series.into_iter();
        named
            .map(|((metric, series), points)| (key(metric, series), points))
            .collect()
    })
}

fn rolled(series: &[Series<Point>], millis: u32) -> Vec<Series<Bucket>> {
    let step = NonZeroU32::new(millis).unwrap();
    let each = series.iter();
    each.map(|(key, points)| (*key, roll_points(points, step)))
        .collect()
}

type Bits = Vec<(i64, u64, u8)>;

fn bits(series: &[Series<Point>]) -> Vec<(SeriesKey, Bits)> {
    let each = series.iter().map(|(key, points)| {
        let points = points.iter();
        (
            *key,
            points
                .map(|it| (it.at_millis, it.value.to_bits(), it.flags))
                .collect(),
        )
    });
    each.collect()
}

fn assert_kept(given: &[Series<Bucket>], kept: &[Series<Bucket>]) {
    assert_eq!(given.len(), kept.len());
    for ((given_key, given), (kept_key, kept)) in given.iter().zip(kept) {
        assert_eq!(given_key, kept_key);
        assert_eq!(given.len(), kept.len());
        for (given, kept) in given.iter().zip(kept) {
            let tolerance = given.mean.abs() * f64::from(f32::EPSILON) + 1e-300;
            assert!(
                (given.mean - kept.mean).abs() <= tolerance,
                "{given:?} {kept:?}"
            );
            let mean = kept.mean;
            assert_eq!(
                &Bucket {
                    mean,
                    ..given.clone()
                },
                kept
            );
            assert_eq!(given.last.to_bits(), kept.last.to_bits());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn points_come_back(series in any_series()) {
        let block = encode_points(&series).unwrap();
        prop_assert_eq!(bits(&decode_all_points(&block).unwrap()), bits(&series));
    }

    #[test]
    fn buckets_come_back(series in any_series(), millis in 1..200_000_u32) {
        let buckets = rolled(&series, millis);
        let block = encode_buckets(&buckets).unwrap();
        assert_kept(&buckets, &decode_all_buckets(&block).unwrap());
    }

    #[test]
    fn buckets_that_were_kept_are_kept_again(series in any_series()) {
        let kept = decode_all_buckets(&encode_buckets(&rolled(&series, 60_000)).unwrap()).unwrap();
        let again = decode_all_buckets(&encode_buckets(&kept).unwrap()).unwrap();
        assert_kept(&kept, &again);
    }

    #[test]
    fn buckets_of_kept_buckets_are_those_of_the_points(series in any_series()) {
        let (minute, hour) = (60_000, 3_600_000);
        let kept = decode_all_buckets(&encode_buckets(&rolled(&series, minute)).unwrap()).unwrap();
        for ((_, fine), (_, expected)) in kept.iter().zip(rolled(&series, hour)) {
            let step = |millis| NonZeroU32::new(millis).unwrap();
            let coarse = roll_buckets(fine, step(minute), step(hour));
            prop_assert_eq!(coarse.len(), expected.len());
            for (coarse, expected) in coarse.iter().zip(&expected) {
                let mean = coarse.mean;
                prop_assert_eq!(coarse, &Bucket { mean, ..expected.clone() });
                let size = expected.minimum.abs().max(expected.maximum.abs());
                prop_assert!((mean - expected.mean).abs() <= size * 1e-6 + 1e-300, "{mean} {expected:?} {fine:?}");
            }
        }
    }

    #[test]
    fn sketches_that_do_not_fit_come_back(
        series in any_series(),
        indices in prop::collection::btree_set(-3000..3000_i32, 1..20),
        count in 1..u32::MAX,
    ) {
        let mut buckets = rolled(&series, 60_000);
        let bins = indices.into_iter().map(|index| Bin { index, count });
        let sketch = Sketch::from_bins(bins.collect()).unwrap();
        for (_, buckets) in &mut buckets {
            for bucket in buckets.iter_mut().step_by(3) {
                bucket.sketch = sketch.clone();
            }
        }
        let block = encode_buckets(&buckets).unwrap();
        assert_kept(&buckets, &decode_all_buckets(&block).unwrap());
    }

    #[test]
    fn damage_is_found(
        series in any_series(),
        buckets in any::<bool>(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<prop::sample::Index>(),
    ) {
        let mut block = if buckets {
            encode_buckets(&rolled(&series, 60_000)).unwrap()
        } else {
            encode_points(&series).unwrap()
        };
        let whole = block.len();
        let short = &block[..cut.index(whole)];
        prop_assert!(decode_all_points(short).is_err());
        prop_assert!(decode_all_buckets(short).is_err());
        block[at.index(whole)] ^= flip;
        prop_assert!(decode_all_points(&block).is_err());
        prop_assert!(decode_all_buckets(&block).is_err());
    }

    /// What comes after the checksums is held to the same.
    #[test]
    fn damage_with_a_right_checksum_never_panics(
        series in any_series(),
        is_buckets in any::<bool>(),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let block = if is_buckets {
            encode_buckets(&rolled(&series, 60_000)).unwrap()
        } else {
            encode_points(&series).unwrap()
        };
        let directory = Directory::parse(&block).unwrap();
        for frame in directory.frames() {
            let mut bytes = block[frame.range()].to_vec();
            let position = at.index(bytes.len());
            bytes[position] = value;
            if is_buckets {
                drop(buckets::take(&bytes, directory.timelines(), &|_| true));
            } else {
                drop(points::take(&bytes, directory.timelines(), &|_| true));
            }
        }
    }

    #[test]
    fn any_bytes_are_data_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let times = vec![vec![0, 10, 20], (0..300).collect()];
        drop(Directory::parse(&bytes));
        drop(points::take(&bytes, &times, &|_| true));
        drop(buckets::take(&bytes, &times, &|_| true));
        drop(timelines::take(&mut bytes::Reader::new(&bytes)));
    }
}

/// Many series of many values.
fn many() -> Vec<Series<Point>> {
    let value = |series: u32, step: i32| match series % 4 {
        0 => 4096.0,
        1 => f64::from(step % 7) * 0.25,
        2 => f64::from(step * step) * 4096.0,
        _ => (f64::from(step) * 0.7).sin(),
    };
    let points =
        |series| (0..400).map(move |step| point(i64::from(step) * 10_000, value(series, step)));
    (0..40)
        .map(|series| {
            (
                key(u16::try_from(series / 4).unwrap(), series),
                points(series).collect(),
            )
        })
        .collect()
}

#[test]
fn one_frame_is_enough_for_one_series() {
    let series = many();
    let block = encode_points(&series).unwrap();
    let needed = Directory::bytes(&block[..16]).unwrap();
    assert!(matches!(
        Directory::parse(&block[..needed - 1]),
        Err(BlockError::Short)
    ));
    let directory = Directory::parse(&block[..needed]).unwrap();
    assert!(directory.frames().len() > 3);
    for (key, points) in &series {
        let frames: Vec<_> = directory.frames_of(*key..=*key).collect();
        let [frame] = frames.as_slice() else {
            panic!("{frames:?}")
        };
        let bytes = &block[frame.range()];
        let found = decode_points(&directory, frame, bytes, |found| found == *key).unwrap();
        assert_eq!(found, [(*key, points.clone())]);
    }
    let absent = key(500, 0);
    assert_eq!(directory.frames_of(absent..=absent).count(), 0);
    let all = key(0, 0)..=key(u16::MAX, u32::MAX);
    assert_eq!(directory.frames_of(all).count(), directory.frames().len());
}

#[test]
fn wanted_buckets_are_as_among_all() {
    let buckets = rolled(&many(), 60_000);
    let block = encode_buckets(&buckets).unwrap();
    let directory = Directory::parse(&block).unwrap();
    for (key, of_series) in &buckets {
        let frame = directory.frames_of(*key..=*key).next().unwrap();
        let bytes = &block[frame.range()];
        let found = decode_buckets(&directory, frame, bytes, |found| found == *key).unwrap();
        assert_kept(&[(*key, of_series.clone())], &found);
    }
}

#[test]
fn nothing_is_a_block_too() {
    let block = encode_points(&[]).unwrap();
    assert!(decode_all_points(&block).unwrap().is_empty());
    assert!(matches!(decode_all_buckets(&block), Err(BlockError::Kind)));
    let empty = [(key(1, 2), Vec::new()), (key(1, 3), Vec::new())];
    let block = encode_points(&empty).unwrap();
    assert_eq!(decode_all_points(&block).unwrap(), empty);
}

#[test]
fn what_cannot_be_kept_is_refused() {
    let name = key(0, 0);
    let one = |points| encode_points(&[(name, points)]);
    assert!(matches!(
        one(vec![point(0, f64::NAN)]),
        Err(BlockError::NotFinite)
    ));
    assert!(matches!(
        one(vec![point(0, f64::INFINITY)]),
        Err(BlockError::NotFinite)
    ));
    let backwards = vec![point(1, 0.0), point(0, 0.0)];
    assert!(matches!(one(backwards), Err(BlockError::TimesNotAscending)));
    let twice = [(name, vec![]), (name, vec![])];
    assert!(matches!(
        encode_points(&twice),
        Err(BlockError::KeysNotAscending)
    ));
    let long = (0..=65_536).map(|at| point(at, 0.0)).collect();
    assert!(matches!(one(long), Err(BlockError::TooMany(_))));
    let mut bucket = Bucket::of(0, &point(0, 1.0));
    bucket.last = 2.0;
    let wrong = [(name, vec![bucket])];
    assert!(matches!(
        encode_buckets(&wrong),
        Err(BlockError::Inconsistent)
    ));
}

#[test]
fn a_long_series_has_its_own_frame() {
    let long = (0..10_000).map(|at| point(at, at as f64 / 100.0)).collect();
    let series = [(key(0, 0), vec![point(5, 1.0)]), (key(0, 1), long)];
    let block = encode_points(&series).unwrap();
    assert_eq!(Directory::parse(&block).unwrap().frames().len(), 2);
    assert_eq!(decode_all_points(&block).unwrap(), series);
}
