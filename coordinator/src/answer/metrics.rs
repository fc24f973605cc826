//! Questions about values over time.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{AnswerError, past::PastError, select};
use crate::{
    coordinator::Current,
    inventory::{Coverage, coverage},
    metric::{METRICS, Metric},
    store::{
        CORRECTED, Store, StoreError,
        block::SeriesKey,
        bucket::Bucket,
        engine::Reader,
        import::width_seconds,
        query::{self, Values},
        row::{ObjectKind, ObjectRow},
        tier::Tier,
    },
    untrusted,
    view::View,
};

#[cfg(test)]
pub(crate) mod fixture;
mod list;
mod range;
mod subject;
#[cfg(test)]
mod tests;

pub use list::{MetricEntry, MetricList, metric_list};

use range::{Range, range};
use subject::Wanted;

/// Series of one answer unless asked otherwise, and at most.
const SERIES: u32 = 60;
const MOST_SERIES: u32 = 1000;
/// Names that are offered for one that there is not.
const NEAR: usize = 3;
/// Many sources are not read more often: shorter steps, which have to be asked for,
/// would have gaps.
const LEAST_STEP_SECONDS: i64 = 60;
const HOUR_SECONDS: i64 = Tier::Hour.step_seconds();

/// Which values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetricsFilter {
    /// Cluster id, an unambiguous prefix of it, or a cluster name; empty = all.
    pub cluster: String,
    /// `node/pve1`, `guest/101`, `storage/tank`, `storage/tank@pve1`,
    /// `guests@pve1` = those that are on the node now; at least one.
    pub subjects: Vec<String>,
    /// Names of metrics; empty = all that the subjects have.
    pub metrics: Vec<String>,
    /// Disk, interface, mount point; empty = all.
    pub part: String,
    /// None = a day before the end.
    pub from: Option<Timestamp>,
    /// Not included; None = now.
    pub until: Option<Timestamp>,
    /// Seconds of one value; 0 = so that there are not many.
    pub step_seconds: u32,
    /// Values of each series, about; 0 = 120, and more when a step asks for them.
    pub points: u32,
    /// Series at most; 0 = 60.
    pub series: u32,
}

/// Values of series over one span.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Metrics {
    pub from: Timestamp,
    /// Not included.
    pub until: Timestamp,
    /// Of one value.
    pub step_seconds: u32,
    /// By subject, metric and part.
    pub series: Vec<MetricSeries>,
    /// Series that match and were left out, since there are too many.
    pub left_out: u32,
    /// What is wrong with the answer, in words.
    pub notes: Vec<String>,
    pub coverage: Coverage,
}

/// The values of one metric of one object.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricSeries {
    pub cluster: String,
    /// `node/pve1`, `guest/101`, `storage/tank@pve1`.
    pub subject: String,
    pub metric: String,
    /// `ratio`, `bytes`, `bytes_per_second`, ...; empty = a plain number.
    pub unit: String,
    /// Disk, interface, mount point; empty = the object itself.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub part: String,
    pub figures: Figures,
    /// Oldest first; a step without values is left out.
    pub values: Vec<MetricValue>,
    /// Some values are averages that the node itself had kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_imported: bool,
    /// What comes later was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported_until: Option<Timestamp>,
    /// Over so long the coarsest of these are averages, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imported_width_seconds: Option<u32>,
    /// Times were corrected, since the node's clock was wrong.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_corrected: bool,
}

/// A series in a few figures.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct Figures {
    /// Measurements.
    pub count: u64,
    pub minimum: f64,
    pub mean: f64,
    /// Within one percent.
    pub p95: f64,
    pub maximum: f64,
    pub last: f64,
    /// Part of the span that has values, 0 to 1.
    pub covered_ratio: f64,
}

/// What was measured in one step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, JsonSchema)]
pub struct MetricValue {
    /// Begin of the step.
    pub at: Timestamp,
    pub minimum: f64,
    pub mean: f64,
    /// Within one percent.
    pub p95: f64,
    pub maximum: f64,
    pub last: f64,
}

