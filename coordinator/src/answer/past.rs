//! What is kept of the past, whether it is in the store already or waits for it.

use std::{collections::HashSet, sync::Arc};

use jiff::Timestamp;

use super::{AnswerError, select};
use crate::{
    chronicle::revision::{
        self, Head,
        content::{Content, Line},
    },
    coordinator::Coordinator,
    finding::{Finding, lifecycle::FindingEvent},
    store::{
        StoreError,
        row::{NewRecord, RecordKind, RecordQuery, StateKind},
    },
    untrusted,
    view::{ClusterIndex, Name, View},
};

/// Records that are read at once.
const BATCH: u32 = 1000;
/// As of analyses, which are larger.
const ANALYSES: u32 = 100;
/// Records that are looked through for one answer.
const LOOKED_AT: usize = 100_000;

/// Why a question about the past has no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PastError {
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// No metric has this name; the text names one that resembles it.
    #[error("{0}")]
    NoMetric(String),
    /// No analysis is kept of a time.
    #[error("{0}")]
    NothingKept(String),
    #[error("nothing is kept: set directory in the section [store] of the coordinator's settings")]
    NoStore,
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl PastError {
    /// In the words of questions about the present, for callers that are told words.
    #[must_use]
    pub fn told(self) -> AnswerError {
        match self {
            Self::Answer(error) => error,
            Self::NoMetric(text) | Self::NothingKept(text) => AnswerError::NotFound(text),
            error => AnswerError::Invalid(error.to_string()),
        }
    }
}

/// Reads the past: to be used where that may block.
#[derive(Debug, Clone)]
pub struct Past {
    coordinator: Arc<Coordinator>,
}

/// Which records.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub(super) from: Option<Timestamp>,
    /// Not included.
    pub(super) until: Option<Timestamp>,
}

impl Past {
    #[must_use]
    pub fn of(coordinator: &Arc<Coordinator>) -> Self {
        Self {
            coordinator: Arc::clone(coordinator),
        }
    }

    /// The newest `limit` records that `wanted` takes, newest first, and whether there
    /// are older ones.
    pub(super) fn records(
        &self,
        kind: RecordKind,
        span: &Span,
        subject: Option<&str>,
        limit: usize,
        wanted: impl Fn(&NewRecord) -> bool,
    ) -> Result<(Vec<NewRecord>, bool), PastError> {
        let store = self.coordinator.store().ok_or(PastError::NoStore)?;
        let batch = match kind {
            RecordKind::Analysis => ANALYSES,
            _ => BATCH,
        };
        let mut query = RecordQuery {
            kind,
            from: span.from,
            until: span.until,
            cluster: None,
            subject: subject.map(Name::from),
            before: None,
            limit: batch,
        };
        // First what waits: what is written in between is then seen twice, not never.
        let mut found = self.coordinator.chronicle().waiting(&query);
        let identity = |record: &NewRecord| (record.at, record.key.clone(), record.body.clone());
        let waiting: HashSet<_> = found.iter().map(identity).collect();
        found.retain(&wanted);
        let (mut kept, mut looked) = (0_usize, 0_usize);
        let is_cut = loop {
            let rows = store.read(|reader| reader.records(&query))?;
            looked = looked.saturating_add(rows.len());
            query.before = rows.last().map(|row| (row.record.at, row.id));
            let is_last = rows.len() < batch as usize;
            let rows = rows.into_iter().map(|row| row.record);
            let fresh = rows.filter(|row| wanted(row) && !waiting.contains(&identity(row)));
            let before = found.len();
            found.extend(fresh);
            kept += found.len() - before;
            if is_last {
                break false;
            }
            if kept > limit || looked >= LOOKED_AT {
                break true;
            }
        };
        // Stable: of one time what was written last stays first.
        found.sort_by_key(|record| std::cmp::Reverse(record.at));
        let is_cut = is_cut || found.len() > limit;
        found.truncate(limit);
        Ok((found, is_cut))
    }

    /// Findings that opened, changed or ended since, each as it was last written down.
    pub(super) fn findings(&self, since: Timestamp) -> Result<Vec<Finding>, PastError> {
        let span = Span {
            from: Some(since),
            until: None,
        };
        let (records, _) = self.records(RecordKind::Finding, &span, None, usize::MAX, |_| true)?;
        let mut known = HashSet::new();
        let finding = |record: &NewRecord| {
            let event: FindingEvent = serde_json::from_slice(&record.body).ok()?;
            Some(event.finding)
        };
        // The newest comes first.
        let findings = records.iter().filter_map(finding).filter(|finding| {
            let of = (finding.cluster.clone(), finding.subject.clone());
            known.insert((of, finding.fingerprint.clone()))
        });
        Ok(findings.collect())
    }

    /// What a digest names; none when it is not kept.
    pub(super) fn content(&self, digest: &str) -> Result<Option<Content>, PastError> {
        let waiting = self.coordinator.chronicle().content(digest);
        if let Some(bytes) = waiting {
            return Ok(Some(Content::kept(bytes)));
        }
        let store = self.coordinator.store().ok_or(PastError::NoStore)?;
        let row = store.read(|reader| reader.state(StateKind::Content, digest))?;
        Ok(row.map(|row| Content::kept(row.body)))
    }

    /// The settings of a content; none of nothing, and none when it is not kept.
    pub(super) fn lines(&self, digest: Option<&str>) -> Result<Option<Vec<Line>>, PastError> {
        match digest {
            None => Ok(Some(Vec::new())),
            Some(digest) => Ok(self.content(digest)?.map(|content| content.lines())),
        }
    }

    /// What a configuration is now.
    pub(super) fn head(&self, cluster: &str, subject: &str) -> Option<Head> {
        let key = revision::head_key(cluster, subject);
        self.coordinator.chronicle().head(&key)
    }
}

/// What a question names, as records name it: `guest/101`, `node/pve1/packages`.
pub(super) fn subject(
    view: &View,
    clusters: &[ClusterIndex],
    named: &str,
) -> Result<String, AnswerError> {
    let named = named.trim();
    if named == "cluster" || named.contains('/') && !named.starts_with("guest/") {
        return Ok(untrusted::name(named).into_owned());
    }
    if revision::piece::OF_CLUSTER.contains(&named) {
        return Ok(format!("cluster/{named}"));
    }
    let (name, part) = match named.strip_prefix("guest/") {
        Some(rest) => match rest.split_once('/') {
            Some((name, part)) => (name, format!("/{}", untrusted::name(part))),
            None => (rest, String::new()),
        },
        None => (named, String::new()),
    };
    // It may be gone: the past will tell.
    if name.parse::<u32>().is_ok() {
        return Ok(format!("guest/{name}{part}"));
    }
    if let Ok(guest) = select::guest(view, clusters, name) {
        return Ok(format!("guest/{}{part}", view.guest(guest).vmid));
    }
    if name == named && select::nodes(view, clusters, name).is_ok() {
        return Ok(format!("node/{name}"));
    }
    if name == named && view.storages.iter().any(|storage| *storage.name == *name) {
        return Ok(format!("storage/{name}"));
    }
    Err(AnswerError::NotFound(format!(
        "nothing is named {:?}; say guest/ID, node/NAME, storage/NAME or one of cluster/{}",
        untrusted::name(named),
        revision::piece::OF_CLUSTER.join(", cluster/")
    )))
}

#[cfg(test)]
pub(crate) mod tests;
