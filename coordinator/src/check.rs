//! Deterministic checks: pure functions from a view to verdicts.
//!
//! A check does no I/O, knows no clock (the instant is `Input::at`) and gives
//! one verdict per subject. The same input gives the same verdicts, whatever
//! the order of lists in it. Windows of measured values come from the history,
//! and those of hours from what was read of the store before, so one evaluation is
//! enough to know that something held for ten minutes, or for a day.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    finding::{Category, Evidence, Lane, Risk, Severity},
    history::History,
    intent::{Intent, Meaning},
    port::Refused,
    store::Condition,
    view::{Dated, Guest, Subject, View},
    windows::{Declared, Windows},
};

mod cluster_node;
mod container;
mod container_mount;
mod coordinator;
mod corosync;
mod corosync_link;
mod forecast;
mod gate;
mod guest_disk;
mod guest_load;
mod guest_network;
mod guest_snapshot;
mod guest_state;
mod ha;
mod ha_service;
mod ha_setup;
mod held;
pub mod inputs;
mod network;
mod node_commit;
mod node_cpu;
mod node_disk;
mod node_filesystem;
mod node_memory;
mod node_network;
mod node_service;
pub mod params;
mod pmxcfs;
mod pmxcfs_copies;
mod quorum;
pub mod registry;
mod storage;
mod storage_mount;
mod storage_nfs;
mod storage_space;
mod storage_thin;
#[cfg(test)]
pub(crate) mod testing;
pub mod verdicts;
mod words;

pub(crate) use gate::has_tag;
pub use params::{DeclaredProfile, Limits, Params, Profile};
pub use registry::{CHECKS, find};
pub use verdicts::{CheckVerdicts, VerdictCounts, Verdicts, count, not_assessed, run_all};

/// One deterministic check. Ids, thresholds and timing are those of the
/// published catalogue.
#[derive(Debug, Clone, Copy)]
pub struct Check {
    /// Stable: `storage.pool.space`.
    pub id: &'static str,
    /// What is wrong when it fails, without names: `Storage is nearly full`.
    pub title: &'static str,
    pub category: Category,
    pub lane: Lane,
    /// Under the profile `production`; a failure may name another.
    pub severity: Severity,
    pub scope: Scope,
    pub timing: Timing,
    /// How the severity moves with the profile; absent = it does not.
    pub profile: Option<ProfileSeverities>,
    /// Never lowered by profile or tag.
    pub floor: bool,
    /// Statements of operators that change what becomes of its failures.
    pub intents: &'static [Intended],
    /// Mapping codes of compliance frameworks.
    pub mappings: &'static [&'static str],
    /// What it looks back at for hours.
    pub windows: &'static [Declared],
    pub remediation: Remedy,
    pub run: fn(&Input<'_>, &mut Verdicts<'_>),
}

impl Check {
    /// What most checks of the health lane have in common.
    const HEALTH: Self = Self {
        id: "",
        title: "",
        category: Category::Health,
        lane: Lane::Health,
        severity: Severity::Warning,
        scope: Scope::Cluster,
        timing: Timing::T2 {
            hold: Duration::ZERO,
            clear: Duration::ZERO,
        },
        profile: None,
        floor: false,
        intents: &[],
        mappings: &[],
        windows: &[],
        remediation: Remedy {
            diagnose: &[],
            fix: "",
            impact: "",
            risk: Risk::Low,
            way_back: "",
        },
        run: |_, _| {},
    };
    /// The same in the posture lane.
    const POSTURE: Self = Self {
        lane: Lane::Posture,
        timing: Timing::T0 { evaluations: 1 },
        ..Self::HEALTH
    };
}

/// Remediation as the registry holds it. `{id}`, `{node}` and `{storage}` stand
/// for the subject, `{tool}` for `qm` or `pct`, `{kind}` for `qemu` or `lxc`,
/// `{part}` for the discriminator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remedy {
    /// Read-only commands.
    pub diagnose: &'static [&'static str],
    pub fix: &'static str,
    pub impact: &'static str,
    pub risk: Risk,
    /// Empty = not reversible.
    pub way_back: &'static str,
}

/// What a statement of an operator makes of a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Intended {
    /// In a maintenance window it is lowered to this.
    Maintenance(Severity),
    /// While the object is off on purpose it is none.
    Off,
    /// Of a storage that is there from time to time it is lowered to info, for as long
    /// as it may be away.
    Rotated,
}

/// What a check looks at for one verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    Cluster,
    Node,
    Guest,
    Storage,
}

/// When a failure becomes a finding, and when that is resolved.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Timing {
    /// Configuration: opens after `evaluations` failures, resolves at a pass.
    T0 { evaluations: u8 },
    /// State: opens after two failures in a row that span at least `hold`,
    /// resolves after two passes that span at least `clear`.
    T1 { hold: Duration, clear: Duration },
    /// Metric: the windows are in the check, which reads them from the history.
    /// `hold` and `clear` are zero but for figures that have no history.
    T2 { hold: Duration, clear: Duration },
    /// Event: opens at once, resolves a day after the last recurrence.
    T4,
}

