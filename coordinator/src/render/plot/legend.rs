//! What a drawing means: each line with its figures, and what is not drawn.

use super::{
    Chart, Figures, Line, Plot,
    paint::{Tone, marker},
    words::{Words, width},
};
use crate::figure;

/// Below this the part of the time with data is told.
const COMPLETE: f64 = 0.99;
/// Between the entries of a line.
const GAP: &str = "  ";
/// Rows that names of lines which are not drawn may take.
const ROWS_LEFT_OUT: usize = 2;

/// One line of the legend: a marker, a name, and entries such as `mean 12 %`.
#[derive(Debug)]
struct Entry {
    number: usize,
    name: String,
    figures: Vec<(&'static str, String)>,
    data: Option<String>,
}

impl Entry {
    /// Parts that stay in one row each.
    fn pieces(&self) -> Vec<String> {
        let figures = self.figures.iter();
        let figures = figures.map(|(word, figure)| format!("{word} {figure}"));
        std::iter::once(self.name.clone()).chain(figures).collect()
    }
}

pub(super) fn write(
    out: &mut String,
    chart: &Chart,
    lines: &[&Line],
    coverage: &[f64],
    words: &Words,
) {
    let entries: Vec<Entry> = lines
        .iter()
        .zip(coverage)
        .enumerate()
        .map(|(number, (line, coverage))| Entry {
            number,
            name: words.name(&line.name),
            figures: figures(line.figures.as_ref(), &chart.unit, words),
            data: data(*coverage),
        })
        .collect();
    let rows = table(&entries, words);
    let room = words.width.saturating_sub(2);
    let fits = rows.iter().all(|row| width(row) <= room);
    for (entry, row) in entries.iter().zip(rows) {
        let pieces = if fits { vec![row] } else { entry.pieces() };
        let pieces = pieces.into_iter().chain(entry.data.clone());
        write_marked(out, entry.number, wrap(pieces, GAP, room), words);
    }
}

/// A chart without any data.
pub(super) fn write_empty(out: &mut String, plot: &Plot, words: &Words) {
    const PATTERN: &str = "%Y-%m-%d %H:%M";
    let pieces = [
        "no data".to_owned(),
        format!("from {}", plot.from.strftime(PATTERN)),
        format!("to {} UTC", plot.until.strftime(PATTERN)),
    ];
    for row in wrap(pieces.into_iter(), " ", words.width.saturating_sub(2)) {
        words.line(out, &[(Tone::Plain, format!("  {row}"))]);
    }
}

/// Lines for which there was neither a colour nor a marker.
pub(super) fn write_left_out(out: &mut String, left_out: Option<&[Line]>, words: &Words) {
    let Some(lines) = left_out.filter(|lines| !lines.is_empty()) else {
        return;
    };
    let last = lines.len() - 1;
    let names = lines.iter().enumerate().map(|(number, line)| {
        let before = if number == 0 { "not drawn: " } else { "" };
        let after = if number == last { "" } else { "," };
        format!("{before}{}{after}", words.name(&line.name))
    });
    let room = words.width.saturating_sub(2);
    let rows = wrap(names, " ", room);
    for row in rows.iter().take(ROWS_LEFT_OUT) {
        words.line(out, &[(Tone::Dim, format!("  {row}"))]);
    }
    // Names may have commas and blanks of their own, so rows tell nothing of how
    // many names they have.
    if rows.len() > ROWS_LEFT_OUT {
        let all = format!("  … {} lines in all are not drawn", lines.len());
        words.line(out, &[(Tone::Dim, words.plain(&all))]);
    }
}

fn write_marked(out: &mut String, number: usize, rows: Vec<String>, words: &Words) {
    let mut marker = marker(number, words.unicode);
    for row in rows {
        let pieces = [
            (Tone::Line(number), marker.to_string()),
            (Tone::Plain, format!(" {row}")),
        ];
        words.line(out, &pieces);
        marker = ' ';
    }
}

/// The entries with names and figures below each other.
fn table(entries: &[Entry], words: &Words) -> Vec<String> {
    let names = entries.iter().map(|entry| width(&entry.name));
    let names = names.fold(0, usize::max);
    let figure_width = |column: usize| {
        let figures = entries.iter().filter_map(|entry| entry.figures.get(column));
        figures.map(|(_, figure)| width(figure)).fold(0, usize::max)
    };
    let row = |entry: &Entry| {
        let mut row = words.left(&entry.name, names);
        for (column, (word, figure)) in entry.figures.iter().enumerate() {
            let figure = words.right(figure, figure_width(column));
            row.extend([GAP, word, " ", &figure]);
        }
        row
    };
    entries.iter().map(row).collect()
}

fn figures(figures: Option<&Figures>, unit: &str, words: &Words) -> Vec<(&'static str, String)> {
    let Some(figures) = figures else {
        return Vec::new();
    };
    [
        ("min", figures.minimum),
        ("mean", figures.mean),
        ("p95", figures.p95),
        ("max", figures.maximum),
        ("last", figures.last),
    ]
    .into_iter()
    .map(|(word, value)| (word, words.plain(&figure::number(value, unit))))
    .collect()
}

/// For how much of the time there is data, unless that is practically all.
fn data(coverage: f64) -> Option<String> {
    match coverage {
        coverage if coverage >= COMPLETE => None,
        coverage if coverage <= 0.0 => Some("no data".to_owned()),
        coverage if coverage < 0.001 => Some("data for less than 0.1 % of the time".to_owned()),
        coverage => Some(format!(
            "data for {} of the time",
            figure::percent(coverage)
        )),
    }
}

/// Pieces in rows of at most `room` columns.
fn wrap(pieces: impl Iterator<Item = String>, gap: &str, room: usize) -> Vec<String> {
    let mut rows: Vec<String> = Vec::new();
    for piece in pieces {
        match rows.last_mut() {
            Some(row) if width(row) + width(gap) + width(&piece) <= room => {
                row.extend([gap, &piece]);
            }
            _ => rows.push(piece),
        }
    }
    rows
}