/// Reads the store: to be called where that is allowed.
///
/// # Errors
/// When something asked for is not known, or the store cannot be read.
pub fn metrics(
    current: &Current,
    store: Option<&Store>,
    filter: &MetricsFilter,
    now: Timestamp,
) -> Result<Metrics, PastError> {
    let view = &current.view;
    let clusters = select::clusters(view, &filter.cluster)?;
    let metrics = named(&filter.metrics)?;
    let wanted = subject::wanted(view, &clusters, &filter.subjects)?;
    let range = range(filter, now)?;
    let store = store.ok_or(PastError::NoStore)?;
    let most = match filter.series {
        0 => SERIES,
        most => most.min(MOST_SERIES),
    };
    let mut answer = Metrics {
        from: range.span.from,
        until: range.span.until,
        step_seconds: u32::try_from(range.step_seconds).unwrap_or(u32::MAX),
        series: Vec::new(),
        left_out: 0,
        notes: Vec::new(),
        coverage: coverage::of_clusters(view, &clusters),
    };
    let found = store.read(|reader| {
        let mut chosen = chosen(reader, &wanted, &metrics, &filter.part)?;
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let rest = chosen.split_off(most.min(chosen.len()));
        answer.left_out = u32::try_from(rest.len()).unwrap_or(u32::MAX);
        let keys: BTreeSet<SeriesKey> = chosen.iter().flat_map(|one| one.keys.clone()).collect();
        Ok((chosen, query::values(reader, &keys, &range.span)?))
    })?;
    let (chosen, mut found) = found;
    if found.damaged_blocks > 0 {
        answer.notes.push(format!(
            "{} parts of the store are damaged: their values are missing",
            found.damaged_blocks
        ));
    }
    if answer.left_out > 0 {
        answer.notes.push(format!(
            "{} more series match: name metrics or a part",
            answer.left_out
        ));
    }
    for one in chosen {
        let mut values = Values::default();
        for key in &one.keys {
            if let Some(mut some) = found.series.remove(key) {
                values.is_imported |= some.is_imported;
                values.buckets.append(&mut some.buckets);
                values.hours.append(&mut some.hours);
            }
        }
        values.buckets.sort_by_key(|bucket| bucket.index);
        values.hours.sort_by_key(|hour| hour.index);
        answer.series.extend(range.series(one, values));
    }
    if answer.series.is_empty() {
        answer.notes.push("nothing is kept of that span".to_owned());
    }
    Ok(answer)
}

fn named(names: &[String]) -> Result<Vec<Metric>, PastError> {
    let known = |name: &String| {
        Metric::named(name).ok_or_else(|| {
            PastError::NoMetric(format!(
                "there is no metric {:?}; did you mean {}?",
                untrusted::name(name),
                near(name).join(", ")
            ))
        })
    };
    names.iter().map(known).collect()
}

/// Metrics whose names resemble this one, the most similar first.
fn near(name: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = METRICS.iter().map(|info| info.name).collect();
    let likeness = |one: &str| strsim::jaro_winkler(one, name);
    names.sort_by(|a, b| likeness(b).total_cmp(&likeness(a)));
    names.truncate(NEAR);
    names
}

/// A series to show: under which numbers the store has it.
struct Chosen {
    cluster: String,
    subject: String,
    metric: Metric,
    part: String,
    keys: Vec<SeriesKey>,
}

fn chosen(
    reader: &mut dyn Reader,
    wanted: &[Wanted],
    metrics: &[Metric],
    part: &str,
) -> Result<Vec<Chosen>, StoreError> {
    let mut chosen: BTreeMap<(usize, Metric, String), Chosen> = BTreeMap::new();
    for (position, wanted) in wanted.iter().enumerate() {
        for object in newest(reader.objects_named(&wanted.name)?, wanted) {
            for row in reader.series(Some(object.id))? {
                let Some(metric) = Metric::numbered(row.metric) else {
                    continue;
                };
                let fits = (metrics.is_empty() || metrics.contains(&metric))
                    && (part.is_empty() || *row.part == *part);
                if !fits {
                    continue;
                }
                let key = (position, metric, row.part.to_string());
                let one = chosen.entry(key).or_insert_with(|| Chosen {
                    cluster: object.object.cluster.to_string(),
                    subject: wanted.subject.clone(),
                    metric,
                    part: row.part.to_string(),
                    keys: Vec::new(),
                });
                one.keys.push(SeriesKey {
                    metric: row.metric,
                    series: row.id,
                });
            }
        }
    }
    Ok(chosen.into_values().collect())
}

