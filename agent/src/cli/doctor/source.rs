//! The sources: which are read, which are not, and why not.
//!
//! Root outside the cage reads them too, when it asks. What it can read and the
//! agent cannot is either what the cage is for, or a fault; what neither can read
//! has another reason.

use std::collections::BTreeMap;

use pvelens_proto::agent::v1::{FailureKind, SourceFailure, sample::Payload};

use super::{
    explain::{Explanation, explain},
    reading::{Newest, Reading, Source},
    report::{Item, State},
};

/// Intervals that may be missed; agents are also late when a node is busy.
const MISSED: i64 = 3;
/// Younger than this is never late.
const LEAST_OVERDUE_SECONDS: i64 = 60;
/// More sources than this are counted, not named.
const NAMES: usize = 3;

/// What the agent reads; `outside` is what root reads outside its cage.
pub(super) fn look(reading: &Reading, outside: Option<&Reading>) -> Vec<Item> {
    let mut whole = Vec::new();
    let mut empty: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let mut items = Vec::new();
    for source in &reading.sources {
        let Some(newest) = reading.newest.get(&source.name) else {
            items.push(never(source, reading));
            continue;
        };
        if let Some(overdue) = overdue(source, newest, reading.at) {
            items.push(overdue);
        }
        let other = outside.and_then(|outside| outside.newest.get(&source.name));
        items.extend(failures(source, newest, other));
        match &newest.payload {
            Some(Payload::NoData(none)) => match other.and_then(|other| other.payload.as_ref()) {
                Some(Payload::NoData(_)) | None => {
                    empty.entry(&none.reason).or_default().push(&source.name);
                }
                Some(_) => items.push(hidden(source, &none.reason)),
            },
            Some(_) if newest.sample.failures.is_empty() => whole.push(newest),
            _ => {}
        }
    }
    let mut all = Vec::new();
    if let Some(age) = youngest(&whole, reading.at) {
        all.push(Item::ok(format!(
            "{} read, the newest {age} s old",
            counted(whole.len())
        )));
    }
    all.extend(empty.into_iter().map(|(reason, names)| {
        Item::ok(format!("nothing to read for {}: {reason}", listed(&names)))
    }));
    // What is not well comes last, where the eye rests.
    items.sort_by_key(|item| item.state);
    all.extend(items);
    all
}

fn youngest(whole: &[&Newest], at: i64) -> Option<i64> {
    let newest = whole.iter().map(|newest| newest.observed_at()).max()?;
    Some(at.saturating_sub(newest).max(0) / 1000)
}

fn counted(number: usize) -> String {
    match number {
        1 => "1 source".to_owned(),
        many => format!("{many} sources"),
    }
}

fn listed(names: &[&str]) -> String {
    if names.len() <= NAMES {
        names.join(", ")
    } else {
        counted(names.len())
    }
}

fn never(source: &Source, reading: &Reading) -> Item {
    let name = &source.name;
    if reading.at.saturating_sub(reading.started_at) / 1000 <= LEAST_OVERDUE_SECONDS {
        Item::unknown(format!("{name} was not read yet"))
            .why("the agent has just started")
            .fix("look again in a minute")
    } else {
        Item::problem(format!("{name} was never read"))
            .why("reading it hangs, or the agent gets no processor time")
            .fix("`journalctl -u pvelens-agent -n 30` may say why")
    }
}

fn overdue(source: &Source, newest: &Newest, at: i64) -> Option<Item> {
    let age = at.saturating_sub(newest.observed_at()) / 1000;
    let interval = i64::from(source.interval_seconds);
    let limit = interval.saturating_mul(MISSED).max(LEAST_OVERDUE_SECONDS);
    (age > limit).then(|| {
        Item::problem(format!(
            "{} is overdue: {age} s old, to be read every {interval} s",
            source.name
        ))
        .why("reading it hangs, or the agent gets no processor time")
        .fix("`journalctl -u pvelens-agent -n 30` may say which; then `systemctl restart pvelens-agent`")
    })
}

