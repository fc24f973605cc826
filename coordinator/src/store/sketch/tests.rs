use proptest::prelude::*;

use super::*;

fn of(values: &[f64]) -> Sketch {
    let mut sketch = Sketch::default();
    for value in values {
        sketch.add(*value);
    }
    sketch
}

fn exact(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = rank(q, sorted.len() as u64).unwrap();
    sorted[usize::try_from(rank - 1).unwrap()]
}

fn any_value() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        -1e3..1e3_f64,
        0.0..1.0_f64,
        1e6..1e12_f64,
        (-300..300_i32).prop_map(|exponent| 10_f64.powi(exponent)),
        (-300..300_i32).prop_map(|exponent| -(10_f64.powi(exponent))),
    ]
}

proptest! {
    #[test]
    fn quantiles_are_within_one_percent(
        values in prop::collection::vec(any_value(), 1..400),
        q in 0.0..=1.0_f64,
    ) {
        let answer = of(&values).quantile(q).unwrap();
        let exact = exact(&values, q);
        if exact.abs() < SMALLEST {
            prop_assert_eq!(answer, 0.0);
        } else {
            prop_assert!((answer - exact).abs() <= exact.abs() * (RELATIVE_ERROR + 1e-9));
        }
    }

    #[test]
    fn parts_merge_to_the_whole_in_any_order(
        values in prop::collection::vec(any_value(), 0..200),
        cuts in prop::collection::vec(0..5_usize, 200),
        order in Just([0, 1, 2, 3, 4_usize]).prop_shuffle(),
    ) {
        let mut parts = vec![Sketch::default(); 5];
        for (value, part) in values.iter().zip(&cuts) {
            parts[*part].add(*value);
        }
        let mut merged = Sketch::default();
        for part in order {
            merged.merge(&parts[part]);
        }
        prop_assert_eq!(&merged, &of(&values));
        prop_assert_eq!(merged.count(), values.len() as u64);
        prop_assert_eq!(Sketch::from_bins(merged.bins().to_vec()), Some(merged));
    }
}

#[test]
fn nothing_has_no_quantile() {
    assert_eq!(Sketch::default().quantile(0.5), None);
    assert_eq!(of(&[1.0]).quantile(1.5), None);
    assert_eq!(of(&[1.0]).quantile(f64::NAN), None);
}

#[test]
fn values_that_are_not_finite_are_left_out() {
    assert_eq!(of(&[f64::NAN, f64::INFINITY]), Sketch::default());
}

#[test]
fn extreme_values_have_a_bin() {
    for value in [f64::MAX, f64::MIN, f64::MIN_POSITIVE, SMALLEST, -SMALLEST] {
        let answer = of(&[value]).quantile(0.5).unwrap();
        let exact = if value.abs() < SMALLEST { 0.0 } else { value };
        assert!(
            (answer - exact).abs() <= exact.abs() * 0.010_000_1,
            "{value}"
        );
        assert!(bin_of(value).abs() < FURTHEST_BIN);
    }
    assert!(bin_of(SMALLEST) >= 1);
}

#[test]
fn lowest_bins_collapse_the_same_in_any_order() {
    let values: Vec<f64> = (0..5000).map(|step| 1.03_f64.powi(step - 600)).collect();
    let up = of(&values);
    let down = of(&values.iter().rev().copied().collect::<Vec<_>>());
    let (one, two) = values.split_at(1900);
    let mut merged = of(two);
    merged.merge(&of(one));
    assert_eq!(up.bins().len(), MOST_BINS);
    assert_eq!(up, down);
    assert_eq!(up, merged);
    assert_eq!(up.count(), 5000);
}

#[test]
fn bins_of_a_damaged_sketch_are_refused() {
    let bin = |index, count| Bin { index, count };
    assert_eq!(Sketch::from_bins(vec![bin(2, 1), bin(2, 1)]), None);
    assert_eq!(Sketch::from_bins(vec![bin(2, 0)]), None);
    assert_eq!(Sketch::from_bins(vec![bin(i32::MIN + 1, 1)]), None);
}

#[test]
fn agrees_with_another_implementation() {
    let mut other = sketches_ddsketch::DDSketch::new(sketches_ddsketch::Config::new(
        RELATIVE_ERROR,
        2048,
        SMALLEST,
    ));
    let values: Vec<f64> = (1..=360)
        .map(|step| f64::from(step * step) * 0.37)
        .collect();
    for value in &values {
        other.add(*value);
    }
    let ours = of(&values);
    for q in [0.0, 0.05, 0.5, 0.9, 0.95, 0.99, 1.0] {
        let theirs = other.quantile(q).unwrap().unwrap();
        let ours = ours.quantile(q).unwrap();
        // Theirs counts ranks from zero, so it may be the neighbour.
        assert!(
            (ours - theirs).abs() <= theirs * 0.05,
            "{q}: {ours} {theirs}"
        );
    }
}
