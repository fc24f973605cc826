//! What happened on this node and its cluster lately, in order.
//!
//! Every source of events has a file of its own and gives them all; what is worth
//! a line is chosen at the end, by weight and by how near it is to the fault.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use super::{Event, Trouble, facts::Facts, judge::Judged, words};

mod history;
mod journal;
mod state;
mod task;

/// Events that are kept in the end.
const KEPT: usize = 8;
/// Whatever is older explains nothing.
const OLDEST: SignedDuration = SignedDuration::from_hours(7 * 24);
const DAY: SignedDuration = SignedDuration::from_hours(24);
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// Members of the cluster lost each other, or found each other again.
    Membership,
    /// A network link, corosync's or the node's.
    Link,
    /// The HA stack: fencing, its master, its manager here.
    Ha,
    /// The cluster file system.
    Pmxcfs,
    Storage,
    Service,
    Guest,
    /// The kernel complains of hardware or memory.
    Kernel,
    Boot,
    /// Somebody changed something.
    Change,
    Task,
}

/// An event before it is known whether it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Happened {
    pub(super) at: Timestamp,
    pub(super) kind: Kind,
    /// 1 (routine) to 5 (somebody must have noticed).
    pub(super) weight: u8,
    /// It makes things worse; what mends or is neutral is no beginning of a fault.
    pub(super) is_bad: bool,
    pub(super) what: String,
}

impl Happened {
    fn bad(at: Timestamp, kind: Kind, weight: u8, what: String) -> Self {
        Self {
            at,
            kind,
            weight,
            is_bad: true,
            what,
        }
    }

    fn neutral(at: Timestamp, kind: Kind, weight: u8, what: String) -> Self {
        Self {
            is_bad: false,
            ..Self::bad(at, kind, weight, what)
        }
    }
}

/// Everything that is known to have happened, oldest first.
pub(super) fn events(facts: &Facts<'_>, judged: &Judged) -> Vec<Happened> {
    let mut events = history::events(facts);
    let is_lost = |event: &Happened| event.kind == Kind::Membership && event.is_bad;
    // Who saw them go needs no last words.
    if !events.iter().any(is_lost) {
        events.extend(state::lost_members(facts));
    }
    events.extend(state::events(facts));
    events.extend(journal::events(facts));
    events.extend(task::events(facts));
    events.extend(judged.ended.iter().map(|(at, finding)| {
        let what = format!("over: {}", finding.summary.trim_end_matches('.'));
        Happened::neutral(*at, Kind::Service, 2, what)
    }));
    events.retain(|event| event.at <= facts.at && facts.at.duration_since(event.at) <= OLDEST);
    events.sort_by(|a, b| (a.at, a.kind, &a.what).cmp(&(b.at, b.kind, &b.what)));
    let mut seen = BTreeSet::new();
    // The same told by two sources, or again and again, is one event: the first.
    events.retain(|event| seen.insert((event.at.as_second() / 60, event.what.clone())));
    events
}

/// The few that may explain the troubles, oldest first.
pub(super) fn relevant(events: Vec<Happened>, troubles: &[Trouble], now: Timestamp) -> Vec<Event> {
    let began = troubles.iter().find_map(|trouble| trouble.since.since);
    let anchor = began.unwrap_or(now);
    let mut scored: Vec<(u8, Happened)> = events
        .into_iter()
        .map(|event| (score(&event, anchor), event))
        .filter(|(score, _)| *score > 0)
        .collect();
    scored.sort_by(|(a, one), (b, other)| (b, other.at).cmp(&(a, one.at)));
    scored.truncate(KEPT);
    let mut kept: Vec<Event> = scored
        .into_iter()
        .map(|(_, event)| Event {
            at: event.at,
            what: words::line(&event.what, 2 * words::COLUMNS),
        })
        .collect();
    kept.sort();
    kept
}

/// 0 = not worth a line.
fn score(event: &Happened, anchor: Timestamp) -> u8 {
    let distance = event.at.duration_since(anchor).abs();
    let near = match distance {
        distance if distance <= HOUR => 4,
        distance if distance <= DAY => 2,
        _ => 0,
    };
    // Routine counts close by alone; what is old must have been important, and
    // changes come out late.
    let counts = match event.kind {
        Kind::Boot | Kind::Change => near > 0 || event.weight >= 3,
        _ if near == 0 => false,
        _ => event.weight + near >= 5,
    };
    if counts { event.weight + near } else { 0 }
}
