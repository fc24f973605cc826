//! Questions about what analyses said.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    AnswerError,
    past::{Past, PastError, Span},
    revisions::{after, limit},
    select,
};
use crate::{
    analysis::kept::{self, Header, UNREADABLE},
    coordinator::Current,
    inventory::{Coverage, coverage},
    report::{AnalysisKind, HealthState, KeptFor, Report},
    store::row::{NewRecord, RecordKind},
    untrusted,
    view::{ClusterIndex, Name, View},
};

/// Analyses of one answer unless asked otherwise, and at most.
const LIMIT: u32 = 50;
pub(crate) const MOST: u32 = 500;
/// A report is kept every day, or more often; one that is older than that stands for
/// nothing later.
const OUTDATED: SignedDuration = SignedDuration::from_hours(25);

/// Which analyses.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnalysesFilter {
    /// Cluster id, an unambiguous prefix of it, or a cluster name; empty = all.
    pub cluster: String,
    /// None = all.
    pub kind: Option<AnalysisKind>,
    /// None = as long as is kept.
    pub from: Option<Timestamp>,
    /// Not included; None = now.
    pub until: Option<Timestamp>,
    /// 0 = 50.
    pub limit: u32,
}

/// Which report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The newest of that time or before.
    At {
        /// As of a filter; empty = the only one.
        cluster: String,
        at: Timestamp,
    },
    /// [`AnalysisEntry::id`].
    Id(String),
}

/// What analyses said over time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Analyses {
    /// Newest first.
    pub analyses: Vec<AnalysisEntry>,
    /// There are older ones in the span.
    pub older_left_out: bool,
    pub coverage: Coverage,
}

/// What one said, without its report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AnalysisEntry {
    /// By which it is found again.
    pub id: String,
    /// `cluster_health`; empty = it cannot be read.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub kind: String,
    pub cluster: String,
    pub cluster_name: String,
    pub at: Timestamp,
    /// `deterministic` or `claude:MODEL`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source: String,
    pub state: HealthState,
    /// Of the one before; absent = it is the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_before: Option<HealthState>,
    /// One sentence.
    pub headline: String,
    /// Open health findings.
    pub critical: u32,
    pub warning: u32,
    pub info: u32,
}

/// Reads the past: to be called where that may block.
///
/// # Errors
/// When something asked for is not known, or the store cannot be read.
pub fn analyses(
    current: &Current,
    past: &Past,
    filter: &AnalysesFilter,
    now: Timestamp,
) -> Result<Analyses, PastError> {
    let view = &current.view;
    let clusters = select::clusters(view, &filter.cluster)?;
    let limit = limit(filter.limit, LIMIT, MOST)?;
    let span = Span {
        from: filter.from,
        until: Some(filter.until.unwrap_or_else(|| after(now))),
    };
    let is_here = |record: &NewRecord| {
        let mut clusters = clusters.iter();
        clusters.any(|index| view.cluster(*index).id == record.cluster)
    };
    // What cannot be read may be of any kind.
    let is_meant = |record: &NewRecord| {
        is_here(record)
            && filter.kind.is_none_or(|kind| {
                Header::read(&record.body).is_none_or(|header| header.is_of(kind))
            })
    };
    let (records, older_left_out) =
        past.records(RecordKind::Analysis, &span, None, limit, is_meant)?;
    Ok(Analyses {
        analyses: records.iter().map(|record| entry(view, record)).collect(),
        older_left_out,
        coverage: coverage::of_clusters(view, &clusters),
    })
}

/// The health report of a cluster as it was written down.
///
/// # Errors
/// When something asked for is not known, nothing is kept of that time, or the store
/// cannot be read.
pub fn kept_report(
    current: &Current,
    past: &Past,
    which: &Which,
    now: Timestamp,
) -> Result<Report, PastError> {
    let view = &current.view;
    let (cluster, from, asked_at) = match which {
        Which::At { cluster, at } => (only(view, cluster)?, None, (*at).min(now)),
        Which::Id(id) => {
            let (cluster, at) = parse(id)?;
            let clusters = select::clusters(view, cluster)?;
            (single(view, &clusters)?, Some(at), at)
        }
    };
    let span = Span {
        from,
        until: Some(after(asked_at)),
    };
    let found = newest(past, &span, &cluster)?;
    let Some(record) = found else {
        return Err(nothing(view, past, &cluster, asked_at)?);
    };
    let asked = KeptFor {
        asked_at,
        is_outdated: asked_at.duration_since(record.at) > OUTDATED,
        notes: Vec::new(),
    };
    Ok(kept::report(record.at, &record.body, asked))
}

