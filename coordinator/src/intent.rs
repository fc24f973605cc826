//! Operator intent: what only a person can say of objects and findings.
//!
//! Statements come from `intent.toml` and from commands. A statement narrows or
//! explains; it never hides a finding of the floor (exposure, failing disks, failed
//! backups, data at risk) and never grants anything. It is an input of checks and of
//! the life of findings, which know no clock: what is in effect is a matter of the
//! instant that is judged, so that what ends shows again by itself.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    check::{Check, Intended},
    finding::{Category, Severity},
    view::{Cluster, Guest, Subject, View},
};

mod calendar;
mod declared;
mod keep;
mod object;
mod tags;

pub use calendar::{Calendar, NoCalendar};
pub use declared::{Declared, GRACE_MINUTES, path};
pub use keep::{Became, Event, IntentError, Intents, MOST};
pub use object::{NoObject, Object};
pub use tags::{Meaning, Tags};

/// Characters of a reason.
pub const REASON_LIMIT: usize = 300;
/// Rule G8: a suppression of a security finding is looked at again every year.
pub const SECURITY_DAYS: i64 = 365;
/// Longer, and nobody knows any more whether it comes back.
const LONGEST_AWAY_DAYS: u32 = 400;
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// Everything that is stated at one instant.
#[derive(Debug, Clone, Default)]
pub struct Intent {
    pub tags: Tags,
    /// Those of the file first.
    pub statements: Vec<Arc<Statement>>,
}

/// What somebody said, and for how long it holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// By which it is withdrawn; of the file: its place there.
    pub id: String,
    pub what: What,
    /// Id or name; empty = every cluster.
    pub cluster: String,
    pub objects: Vec<Object>,
    /// Who said it, as the coordinator saw; of the file: as it is written there.
    pub author: String,
    /// For whom, in the author's words.
    pub on_behalf_of: String,
    pub reason: String,
    pub from: Timestamp,
    /// None = until it is taken out of the file.
    pub until: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum What {
    /// Somebody knows of the findings of a check.
    Acknowledged {
        check: String,
        /// Of the one finding that is meant; empty = all of the check.
        fingerprint: String,
    },
    /// The findings of a check are not to be shown.
    Suppressed {
        check: String,
        fingerprint: String,
    },
    Maintenance,
    /// Off on purpose, over and over.
    Off {
        calendar: Calendar,
        /// Until it is up again after that.
        grace_minutes: u32,
    },
    /// A storage that is there from time to time.
    Rotated {
        every_days: u32,
    },
    /// Guests whose data needs no backup.
    NoBackup,
}

/// The kind of a statement, as answers name it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StatementKind {
    Acknowledged,
    Suppressed,
    Maintenance,
    Off,
    Rotated,
    NoBackup,
}

/// The statement that a finding is under, beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stated {
    /// Of the statement.
    pub id: String,
    pub kind: StatementKind,
    pub author: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub on_behalf_of: String,
    pub reason: String,
    /// When it ends; absent = not by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The severity without it; absent = it does not change the severity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity_without: Option<Severity>,
}

impl What {
    #[must_use]
    pub fn kind(&self) -> StatementKind {
        match self {
            Self::Acknowledged { .. } => StatementKind::Acknowledged,
            Self::Suppressed { .. } => StatementKind::Suppressed,
            Self::Maintenance => StatementKind::Maintenance,
            Self::Off { .. } => StatementKind::Off,
            Self::Rotated { .. } => StatementKind::Rotated,
            Self::NoBackup => StatementKind::NoBackup,
        }
    }

    /// Check and fingerprint that a decision about findings is about.
    #[must_use]
    pub fn check(&self) -> Option<(&str, &str)> {
        match self {
            Self::Acknowledged { check, fingerprint } | Self::Suppressed { check, fingerprint } => {
                Some((check, fingerprint))
            }
            _ => None,
        }
    }
}

impl StatementKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Acknowledged => "acknowledged",
            Self::Suppressed => "suppressed",
            Self::Maintenance => "maintenance",
            Self::Off => "off",
            Self::Rotated => "rotated",
            Self::NoBackup => "no backup",
        }
    }
}

impl Statement {
    /// Whether it holds at this moment.
    #[must_use]
    pub fn is_in_effect(&self, at: Timestamp) -> bool {
        let is_off = match &self.what {
            What::Off {
                calendar,
                grace_minutes,
            } => calendar.has(at, *grace_minutes),
            _ => true,
        };
        self.from <= at && !self.has_ended(at) && is_off
    }

    #[must_use]
    pub fn has_ended(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= at)
    }

    /// Whether it stands in the file.
    #[must_use]
    pub fn is_declared(&self) -> bool {
        self.id.starts_with(declared::ID)
    }

    /// Whether it may be about what is in this cluster.
    #[must_use]
    pub fn is_about(&self, cluster: &Cluster) -> bool {
        self.cluster.is_empty() || *self.cluster == *cluster.id || *self.cluster == *cluster.name
    }

    fn has(&self, view: &View, subject: Subject) -> bool {
        self.is_about(view.cluster(subject.cluster(view)))
            && self.objects.iter().any(|object| object.has(view, subject))
    }

    /// As [`has`](Self::has); also what follows from its objects for their cluster.
    fn explains(&self, view: &View, subject: Subject, part: &str) -> bool {
        self.is_about(view.cluster(subject.cluster(view)))
            && object::explain(&self.objects, view, subject, part)
    }

    /// What a finding says of it.
    #[must_use]
    pub fn stated(&self, severity_without: Option<Severity>) -> Stated {
        Stated {
            id: self.id.clone(),
            kind: self.what.kind(),
            author: self.author.clone(),
            on_behalf_of: self.on_behalf_of.clone(),
            reason: self.reason.clone(),
            until: self.until,
            severity_without,
        }
    }
}

