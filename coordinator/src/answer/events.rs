//! Questions about what happened.

use std::collections::HashSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    past::{Past, PastError, Span, subject},
    revisions::{ConfigurationChange, RevisionEntry, after, entry, limit},
    select,
};
use crate::{
    chronicle::{
        Event, EventKind, Level,
        event::task::{RUNNING, took},
    },
    coordinator::Current,
    figure,
    finding::{Finding, FindingState, Severity, lifecycle::FindingEvent},
    intent::{self, Became},
    inventory::{Coverage, coverage},
    store::row::{NewRecord, RecordKind},
    untrusted,
    view::Name,
};

mod health;

/// Events of one answer unless asked otherwise, and at most.
const LIMIT: u32 = 100;
pub(crate) const MOST: u32 = 1000;
/// Changes of a configuration that one line tells.
const CHANGES: usize = 4;
/// Characters of a text.
const TEXT: usize = 300;
/// Seconds before the end that are shown when nothing is said.
const SPAN: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);

/// Which events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsFilter {
    /// Cluster id, an unambiguous prefix of it, or a cluster name; empty = all.
    pub cluster: String,
    /// Empty = all.
    pub subjects: Vec<String>,
    /// Empty = all.
    pub kinds: Vec<EventKind>,
    pub minimum_level: Level,
    /// None = a day before the end.
    pub from: Option<Timestamp>,
    /// Not included; None = now.
    pub until: Option<Timestamp>,
    /// 0 = 100.
    pub limit: u32,
}

/// What happened in a span.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Events {
    pub from: Timestamp,
    /// Not included.
    pub until: Timestamp,
    /// Newest first.
    pub events: Vec<EventEntry>,
    /// There are older ones in the span.
    pub older_left_out: bool,
    /// What is wrong with the answer, in words.
    pub notes: Vec<String>,
    pub coverage: Coverage,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct EventEntry {
    pub cluster: String,
    /// `node/pve1`, `guest/101`, `cluster`, `cluster/access`, `node/pve1/packages`.
    pub subject: String,
    pub at: Timestamp,
    /// Of what took time and has ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    pub kind: EventKind,
    pub level: Level,
    /// Where; empty = on no node in particular.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub node: String,
    pub text: String,
    /// Who had it done, where Proxmox VE says so.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub user: String,
}