fn newest(past: &Past, span: &Span, cluster: &Name) -> Result<Option<NewRecord>, PastError> {
    let kind = AnalysisKind::ClusterHealth;
    let is_meant = |record: &NewRecord| {
        record.cluster == *cluster
            && Header::read(&record.body).is_none_or(|header| header.is_of(kind))
    };
    let (mut records, _) = past.records(RecordKind::Analysis, span, None, 1, is_meant)?;
    Ok(records.pop())
}

/// Says what there is instead.
fn nothing(
    view: &View,
    past: &Past,
    cluster: &Name,
    at: Timestamp,
) -> Result<PastError, PastError> {
    let span = Span {
        from: Some(at),
        until: None,
    };
    let is_here = |record: &NewRecord| record.cluster == *cluster;
    let (later, _) = past.records(RecordKind::Analysis, &span, None, 1, is_here)?;
    let name = label(view, cluster);
    let instead = match later.first() {
        Some(newest) => format!("there are later ones, the newest of {}", minute(newest.at)),
        None => "the first one is written down some minutes after the start".to_owned(),
    };
    let text = format!(
        "no report of {name} is kept of {} or before: {instead}",
        minute(at)
    );
    Ok(PastError::NothingKept(text))
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The cluster that is meant.
fn only(view: &View, selector: &str) -> Result<Name, AnswerError> {
    single(view, &select::clusters(view, selector)?)
}

fn single(view: &View, clusters: &[ClusterIndex]) -> Result<Name, AnswerError> {
    match clusters {
        [index] => Ok(Name::clone(&view.cluster(*index).id)),
        [] => Err(AnswerError::NotFound(
            "no cluster is known yet: no agent has reported".to_owned(),
        )),
        several => {
            let text = format!(
                "a kept report is about one of the {} clusters; name it",
                several.len()
            );
            Err(AnswerError::Ambiguous(text))
        }
    }
}

fn label(view: &View, cluster: &Name) -> String {
    let known = view.find_cluster(cluster);
    let name = known.map_or(&**cluster, |index| &view.cluster(index).name);
    untrusted::name(name).into_owned()
}

fn entry(view: &View, record: &NewRecord) -> AnalysisEntry {
    let header = Header::read(&record.body);
    let state = header
        .as_ref()
        .map_or(HealthState::Unknown, |header| header.state());
    let state_before = header.as_ref().and_then(Header::was);
    let header = header.unwrap_or_else(|| Header {
        headline: UNREADABLE.to_owned(),
        ..Header::default()
    });
    AnalysisEntry {
        id: format!("{}/{}", record.cluster, record.at.as_millisecond()),
        kind: header.kind,
        cluster: record.cluster.to_string(),
        cluster_name: label(view, &record.cluster),
        at: record.at,
        source: header.source,
        state,
        state_before,
        headline: header.headline,
        critical: header.critical,
        warning: header.warning,
        info: header.info,
    }
}

/// Cluster and time of an id.
fn parse(id: &str) -> Result<(&str, Timestamp), AnswerError> {
    let parsed = id.rsplit_once('/').and_then(|(cluster, millis)| {
        let at = Timestamp::from_millisecond(millis.parse().ok()?).ok()?;
        (!cluster.is_empty()).then_some((cluster, at))
    });
    parsed.ok_or_else(|| {
        let id = untrusted::name(id);
        AnswerError::Invalid(format!(
            "{id:?} is no id of an analysis, as a list has them"
        ))
    })
}

#[cfg(test)]
pub(crate) mod tests;
