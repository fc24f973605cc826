//! Charts for a terminal: series over time, one chart per metric, below each other.
//!
//! A point is one bucket of time. It is drawn as wide as it is and joined only to
//! the bucket that follows it at once: where nothing was measured there is a gap,
//! never a line. All charts of a plot have the same time axis at the same columns,
//! so that what happened together stands one above the other.
//!
//! Words, figures and markers carry the meaning; colours only help.

mod canvas;
mod column;
mod legend;
mod paint;
mod spark;
#[cfg(test)]
mod tests;
mod time_axis;
mod value_axis;
mod value_label;
mod words;

use jiff::{SignedDuration, Timestamp};

use canvas::Canvas;
use column::Columns;
use paint::Tone;
pub(crate) use spark::spark;
use time_axis::TimeAxis;
use value_axis::ValueAxis;
use words::Words;

/// Lines of one chart that can be told apart.
const MOST_LINES: usize = 6;
/// Narrower than this only the legend is written.
const LEAST_WIDTH: u16 = 40;
/// Rows of a chart without its title, time axis and legend.
const HEIGHTS: (u16, u16) = (3, 100);

/// What is drawn.
#[derive(Debug, Clone)]
pub(crate) struct Plot {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) charts: Vec<Chart>,
}

/// One metric of one or several objects.
#[derive(Debug, Clone)]
pub(crate) struct Chart {
    /// `guest/101 cpu_ratio`.
    pub(crate) title: String,
    /// As in an evidence: `ratio`, `bytes`, `bytes_per_second`, `seconds`, `celsius`.
    pub(crate) unit: String,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug, Clone)]
pub(crate) struct Line {
    pub(crate) name: String,
    /// In any order; what is not a number or outside the plot is left out.
    pub(crate) points: Vec<PlotPoint>,
    /// How much time one point stands for.
    pub(crate) step: SignedDuration,
    /// Of the legend. They come from the samples, which know more than the points.
    pub(crate) figures: Option<Figures>,
}

/// One bucket, from `at` on for a step.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlotPoint {
    pub(crate) at: Timestamp,
    pub(crate) minimum: f64,
    pub(crate) mean: f64,
    pub(crate) maximum: f64,
}

/// A line in numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) minimum: f64,
    pub(crate) mean: f64,
    pub(crate) p95: f64,
    pub(crate) maximum: f64,
    pub(crate) last: f64,
}

/// What the terminal can show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    /// Columns that no line exceeds.
    pub(crate) width: u16,
    /// Rows of the drawing of one chart.
    pub(crate) height: u16,
    pub(crate) color: bool,
    /// Braille and box characters; otherwise ASCII only.
    pub(crate) unicode: bool,
}

/// The plot as lines of text, each ending in a line break.
#[must_use]
pub(crate) fn text(plot: &Plot, layout: &Layout) -> String {
    let words = Words::new(layout);
    let charts: Vec<Drawn<'_>> = plot
        .charts
        .iter()
        .map(|chart| Drawn::new(chart, plot, layout))
        .collect();
    // Labels of all charts take the same room, at least that of `UTC`.
    let gutter = charts
        .iter()
        .filter_map(|chart| chart.axis.as_ref())
        .map(|axis| axis.label_width(&words))
        .fold(3, usize::max);
    let mut out = String::new();
    for (number, chart) in charts.iter().enumerate() {
        if number > 0 {
            out.push('\n');
        }
        chart.write(&mut out, plot, gutter, &words);
    }
    out
}

/// A chart with what must be known before the first one is written.
#[derive(Debug)]
struct Drawn<'c> {
    chart: &'c Chart,
    lines: Vec<&'c Line>,
    /// Absent when nothing is drawn: there is no data or no room.
    axis: Option<ValueAxis>,
    empty: bool,
}

impl<'c> Drawn<'c> {
    fn new(chart: &'c Chart, plot: &Plot, layout: &Layout) -> Self {
        let lines: Vec<&Line> = chart.lines.iter().take(MOST_LINES).collect();
        // A single line shows its band, several would hide each other.
        let band = lines.len() == 1;
        let extremes = lines
            .iter()
            .filter_map(|line| column::extremes(line, plot, band))
            .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)));
        let rows = usize::from(layout.height.clamp(HEIGHTS.0, HEIGHTS.1));
        let axis = extremes
            .filter(|_| layout.width >= LEAST_WIDTH)
            .map(|(low, high)| ValueAxis::new(&chart.unit, low, high, rows));
        Self {
            chart,
            lines,
            axis,
            empty: extremes.is_none(),
        }
    }

    fn write(&self, out: &mut String, plot: &Plot, gutter: usize, words: &Words) {
        let columns = self
            .axis
            .as_ref()
            .map(|axis| self.write_drawing(out, plot, axis, gutter, words));
        if columns.is_none() {
            words.line(out, &[(Tone::Bold, words.title(&self.chart.title))]);
        }
        if self.empty {
            legend::write_empty(out, plot, words);
            return;
        }
        let coverage: Vec<f64> = self
            .lines
            .iter()
            .map(|line| column::coverage(line, plot))
            .collect();
        legend::write(out, self.chart, &self.lines, &coverage, words);
        legend::write_left_out(out, self.chart.lines.get(MOST_LINES..), words);
    }

    fn write_drawing(
        &self,
        out: &mut String,
        plot: &Plot,
        axis: &ValueAxis,
        gutter: usize,
        words: &Words,
    ) {
        // Behind the labels are a blank and the axis.
        let width = words.width.saturating_sub(gutter + 2);
        let mut canvas = Canvas::new(width, axis.rows, words);
        let lines: Vec<Columns> = self
            .lines
            .iter()
            .map(|line| Columns::new(line, plot, canvas.dots_across()))
            .collect();
        if let [line] = lines.as_slice() {
            canvas.band(line, axis);
        }
        for (number, line) in lines.iter().enumerate() {
            canvas.line(line, number, axis);
        }
        canvas.markers(&lines, axis);
        self.write_title(out, axis, canvas.shows_band(), words);
        for row in 0..axis.rows {
            let label = axis.label(row, canvas.dots_down());
            let edge = match (label, words.unicode) {
                (Some(_), true) => "┤",
                (None, true) => "│",
                (Some(_), false) => "+",
                (None, false) => "|",
            };
            let label = words.right(label.unwrap_or_default(), gutter);
            let mut pieces = vec![(Tone::Dim, format!("{label} {edge}"))];
            pieces.extend(canvas.row(row));
            words.line(out, &pieces);
        }
        TimeAxis::new(plot, width).write(out, gutter, words);
    }

    /// The title, and at the right end what the drawing does not say by itself.
    fn write_title(&self, out: &mut String, axis: &ValueAxis, band: bool, words: &Words) {
        let title = words.title(&self.chart.title);
        let mut notes = Vec::new();
        if axis.is_zoomed() {
            notes.push("axis not from 0".to_owned());
        }
        if self.lines.len() > 1 {
            notes.push("means".to_owned());
        }
        if band {
            notes.push(format!("{} minimum to maximum", words.band()));
        }
        let mut pieces = vec![(Tone::Bold, title.clone())];
        while !notes.is_empty() {
            let note = words.plain(&notes.join(", "));
            let taken = words::width(&title) + words::width(&note);
            if taken + 2 <= words.width {
                pieces.push((Tone::Plain, " ".repeat(words.width - taken)));
                pieces.push((Tone::Dim, note));
                break;
            }
            notes.pop();
        }
        words.line(out, &pieces);
    }
}
