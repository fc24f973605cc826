//! Questions about what operators state, and what they decided about findings.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::finding::Key;
use crate::{
    coordinator::Current,
    finding::{Finding, FindingState},
    intent::{Became, Event, Stated, Statement, StatementKind, What},
    inventory::{Coverage, coverage},
    untrusted::{line, name},
};

mod wish;

pub use wish::{Wish, WishError, statement};

/// Statements that an answer about findings names.
const USES: usize = 20;
/// Objects of a statement that are shown.
const OBJECTS: usize = 100;

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Statements {
    /// Those of the file first.
    pub statements: Vec<StatementSummary>,
    pub coverage: Coverage,
}

/// What somebody said, and for how long it holds.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementSummary {
    /// By which it is withdrawn.
    pub id: String,
    pub kind: StatementKind,
    /// Absent where it is told what became of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<StatementState>,
    /// It stands in intent.toml; else it was made by a command.
    pub declared: bool,
    /// Of a decision about findings.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub check: String,
    /// Of the one finding that is meant; absent = all of the check.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub fingerprint: String,
    /// Id or name; absent = every cluster.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub cluster: String,
    /// `node/pve1`, `guest/104`, `storage/tank`, `tag/web`, `pool/lab`, `cluster`, `*`.
    pub objects: Vec<String>,
    /// When it is off, over and over, in UTC.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub calendar: String,
    /// After each time off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub grace_minutes: Option<u32>,
    /// How long a rotated storage may be away.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every_days: Option<u32>,
    pub author: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub on_behalf_of: String,
    pub reason: String,
    /// Absent = for as long as it stands in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Absent = until it is taken out of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Findings that are under it now.
    pub findings: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StatementState {
    InEffect,
    /// It begins later, or its calendar does not have this moment.
    Waiting,
    Ended,
}

/// What became of statements, newest first.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementEvents {
    pub events: Vec<StatementEvent>,
}

#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementEvent {
    pub at: Timestamp,
    pub change: Became,
    /// Who did it; absent = time.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub by: String,
    /// Why it was withdrawn, if that was said.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub why: String,
    pub statement: StatementSummary,
}

/// A statement that was made.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementMade {
    pub statement: StatementSummary,
}

/// A statement that holds no more.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StatementWithdrawn {
    pub statement: StatementSummary,
}

/// Findings that operators suppressed or acknowledged.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SetAside {
    pub suppressed: u32,
    pub acknowledged: u32,
    /// The statements that do that: at most 20, those of most findings first.
    pub statements: Vec<StatementUse>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatementUse {
    pub statement: Stated,
    /// Findings that it is about.
    pub findings: u32,
}

impl SetAside {
    /// What was decided about these findings; none = nothing.
    pub(crate) fn of<'f>(findings: impl Iterator<Item = &'f Finding>) -> Option<Self> {
        let mut aside = Self::default();
        let mut uses: BTreeMap<&str, (&Stated, u32)> = BTreeMap::new();
        for finding in findings {
            let count = match finding.state {
                FindingState::Suppressed => &mut aside.suppressed,
                FindingState::Acknowledged => &mut aside.acknowledged,
                _ => continue,
            };
            *count = count.saturating_add(1);
            if let Some(stated) = &finding.statement {
                uses.entry(&stated.id).or_insert((stated, 0)).1 += 1;
            }
        }
        let mut uses: Vec<_> = uses.into_values().collect();
        uses.sort_by_key(|(_, findings)| Reverse(*findings));
        let uses = uses.into_iter().take(USES);
        aside.statements = uses
            .map(|(stated, findings)| StatementUse {
                statement: shown(stated),
                findings,
            })
            .collect();
        (aside.suppressed > 0 || aside.acknowledged > 0).then_some(aside)
    }
}

/// A copy that is safe to show.
pub(crate) fn shown(stated: &Stated) -> Stated {
    Stated {
        author: name(&stated.author).into_owned(),
        on_behalf_of: name(&stated.on_behalf_of).into_owned(),
        reason: line(&stated.reason, crate::intent::REASON_LIMIT).into_owned(),
        ..stated.clone()
    }
}

/// What is stated, of one kind or of all.
#[must_use]
pub fn statements(current: &Current, kind: Option<StatementKind>) -> Statements {
    let view = &current.view;
    let all = current.intent.statements.iter();
    let clusters: Vec<_> = view.clusters().map(|(index, _)| index).collect();
    Statements {
        statements: all
            .filter(|statement| kind.is_none_or(|kind| statement.what.kind() == kind))
            .map(|statement| summary(current, statement))
            .collect(),
        coverage: coverage::of_clusters(view, &clusters),
    }
}

/// A statement and what it does at this moment.
#[must_use]
pub fn summary(current: &Current, statement: &Statement) -> StatementSummary {
    let at = current.view.at;
    let under = current.findings.iter().filter(|finding| {
        let stated = finding.statement.as_ref();
        stated.is_some_and(|stated| stated.id == statement.id)
    });
    let state = if statement.has_ended(at) {
        StatementState::Ended
    } else if statement.is_in_effect(at) {
        StatementState::InEffect
    } else {
        StatementState::Waiting
    };
    StatementSummary {
        state: Some(state),
        findings: u32::try_from(under.count()).unwrap_or(u32::MAX),
        ..described(statement)
    }
}

/// A statement on its own.
fn described(statement: &Statement) -> StatementSummary {
    let Statement {
        id,
        what,
        cluster,
        objects,
        author,
        on_behalf_of,
        reason,
        from,
        until,
    } = statement;
    let (check, fingerprint) = what.check().unwrap_or_default();
    let (calendar, grace_minutes) = match what {
        What::Off {
            calendar,
            grace_minutes,
        } => (calendar.to_string(), Some(*grace_minutes)),
        _ => (String::new(), None),
    };
    StatementSummary {
        id: id.clone(),
        kind: what.kind(),
        state: None,
        declared: statement.is_declared(),
        check: check.to_owned(),
        fingerprint: fingerprint.to_owned(),
        cluster: name(cluster).into_owned(),
        objects: objects
            .iter()
            .take(OBJECTS)
            .map(|object| name(&object.to_string()).into_owned())
            .collect(),
        calendar,
        grace_minutes,
        every_days: match what {
            What::Rotated { every_days } => Some(*every_days),
            _ => None,
        },
        author: name(author).into_owned(),
        on_behalf_of: name(on_behalf_of).into_owned(),
        reason: line(reason, crate::intent::REASON_LIMIT).into_owned(),
        from: (*from > Timestamp::MIN).then_some(*from),
        until: *until,
        findings: 0,
    }
}

/// What became of a statement, from the record.
#[must_use]
pub fn event(at: Timestamp, event: &Event) -> StatementEvent {
    StatementEvent {
        at,
        change: event.what,
        by: name(&event.by).into_owned(),
        why: line(&event.why, crate::intent::REASON_LIMIT).into_owned(),
        statement: described(&event.statement),
    }
}

/// The findings whose fingerprint begins so, worst first.
pub(super) fn beginning<'f>(current: &'f Current, digits: &str) -> Vec<&'f Finding> {
    let mut found: Vec<&Finding> = current
        .findings
        .iter()
        .filter(|finding| finding.fingerprint.starts_with(digits))
        .collect();
    found.sort_unstable_by(|one, other| Key::of(one).cmp(&Key::of(other)));
    found
}

#[cfg(test)]
mod tests;
