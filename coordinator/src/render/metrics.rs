//! Values over time: a row per series, or charts.

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{
    block::{Block, Describe, Document, Drawing, Mark, Table, Tone, figures, names, words},
    cell::{cluster_cell, missing, several},
    plot::{self, Chart, Line, Plot, PlotPoint},
};
use crate::{
    answer::metrics::{MetricList, MetricSeries, Metrics},
    figure,
};

/// Rows of a chart unless asked otherwise.
const ROWS: u16 = 10;
/// Blocks of a sparkline, by the columns that there have to be.
const SPARKS: [(u16, usize); 3] = [(120, 24), (96, 16), (0, 10)];
/// Steps of a sparkline: more than an answer has.
const STEPS: i64 = 4096;
/// Below this the part of the time with values is told.
const COMPLETE: f64 = 0.99;
/// Steps that a sparkline knows nothing of.
const UNKNOWN: &str = "·";

/// How values are shown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Look {
    /// Charts of so many rows instead of a table; 0 = as many as are usual.
    pub rows: Option<u16>,
    /// Drawings have ASCII characters alone.
    pub ascii: bool,
    /// Columns of the terminal; none = not known.
    pub width: Option<u16>,
}

/// Values in a look.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Shown {
    pub metrics: Metrics,
    #[serde(skip)]
    pub look: Look,
}

impl Describe for Shown {
    fn describe(&self) -> Document {
        describe(&self.metrics, &self.look)
    }
}

impl Describe for Metrics {
    fn describe(&self) -> Document {
        describe(self, &Look::default())
    }
}

fn describe(metrics: &Metrics, look: &Look) -> Document {
    let mut document = Document::default();
    document.line(Mark::None, span(metrics));
    if !metrics.series.is_empty() {
        document.gap();
        match look.rows {
            Some(rows) => document.blocks.push(Block::Drawing(Drawing {
                plot: charts(metrics),
                rows: if rows == 0 { ROWS } else { rows },
                ascii: look.ascii,
            })),
            None => table(&mut document, metrics, look),
        }
    }
    caution(&mut document, &metrics.series);
    for note in &metrics.notes {
        document.note(format!("note: {note}"));
    }
    missing(&mut document, &metrics.coverage);
    document
}

/// `2026-11-24 20:04 to 2026-11-25 20:04 UTC, a value for each 12 min`.
fn span(metrics: &Metrics) -> String {
    let moment = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
    format!(
        "{} to {} UTC, a value for each {}",
        moment(metrics.from),
        moment(metrics.until),
        figure::number(f64::from(metrics.step_seconds), "seconds")
    )
}

fn table(document: &mut Document, metrics: &Metrics, look: &Look) {
    let series = &metrics.series;
    let clusters = several(series.iter().map(|one| &*one.cluster));
    let subjects = several(series.iter().map(|one| &*one.subject));
    let data: Vec<String> = series.iter().map(data).collect();
    // What all have alike is said once.
    let differ = several(data.iter().map(|one| &**one));
    let mut table = Table::new(&[
        words("CLUSTER"),
        names("SUBJECT"),
        names("METRIC"),
        names("PART"),
        words("OVER TIME").spare(2),
        figures("MIN").spare(5),
        figures("MEAN").spare(3),
        figures("P95").spare(4),
        figures("MAX"),
        figures("LAST"),
        words("DATA"),
    ]);
    for (one, data) in series.iter().zip(&data) {
        let number = |value: f64| Some(figure::number(value, &one.unit));
        table.row(
            Tone::Plain,
            vec![
                cluster_cell(clusters, &one.cluster),
                Some(if subjects {
                    one.subject.clone()
                } else {
                    String::new()
                }),
                Some(one.metric.clone()),
                Some(one.part.clone()),
                Some(sparkline(metrics, one, look)),
                number(one.figures.minimum),
                number(one.figures.mean),
                number(one.figures.p95),
                number(one.figures.maximum),
                number(one.figures.last),
                Some(if differ { data.clone() } else { String::new() }),
            ],
        );
    }
    if let Some(first) = series.first().filter(|_| !subjects) {
        document.heading(&first.subject);
    }
    document.table(table);
    explain(document, series);
}

/// What the figures of a series do not say: for how much of the time it has values,
/// and what these are.
fn data(series: &MetricSeries) -> String {
    let mut said = Vec::new();
    let covered = series.figures.covered_ratio;
    if covered < COMPLETE {
        said.push(figure::percent(covered));
    }
    if series.is_imported {
        said.push("averages".to_owned());
    }
    if series.is_corrected {
        said.push("corrected".to_owned());
    }
    said.join(", ")
}

/// For how much of the time there are values, below a table.
fn explain(document: &mut Document, series: &[MetricSeries]) {
    let covered = series.iter().map(|one| one.figures.covered_ratio);
    let partly: Vec<String> = covered
        .filter(|covered| *covered < COMPLETE)
        .map(figure::percent)
        .collect();
    match partly.first() {
        Some(first) if partly.len() == series.len() && partly.iter().all(|one| one == first) => {
            document.note(format!("values for {first} of the time"));
        }
        Some(_) => document.note("DATA: for how much of the time there are values, if not for all"),
        None => {}
    }
}

