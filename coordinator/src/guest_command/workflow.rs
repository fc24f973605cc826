//! Known troubles of guests as sequences of questions: what was found decides what is
//! asked next, and what to conclude.
//!
//! A workflow runs nothing. It is a function of what was found lately; it names the one
//! command that comes next, and whoever works with it runs that, or not. Each question
//! is asked once at most, so each workflow ends; what a node or a guest refuses is asked
//! in another way or left out, and said to be.

use jiff::{SignedDuration, Timestamp};

use super::facts::GuestFacts;

mod boot;
mod case;
mod disk;
mod memory;
mod network;
mod service;
mod slow;
#[cfg(test)]
mod tests;
mod time;

use case::Case;

/// For how long what was found counts.
const FRESH: SignedDuration = SignedDuration::from_mins(30);
/// And that nobody answered: that may be mended soon, and the same is asked again.
const SILENT: SignedDuration = SignedDuration::from_mins(1);

/// A trouble that there is a sequence of questions for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Workflow {
    SlowGuest,
    DiskFull,
    NoNetwork,
    ServiceDown,
    HighMemory,
    TimeDrift,
    WillNotBoot,
}

/// What came of one command in the guest.
#[derive(Debug, Clone)]
pub struct Seen<'a> {
    pub command: &'a str,
    pub arguments: Vec<(&'a str, &'a str)>,
    pub at: Timestamp,
    /// `completed`, `refused`, ...
    pub outcome: &'a str,
    /// What its output says, if there was any.
    pub facts: Option<&'a GuestFacts>,
}

/// What a workflow looks at.
#[derive(Debug, Clone, Copy)]
pub struct Situation<'a> {
    /// What the guest runs, as far as the node knows: `debian`, `mswindows`, a name, or
    /// nothing.
    pub operating_system: &'a str,
    pub now: Timestamp,
    /// In any order; only what is fresh counts.
    pub seen: &'a [Seen<'a>],
    /// The unit or the Windows service in question, where somebody named one.
    pub service: Option<&'a str>,
    /// Ids of commands that would not run in this guest, as its node says: they are left
    /// out.
    pub denied: &'a [&'a str],
}

/// How far a workflow is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Progress {
    /// What was learnt so far, in the order of the steps.
    pub lessons: Vec<Lesson>,
    /// What comes next; nothing when it is at its end.
    pub next: Option<Step>,
    /// What the answers together say. Only what they show.
    pub conclusions: Vec<String>,
    /// What to do about it, in order: text for the administrator.
    pub advice: Vec<String>,
}

/// A question that was answered, or could not be.
#[derive(Debug, Clone, PartialEq)]
pub struct Lesson {
    /// `file-systems`: the same question, whatever command answers it.
    pub step: &'static str,
    pub command: &'static str,
    pub at: Timestamp,
    pub says: String,
}

/// A question to be asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    pub step: &'static str,
    pub command: &'static str,
    pub arguments: Vec<(&'static str, String)>,
    /// Why this one comes now.
    pub reason: String,
}

impl Workflow {
    pub const ALL: &[Self] = &[
        Self::SlowGuest,
        Self::DiskFull,
        Self::NoNetwork,
        Self::ServiceDown,
        Self::HighMemory,
        Self::TimeDrift,
        Self::WillNotBoot,
    ];

    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::SlowGuest => "slow-guest",
            Self::DiskFull => "disk-full",
            Self::NoNetwork => "no-network",
            Self::ServiceDown => "service-down",
            Self::HighMemory => "high-memory",
            Self::TimeDrift => "time-drift",
            Self::WillNotBoot => "will-not-boot",
        }
    }

    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::SlowGuest => "The guest is slow",
            Self::DiskFull => "A disk of the guest is full",
            Self::NoNetwork => "The guest does not reach the network, or is not reached",
            Self::ServiceDown => "A service in the guest does not run",
            Self::HighMemory => "The guest needs too much memory",
            Self::TimeDrift => "The clock of the guest is wrong",
            Self::WillNotBoot => "The guest does not start properly",
        }
    }

    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|workflow| workflow.name() == name)
    }
}

/// How far a workflow is, by what was found.
#[must_use]
pub fn progress(workflow: Workflow, situation: &Situation<'_>) -> Progress {
    let mut case = Case::new(situation);
    // The error is where the sequence stops.
    let worked = match workflow {
        Workflow::SlowGuest => slow::guest(&mut case),
        Workflow::DiskFull => disk::full(&mut case),
        Workflow::NoNetwork => network::none(&mut case),
        Workflow::ServiceDown => service::down(&mut case),
        Workflow::HighMemory => memory::high(&mut case),
        Workflow::TimeDrift => time::drift(&mut case),
        Workflow::WillNotBoot => boot::fails(&mut case),
    };
    case.finish(worked.err())
}
