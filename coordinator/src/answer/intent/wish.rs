//! From what an operator asks for to a statement that means something.

use jiff::{SignedDuration, Timestamp};

use super::beginning;
use crate::{
    answer::{AnswerError, select},
    check::{CHECKS, Check, find},
    config::near,
    coordinator::Current,
    intent::{
        Calendar, GRACE_MINUTES, Object, REASON_LIMIT, Statement, StatementKind, What,
        may_be_about, may_suppress,
    },
    untrusted,
    view::{ClusterIndex, View},
};

/// Fewer digits name a finding by accident.
const DIGITS: usize = 4;
/// Findings that an error lists.
const LISTED: usize = 5;
/// Objects of one statement.
const OBJECTS: usize = 100;

/// What an operator wants to state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wish {
    pub kind: StatementKind,
    /// Of one finding, or the begin of it; empty = none.
    pub fingerprint: String,
    pub check: String,
    pub objects: Vec<String>,
    /// Empty = the one that has the objects.
    pub cluster: String,
    pub reason: String,
    pub on_behalf_of: String,
    /// None = now.
    pub from: Option<Timestamp>,
    pub until: Option<Timestamp>,
    /// Instead of an end, from the begin on.
    pub length: Option<SignedDuration>,
    /// Empty = all the time.
    pub calendar: String,
    pub grace_minutes: Option<u32>,
    pub every_days: u32,
}

/// Why it cannot be stated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WishError {
    #[error("{0}")]
    Answer(#[from] AnswerError),
    #[error("{0}")]
    NoFinding(String),
    #[error("{0}")]
    AmbiguousFinding(String),
    #[error("{0}")]
    NoCheck(String),
    /// It would hide what is never hidden, or for too long.
    #[error("{0}")]
    NotSuppressible(String),
}

/// The statement that is meant, still without an id.
///
/// # Errors
/// Says what is wrong with it, and how to say it instead.
pub fn statement(
    current: &Current,
    wish: &Wish,
    author: &str,
    now: Timestamp,
) -> Result<Statement, WishError> {
    let view = &current.view;
    let reason = untrusted::line(wish.reason.trim(), REASON_LIMIT).into_owned();
    if reason.is_empty() {
        return invalid("say why: a statement needs a reason");
    }
    let (from, until) = span(wish, now)?;
    let clusters = select::clusters(view, &wish.cluster)?;
    let is_decision = matches!(
        wish.kind,
        StatementKind::Acknowledged | StatementKind::Suppressed
    );
    let (check, fingerprint, cluster, objects) = if is_decision && !wish.fingerprint.is_empty() {
        finding(current, wish, &clusters)?
    } else {
        let check = is_decision.then(|| known(&wish.check)).transpose()?;
        let objects = objects(&wish.objects)?;
        let cluster = cluster(view, wish, &clusters, &objects)?;
        (check, String::new(), cluster, objects)
    };
    if let (Some(check), StatementKind::Suppressed) = (check, wish.kind) {
        may_suppress(check, from, until).map_err(WishError::NotSuppressible)?;
    }
    let check = check.map(|check| check.id.to_owned()).unwrap_or_default();
    let what = match wish.kind {
        StatementKind::Acknowledged => What::Acknowledged { check, fingerprint },
        StatementKind::Suppressed => What::Suppressed { check, fingerprint },
        StatementKind::Maintenance => What::Maintenance,
        StatementKind::Off => What::Off {
            calendar: calendar(&wish.calendar)?,
            grace_minutes: wish.grace_minutes.unwrap_or(GRACE_MINUTES),
        },
        StatementKind::Rotated => What::Rotated {
            every_days: wish.every_days,
        },
        StatementKind::NoBackup => What::NoBackup,
    };
    may_be_about(&what, &objects).map_err(AnswerError::Invalid)?;
    Ok(Statement {
        id: String::new(),
        what,
        cluster,
        objects,
        author: author.to_owned(),
        on_behalf_of: untrusted::name(wish.on_behalf_of.trim()).into_owned(),
        reason,
        from,
        until: Some(until),
    })
}

fn invalid<T>(text: impl Into<String>) -> Result<T, WishError> {
    Err(AnswerError::Invalid(text.into()).into())
}

fn span(wish: &Wish, now: Timestamp) -> Result<(Timestamp, Timestamp), WishError> {
    let from = wish.from.unwrap_or(now);
    let until = match (wish.until, wish.length) {
        (Some(until), None) => until,
        (None, Some(length)) => match from.checked_add(length) {
            Ok(until) => until,
            Err(_) => return invalid("it would end after all time"),
        },
        _ => return invalid("say for how long, or until when: a statement needs one end"),
    };
    if until <= from || until <= now {
        return invalid("it would end before it begins");
    }
    Ok((from, until))
}

