//! Rows of a round-robin database, and what they are in an hour.

use std::{ops::Range, sync::Arc};

use crate::{
    metric::Metric,
    store::{bucket::Bucket, sketch::Sketch},
};

const HOUR: i64 = 3600;
const MINUTE: i64 = 60;
/// Those of an hour.
const MINUTES: u32 = 60;
/// Seconds of a row: RRDtool of Proxmox VE takes a value a minute, and the longest
/// rows are of a week.
const STEPS: std::ops::RangeInclusive<u32> = 60..=604_800;
/// More than there are half hours in the time that is kept.
const ROWS: u32 = 40_000;
/// Archives of one kind that are looked at: more than a file has.
const ARCHIVES: usize = 16;

/// The flag of a value that a node had kept, by how long it is the mean of at most.
/// Of values that are put together the coarsest one counts.
pub const WIDTHS: [(u8, i64); 4] = [
    (1 << 1, HOUR),
    (1 << 2, 6 * HOUR),
    (1 << 3, 24 * HOUR),
    (1 << 4, 7 * 24 * HOUR),
];

/// The known rows of one column.
#[derive(Debug)]
pub struct Column {
    /// First row of each run of known rows, and where its values begin.
    runs: Vec<(u32, usize)>,
    values: Vec<f32>,
}

impl Column {
    /// Lengths of runs that are unknown, known, unknown, ..., and the values of the
    /// known rows. None when they contradict each other.
    #[must_use]
    pub fn new(runs: &[u32], values: Vec<f32>, rows: u32) -> Option<Self> {
        let (mut row, mut value) = (0_u32, 0_usize);
        let mut starts = Vec::new();
        for (length, is_known) in runs.iter().zip([false, true].into_iter().cycle()) {
            if is_known && *length > 0 {
                starts.push((row, value));
                value = value.checked_add(usize::try_from(*length).ok()?)?;
            }
            row = row.checked_add(*length)?;
        }
        (row <= rows && value == values.len()).then_some(Self {
            runs: starts,
            values,
        })
    }

    fn value(&self, row: u32) -> Option<f64> {
        let next = self.runs.partition_point(|(first, _)| *first <= row);
        let (first, begin) = self.runs.get(next.checked_sub(1)?)?;
        let end = self.runs.get(next).map_or(self.values.len(), |run| run.1);
        let place = begin.checked_add(usize::try_from(row - first).ok()?)?;
        let value = self.values.get(place).filter(|_| place < end)?;
        value.is_finite().then_some(f64::from(*value))
    }
}

/// Rows at equal distance.
#[derive(Debug)]
pub struct Archive {
    step: i64,
    /// End of the step of row 0.
    first_end: i64,
    rows: u32,
    columns: Vec<(&'static str, Column)>,
}

impl Archive {
    /// None when there cannot be such an archive.
    #[must_use]
    pub fn new(
        step_seconds: u32,
        first_end: i64,
        rows: u32,
        columns: Vec<(&'static str, Column)>,
    ) -> Option<Self> {
        (STEPS.contains(&step_seconds) && rows <= ROWS).then_some(Self {
            step: i64::from(step_seconds),
            first_end,
            rows,
            columns,
        })
    }

    /// Begin of row 0.
    fn begin(&self) -> i64 {
        self.first_end.saturating_sub(self.step)
    }

    fn value(&self, column: &str, row: u32) -> Option<f64> {
        let mut columns = self.columns.iter();
        columns.find(|(name, _)| *name == column)?.1.value(row)
    }

    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|(name, _)| *name == column)
    }

    /// The rows that begin within an hour, or the one that it is a part of.
    fn rows_of(&self, hour: i64) -> Range<u32> {
        let (begin, step) = (hour.saturating_mul(HOUR), self.step);
        let since = begin.saturating_sub(self.begin());
        let (first, end) = if step <= HOUR {
            // Rounded up: the first that does not begin earlier.
            let row = |seconds: i64| seconds.saturating_add(step - 1).div_euclid(step);
            (row(since), row(since.saturating_add(HOUR)))
        } else {
            let row = since.div_euclid(step);
            (row, row.saturating_add(1))
        };
        let row = |row: i64| u32::try_from(row.clamp(0, i64::from(self.rows))).unwrap_or(0);
        row(first)..row(end)
    }

    /// How many minutes of an hour a row is the mean of.
    fn minutes(&self) -> u32 {
        u32::try_from(self.step.min(HOUR) / MINUTE).unwrap_or(1)
    }

    fn flag(&self) -> u8 {
        let mut widths = WIDTHS.iter();
        widths
            .find(|(_, seconds)| self.step <= *seconds)
            .map_or(0, |(flag, _)| *flag)
    }
}

/// What one file has: the archives of means and of maxima, the finest first.
#[derive(Debug, Default)]
pub struct PastObject {
    means: Vec<Archive>,
    maxima: Vec<Archive>,
}

impl PastObject {
    /// Of the archives of one object; where two have an hour the one of shorter steps
    /// counts, or the one that comes first.
    #[must_use]
    pub fn new(mut means: Vec<Archive>, mut maxima: Vec<Archive>) -> Self {
        for archives in [&mut means, &mut maxima] {
            archives.sort_by_key(|archive| archive.step);
            archives.truncate(ARCHIVES);
        }
        Self { means, maxima }
    }

