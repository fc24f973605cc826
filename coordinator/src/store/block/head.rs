//! What a frame tells of its series before their values.

use super::{
    BlockError, FRAME_VALUES, MOST_VALUES, Series, SeriesKey,
    bytes::{Reader, amount, put_amount, wide},
    directory::key,
    integers,
};

/// Above all flags: they are not the same in all values of the series.
const VARIOUS: u64 = 256;

/// The series of a frame.
#[derive(Debug)]
pub(super) struct Head<'a> {
    pub(super) keys: Vec<SeriesKey>,
    /// The times of each.
    pub(super) times: Vec<&'a [i64]>,
    /// The ones whose values are all the same.
    pub(super) constant: Vec<bool>,
    pub(super) flags: Vec<Flags>,
}

#[derive(Debug)]
pub(super) enum Flags {
    Same(u8),
    Various(Vec<u8>),
}

impl Flags {
    pub(super) fn at(&self, position: usize) -> u8 {
        match self {
            Self::Same(flags) => *flags,
            Self::Various(flags) => flags.get(position).copied().unwrap_or_default(),
        }
    }
}

pub(super) fn put<T>(
    out: &mut Vec<u8>,
    series: &[Series<T>],
    timelines: &[usize],
    constant: &[bool],
    flags: impl Fn(&T) -> u8,
) -> Result<(), BlockError> {
    put_amount(out, series.len());
    let mut metrics = Vec::new();
    let mut lengths = Vec::new();
    let mut names = Vec::new();
    let mut metric = 0;
    for run in series.chunk_by(|(one, _), (next, _)| one.metric == next.metric) {
        let mut before: Option<u32> = None;
        for (key, _) in run {
            let gap = before.map_or(key.series, |before| key.series - before - 1);
            names.push(u64::from(gap));
            before = Some(key.series);
        }
        if let Some((key, _)) = run.first() {
            metrics.push(u64::from(key.metric - metric));
            metric = key.metric;
        }
        lengths.push(wide(run.len()));
    }
    put_amount(out, metrics.len());
    integers::put(out, &metrics)?;
    integers::put(out, &lengths)?;
    integers::put(out, &names)?;
    let timelines: Vec<u64> = timelines.iter().map(|number| wide(*number)).collect();
    integers::put(out, &timelines)?;
    let constant: Vec<u64> = constant
        .iter()
        .map(|constant| u64::from(*constant))
        .collect();
    integers::put(out, &constant)?;
    let mut of_series = Vec::with_capacity(series.len());
    let mut various = Vec::new();
    for (_, values) in series {
        let mine: Vec<u64> = values.iter().map(|value| u64::from(flags(value))).collect();
        let first = mine.first().copied().unwrap_or_default();
        if mine.iter().all(|flags| *flags == first) {
            of_series.push(first);
        } else {
            of_series.push(VARIOUS);
            various.extend(mine);
        }
    }
    integers::put(out, &of_series)?;
    integers::put(out, &various)
}

pub(super) fn take<'a>(
    reader: &mut Reader<'_>,
    timelines: &'a [Vec<i64>],
) -> Result<Head<'a>, BlockError> {
    let count = reader.amount(FRAME_VALUES)?;
    let keys = take_keys(reader, count)?;
    let times = integers::take(reader, count)?
        .into_iter()
        .map(|number| {
            let list = usize::try_from(number)
                .ok()
                .and_then(|number| timelines.get(number));
            list.map(Vec::as_slice)
                .ok_or(BlockError::Damaged("there are no such times"))
        })
        .collect::<Result<Vec<_>, _>>()?;
    // A frame has more values only if it has a single series.
    let values: usize = times.iter().map(|list| list.len().max(1)).sum();
    if values > if count > 1 { FRAME_VALUES } else { MOST_VALUES } {
        return Err(BlockError::TooMany("values in a frame"));
    }
    let constant = integers::take(reader, count)?
        .into_iter()
        .map(|constant| constant != 0)
        .collect();
    let flags = take_flags(reader, &times)?;
    Ok(Head {
        keys,
        times,
        constant,
        flags,
    })
}

fn take_keys(reader: &mut Reader<'_>, count: usize) -> Result<Vec<SeriesKey>, BlockError> {
    let runs = reader.amount(count)?;
    let metrics = integers::take(reader, runs)?;
    let lengths = integers::take(reader, runs)?;
    let mut names = integers::take(reader, count)?.into_iter();
    let mut keys = Vec::with_capacity(count);
    let mut metric = 0_u64;
    for (step, length) in metrics.into_iter().zip(lengths) {
        metric = metric.saturating_add(step);
        let mut next = 0_u64;
        for _ in 0..amount(length, count)? {
            let series = next.saturating_add(names.next().ok_or(BlockError::Short)?);
            keys.push(key(metric, series)?);
            next = series.saturating_add(1);
        }
    }
    if keys.len() == count {
        Ok(keys)
    } else {
        Err(BlockError::Damaged("it has fewer keys than series"))
    }
}

fn take_flags(reader: &mut Reader<'_>, times: &[&[i64]]) -> Result<Vec<Flags>, BlockError> {
    const WRONG: BlockError = BlockError::Damaged("there are no such flags");
    let of_series = integers::take(reader, times.len())?;
    let various = of_series
        .iter()
        .zip(times)
        .filter(|(flags, _)| **flags == VARIOUS);
    let various = various.map(|(_, times)| times.len()).sum();
    let mut various = integers::take(reader, various)?.into_iter();
    of_series
        .into_iter()
        .zip(times)
        .map(|(flags, times)| {
            if let Ok(flags) = u8::try_from(flags) {
                return Ok(Flags::Same(flags));
            }
            let mine = various.by_ref().take(times.len());
            let mine = mine.map(|flags| u8::try_from(flags).map_err(|_| WRONG));
            Ok(Flags::Various(mine.collect::<Result<_, _>>()?))
        })
        .collect()
}
