//! The axis of time: round times of UTC, and the date where it changes.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

use super::{
    Plot,
    column::{place, precise, span},
    paint::Tone,
    words::Words,
};

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// Blanks between labels, so that they do not read as one.
const GAP: usize = 4;
/// The first Monday, from which weeks are counted.
const MONDAY: i64 = 4 * DAY;

/// Distance of ticks.
#[derive(Debug, Clone, Copy)]
enum Step {
    Seconds(i64),
    Months(i16),
}

const STEPS: [Step; 29] = [
    Step::Seconds(1),
    Step::Seconds(2),
    Step::Seconds(5),
    Step::Seconds(10),
    Step::Seconds(15),
    Step::Seconds(30),
    Step::Seconds(MINUTE),
    Step::Seconds(2 * MINUTE),
    Step::Seconds(5 * MINUTE),
    Step::Seconds(10 * MINUTE),
    Step::Seconds(15 * MINUTE),
    Step::Seconds(30 * MINUTE),
    Step::Seconds(HOUR),
    Step::Seconds(2 * HOUR),
    Step::Seconds(3 * HOUR),
    Step::Seconds(6 * HOUR),
    Step::Seconds(12 * HOUR),
    Step::Seconds(DAY),
    Step::Seconds(2 * DAY),
    Step::Seconds(7 * DAY),
    Step::Seconds(14 * DAY),
    Step::Months(1),
    Step::Months(3),
    Step::Months(6),
    Step::Months(12),
    Step::Months(5 * 12),
    Step::Months(20 * 12),
    Step::Months(100 * 12),
    Step::Months(1000 * 12),
];

impl Step {
    /// Roughly, to find the one that leaves room for labels.
    fn milliseconds(self) -> f64 {
        match self {
            Self::Seconds(seconds) => precise(usize::try_from(seconds).unwrap_or(1)) * 1e3,
            Self::Months(months) => f64::from(months) * 30.4 * 86_400e3,
        }
    }

    /// Pattern of the label, and of the one below it.
    fn patterns(self) -> (&'static str, &'static str) {
        match self {
            Self::Seconds(..MINUTE) => ("%H:%M:%S", "%Y-%m-%d"),
            Self::Seconds(..DAY) => ("%H:%M", "%Y-%m-%d"),
            Self::Seconds(_) => ("%d %b", "%Y"),
            Self::Months(..12) => ("%b", "%Y"),
            Self::Months(_) => ("%Y", ""),
        }
    }

    fn label_width(self) -> usize {
        match self {
            Self::Seconds(..MINUTE) => 8,
            Self::Seconds(..DAY) => 5,
            Self::Seconds(_) => 6,
            Self::Months(..12) => 3,
            Self::Months(_) => 4,
        }
    }

    /// The round times of the plot.
    fn times(self, from: Timestamp, until: Timestamp) -> Vec<Timestamp> {
        let mut times = Vec::new();
        match self {
            Self::Seconds(step) => {
                let offset = if step >= 7 * DAY { MONDAY } else { 0 };
                let begin = from.as_second() - offset;
                let mut second = begin - begin.rem_euclid(step) + offset;
                while let Ok(time) = Timestamp::from_second(second)
                    && time <= until
                {
                    times.push(time);
                    second += step;
                }
            }
            Self::Months(step) => {
                let date = TimeZone::UTC.to_datetime(from).date();
                let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
                let mut month = month - month.rem_euclid(step.into());
                while let Some(time) = first_of(month)
                    && time <= until
                {
                    times.push(time);
                    month += i32::from(step);
                }
            }
        }
        times.retain(|time| *time >= from);
        times
    }
}

/// The beginning of a month, counted from year zero.
fn first_of(month: i32) -> Option<Timestamp> {
    let year = i16::try_from(month.div_euclid(12)).ok()?;
    let month = i8::try_from(month.rem_euclid(12) + 1).ok()?;
    let date = Date::new(year, month, 1).ok()?;
    TimeZone::UTC.to_timestamp(date.at(0, 0, 0, 0)).ok()
}

/// The three lines below a drawing.
#[derive(Debug)]
pub(super) struct TimeAxis {
    width: usize,
    ticks: Vec<Tick>,
}

#[derive(Debug)]
struct Tick {
    column: usize,
    label: String,
    /// Of the day, or the year.
    date: String,
}

