//! Questions about configurations: what changed, and what was so at a time.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    AnswerError,
    past::{Past, PastError, Span, subject},
    select,
};
use crate::{
    chronicle::{
        Event, Revision,
        revision::{
            author::{self, Author, When, Witness},
            content::{Changed, differences},
            piece,
        },
    },
    coordinator::Current,
    inventory::{Coverage, coverage},
    store::row::{NewRecord, RecordKind},
    untrusted,
    view::Name,
};

/// Revisions of one answer unless asked otherwise, and at most.
const LIMIT: u32 = 50;
pub(crate) const MOST: u32 = 500;
/// Changes of one revision that are told.
const CHANGES: usize = 100;
/// Words about a change that are looked at.
const WITNESSES: usize = 500;

/// Which revisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevisionsFilter {
    /// Cluster id, an unambiguous prefix of it, or a cluster name; empty = all.
    pub cluster: String,
    /// Empty = all.
    pub subject: String,
    /// None = as long as is kept.
    pub from: Option<Timestamp>,
    /// Not included; None = now.
    pub until: Option<Timestamp>,
    /// 0 = 50.
    pub limit: u32,
}

/// How configurations became what they are.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Revisions {
    /// Newest first.
    pub revisions: Vec<RevisionEntry>,
    /// There are older ones in the span.
    pub older_left_out: bool,
    /// Since when the configuration of the subject is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known_since: Option<Timestamp>,
    pub notes: Vec<String>,
    pub coverage: Coverage,
}

/// A configuration became another one.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct RevisionEntry {
    pub cluster: String,
    pub subject: String,
    /// When the new content was read first.
    pub at: Timestamp,
    /// When the content before was read last.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    pub is_new: bool,
    pub is_gone: bool,
    pub author: Author,
    pub changes: Vec<ConfigurationChange>,
    /// Changes beyond those that are listed.
    pub changes_left_out: u32,
    /// Another version of the agent read it: perhaps only more was read.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_read_anew: bool,
    /// Names the new content; empty when it is gone.
    pub digest: String,
}

/// A setting that is another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigurationChange {
    pub setting: String,
    /// Absent = it was not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<String>,
    /// Absent = it is not set any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A configuration as it was at a time.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Configuration {
    pub cluster: String,
    pub subject: String,
    pub at: Timestamp,
    pub settings: Vec<ConfigurationSetting>,
    /// It was not there at that time.
    pub is_absent: bool,
    /// Names the content; empty when there is none.
    pub digest: String,
    pub coverage: Coverage,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ConfigurationSetting {
    pub setting: String,
    pub value: String,
}

/// Reads the past: to be called where that may block.
///
/// # Errors
/// When something asked for is not known, or the store cannot be read.
pub fn revisions(
    current: &Current,
    past: &Past,
    filter: &RevisionsFilter,
    now: Timestamp,
) -> Result<Revisions, PastError> {
    let view = &current.view;
    let clusters = select::clusters(view, &filter.cluster)?;
    let ids: Vec<Name> = clusters
        .iter()
        .map(|index| Name::clone(&view.cluster(*index).id))
        .collect();
    let limit = limit(filter.limit, LIMIT, MOST)?;
    let span = Span {
        from: filter.from,
        until: Some(filter.until.unwrap_or_else(|| after(now))),
    };
    let of_clusters = |record: &NewRecord| ids.contains(&record.cluster);
    let (mut records, mut is_cut) = (Vec::new(), false);
    let mut notes = Vec::new();
    let mut known_since = None;
    let subjects = match filter.subject.is_empty() {
        true => vec![None],
        false => {
            let subject = subject(view, &clusters, &filter.subject)?;
            let parts = piece::parts(&subject);
            for id in &ids {
                for part in &parts {
                    let known = past.head(id, part).map(|head| head.known_since);
                    known_since = [known_since, known].into_iter().flatten().min();
                }
            }
            if known_since.is_none() {
                notes.push(format!(
                    "nothing is known of the configuration of {subject}"
                ));
            }
            parts.into_iter().map(Some).collect()
        }
    };
    for subject in &subjects {
        let subject = subject.as_deref();
        let found = past.records(RecordKind::Revision, &span, subject, limit, of_clusters)?;
        records.extend(found.0);
        is_cut |= found.1;
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.at));
    is_cut |= records.len() > limit;
    records.truncate(limit);
    let entries: Result<Vec<_>, _> = records.iter().map(|record| entry(past, record)).collect();
    Ok(Revisions {
        revisions: entries?.into_iter().flatten().collect(),
        older_left_out: is_cut,
        known_since,
        notes,
        coverage: coverage::of_clusters(view, &clusters),
    })
}

/// A record of a revision with its differences and who made them; none of what a newer
/// version wrote.
pub(super) fn entry(past: &Past, record: &NewRecord) -> Result<Option<RevisionEntry>, PastError> {
    let Ok(revision) = serde_json::from_slice::<Revision>(&record.body) else {
        return Ok(None);
    };
    let before = past.lines(revision.before.as_deref())?;
    let after = past.lines(revision.after.as_deref())?;
    let changed = match (&before, &after) {
        (Some(before), Some(after)) => differences(before, after),
        // A content that is not kept any more says nothing.
        _ => Vec::new(),
    };
    let (is_new, is_gone) = (revision.before.is_none(), revision.after.is_none());
    let author = author::author(
        &When {
            subject: &record.subject,
            at: record.at,
            not_before: revision.not_before,
            changed: &changed,
            is_whole: is_new || is_gone,
        },
        &witnesses(past, record, &revision)?,
    );
    let told = changed.iter().take(CHANGES);
    Ok(Some(RevisionEntry {
        cluster: record.cluster.to_string(),
        subject: record.subject.to_string(),
        at: record.at,
        not_before: revision.not_before,
        is_new,
        is_gone,
        author,
        changes: told.cloned().map(ConfigurationChange::from).collect(),
        changes_left_out: u32::try_from(changed.len().saturating_sub(CHANGES)).unwrap_or(u32::MAX),
        is_read_anew: revision.is_read_anew,
        digest: revision.after.unwrap_or_default(),
    }))
}

