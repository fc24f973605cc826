//! The points of a line as columns of dots: what was measured in each.

use super::{Line, Plot, PlotPoint};

/// Larger values are drawn as this, so that sums and differences stay finite.
const LARGEST: f64 = 1e300;

/// What the buckets of one column have in common.
#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) minimum: f64,
    pub(super) mean: f64,
    pub(super) maximum: f64,
}

/// A line, one entry per column of dots; absent where too little was measured.
#[derive(Debug)]
pub(super) struct Columns(pub(super) Vec<Option<Column>>);

/// A bucket in milliseconds since the beginning of the plot.
#[derive(Debug, Clone, Copy)]
struct Bucket {
    start: f64,
    end: f64,
    value: Column,
}

/// Sums over one column of dots.
#[derive(Debug, Clone, Copy)]
struct Sum {
    time: f64,
    mean: f64,
    minimum: f64,
    maximum: f64,
}

impl Columns {
    pub(super) fn new(line: &Line, plot: &Plot, count: usize) -> Self {
        const NOTHING: Sum = Sum {
            time: 0.0,
            mean: 0.0,
            minimum: f64::INFINITY,
            maximum: f64::NEG_INFINITY,
        };
        let mut sums = vec![NOTHING; count];
        let each = span(plot) / precise(count.max(1));
        for bucket in buckets(line, plot) {
            let first = place(bucket.start / each, count);
            for (number, sum) in sums.iter_mut().enumerate().skip(first) {
                let start = precise(number) * each;
                let time = bucket.end.min(start + each) - bucket.start.max(start);
                // The end of a bucket is the first moment that is not in it.
                if start >= bucket.end {
                    break;
                }
                if time <= 0.0 {
                    continue;
                }
                let all = sum.time + time;
                sum.mean += (bucket.value.mean - sum.mean) * (time / all);
                sum.time = all;
                sum.minimum = sum.minimum.min(bucket.value.minimum);
                sum.maximum = sum.maximum.max(bucket.value.maximum);
            }
        }
        // A gap as wide as a column leaves at least one that is not more than half full.
        let full = |number: usize| {
            let sum = sums.get(number);
            sum.is_some_and(|sum| sum.time >= each * 0.501)
        };
        let mut columns = Vec::with_capacity(count);
        let mut before = false;
        for (number, sum) in sums.iter().enumerate() {
            // Little data far from other data is shown, and many such columns are
            // every other one: dots, not a line.
            let alone = sum.time > 0.0 && !before && !full(number + 1);
            before = full(number) || alone;
            columns.push(before.then_some(Column {
                minimum: sum.minimum,
                mean: sum.mean,
                maximum: sum.maximum,
            }));
        }
        Self(columns)
    }
}

/// The lowest and highest value to be drawn, of the bands or only of the means.
pub(super) fn extremes(line: &Line, plot: &Plot, band: bool) -> Option<(f64, f64)> {
    buckets(line, plot)
        .into_iter()
        .map(|bucket| match (band, bucket.value) {
            (true, value) => (value.minimum, value.maximum),
            (false, value) => (value.mean, value.mean),
        })
        .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// The part of the plot's time for which there is data, 0 to 1.
pub(super) fn coverage(line: &Line, plot: &Plot) -> f64 {
    let covered: f64 = buckets(line, plot)
        .iter()
        .map(|bucket| bucket.end - bucket.start)
        .sum();
    (covered / span(plot)).clamp(0.0, 1.0)
}

/// In order and without overlap.
fn buckets(line: &Line, plot: &Plot) -> Vec<Bucket> {
    let from = plot.from.as_millisecond();
    let length = span(plot);
    let step = precise_milliseconds(line.step.as_millis().clamp(1, i64::MAX.into()));
    let mut points: Vec<&PlotPoint> = line
        .points
        .iter()
        .filter(|point| {
            point.minimum.is_finite() && point.mean.is_finite() && point.maximum.is_finite()
        })
        .collect();
    points.sort_by_key(|point| point.at);
    let mut end = 0.0_f64;
    let mut buckets = Vec::with_capacity(points.len());
    for point in points {
        let at = precise_milliseconds(i128::from(point.at.as_millisecond()) - i128::from(from));
        let start = at.max(end);
        if start >= length || at + step <= start {
            continue;
        }
        end = (at + step).min(length);
        let within = |value: f64| value.clamp(-LARGEST, LARGEST);
        buckets.push(Bucket {
            start,
            end,
            value: Column {
                minimum: within(point.minimum.min(point.mean)),
                mean: within(point.mean),
                maximum: within(point.maximum.max(point.mean)),
            },
        });
    }
    buckets
}

/// Milliseconds of the plot; nothing lies in one that ends before it begins.
pub(super) fn span(plot: &Plot) -> f64 {
    let (from, until) = (plot.from.as_millisecond(), plot.until.as_millisecond());
    precise_milliseconds(i128::from(until) - i128::from(from)).max(0.0)
}

/// The entry of `count` that a position falls into.
pub(super) fn place(position: f64, count: usize) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "saturates, and is limited to the count"
    )]
    let place = position.max(0.0) as usize;
    place.min(count.saturating_sub(1))
}

/// Columns and rows are small.
#[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
pub(super) fn precise(count: usize) -> f64 {
    count as f64
}

#[expect(
    clippy::cast_precision_loss,
    reason = "the range of timestamps is below 2^53 ms"
)]
fn precise_milliseconds(milliseconds: i128) -> f64 {
    milliseconds as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::{SignedDuration, Timestamp};

    fn line(seconds: &[i64], step: i64) -> Line {
        let point = |second: &i64| PlotPoint {
            at: Timestamp::from_second(*second).unwrap(),
            minimum: 0.0,
            mean: 1.0,
            maximum: 2.0,
        };
        Line {
            name: String::new(),
            points: seconds.iter().map(point).collect(),
            step: SignedDuration::from_secs(step),
            figures: None,
        }
    }

    fn shown(seconds: &[i64], step: i64, count: usize) -> String {
        let plot = Plot {
            from: Timestamp::UNIX_EPOCH,
            until: Timestamp::from_second(100).unwrap(),
            charts: Vec::new(),
        };
        let columns = Columns::new(&line(seconds, step), &plot, count);
        columns
            .0
            .iter()
            .map(|column| if column.is_some() { '#' } else { '.' })
            .collect()
    }

    #[test]
    fn a_bucket_is_as_wide_as_it_is() {
        assert_eq!(shown(&[0, 20, 80], 20, 10), "####....##");
        assert_eq!(shown(&[80, 0, 20, 20], 20, 10), "####....##");
    }

    #[test]
    fn a_lonely_bucket_is_seen_and_a_small_hole_is_not() {
        assert_eq!(shown(&[43], 1, 10), "....#.....");
        let all_but_one: Vec<i64> = (0..100).filter(|second| *second != 43).collect();
        assert_eq!(shown(&all_but_one, 1, 10), "##########");
    }

    #[test]
    fn little_data_everywhere_is_no_line() {
        let few: Vec<i64> = (0..100).step_by(10).collect();
        assert_eq!(shown(&few, 1, 10), "#.#.#.#.#.");
    }

    #[test]
    fn a_gap_of_a_column_is_seen_wherever_it_begins() {
        for begin in 20..30 {
            let present: Vec<i64> = (0..100)
                .filter(|second| !(begin..begin + 10).contains(second))
                .collect();
            assert!(shown(&present, 1, 10).contains('.'), "{begin}");
        }
    }
}