/// A finding, as far as statements look at it.
#[derive(Debug, Clone, Copy)]
pub struct Judged<'a> {
    pub check: &'a Check,
    pub subject: Subject,
    /// The discriminator of the finding.
    pub part: &'a str,
    pub fingerprint: &'a str,
    pub severity: Severity,
    pub first_seen: Timestamp,
}

impl Intent {
    fn in_effect(&self, at: Timestamp) -> impl Iterator<Item = &Arc<Statement>> {
        let all = self.statements.iter();
        all.filter(move |statement| statement.is_in_effect(at))
    }

    /// The decision about a finding, if there is one: what suppresses it, or else what
    /// acknowledges it. Nothing suppresses a finding of the floor.
    #[must_use]
    pub fn decision(&self, view: &View, judged: Judged<'_>, at: Timestamp) -> Option<&Statement> {
        let mut decision: Option<&Statement> = None;
        for statement in self.in_effect(at) {
            let is_meant = statement.what.check().is_some_and(|(check, fingerprint)| {
                check == judged.check.id
                    && (fingerprint.is_empty() || fingerprint == judged.fingerprint)
            });
            if !is_meant || !statement.has(view, judged.subject) {
                continue;
            }
            match statement.what.kind() {
                StatementKind::Suppressed if judged.check.floor => {}
                StatementKind::Suppressed => return Some(statement),
                _ => decision = decision.or(Some(statement)),
            }
        }
        decision
    }

    /// To what a finding is lowered, and by which statement. Nothing lowers a finding of
    /// the floor.
    #[must_use]
    pub fn lowered(
        &self,
        view: &View,
        judged: Judged<'_>,
        at: Timestamp,
    ) -> Option<(Severity, &Statement)> {
        if judged.check.floor || judged.check.intents.is_empty() {
            return None;
        }
        self.in_effect(at).find_map(|statement| {
            let mut intents = judged.check.intents.iter();
            let to = intents.find_map(|intended| match (intended, &statement.what) {
                (Intended::Maintenance(to), What::Maintenance) => Some(*to),
                // Away for longer than it ever should be.
                (Intended::Rotated, What::Rotated { every_days }) => {
                    let days = i32::try_from(*every_days).unwrap_or(i32::MAX);
                    let away = at.duration_since(judged.first_seen);
                    (away < DAY.saturating_mul(days)).then_some(Severity::Info)
                }
                _ => None,
            })?;
            (to < judged.severity && statement.explains(view, judged.subject, judged.part))
                .then_some((to, &**statement))
        })
    }

    /// Whether a failure is what somebody wants: its object is off on purpose.
    #[must_use]
    pub fn is_off(
        &self,
        view: &View,
        check: &Check,
        (subject, part): (Subject, &str),
        at: Timestamp,
    ) -> bool {
        !check.floor
            && check.intents.contains(&Intended::Off)
            && self.in_effect(at).any(|statement| {
                statement.what.kind() == StatementKind::Off
                    && statement.explains(view, subject, part)
            })
    }

    /// Whether the data of a guest needs no backup.
    #[must_use]
    pub fn needs_no_backup(&self, view: &View, guest: &Guest, at: Timestamp) -> bool {
        self.tags.has(view, guest, Meaning::NoBackup)
            || self.in_effect(at).any(|statement| {
                statement.what == What::NoBackup
                    && statement.is_about(view.cluster(guest.cluster))
                    && statement
                        .objects
                        .iter()
                        .any(|object| object.has_guest(view, guest))
            })
    }
}

/// Whether anything reads such a statement about these objects: one that nothing reads
/// would be believed in.
///
/// # Errors
/// Says so in words.
pub fn may_be_about(what: &What, objects: &[Object]) -> Result<(), String> {
    let is_of_guests =
        |object: &Object| matches!(object, Object::Guest(_) | Object::Tag(_) | Object::Pool(_));
    let is_read = |object: &Object| match what.kind() {
        StatementKind::Acknowledged | StatementKind::Suppressed => true,
        StatementKind::Maintenance | StatementKind::Off => !is_of_guests(object),
        StatementKind::Rotated => {
            matches!(object, Object::Storage(_) | Object::StorageOnNode(..))
        }
        StatementKind::NoBackup => is_of_guests(object) || *object == Object::All,
    };
    if let What::Rotated { every_days } = what
        && !(1..=LONGEST_AWAY_DAYS).contains(every_days)
    {
        return Err(format!(
            "a rotated storage is away for 1 to {LONGEST_AWAY_DAYS} days"
        ));
    }
    let Some(object) = objects.iter().find(|object| !is_read(object)) else {
        return Ok(());
    };
    let takes = match what.kind() {
        StatementKind::Rotated => "storages: storage/NAME",
        StatementKind::NoBackup => "guests: guest/VMID, tag/TAG, pool/NAME or *",
        _ => "nodes, storages and clusters: node/NAME, storage/NAME, cluster or *",
    };
    Err(format!(
        "nothing reads this about {object}; it is for {takes}"
    ))
}

/// Why findings of a check may not be suppressed for so long, or at all.
///
/// # Errors
/// Says so in words.
pub fn may_suppress(check: &Check, from: Timestamp, until: Timestamp) -> Result<(), String> {
    if check.floor {
        return Err(format!(
            "{} is never hidden: it is about exposure, failing disks, failed backups or data at \
             risk. It can be acknowledged",
            check.id
        ));
    }
    let longest = DAY.saturating_mul(i32::try_from(SECURITY_DAYS).unwrap_or(i32::MAX));
    if check.category == Category::Security && until.duration_since(from) > longest {
        return Err(format!(
            "{} is about security: it is suppressed for at most {SECURITY_DAYS} days",
            check.id
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