/// One item for all failures of a source that have the same explanation.
fn failures(source: &Source, newest: &Newest, other: Option<&Newest>) -> Vec<Item> {
    let mut groups: Vec<(Verdict, Vec<&SourceFailure>)> = Vec::new();
    for failure in &newest.sample.failures {
        let verdict = verdict(source, failure, other);
        match groups.iter_mut().find(|(known, _)| *known == verdict) {
            Some((_, failures)) => failures.push(failure),
            None => groups.push((verdict, vec![failure])),
        }
    }
    let is_partly = newest.payload.is_some();
    groups
        .into_iter()
        .map(|(verdict, failures)| verdict.item(source, &failures, is_partly))
        .collect()
}

/// What a failure means, in the light of what root outside the cage reads.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    explanation: &'static Explanation,
    outside: Outside,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outside {
    /// Nobody looked, or it fails in the same way.
    Same,
    /// Root reads it: the cage closes it.
    Closed,
    /// Root reads it, and so should the agent.
    Unexpected,
    /// Root reads it now: it may have passed.
    Passed,
}

fn verdict(source: &Source, failure: &SourceFailure, other: Option<&Newest>) -> Verdict {
    let path = match failure.path.as_str() {
        "" => &source.path,
        path => path,
    };
    let kind = failure.kind();
    let explanation = explain(path, kind);
    let outside = match other {
        Some(other) if !fails(other, failure) => match kind {
            _ if explanation.state == State::Ok => Outside::Closed,
            // The agent may not, or sees another file system than everyone else.
            FailureKind::PermissionDenied | FailureKind::Disconnected => Outside::Unexpected,
            _ => Outside::Passed,
        },
        _ => Outside::Same,
    };
    Verdict {
        explanation,
        outside,
    }
}

fn fails(newest: &Newest, failure: &SourceFailure) -> bool {
    let mut failures = newest.sample.failures.iter();
    failures.any(|other| other.path == failure.path)
}

impl Verdict {
    fn item(&self, source: &Source, failures: &[&SourceFailure], is_partly: bool) -> Item {
        let part = if is_partly { " in part" } else { "" };
        let what = format!("{} not read{part}: {}", source.name, blamed(failures));
        let Explanation { state, why, fix } = self.explanation;
        match self.outside {
            Outside::Same => Item::new(*state, what).why(*why).fix(*fix),
            Outside::Closed => Item::ok(what).why(format!("the cage closes this: {why}; nothing to fix")),
            Outside::Unexpected => Item::problem(what)
                .why("unexpected: root reads it outside the cage of the agent")
                .fix("`systemctl restart pvelens-agent`; if it stays, the process above says what is wrong with the cage"),
            Outside::Passed => Item::warning(what)
                .why(format!("{why}; root just read it, so it may have passed"))
                .fix("look again in ten seconds"),
        }
    }
}

/// The first path with what the system says of it, and how many more.
fn blamed(failures: &[&SourceFailure]) -> String {
    let Some(first) = failures.first() else {
        return String::new();
    };
    let mut text = match (first.path.as_str(), first.detail.as_str()) {
        ("", detail) => detail.to_owned(),
        (path, "") => path.to_owned(),
        (path, detail) => format!("{path}: {detail}"),
    };
    match failures.len().saturating_sub(1) {
        0 => {}
        more => text.extend([", and ".to_owned(), more.to_string(), " more".to_owned()]),
    }
    text
}

fn hidden(source: &Source, reason: &str) -> Item {
    Item::problem(format!(
        "{} finds nothing to read ({reason}), and root does",
        source.name
    ))
    .why("unexpected: it is there outside the cage of the agent")
    .fix("`systemctl restart pvelens-agent`; if it stays, the process above says what is wrong with the cage")
}
