use proptest::prelude::*;

use super::*;

fn any_column() -> impl Strategy<Value = Vec<u64>> {
    let value = prop_oneof![
        Just(prop::collection::vec(0..3_u64, 0..200).boxed()),
        Just(prop::collection::vec(0..300_u64, 0..200).boxed()),
        Just(prop::collection::vec(1_000_000..1_000_900_u64, 0..200).boxed()),
        Just(prop::collection::vec(any::<u64>(), 0..200).boxed()),
        Just(prop::collection::vec(prop_oneof![9 => Just(0), 1 => any::<u64>()], 0..200).boxed()),
        Just(
            (any::<u64>(), 0..200_usize)
                .prop_map(|(value, count)| vec![value; count])
                .boxed()
        ),
    ];
    value.prop_flat_map(|column| column)
}

proptest! {
    #[test]
    fn columns_come_back(one in any_column(), two in any_column()) {
        let mut out = Vec::new();
        put(&mut out, &one).unwrap();
        put(&mut out, &two).unwrap();
        let mut reader = Reader::new(&out);
        prop_assert_eq!(take(&mut reader, one.len()).unwrap(), one);
        prop_assert_eq!(take(&mut reader, two.len()).unwrap(), two);
        prop_assert!(reader.end().is_ok());
    }

    #[test]
    fn any_bytes_are_a_column_or_an_error(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        form in prop_oneof![Just(PCO_8), Just(PCO_16), Just(PCO_32), Just(PCO_64), any::<u8>()],
        count in 0..5000_usize,
    ) {
        let bytes: Vec<u8> = [form].into_iter().chain(bytes).collect();
        if let Ok(column) = take(&mut Reader::new(&bytes), count) {
            prop_assert_eq!(column.len(), count);
        }
    }

    #[test]
    fn a_damaged_column_never_panics(
        column in prop::collection::vec(prop_oneof![0..100_000_u64, 0..20_u64], 300),
        at in any::<prop::sample::Index>(),
        value in any::<u8>(),
    ) {
        let mut out = compress(&column).unwrap();
        let position = at.index(out.len());
        out[position] = value;
        drop(take(&mut Reader::new(&out), column.len()));
    }
}

#[test]
fn a_dictionary_is_refused_before_it_is_allocated() {
    let bytes = [PCO_64, 0xf4, 0xff, 0xff, 0xff, 0x0f, 0, 0, 0, 0];
    assert!(matches!(
        take(&mut Reader::new(&bytes), 10),
        Err(BlockError::Damaged(_))
    ));
}

#[test]
fn the_format_of_pco_is_the_one_that_is_read() {
    let header = FileCompressor::default().write_header(Vec::new()).unwrap();
    assert_eq!(header, PCO_FORMAT);
}

#[test]
fn short_columns_take_few_bytes() {
    let bytes = |values: &[u64]| {
        let mut out = Vec::new();
        put(&mut out, values).unwrap();
        out.len()
    };
    assert_eq!(bytes(&[]), 0);
    assert_eq!(bytes(&[0; 1000]), 1);
    assert_eq!(bytes(&[7; 1000]), 2);
    assert_eq!(bytes(&[0, 0, 1, 0, 0, 0, 2, 0]), 3);
    assert_eq!(bytes(&[1000, 1001, 1002, 1003]), 4);
}
