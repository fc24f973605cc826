use proptest::prelude::*;

use super::*;

fn millis(step: u32) -> NonZeroU32 {
    NonZeroU32::new(step).unwrap()
}

fn point(at_millis: i64, value: f64) -> Point {
    Point {
        at_millis,
        value,
        flags: 0,
    }
}

fn any_points() -> impl Strategy<Value = Vec<Point>> {
    let value = prop_oneof![Just(0.0), Just(4096.0), -100.0..100.0_f64, 0.0..1e12_f64];
    let point =
        (-8_000_000..8_000_000_i64, value, 0..4_u8).prop_map(|(at_millis, value, flags)| Point {
            at_millis,
            value,
            flags,
        });
    prop::collection::vec(point, 0..300).prop_map(|mut points| {
        points.sort_by_key(|point| point.at_millis);
        points.dedup_by_key(|point| point.at_millis);
        points
    })
}

fn assert_same(one: &[Bucket], two: &[Bucket]) {
    assert_eq!(one.len(), two.len());
    for (one, two) in one.iter().zip(two) {
        let scale = one.minimum.abs().max(one.maximum.abs());
        assert!((one.mean - two.mean).abs() <= scale * 1e-12);
        let mean = one.mean;
        assert_eq!(
            one,
            &Bucket {
                mean,
                ..two.clone()
            }
        );
    }
}

proptest! {
    #[test]
    fn rolling_up_twice_is_rolling_up_once(points in any_points()) {
        let (minute, hour) = (millis(60_000), millis(3_600_000));
        let twice = roll_buckets(&roll_points(&points, minute), minute, hour);
        assert_same(&roll_points(&points, hour), &twice);
    }

    #[test]
    fn the_order_of_points_makes_no_difference(
        (sorted, shuffled) in any_points().prop_flat_map(|points| {
            (Just(points.clone()), Just(points).prop_shuffle())
        }),
    ) {
        let minute = millis(60_000);
        assert_same(&roll_points(&sorted, minute), &roll_points(&shuffled, minute));
    }

    #[test]
    fn builders_of_one_step_merge(points in any_points(), cut in 0..300_usize) {
        let (one, two) = points.split_at(cut.min(points.len()));
        let build = |points: &[Point]| {
            let (first, rest) = points.split_first()?;
            let mut builder = BucketBuilder::of(0, first);
            rest.iter().for_each(|point| builder.add(point));
            Some(builder)
        };
        if let (Some(one), Some(mut two), Some(whole)) = (build(one), build(two), build(&points)) {
            two.merge(&one);
            assert_same(&[whole.finish()], &[two.finish()]);
        }
    }

    #[test]
    fn a_bucket_is_what_its_points_are(points in any_points()) {
        for bucket in roll_points(&points, millis(600_000)) {
            let within: Vec<_> = points
                .iter()
                .filter(|point| step_of(point.at_millis, millis(600_000)) == bucket.index)
                .collect();
            let sum: f64 = within.iter().map(|point| point.value).sum();
            let flags = within.iter().fold(0, |flags, point| flags | point.flags);
            prop_assert_eq!(bucket.count as usize, within.len());
            prop_assert_eq!(bucket.last, within.last().unwrap().value);
            prop_assert_eq!(bucket.flags, flags);
            prop_assert!((bucket.mean - sum / within.len() as f64).abs() <= 1e-3);
            prop_assert!(bucket.minimum <= bucket.mean && bucket.mean <= bucket.maximum);
            prop_assert_eq!(bucket.sketch.count(), u64::from(bucket.count));
        }
    }
}

#[test]
fn equal_values_have_one_bin_and_their_own_mean() {
    let points: Vec<_> = (0..7).map(|step| point(step * 1000, 0.1)).collect();
    let buckets = roll_points(&points, millis(60_000));
    assert_eq!(buckets[0].sketch.bins().len(), 1);
    assert_eq!(buckets[0].mean, 0.1);
}

#[test]
fn huge_values_have_a_finite_mean() {
    let points = [point(0, f64::MAX), point(1, f64::MIN), point(2, f64::MAX)];
    let buckets = roll_points(&points, millis(1000));
    assert!(buckets[0].mean.is_finite());
    let mut merged = Bucket::of(0, &points[0]);
    merged.merge(&Bucket::of(0, &points[1]));
    assert!(merged.mean.is_finite());
}

#[test]
fn values_that_are_not_finite_are_left_out() {
    let points = [point(0, f64::NAN), point(1, 2.0), point(2, f64::INFINITY)];
    let buckets = roll_points(&points, millis(1000));
    assert_eq!(buckets, [Bucket::of(0, &points[1])]);
    assert!(roll_points(&points[..1], millis(1000)).is_empty());
}