    /// Whether an archive has all columns of the formula.
    #[must_use]
    pub fn has(&self, formula: Formula) -> bool {
        let mut means = self.means.iter();
        means.any(|archive| formula.columns().all(|column| archive.has(column)))
    }
}

/// How a value of ours comes from columns of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Formula {
    Column(&'static str),
    /// A hundredth of it: what they have as percent.
    Percent(&'static str),
    /// The first as a share of the second.
    Share(&'static str, &'static str),
    /// The first where the second says that there is none of that.
    Without(&'static str, &'static str),
    /// The first as a share of the second, where the third says that there is none.
    ShareWithout(&'static str, &'static str, &'static str),
    /// Nothing where it is zero.
    Positive(&'static str),
}

impl Formula {
    fn columns(self) -> impl Iterator<Item = &'static str> {
        let columns = match self {
            Self::Column(one) | Self::Percent(one) | Self::Positive(one) => [Some(one), None, None],
            Self::Share(one, two) | Self::Without(one, two) => [Some(one), Some(two), None],
            Self::ShareWithout(one, two, three) => [Some(one), Some(two), Some(three)],
        };
        columns.into_iter().flatten()
    }

    /// Whether the greatest of the values is that of the greatest of the column.
    fn has_maximum(self) -> bool {
        matches!(self, Self::Column(_) | Self::Percent(_) | Self::Positive(_))
    }

    fn of(self, archive: &Archive, row: u32) -> Option<f64> {
        let value = |column| archive.value(column, row);
        let share = |part: f64, whole: f64| (part <= whole && whole > 0.0).then(|| part / whole);
        let is_none = |column| value(column).is_some_and(|value| value < 1.0);
        match self {
            Self::Column(column) => value(column),
            Self::Percent(column) => Some(value(column)? / 100.0),
            Self::Positive(column) => value(column).filter(|value| *value > 0.0),
            Self::Share(part, whole) => share(value(part)?, value(whole)?),
            Self::Without(column, other) => value(column).filter(|_| is_none(other)),
            Self::ShareWithout(part, whole, other) => {
                share(value(part)?, value(whole)?).filter(|_| is_none(other))
            }
        }
    }
}

/// What is known of one series from before it was measured.
#[derive(Debug, Clone)]
pub struct Past {
    pub metric: Metric,
    pub formula: Formula,
    pub object: Arc<PastObject>,
    /// Nothing from before this time, in seconds: it was of another guest.
    pub since: i64,
}

impl Past {
    /// The hour in which it may begin.
    pub(super) fn begin(&self) -> Option<i64> {
        let begins = self.object.means.iter().map(Archive::begin);
        let begin = begins.min()?.max(self.since);
        Some(begin.div_euclid(HOUR))
    }

    /// What it has of an hour, from the finest archive that has anything of it.
    pub(super) fn bucket(&self, hour: i64) -> Option<Bucket> {
        if hour.saturating_mul(HOUR) < self.since {
            return None;
        }
        let mut means = self.object.means.iter();
        let (archive, mut bucket) =
            means.find_map(|archive| Some((archive, self.mean(archive, hour)?)))?;
        if self.formula.has_maximum() {
            let same = |maxima: &&Archive| maxima.step == archive.step;
            let maxima = self.object.maxima.iter().filter(same);
            let greatest = maxima.flat_map(|archive| self.values(archive, hour));
            bucket.maximum = greatest.fold(bucket.maximum, f64::max);
        }
        Some(bucket)
    }

    fn mean(&self, archive: &Archive, hour: i64) -> Option<Bucket> {
        let (minutes, mut sketch) = (archive.minutes(), Sketch::default());
        let (mut rows, mut sum) = (0_u32, 0.0);
        let (mut minimum, mut maximum, mut last) = (f64::INFINITY, f64::NEG_INFINITY, 0.0);
        for value in self.values(archive, hour) {
            sketch.add_many(value, minutes);
            rows = rows.saturating_add(1);
            sum += value;
            (minimum, maximum, last) = (minimum.min(value), maximum.max(value), value);
        }
        (rows > 0).then(|| Bucket {
            index: hour,
            count: rows.saturating_mul(minutes).min(MINUTES),
            minimum,
            maximum,
            mean: (sum / f64::from(rows)).max(minimum).min(maximum),
            last,
            flags: archive.flag(),
            sketch,
        })
    }

    fn values<'a>(&'a self, archive: &'a Archive, hour: i64) -> impl Iterator<Item = f64> + 'a {
        let rows = archive.rows_of(hour);
        rows.filter_map(|row| self.formula.of(archive, row))
            .filter(|value| is_possible(self.metric, *value))
            // There is one zero.
            .map(|value| self.metric.rounded(value) + 0.0)
    }
}

/// Whether a value can be one of the metric: a file may be damaged, and a node
/// hostile.
fn is_possible(metric: Metric, value: f64) -> bool {
    let most = match metric.info().unit {
        // A guest may take more than it was given for a moment.
        "ratio" => 10.0,
        "bytes" => 1e18,
        "bytes_per_second" | "per_second" => 1e13,
        _ => 1e6,
    };
    (0.0..=most).contains(&value)
}