type Decided = (Option<&'static Check>, String, String, Vec<Object>);

/// The one finding that is meant.
fn finding(
    current: &Current,
    wish: &Wish,
    clusters: &[ClusterIndex],
) -> Result<Decided, WishError> {
    if !wish.check.is_empty() || !wish.objects.is_empty() {
        return invalid("name a finding, or a check and an object, not both");
    }
    let digits = wish.fingerprint.trim().to_lowercase();
    let shown = untrusted::name(&digits).into_owned();
    if digits.len() < DIGITS {
        return invalid(format!(
            "{shown:?}: give at least {DIGITS} digits of a finding"
        ));
    }
    let mut found = beginning(current, &digits);
    found.retain(|finding| {
        let cluster = current.view.find_cluster(&finding.cluster);
        wish.cluster.is_empty() || cluster.is_some_and(|cluster| clusters.contains(&cluster))
    });
    let finding = match found.as_slice() {
        [] => {
            return Err(WishError::NoFinding(format!(
                "no finding {shown:?} is open"
            )));
        }
        [finding] => *finding,
        several => {
            let some = several.iter().take(LISTED);
            let some: Vec<String> = some
                .map(|finding| {
                    let subject = untrusted::name(&finding.subject);
                    format!("{} ({} {subject})", finding.fingerprint, finding.check)
                })
                .collect();
            return Err(WishError::AmbiguousFinding(format!(
                "{} findings begin with {shown:?}, such as {}",
                several.len(),
                some.join(", ")
            )));
        }
    };
    let object = object(&finding.subject)?;
    Ok((
        Some(known(&finding.check)?),
        finding.fingerprint.clone(),
        finding.cluster.clone(),
        vec![object],
    ))
}

fn known(id: &str) -> Result<&'static Check, WishError> {
    if id.is_empty() {
        return invalid("name a finding, or a check and an object");
    }
    find(id).ok_or_else(|| {
        let suggestion = near(id, CHECKS.iter().map(|check| check.id))
            .map(|id| format!("; did you mean {id}?"))
            .unwrap_or_default();
        WishError::NoCheck(format!("no check {:?}{suggestion}", untrusted::name(id)))
    })
}

fn object(text: &str) -> Result<Object, WishError> {
    let object = text.trim().parse::<Object>();
    Ok(object.map_err(|error| AnswerError::Invalid(error.to_string()))?)
}

fn objects(texts: &[String]) -> Result<Vec<Object>, WishError> {
    if texts.is_empty() {
        return invalid("name what it is about; * is everything");
    }
    if texts.len() > OBJECTS {
        return invalid(format!("name at most {OBJECTS} objects"));
    }
    texts.iter().map(|text| object(text)).collect()
}

/// The id of the cluster that has the objects; empty = all, where nothing is named that
/// only one of them has.
fn cluster(
    view: &View,
    wish: &Wish,
    clusters: &[ClusterIndex],
    objects: &[Object],
) -> Result<String, WishError> {
    let mut having = clusters.to_vec();
    for object in objects {
        let has = |cluster: &ClusterIndex| object.exists(view, *cluster);
        if !clusters.iter().any(has) {
            let text = object.to_string();
            let text = untrusted::name(&text);
            let error = format!("there is no {text}; it may be misspelt, or not seen yet");
            return Err(AnswerError::NotFound(error).into());
        }
        having.retain(has);
    }
    let is_named = objects.iter().any(Object::is_named);
    match having.as_slice() {
        [cluster] if is_named || !wish.cluster.is_empty() => {
            Ok(view.cluster(*cluster).id.to_string())
        }
        [] => invalid("no cluster has all of these objects; state it for each"),
        [_, ..] if !is_named && wish.cluster.is_empty() => Ok(String::new()),
        several => {
            let names = several.iter().map(|cluster| &*view.cluster(*cluster).name);
            let names: Vec<_> = names.map(untrusted::name).collect();
            Err(AnswerError::Ambiguous(format!(
                "{} clusters have that: {}. Name the cluster too",
                several.len(),
                names.join(", ")
            ))
            .into())
        }
    }
}

fn calendar(text: &str) -> Result<Calendar, WishError> {
    if text.is_empty() {
        return Ok(Calendar::always());
    }
    let calendar = text.parse::<Calendar>();
    Ok(calendar.map_err(|error| AnswerError::Invalid(error.to_string()))?)
}