/// Of guests that had the VMID one after the other, the last one.
fn newest(rows: Vec<ObjectRow>, wanted: &Wanted) -> Vec<ObjectRow> {
    let mut rows: Vec<_> = rows
        .into_iter()
        .filter(|row| {
            row.object.cluster == wanted.cluster && wanted.kinds.contains(&row.object.kind)
        })
        .collect();
    let newest = rows.iter().map(|row| row.object.generation).max();
    rows.retain(|row| Some(row.object.generation) == newest);
    rows
}

impl Range {
    fn series(&self, chosen: Chosen, values: Values) -> Option<MetricSeries> {
        let buckets = values.steps(&self.span, self.step_seconds);
        let figures = self.figures(&buckets, &values)?;
        let imported = imported(&values);
        let info = chosen.metric.info();
        Some(MetricSeries {
            cluster: chosen.cluster,
            subject: chosen.subject,
            metric: info.name.to_owned(),
            unit: info.unit.to_owned(),
            part: untrusted::name(&chosen.part).into_owned(),
            figures,
            is_imported: values.is_imported,
            imported_until: imported.map(|(until, _)| until),
            imported_width_seconds: imported.map(|(_, width)| width),
            is_corrected: buckets.iter().any(|bucket| bucket.flags & CORRECTED != 0),
            values: buckets
                .iter()
                .filter_map(|bucket| self.value(bucket))
                .collect(),
        })
    }

    fn value(&self, bucket: &Bucket) -> Option<MetricValue> {
        let second = bucket.index.saturating_mul(self.step_seconds);
        Some(MetricValue {
            at: Timestamp::from_second(second).ok()?,
            minimum: bucket.minimum,
            mean: bucket.mean,
            p95: p95(bucket),
            maximum: bucket.maximum,
            last: bucket.last,
        })
    }

    /// None without any value.
    fn figures(&self, buckets: &[Bucket], values: &Values) -> Option<Figures> {
        // An hour may be in several steps, and counts once.
        let (hours, rest) = match values.hours.as_slice() {
            [] => ([].as_slice(), buckets),
            hours => (hours, values.buckets.as_slice()),
        };
        let mut parts = hours.iter().chain(rest);
        let mut all = parts.next()?.clone();
        for bucket in parts {
            all.merge(bucket);
        }
        // A source that is read once a minute covers the whole minute.
        let (step, unit) = match self.span.tier {
            Tier::Raw => (LEAST_STEP_SECONDS, 1000 * LEAST_STEP_SECONDS),
            tier => (tier.step_seconds(), 1),
        };
        let covered: BTreeSet<i64> = values
            .buckets
            .iter()
            .map(|b| b.index.div_euclid(unit))
            .collect();
        let (from, until) = (self.span.from.as_second(), self.span.until.as_second());
        let of_hours: i64 = values
            .hours
            .iter()
            .map(|hour| {
                let begin = hour.index.saturating_mul(HOUR_SECONDS);
                let end = begin.saturating_add(HOUR_SECONDS).min(until);
                end.saturating_sub(begin.max(from)).max(0)
            })
            .sum();
        let expected = ((until - from) / step).max(1);
        #[expect(clippy::cast_precision_loss, reason = "steps of one answer")]
        let covered_ratio =
            ((covered.len() as f64 + of_hours as f64 / step as f64) / expected as f64).min(1.0);
        Some(Figures {
            count: u64::from(all.count),
            minimum: all.minimum,
            mean: all.mean,
            p95: p95(&all),
            maximum: all.maximum,
            last: all.last,
            covered_ratio,
        })
    }
}

/// Until when values are averages that the node had kept, and over how many seconds at
/// most; none = there are none.
fn imported(values: &Values) -> Option<(Timestamp, u32)> {
    let imported = values.hours.iter();
    let imported = imported.filter_map(|hour| Some((hour.index, width_seconds(hour.flags)?)));
    let (last, width) =
        imported.reduce(|(last, coarsest), (hour, width)| (last.max(hour), coarsest.max(width)))?;
    let until = last.saturating_add(1).saturating_mul(HOUR_SECONDS);
    let until = Timestamp::from_second(until).ok()?;
    Some((until, u32::try_from(width).unwrap_or(u32::MAX)))
}

fn p95(bucket: &Bucket) -> f64 {
    let quantile = bucket.sketch.quantile(0.95).unwrap_or(bucket.maximum);
    quantile.clamp(bucket.minimum, bucket.maximum)
}
