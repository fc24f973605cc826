//! `pvelens triage`: what is broken on this node, in 25 lines, without a server.
//!
//! Facts come from the agent of the node with the history it holds, or, where
//! that does not answer, from its collectors run once in a process that may be
//! left behind (`gather`). They go through the same merge, view and checks as
//! everywhere (`judge`); here the findings only get what a person needs in the
//! first minute: since when (`onset`), what happened before (`timeline`), what
//! still works (`works`), what not to do and where to look (`advice`). Nothing
//! here has a clock: the instant is the one of the newest facts.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::finding::{Finding, Severity};

mod advice;
mod facts;
mod fencing;
pub mod gather;
mod judge;
mod onset;
mod render;
#[cfg(test)]
mod tests;
mod timeline;
mod unseen;
mod words;
mod works;

pub use gather::Gathered;
pub use render::text;

use facts::Facts;
use onset::Since;

/// What triage says. This is also its JSON form.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Triage {
    pub node: String,
    /// The instant the facts describe.
    pub at: Timestamp,
    pub state: State,
    pub source: Source,
    /// Worst first.
    pub troubles: Vec<Trouble>,
    /// What happened before and since, oldest first.
    pub timeline: Vec<Event>,
    pub still_works: Vec<String>,
    pub do_not: Vec<String>,
    /// Commands that only read.
    pub look_next: Vec<String>,
    pub not_seen: Vec<String>,
    /// The findings behind it, with evidence and fix.
    pub findings: Vec<Finding>,
}

/// How the node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum State {
    Fine,
    Warning,
    Broken,
    /// What would show it could not be read.
    Unknown,
}

/// Where the facts come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case", tag = "from")]
#[schemars(inline)]
pub enum Source {
    /// The agent of the node; with it came what it saw before.
    Agent { history_seconds: i64 },
    /// Read once by this command, because the agent gave nothing.
    Direct { agent: String },
    /// Read once from a tree of files.
    Tree,
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trouble {
    /// Check that found it.
    pub check: String,
    pub severity: Severity,
    /// `cluster`, `node/pve1`, `guest/104`, `storage/tank@pve1`.
    pub subject: String,
    /// What is broken, in one sentence.
    pub what: String,
    #[serde(flatten)]
    pub since: Since,
    /// What that means for the guests; may be empty.
    pub impact: String,
}

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub struct Event {
    pub at: Timestamp,
    pub what: String,
}

/// Judges what was gathered.
#[must_use]
pub fn triage(gathered: &Gathered) -> Triage {
    let facts = Facts::of(gathered);
    let judged = judge::judge(gathered, &facts);
    let events = timeline::events(&facts, &judged);
    let mut troubles = onset::troubles(&facts, &judged, &events);
    troubles.extend(unseen::troubles(&facts, &troubles));
    troubles.extend(fencing::trouble(&facts, &troubles, &events));
    advice::sort(&mut troubles);
    let not_seen = unseen::notes(gathered, &facts);
    Triage {
        state: state(&facts, &troubles),
        timeline: timeline::relevant(events, &troubles, facts.at),
        still_works: works::lines(&facts, &troubles),
        do_not: advice::do_not(&facts, &troubles),
        look_next: advice::look_next(&troubles),
        not_seen,
        node: facts.node.clone(),
        at: facts.at,
        source: gathered.source.clone(),
        findings: judged.findings,
        troubles,
    }
}

fn state(facts: &Facts<'_>, troubles: &[Trouble]) -> State {
    match troubles.iter().map(|trouble| trouble.severity).max() {
        Some(Severity::Critical) => State::Broken,
        Some(Severity::Warning) => State::Warning,
        _ if !facts.is_assessed() => State::Unknown,
        _ => State::Fine,
    }
}
