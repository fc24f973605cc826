//! Frames of points.

use super::{
    BlockError, Series, SeriesKey,
    bytes::Reader,
    grid::Grid,
    head::{self, Head},
    scale::{Scale, scales},
};
use crate::store::bucket::Point;

/// A run whose values are all zero, instead of its scale.
const ZEROS: u8 = 0xff;
/// Added to the scale of a run that is written in steps.
pub(super) const STEPS: u8 = 0x80;

pub(super) fn put(
    out: &mut Vec<u8>,
    series: &[Series<Point>],
    timelines: &[usize],
) -> Result<(), BlockError> {
    let constant: Vec<bool> = series
        .iter()
        .map(|(_, points)| is_constant(points))
        .collect();
    head::put(out, series, timelines, &constant, |point| point.flags)?;
    let mut constant = constant.as_slice();
    for run in series.chunk_by(|(one, _), (next, _)| one.metric == next.metric) {
        let (mine, others) = constant
            .split_at_checked(run.len())
            .ok_or(BlockError::Short)?;
        constant = others;
        put_run(out, run, mine)?;
    }
    Ok(())
}

pub(super) fn take(
    bytes: &[u8],
    timelines: &[Vec<i64>],
    wanted: &dyn Fn(SeriesKey) -> bool,
) -> Result<Vec<Series<Point>>, BlockError> {
    let mut reader = Reader::new(bytes);
    let head = head::take(&mut reader, timelines)?;
    // What comes after the last that is wanted need not be understood.
    let Some(last) = head.keys.iter().rposition(|key| wanted(*key)) else {
        return Ok(Vec::new());
    };
    let mut numbers = Vec::with_capacity(head.keys.len());
    let mut begin = 0;
    for run in head.keys.chunk_by(|one, next| one.metric == next.metric) {
        if begin > last {
            break;
        }
        let end = begin + run.len();
        numbers.append(&mut take_run(&mut reader, &head, begin, end)?);
        begin = end;
    }
    if begin == head.keys.len() {
        reader.end()?;
    }
    let mut series = Vec::new();
    for (((key, times), flags), (scale, numbers)) in head
        .keys
        .iter()
        .zip(&head.times)
        .zip(&head.flags)
        .zip(&numbers)
    {
        if !wanted(*key) {
            continue;
        }
        let points = times.iter().enumerate().map(|(position, at_millis)| {
            // A constant series has one number.
            let integer = numbers.get(position).or(numbers.first());
            Ok(Point {
                at_millis: *at_millis,
                value: scale.checked_number(*integer.ok_or(BlockError::Short)?)?,
                flags: flags.at(position),
            })
        });
        series.push((*key, points.collect::<Result<_, BlockError>>()?));
    }
    Ok(series)
}

/// So are series without points.
fn is_constant(points: &[Point]) -> bool {
    let mut values = points.iter().map(|point| point.value.to_bits());
    values
        .next()
        .is_none_or(|first| values.all(|value| value == first))
}

fn put_run(out: &mut Vec<u8>, run: &[Series<Point>], constant: &[bool]) -> Result<(), BlockError> {
    let numbers: Vec<f64> = run
        .iter()
        .zip(constant)
        .flat_map(|((_, points), constant)| {
            points.iter().take(if *constant { 1 } else { usize::MAX })
        })
        .map(|point| point.value)
        .collect();
    if numbers.iter().all(|number| number.to_bits() == 0) && constant.iter().all(|it| *it) {
        out.push(ZEROS);
        return Ok(());
    }
    let grids = scales(&numbers).into_iter().filter_map(|scale| {
        let integers = |(_, points): &Series<Point>| -> Option<Vec<i64>> {
            points
                .iter()
                .map(|point| scale.integer(point.value))
                .collect()
        };
        let series: Vec<Vec<i64>> = run.iter().map(integers).collect::<Option<_>>()?;
        Some((scale, Grid::best(&series, constant)))
    });
    let best = grids.min_by_key(|(_, grid)| grid.estimate());
    let (scale, grid) = best.ok_or(BlockError::NotFinite)?;
    out.push(scale.tag() | if grid.steps { STEPS } else { 0 });
    grid.put(out)
}

type OnScale = (Scale, Vec<i64>);

fn take_run(
    reader: &mut Reader<'_>,
    head: &Head<'_>,
    begin: usize,
    end: usize,
) -> Result<Vec<OnScale>, BlockError> {
    let times = head.times.get(begin..end).ok_or(BlockError::Short)?;
    let constant = head.constant.get(begin..end).ok_or(BlockError::Short)?;
    let tag = reader.byte()?;
    if tag == ZEROS {
        return Ok(times.iter().map(|_| (Scale::Decimal(0), vec![0])).collect());
    }
    let scale = Scale::from_tag(tag & !STEPS)?;
    // A series without points is constant, and has no value.
    let filled: Vec<(usize, bool)> = times
        .iter()
        .zip(constant)
        .map(|(times, constant)| (times.len(), *constant))
        .filter(|(length, _)| *length > 0)
        .collect();
    let (lengths, constant): (Vec<_>, Vec<_>) = filled.into_iter().unzip();
    let mut grid = Grid::take(reader, &lengths, &constant, tag & STEPS != 0)?.into_iter();
    let of_series = times.iter().map(|times| {
        let numbers = if times.is_empty() {
            Some(Vec::new())
        } else {
            grid.next()
        };
        numbers
            .map(|numbers| (scale, numbers))
            .ok_or(BlockError::Short)
    });
    of_series.collect()
}