impl TimeAxis {
    pub(super) fn new(plot: &Plot, width: usize) -> Self {
        let length = span(plot).max(1.0);
        let step = STEPS
            .into_iter()
            .find(|step| {
                let columns = step.milliseconds() / length * precise(width);
                columns >= precise(step.label_width() + GAP)
            })
            .unwrap_or(Step::Months(1000 * 12));
        let (label, date) = step.patterns();
        let tick = |time: Timestamp| {
            let since = time.duration_since(plot.from).as_secs_f64() * 1e3;
            Tick {
                column: place(since / length * precise(width), width),
                label: time.strftime(label).to_string(),
                date: time.strftime(date).to_string(),
            }
        };
        let times = step.times(plot.from, plot.until);
        Self {
            width,
            ticks: times.into_iter().map(tick).collect(),
        }
    }

    pub(super) fn write(&self, out: &mut String, gutter: usize, words: &Words) {
        let (corner, line, mark) = if words.unicode {
            ("└", "─", "┬")
        } else {
            ("+", "-", "+")
        };
        let mut axis = format!("{} {corner}", " ".repeat(gutter));
        for column in 0..self.width {
            let marked = self.ticks.iter().any(|tick| tick.column == column);
            axis.push_str(if marked { mark } else { line });
        }
        words.line(out, &[(Tone::Dim, axis)]);

        let margin = gutter + 2;
        let mut labels = Row::new(words.right("UTC", gutter), margin + self.width);
        for tick in &self.ticks {
            labels.put(margin + tick.column, &tick.label);
        }
        words.line(out, &[(Tone::Dim, labels.text)]);

        // The first date holds until the next one; before that it gives way.
        let mut dates: Vec<&Tick> = self.ticks.iter().collect();
        dates.dedup_by(|later, earlier| later.date == earlier.date);
        dates.retain(|tick| !tick.date.is_empty());
        let mut row = Row::new(String::new(), margin + self.width);
        let next = dates.get(1).map_or(usize::MAX, |tick| {
            row.start(margin + tick.column, &tick.date)
        });
        for (number, tick) in dates.iter().enumerate() {
            let column = margin + tick.column;
            if number == 0 && row.start(column, &tick.date) + tick.date.len() >= next {
                let start = next.saturating_sub(tick.date.len() + 1);
                row.put_at(start, &tick.date);
            } else {
                row.put(column, &tick.date);
            }
        }
        if !dates.is_empty() {
            words.line(out, &[(Tone::Dim, row.text)]);
        }
    }
}

/// A line that takes labels from left to right, as long as they fit.
#[derive(Debug)]
struct Row {
    text: String,
    width: usize,
}

impl Row {
    fn new(text: String, width: usize) -> Self {
        Self { text, width }
    }

    /// Where a label around this column begins.
    fn start(&self, column: usize, label: &str) -> usize {
        let centered = column.saturating_sub(label.len() / 2);
        centered.min(self.width.saturating_sub(label.len()))
    }

    fn put(&mut self, column: usize, label: &str) {
        let start = self.start(column, label);
        let free = match self.text.len() {
            0 => start,
            taken => start.max(taken + 1),
        };
        // Beside its tick a label is understood, farther away it is wrong.
        if free <= start + 2 {
            self.put_at(free, label);
        }
    }

    /// Labels are ASCII, so that bytes are columns.
    fn put_at(&mut self, start: usize, label: &str) {
        let taken = self.text.len();
        let free = taken == 0 || start > taken;
        if free && start + label.len() <= self.width {
            self.text.push_str(&" ".repeat(start - taken));
            self.text.push_str(label);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn axis(from: &str, until: &str, width: usize) -> String {
        let plot = Plot {
            from: from.parse().unwrap(),
            until: until.parse().unwrap(),
            charts: Vec::new(),
        };
        let words = Words {
            width: width + 6,
            color: false,
            unicode: true,
        };
        let mut out = String::from("\n");
        TimeAxis::new(&plot, width).write(&mut out, 4, &words);
        out
    }

    #[test]
    fn ticks_follow_the_span() {
        let spans = [
            ("2026-11-24T12:00:07Z", "2026-11-24T12:01:07Z"),
            ("2026-11-24T12:34:00Z", "2026-11-24T13:34:00Z"),
            ("2026-11-24T15:10:00Z", "2026-11-25T15:10:00Z"),
            ("2026-11-24T09:00:00Z", "2026-11-27T09:00:00Z"),
            ("2026-12-28T09:00:00Z", "2027-01-04T09:00:00Z"),
            ("2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
            ("2026-03-10T00:00:00Z", "2027-03-10T00:00:00Z"),
            ("1990-03-10T00:00:00Z", "2027-03-10T00:00:00Z"),
        ];
        let shown: String = spans
            .iter()
            .map(|(from, until)| axis(from, until, 70))
            .collect();
        insta::assert_snapshot!(shown);
    }

    #[test]
    fn narrow_axes_have_fewer_ticks() {
        insta::assert_snapshot!(axis("2026-11-24T15:10:00Z", "2026-11-25T15:10:00Z", 30));
    }
}