/// Reads the past: to be called where that may block.
///
/// # Errors
/// When something asked for is not known, or the store cannot be read.
pub fn events(
    current: &Current,
    past: &Past,
    filter: &EventsFilter,
    now: Timestamp,
) -> Result<Events, PastError> {
    let view = &current.view;
    let clusters = select::clusters(view, &filter.cluster)?;
    let ids: Vec<Name> = clusters
        .iter()
        .map(|index| Name::clone(&view.cluster(*index).id))
        .collect();
    let subjects: Result<Vec<String>, _> = filter
        .subjects
        .iter()
        .map(|named| subject(view, &clusters, named))
        .collect();
    let subjects = subjects?;
    let limit = limit(filter.limit, LIMIT, MOST)?;
    let until = filter.until.unwrap_or_else(|| after(now));
    let from = filter
        .from
        .unwrap_or_else(|| until.checked_sub(SPAN).unwrap_or(Timestamp::MIN));
    let span = Span {
        from: Some(from),
        until: Some(until),
    };
    let wants = |kind: EventKind| filter.kinds.is_empty() || filter.kinds.contains(&kind);
    let is_here = |record: &NewRecord| ids.contains(&record.cluster);
    let is_about = |record: &NewRecord, node: &str| {
        subjects.is_empty()
            || subjects
                .iter()
                .any(|one| is_about(one, &record.subject, node))
    };
    let mut found = Vec::new();
    let mut is_cut = false;
    let of_events = |record: &NewRecord| {
        is_here(record)
            && read(record).is_some_and(|event| {
                wants(event.kind)
                    && event.level >= filter.minimum_level
                    && is_about(record, &event.node)
            })
    };
    let of_revisions = |record: &NewRecord| is_here(record) && is_about(record, "");
    let of_findings = |record: &NewRecord| {
        let event = || serde_json::from_slice::<FindingEvent>(&record.body);
        is_here(record)
            && is_about(record, "")
            && event().is_ok_and(|event| level_of(&event) >= filter.minimum_level)
    };
    let of_health = |record: &NewRecord| {
        is_here(record)
            && is_about(record, "")
            && health::level(record).is_some_and(|level| level >= filter.minimum_level)
    };
    // Statements name clusters as operators do, or none: then they are about all.
    let named: Vec<&str> = clusters
        .iter()
        .map(|index| &*view.cluster(*index).name)
        .collect();
    let of_operators = |record: &NewRecord| {
        let is_here =
            is_here(record) || record.cluster.is_empty() || named.contains(&&*record.cluster);
        is_here && is_about(record, "")
    };
    let has_own = |kind: &EventKind| {
        use EventKind::{Audit, Config, Finding, Health, Intent};
        matches!(kind, Audit | Config | Finding | Health | Intent)
    };
    // Of one time what is caused comes after its causes: in a list of the newest first,
    // before them.
    if wants(EventKind::Health) {
        found.push(past.records(RecordKind::Analysis, &span, None, limit, of_health)?);
    }
    if wants(EventKind::Finding) {
        found.push(past.records(RecordKind::Finding, &span, None, limit, of_findings)?);
    }
    if filter.minimum_level == Level::Info {
        for (kind, records) in [
            (EventKind::Audit, RecordKind::Audit),
            (EventKind::Intent, RecordKind::Intent),
        ] {
            if wants(kind) {
                found.push(past.records(records, &span, None, limit, of_operators)?);
            }
        }
    }
    if wants(EventKind::Config) && filter.minimum_level == Level::Info {
        found.push(past.records(RecordKind::Revision, &span, None, limit, of_revisions)?);
    }
    if filter.kinds.is_empty() || !filter.kinds.iter().all(has_own) {
        found.push(past.records(RecordKind::Event, &span, None, limit, of_events)?);
    }
    let mut records = Vec::new();
    for (some, cut) in found {
        records.extend(some);
        is_cut |= cut;
    }
    records.sort_by_key(|record| std::cmp::Reverse(record.at));
    is_cut |= records.len() > limit;
    records.truncate(limit);
    let mut events = Vec::with_capacity(records.len());
    for record in without_begins(records) {
        let event = match record.kind {
            RecordKind::Event | RecordKind::Audit => of_event(&record),
            RecordKind::Revision => entry(past, &record)?.map(of_revision),
            RecordKind::Finding => of_finding(&record),
            RecordKind::Intent => of_intent(&record),
            RecordKind::Analysis => health::event(&record),
        };
        events.extend(event);
    }
    Ok(Events {
        from,
        until,
        events,
        older_left_out: is_cut,
        notes: Vec::new(),
        coverage: coverage::of_clusters(view, &clusters),
    })
}

/// Whether what was asked for is the subject, a part of it, or the node where it
/// happened.
fn is_about(asked: &str, subject: &str, node: &str) -> bool {
    let is_part = |rest: &str| rest.is_empty() || rest.starts_with(['/', '@']);
    subject.strip_prefix(asked).is_some_and(is_part)
        || (!node.is_empty() && asked.strip_prefix("node/") == Some(node))
}

/// A task that has ended is told once.
fn without_begins(records: Vec<NewRecord>) -> Vec<NewRecord> {
    let keys: HashSet<String> = records.iter().map(|record| record.key.clone()).collect();
    let has_ended = |record: &NewRecord| {
        record.kind == RecordKind::Event
            && record.key.contains(RUNNING)
            && keys.contains(&record.key.replacen(RUNNING, "", 1))
    };
    records
        .into_iter()
        .filter(|record| !has_ended(record))
        .collect()
}

fn read(record: &NewRecord) -> Option<Event> {
    serde_json::from_slice(&record.body).ok()
}

fn of_event(record: &NewRecord) -> Option<EventEntry> {
    let event = read(record)?;
    let took = took(record.at, event.until).filter(|seconds| *seconds > 0);
    let mut text = event.text;
    if let Some(seconds) = took {
        let seconds = std::time::Duration::from_secs(seconds.unsigned_abs());
        text = format!("{text} in {}", figure::duration(seconds));
    }
    Some(EventEntry {
        cluster: record.cluster.to_string(),
        subject: record.subject.to_string(),
        at: record.at,
        ended_at: event.until,
        kind: event.kind,
        level: event.level,
        node: event.node.to_string(),
        text,
        user: event.user,
    })
}

