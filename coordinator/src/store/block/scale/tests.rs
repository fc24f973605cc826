use proptest::prelude::*;

use super::*;

fn best(numbers: &[f64]) -> Vec<Scale> {
    let scales = scales(numbers);
    for scale in &scales {
        assert_eq!(Scale::from_tag(scale.tag()).unwrap(), *scale);
        for number in numbers {
            let integer = scale.integer(*number).unwrap();
            assert_eq!(scale.number(integer).to_bits(), number.to_bits());
        }
    }
    scales
}

proptest! {
    #[test]
    fn numbers_come_back_on_every_scale(numbers in prop::collection::vec(
        prop_oneof![
            Just(0.0),
            Just(-0.0),
            (-100_000..100_000_i32).prop_map(|ratio| f64::from(ratio) / 10_000.0),
            (-100_000..100_000_i32).prop_map(|pages| f64::from(pages) * 4096.0),
            proptest::num::f64::NORMAL | proptest::num::f64::SUBNORMAL,
        ],
        1..5,
    )) {
        best(&numbers);
    }

    #[test]
    fn integers_order_as_their_numbers(one in -1e9..1e9_f64, two in -1e9..1e9_f64) {
        for scale in best(&[one, two]) {
            let order = scale.integer(one).cmp(&scale.integer(two));
            prop_assert_eq!(order, one.total_cmp(&two));
        }
    }

    #[test]
    fn any_integer_is_a_number_or_an_error(tag in any::<u8>(), integer in any::<i64>()) {
        if let Ok(scale) = Scale::from_tag(tag) {
            drop(scale.checked_number(integer));
        }
    }
}

#[test]
fn rounded_numbers_have_small_integers() {
    assert!(best(&[0.1234, 0.5]).contains(&Scale::Decimal(4)));
    assert!(best(&[0.25, 1.75, 0.01]).contains(&Scale::Decimal(2)));
    assert!(best(&[4096.0, 12288.0, 0.0]).contains(&Scale::Binary(12)));
    assert!(best(&[0.5, 0.25]).contains(&Scale::Binary(-2)));
    assert_eq!(Scale::Decimal(4).integer(0.1234), Some(1234));
}
