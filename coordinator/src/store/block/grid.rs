//! One figure of several series, as integers.
//!
//! Series that stay the same have one value. The others are written as they are,
//! or as the first and the steps from one value to the next.

use super::{
    BlockError,
    bytes::{Reader, put_signed, unzigzag, zigzag},
    integers,
};

/// How the values of a run are written.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) steps: bool,
    /// All others are counted from here.
    base: i64,
    /// The values of constant series, and with steps the first of every one.
    heads: Vec<u64>,
    rest: Vec<u64>,
}

impl Grid {
    /// The smaller way to write the series; each has a value at least.
    pub(super) fn best(series: &[Vec<i64>], constant: &[bool]) -> Self {
        let plain = Self::of(series, constant, false);
        let steps = Self::of(series, constant, true);
        if steps.estimate() < plain.estimate() {
            steps
        } else {
            plain
        }
    }

    fn of(series: &[Vec<i64>], constant: &[bool], steps: bool) -> Self {
        let mut heads = Vec::new();
        let mut plain = Vec::new();
        let mut rest = Vec::new();
        for (values, constant) in series.iter().zip(constant) {
            if *constant || steps {
                heads.extend(values.first());
            }
            if *constant {
                continue;
            }
            if steps {
                rest.extend(values.windows(2).map(|pair| match pair {
                    [one, next] => zigzag(next.wrapping_sub(*one)),
                    _ => 0,
                }));
            } else {
                plain.extend(values);
            }
        }
        let base = heads.iter().chain(&plain).copied().min().unwrap_or(0);
        let offset = |value: &i64| value.wrapping_sub(base).cast_unsigned();
        if !steps {
            rest = plain.iter().map(offset).collect();
        }
        Self {
            steps,
            base,
            heads: heads.iter().map(offset).collect(),
            rest,
        }
    }

    pub(super) fn estimate(&self) -> usize {
        integers::estimate(&self.heads) + integers::estimate(&self.rest)
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), BlockError> {
        put_signed(out, self.base);
        integers::put(out, &self.heads)?;
        integers::put(out, &self.rest)
    }

    /// Reads series of these lengths, none of them zero; a constant one has a
    /// single value.
    pub(super) fn take(
        reader: &mut Reader<'_>,
        lengths: &[usize],
        constant: &[bool],
        steps: bool,
    ) -> Result<Vec<Vec<i64>>, BlockError> {
        let base = reader.signed()?;
        let varying = || {
            lengths
                .iter()
                .zip(constant)
                .filter(|(_, constant)| !**constant)
        };
        let heads = if steps {
            lengths.len()
        } else {
            lengths.len() - varying().count()
        };
        let first = usize::from(steps);
        let rest = varying()
            .map(|(length, _)| length.saturating_sub(first))
            .sum();
        let heads = integers::take(reader, heads)?;
        let rest = integers::take(reader, rest)?;
        let value = |offset: &u64| base.wrapping_add(offset.cast_signed());
        let mut heads = heads.iter().map(value);
        let mut rest = rest.as_slice();
        lengths
            .iter()
            .zip(constant)
            .map(|(length, constant)| {
                if *constant {
                    return Ok(vec![heads.next().ok_or(BlockError::Short)?]);
                }
                let (mine, others) = rest
                    .split_at_checked(length.saturating_sub(first))
                    .ok_or(BlockError::Short)?;
                rest = others;
                if !steps {
                    return Ok(mine.iter().map(value).collect());
                }
                let mut last = heads.next().ok_or(BlockError::Short)?;
                let mut values = Vec::with_capacity(*length);
                values.push(last);
                values.extend(mine.iter().map(|step| {
                    last = last.wrapping_add(unzigzag(*step));
                    last
                }));
                Ok(values)
            })
            .collect()
    }
}