/// What happened about the time of a change.
fn witnesses(
    past: &Past,
    record: &NewRecord,
    revision: &Revision,
) -> Result<Vec<Witness>, PastError> {
    // A task that changed it may have begun long before.
    const LONG: SignedDuration = SignedDuration::from_hours(24);
    let first = revision.not_before.unwrap_or(record.at).min(record.at);
    let span = Span {
        from: first.checked_sub(LONG).ok(),
        until: record.at.checked_add(author::NEAR).ok().map(after),
    };
    let is_here = |one: &NewRecord| one.cluster == record.cluster;
    let guest: Vec<&str> = record.subject.split('/').take(2).collect();
    let subject = record
        .subject
        .starts_with("guest/")
        .then(|| guest.join("/"));
    let found = past.records(
        RecordKind::Event,
        &span,
        subject.as_deref(),
        WITNESSES,
        is_here,
    )?;
    let witness = |record: NewRecord| {
        let event = serde_json::from_slice::<Event>(&record.body).ok()?;
        Some((record.at, record.subject, event))
    };
    Ok(found.0.into_iter().filter_map(witness).collect())
}

impl From<Changed> for ConfigurationChange {
    fn from(changed: Changed) -> Self {
        Self {
            setting: changed.path,
            before: changed.before,
            after: changed.after,
        }
    }
}

/// A configuration as it was.
///
/// # Errors
/// When nothing is known of it, or not of that time, or the store cannot be read.
pub fn configuration(
    current: &Current,
    past: &Past,
    cluster: &str,
    named: &str,
    at: Timestamp,
) -> Result<Configuration, PastError> {
    let view = &current.view;
    let clusters = select::clusters(view, cluster)?;
    let subject = subject(view, &clusters, named)?;
    let mut found = Vec::new();
    for index in &clusters {
        let id = &view.cluster(*index).id;
        if let Some(head) = past.head(id, &subject) {
            found.push((Name::clone(id), head));
        }
    }
    let (cluster, head) = match found.len() {
        0 => {
            let text = format!(
                "nothing is known of the configuration of {:?}",
                untrusted::name(&subject)
            );
            return Err(AnswerError::NotFound(text).into());
        }
        1 => found.remove(0),
        _ => {
            let text = format!("{subject} is in {} clusters; name one", found.len());
            return Err(AnswerError::Ambiguous(text).into());
        }
    };
    if at < head.known_since {
        let text = format!("nothing is known of {subject} before {}", head.known_since);
        return Err(AnswerError::NotFound(text).into());
    }
    let digest = if head.since <= at {
        head.digest
    } else {
        content_at(past, &cluster, &subject, at)?
    };
    let lines = match past.lines(digest.as_deref())? {
        Some(lines) => lines,
        None => {
            let text = format!("what {subject} was at {at} is not kept any more");
            return Err(AnswerError::NotFound(text).into());
        }
    };
    Ok(Configuration {
        cluster: cluster.to_string(),
        subject,
        at,
        is_absent: digest.is_none(),
        digest: digest.unwrap_or_default(),
        settings: lines
            .into_iter()
            .map(|line| ConfigurationSetting {
                setting: line.path,
                value: line.value,
            })
            .collect(),
        coverage: coverage::of_clusters(view, &clusters),
    })
}

/// What it was at a time before its last change.
fn content_at(
    past: &Past,
    cluster: &Name,
    subject: &str,
    at: Timestamp,
) -> Result<Option<String>, PastError> {
    let is_here = |record: &NewRecord| record.cluster == *cluster;
    let read = |record: &NewRecord| serde_json::from_slice::<Revision>(&record.body).ok();
    let until = Span {
        from: None,
        until: Some(after(at)),
    };
    let before = past.records(RecordKind::Revision, &until, Some(subject), 1, is_here)?;
    if let Some(revision) = before.0.first().and_then(read) {
        return Ok(revision.after);
    }
    // Before its first change it was what that change found.
    let since = Span {
        from: Some(after(at)),
        until: None,
    };
    let later = past.records(
        RecordKind::Revision,
        &since,
        Some(subject),
        usize::MAX,
        is_here,
    )?;
    Ok(later
        .0
        .last()
        .and_then(read)
        .and_then(|revision| revision.before))
}

/// Ends of spans are not included.
pub(super) fn after(at: Timestamp) -> Timestamp {
    at.checked_add(SignedDuration::from_millis(1)).unwrap_or(at)
}

/// How many to tell.
pub(super) fn limit(asked: u32, usual: u32, most: u32) -> Result<usize, AnswerError> {
    let limit = if asked == 0 { usual } else { asked };
    if limit > most {
        let text = format!("limit {limit} is out of range: at most {most}");
        return Err(AnswerError::Invalid(text));
    }
    Ok(usize::try_from(limit).unwrap_or(usize::MAX))
}