impl Timing {
    /// The common form of T1: judged each 30 s by the catalogue, two failures
    /// in a row open, two passes a minute apart resolve.
    const STATE: Self = Self::T1 {
        hold: Duration::from_secs(30),
        clear: Duration::from_secs(60),
    };

    /// The class as the catalogue names it.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::T0 { .. } => "T0",
            Self::T1 { .. } => "T1",
            Self::T2 { .. } => "T2",
            Self::T4 => "T4",
        }
    }
}

/// Severity per profile; `None` = silent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProfileSeverities {
    pub homelab: Option<Severity>,
    pub production: Option<Severity>,
    pub strict: Option<Severity>,
    /// At least this with the modifier `hosting`.
    pub hosting: Option<Severity>,
}

/// Everything a check may know.
#[derive(Debug, Clone, Copy)]
pub struct Input<'a> {
    pub view: &'a View,
    pub history: &'a History,
    /// What the store has of the last hours, for the checks that declare it.
    pub windows: &'a Windows,
    pub params: &'a Params,
    /// Who was refused at the coordinator's ports lately.
    pub refused: &'a [Refused],
    /// How the coordinator's store does; absent without one.
    pub store: Option<&'a Condition>,
    /// What operators stated.
    pub intent: &'a Intent,
    /// The reference instant: the view's time, never the wall clock.
    pub at: Timestamp,
}

impl Input<'_> {
    /// The fact, if it was observed within `max_age` before the reference
    /// instant.
    ///
    /// # Errors
    /// Says whether it is missing or too old.
    pub fn recent<'f, T>(
        &self,
        fact: Option<&'f Dated<T>>,
        max_age: Duration,
    ) -> Result<&'f T, Unknown> {
        let fact = fact.ok_or(Unknown::NotReported)?;
        if self.is_recent(fact.at, max_age) {
            Ok(&fact.value)
        } else {
            Err(Unknown::Stale { since: fact.at })
        }
    }

    /// Whether the tags of a guest say this of it.
    #[must_use]
    pub fn means(&self, guest: &Guest, meaning: Meaning) -> bool {
        self.intent.tags.has(self.view, guest, meaning)
    }

    /// Whether `at` lies within `max_age` before the reference instant.
    #[must_use]
    pub fn is_recent(&self, at: Timestamp, max_age: Duration) -> bool {
        // A fact from the future (a clock that is ahead) counts as fresh.
        self.at.duration_since(at) <= jiff::SignedDuration::try_from(max_age).unwrap_or_default()
    }
}

/// The result of one check for one subject.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    Pass,
    /// Below the trigger, not yet below the level that clears an open finding.
    Recovering,
    Fail(Box<Failure>),
    Unknown(Unknown),
    NotApplicable(&'static str),
}

/// Why a subject could not be judged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unknown {
    /// No agent reports this fact.
    NotReported,
    /// The newest value is older than the check accepts.
    Stale { since: Timestamp },
    /// The collector failed; the text names file and reason.
    Failed(String),
    /// Fewer samples in the window than the check needs.
    Coverage,
}

/// What is wrong with one subject.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// Value of the profile `production`.
    pub severity: Severity,
    /// When this branch belongs to another lane than the check.
    pub lane: Option<Lane>,
    /// Tells several findings of one subject apart: a mount point, a disk.
    pub discriminator: String,
    /// One sentence with the names and numbers of this case.
    pub summary: String,
    pub evidence: Vec<Evidence>,
    /// 0 to 1.
    pub confidence: f64,
    /// When this branch must hold longer than the check's timing says.
    pub hold: Option<Duration>,
    /// When this branch has another title and remedy than the check.
    pub instead: Option<(&'static str, &'static Remedy)>,
}

impl Failure {
    /// A failure that is certain and concerns the subject as a whole.
    fn new(severity: Severity, summary: String) -> Self {
        Self {
            severity,
            lane: None,
            discriminator: String::new(),
            summary,
            evidence: Vec::new(),
            confidence: 1.0,
            hold: None,
            instead: None,
        }
    }

    fn about(mut self, part: &str) -> Self {
        part.clone_into(&mut self.discriminator);
        self
    }

    fn lane(mut self, lane: Lane) -> Self {
        self.lane = Some(lane);
        self
    }

    fn proof(mut self, evidence: impl IntoIterator<Item = Evidence>) -> Self {
        self.evidence.extend(evidence);
        self
    }

    fn confidence(mut self, confidence: f64) -> Self {
        self.confidence = confidence;
        self
    }
}

/// One verdict.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    pub subject: Subject,
    pub outcome: Outcome,
}
