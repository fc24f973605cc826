//! Which metrics there are, and which some objects have.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::Serialize;

use super::{PastError, chosen, subject};
use crate::{
    answer::select,
    coordinator::Current,
    metric::{METRICS, Metric},
    store::Store,
    untrusted,
};

/// Parts of one metric that are named.
const PARTS: usize = 200;

/// Metrics, by number: those of a kind stand together.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricList {
    pub metrics: Vec<MetricEntry>,
}

/// Something that is measured over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct MetricEntry {
    pub name: String,
    /// `ratio`, `bytes`, `bytes_per_second`, ...; empty = a plain number.
    pub unit: String,
    /// What it is, in words.
    pub title: String,
    /// What a part of an object is: `disk`; empty = it is of whole objects alone.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub part: String,
    /// How many of the subjects have it; absent without subjects.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subjects: Option<u32>,
    /// Their parts that have it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<String>,
}

impl MetricEntry {
    fn new(metric: Metric) -> Self {
        let info = metric.info();
        Self {
            name: info.name.to_owned(),
            unit: info.unit.to_owned(),
            title: info.title.to_owned(),
            part: info.part.unwrap_or_default().to_owned(),
            subjects: None,
            parts: Vec::new(),
        }
    }
}

/// All metrics, or those of the subjects; for these it reads the store.
///
/// # Errors
/// When a subject is not known, or the store cannot be read.
pub fn metric_list(
    current: &Current,
    store: Option<&Store>,
    cluster: &str,
    subjects: &[String],
) -> Result<MetricList, PastError> {
    let clusters = select::clusters(&current.view, cluster)?;
    if subjects.is_empty() {
        let metrics = METRICS.iter().map(|info| MetricEntry::new(info.metric));
        return Ok(MetricList {
            metrics: metrics.collect(),
        });
    }
    let wanted = subject::wanted(&current.view, &clusters, subjects)?;
    let store = store.ok_or(PastError::NoStore)?;
    let series = store.read(|reader| chosen(reader, &wanted, &[], ""))?;
    let mut owners: BTreeMap<Metric, BTreeSet<(&str, &str)>> = BTreeMap::new();
    let mut parts: BTreeMap<Metric, BTreeSet<&str>> = BTreeMap::new();
    for one in &series {
        let owner = (one.cluster.as_str(), one.subject.as_str());
        owners.entry(one.metric).or_default().insert(owner);
        if !one.part.is_empty() {
            parts.entry(one.metric).or_default().insert(&one.part);
        }
    }
    let entry = |(metric, owners): (Metric, BTreeSet<_>)| {
        let parts = parts.remove(&metric).unwrap_or_default().into_iter();
        let parts = parts.map(|part| untrusted::name(part).into_owned());
        MetricEntry {
            subjects: u32::try_from(owners.len()).ok(),
            parts: parts.take(PARTS).collect(),
            ..MetricEntry::new(metric)
        }
    };
    Ok(MetricList {
        metrics: owners.into_iter().map(entry).collect(),
    })
}