fn of_revision(revision: RevisionEntry) -> EventEntry {
    let user = revision.author.users.join(" or ");
    EventEntry {
        text: untrusted::line(&summary(&revision), TEXT).into_owned(),
        cluster: revision.cluster,
        subject: revision.subject,
        at: revision.at,
        ended_at: None,
        kind: EventKind::Config,
        level: Level::Info,
        node: String::new(),
        user,
    }
}

/// `cores 2 → 4; memory 2 GiB → 4 GiB`.
pub(crate) fn summary(revision: &RevisionEntry) -> String {
    if revision.is_new {
        return "created".to_owned();
    }
    if revision.is_gone {
        return "removed".to_owned();
    }
    let mut told: Vec<String> = revision.changes.iter().take(CHANGES).map(change).collect();
    let more = revision.changes.len().saturating_sub(CHANGES)
        + usize::try_from(revision.changes_left_out).unwrap_or(0);
    if told.is_empty() {
        return "something that is not read, such as a comment".to_owned();
    }
    if more > 0 {
        told.push(format!("{more} more"));
    }
    told.join("; ")
}

/// `cores 2 → 4`, `+ tags web`, `- tags web`.
pub(crate) fn change(change: &ConfigurationChange) -> String {
    let setting = &change.setting;
    match (&change.before, &change.after) {
        (Some(before), Some(after)) => format!("{setting} {before} → {after}"),
        (None, Some(after)) => format!("+ {setting} {after}"),
        (Some(before), None) => format!("- {setting} {before}"),
        (None, None) => setting.clone(),
    }
}

fn level_of(event: &FindingEvent) -> Level {
    match (event.finding.state, event.finding.severity) {
        (FindingState::Resolved, _) | (_, Severity::Info) => Level::Info,
        (_, Severity::Warning) => Level::Warning,
        (_, Severity::Critical) => Level::Error,
    }
}

fn of_finding(record: &NewRecord) -> Option<EventEntry> {
    let event: FindingEvent = serde_json::from_slice(&record.body).ok()?;
    let level = level_of(&event);
    let finding = &event.finding;
    Some(EventEntry {
        cluster: record.cluster.to_string(),
        subject: record.subject.to_string(),
        at: record.at,
        ended_at: None,
        kind: EventKind::Finding,
        level,
        node: String::new(),
        text: untrusted::line(&became(finding, event.was), TEXT).into_owned(),
        user: String::new(),
    })
}

fn of_intent(record: &NewRecord) -> Option<EventEntry> {
    let event: intent::Event = serde_json::from_slice(&record.body).ok()?;
    let statement = &event.statement;
    let what = statement.what.kind().as_str();
    let check = match &statement.what {
        intent::What::Acknowledged { check, .. } | intent::What::Suppressed { check, .. } => {
            format!(" {check}")
        }
        _ => String::new(),
    };
    let became = match event.what {
        Became::Made => format!("{what}{check}: {}", statement.reason),
        Became::Withdrawn => format!("withdrawn: {what}{check}"),
        Became::Ended => format!("ended: {what}{check}"),
    };
    Some(EventEntry {
        cluster: record.cluster.to_string(),
        subject: match record.subject.is_empty() {
            true => "cluster".to_owned(),
            false => record.subject.to_string(),
        },
        at: record.at,
        ended_at: None,
        kind: EventKind::Intent,
        level: Level::Info,
        node: String::new(),
        text: untrusted::line(&became, TEXT).into_owned(),
        user: event.by,
    })
}

/// `critical: Pool rpool is 97 % full`, `resolved: ...`, `worse, critical: ...`.
fn became(finding: &Finding, was: Option<(FindingState, Severity)>) -> String {
    let word = |severity| match severity {
        Severity::Info => "info",
        Severity::Warning => "warning",
        Severity::Critical => "critical",
    };
    let now = word(finding.severity);
    let text = &finding.summary;
    match (finding.state, was) {
        (FindingState::Resolved, _) => format!("resolved: {}", finding.title),
        (FindingState::Acknowledged, _) => format!("acknowledged: {}", finding.title),
        (FindingState::Suppressed, _) => format!("suppressed: {}", finding.title),
        (FindingState::Flapping, _) => format!("{now}, comes and goes: {text}"),
        (_, Some((FindingState::Open, before))) if finding.severity > before => {
            format!("worse, {now}: {text}")
        }
        (_, Some((FindingState::Open, before))) if finding.severity < before => {
            format!("better, {now}: {text}")
        }
        _ => format!("{now}: {text}"),
    }
}
