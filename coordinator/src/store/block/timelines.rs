//! Lists of times, each kept once for all series that have it.

use std::collections::HashMap;

use super::{
    BlockError, MOST_SERIES, MOST_VALUES, Series,
    bytes::{Reader, put_amount, put_number, put_signed, wide},
    integers,
};

/// Times of all lists of a block.
const MOST_TIMES: usize = 1 << 20;

/// The lists of a block that is being written.
#[derive(Debug)]
pub(super) struct Timelines {
    lists: Vec<Vec<i64>>,
    /// Which of them each series has.
    numbers: Vec<usize>,
}

impl Timelines {
    pub(super) fn of<T>(
        series: &[Series<T>],
        time: impl Fn(&T) -> i64,
    ) -> Result<Self, BlockError> {
        let mut known: HashMap<Vec<i64>, usize> = HashMap::new();
        let mut lists = Vec::new();
        let mut numbers = Vec::with_capacity(series.len());
        for (_, values) in series {
            let list: Vec<i64> = values.iter().map(&time).collect();
            if !list.is_sorted_by(|one, next| one < next) {
                return Err(BlockError::TimesNotAscending);
            }
            let number = match known.get(&list) {
                Some(number) => *number,
                None => {
                    let number = lists.len();
                    lists.push(list.clone());
                    known.insert(list, number);
                    number
                }
            };
            numbers.push(number);
        }
        if lists.iter().map(Vec::len).sum::<usize>() > MOST_TIMES {
            return Err(BlockError::TooMany("different times"));
        }
        Ok(Self { lists, numbers })
    }

    pub(super) fn numbers(&self) -> &[usize] {
        &self.numbers
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), BlockError> {
        put_amount(out, self.lists.len());
        let lengths: Vec<u64> = self.lists.iter().map(|list| wide(list.len())).collect();
        integers::put(out, &lengths)?;
        let firsts: Vec<i64> = self
            .lists
            .iter()
            .filter_map(|list| list.first().copied())
            .collect();
        let base = firsts.iter().copied().min().unwrap_or(0);
        let firsts: Vec<u64> = firsts.iter().map(|first| between(base, *first)).collect();
        let steps: Vec<u64> = self
            .lists
            .iter()
            .flat_map(|list| list.windows(2))
            .map(|pair| match pair {
                [one, next] => between(*one, *next),
                _ => 0,
            })
            .collect();
        // Times are often whole seconds.
        let unit = firsts
            .iter()
            .chain(&steps)
            .fold(0, |unit, step| divisor(unit, *step));
        let unit = unit.max(1);
        let count = |steps: &[u64]| -> Vec<u64> { steps.iter().map(|step| step / unit).collect() };
        put_signed(out, base);
        put_number(out, unit);
        integers::put(out, &count(&firsts))?;
        integers::put(out, &count(&steps))
    }
}

pub(super) fn take(reader: &mut Reader<'_>) -> Result<Vec<Vec<i64>>, BlockError> {
    let lists = reader.amount(MOST_SERIES)?;
    let lengths = integers::take(reader, lists)?
        .into_iter()
        .map(|length| super::bytes::amount(length, MOST_VALUES))
        .collect::<Result<Vec<usize>, _>>()?;
    if lengths.iter().sum::<usize>() > MOST_TIMES {
        return Err(BlockError::TooMany("different times"));
    }
    let base = reader.signed()?;
    let unit = reader.number()?;
    let filled = lengths.iter().filter(|length| **length > 0).count();
    let steps = lengths.iter().map(|length| length.saturating_sub(1)).sum();
    let mut firsts = integers::take(reader, filled)?.into_iter();
    let steps = integers::take(reader, steps)?;
    let mut steps = steps.as_slice();
    let advance = |from: i64, step: u64| {
        step.checked_mul(unit)
            .and_then(|step| from.checked_add_unsigned(step))
            .ok_or(BlockError::Damaged("a time is beyond its limit"))
    };
    lengths
        .into_iter()
        .map(|length| {
            let Some(others) = length.checked_sub(1) else {
                return Ok(Vec::new());
            };
            let (mine, rest) = steps.split_at_checked(others).ok_or(BlockError::Short)?;
            steps = rest;
            let mut at = advance(base, firsts.next().ok_or(BlockError::Short)?)?;
            let mut list = Vec::with_capacity(length);
            list.push(at);
            for step in mine {
                at = advance(at, *step)?;
                list.push(at);
            }
            Ok(list)
        })
        .collect()
}

/// From one time to a later one. 64 bits have room for any two.
fn between(one: i64, later: i64) -> u64 {
    later.wrapping_sub(one).cast_unsigned()
}

/// The greatest that both are multiples of.
fn divisor(one: u64, two: u64) -> u64 {
    let (mut one, mut two) = (one, two);
    while two != 0 {
        (one, two) = (two, one.checked_rem(two).unwrap_or(0));
    }
    one
}