/// What no figure says.
fn caution(document: &mut Document, series: &[MetricSeries]) {
    if series.iter().any(|one| one.is_imported) {
        let until = series.iter().filter_map(|one| one.imported_until).max();
        let width = series.iter().filter_map(|one| one.imported_width_seconds);
        let mut note = "note: averages are what the node itself had kept".to_owned();
        if let (Some(until), Some(width)) = (until, width.max()) {
            let until = until.strftime("%Y-%m-%d %H:%M UTC");
            let width = figure::duration(Duration::from_secs(u64::from(width)));
            note = format!("{note} until {until}, over up to {width} each");
        }
        document.note(note);
    }
    if series.iter().any(|one| one.is_corrected) {
        document.note("note: some times were corrected, since the clock of a node was wrong");
    }
}

fn sparkline(metrics: &Metrics, series: &MetricSeries, look: &Look) -> String {
    if look.ascii {
        return String::new();
    }
    let step = i64::from(metrics.step_seconds.max(1));
    let first = metrics.from.as_second().div_euclid(step);
    let last = metrics.until.as_second().saturating_sub(1).div_euclid(step);
    let steps = last.saturating_sub(first).saturating_add(1).clamp(1, STEPS);
    let mut means = vec![None; usize::try_from(steps).unwrap_or_default()];
    for value in &series.values {
        let place = value.at.as_second().div_euclid(step).saturating_sub(first);
        if let Some(mean) = usize::try_from(place)
            .ok()
            .and_then(|place| means.get_mut(place))
        {
            *mean = Some(value.mean);
        }
    }
    let columns = look.width.unwrap_or(u16::MAX);
    let blocks = SPARKS.iter().find(|(least, _)| columns >= *least);
    let blocks = blocks.map_or(0, |(_, blocks)| *blocks);
    plot::spark(&means, blocks).replace(' ', UNKNOWN)
}

/// One chart for each metric: what it measures of several objects or parts is in
/// one drawing, as far as lines can be told apart.
fn charts(metrics: &Metrics) -> Plot {
    let clusters = several(metrics.series.iter().map(|one| &*one.cluster));
    let subjects = several(metrics.series.iter().map(|one| &*one.subject));
    let step = i64::from(metrics.step_seconds);
    let mut by_metric: BTreeMap<usize, Chart> = BTreeMap::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for one in &metrics.series {
        let next = places.len();
        let place = *places.entry(&one.metric).or_insert(next);
        let chart = by_metric.entry(place).or_insert_with(|| Chart {
            title: if subjects {
                one.metric.clone()
            } else {
                format!("{} {}", one.subject, one.metric)
            },
            unit: one.unit.clone(),
            lines: Vec::new(),
        });
        chart.lines.push(Line {
            name: name(one, clusters, subjects),
            points: points(one),
            step: SignedDuration::from_secs(step),
            figures: Some(plot::Figures {
                minimum: one.figures.minimum,
                mean: one.figures.mean,
                p95: one.figures.p95,
                maximum: one.figures.maximum,
                last: one.figures.last,
            }),
        });
    }
    // A first step that begins before the span is shown whole.
    let from = metrics.from.as_second().div_euclid(step.max(1)) * step.max(1);
    Plot {
        from: Timestamp::from_second(from).unwrap_or(metrics.from),
        until: metrics.until,
        charts: by_metric.into_values().collect(),
    }
}

fn name(series: &MetricSeries, clusters: bool, subjects: bool) -> String {
    let cluster = cluster_cell(clusters, &series.cluster).unwrap_or_default();
    let subject = if subjects || series.part.is_empty() {
        &*series.subject
    } else {
        ""
    };
    let words = [&*cluster, subject, &*series.part];
    let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
    words.join(" ")
}

fn points(series: &MetricSeries) -> Vec<PlotPoint> {
    let values = series.values.iter();
    values
        .map(|value| PlotPoint {
            at: value.at,
            minimum: value.minimum,
            mean: value.mean,
            maximum: value.maximum,
        })
        .collect()
}

impl Describe for MetricList {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.metrics.is_empty() {
            document.line(Mark::None, "No values of it are kept.");
            return document;
        }
        let mut table = Table::new(&[
            names("METRIC"),
            figures("OBJECTS"),
            names("PARTS"),
            names("WHAT IT IS"),
        ]);
        let several = self.metrics.iter().any(|metric| metric.subjects > Some(1));
        for metric in &self.metrics {
            let parts = match metric.subjects {
                None => metric.part.clone(),
                Some(_) => metric.parts.join(", "),
            };
            let objects = metric.subjects.filter(|_| several);
            table.row(
                Tone::Plain,
                vec![
                    Some(metric.name.clone()),
                    Some(
                        objects
                            .map(|objects| objects.to_string())
                            .unwrap_or_default(),
                    ),
                    Some(parts),
                    Some(metric.title.clone()),
                ],
            );
        }
        document.table(table);
        document
    }
}
