//! One finding and what it has been through.

use std::{collections::VecDeque, time::Duration};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    check::{Check, Timing},
    finding::{Finding, FindingState, Severity},
};

/// What one evaluation says of a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// It fails; with a hold time of its own.
    Fail(Option<Duration>),
    Pass,
    Recovering,
    Unknown,
    /// Its object no longer exists.
    Gone,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) finding: Finding,
    /// It failed in this evaluation.
    pub(super) seen: bool,
    pub(super) check: &'static Check,
    pub(super) timing: Timing,
    /// The run of failures at hand: its begin and length.
    failing: Option<(Timestamp, u32)>,
    /// Begin of the run of passes at hand.
    passing: Option<Timestamp>,
    /// When it opened and cleared during the last day.
    changes: VecDeque<Timestamp>,
    /// While flapping: whether it failed when last known, and since when.
    flapping: Option<(bool, Timestamp)>,
    /// What the store has of it; none = nothing.
    pub(super) kept: Option<Mark>,
    /// It comes from the store and was not judged since.
    pub(super) is_restored: bool,
}

/// What a finding is kept for: when it changes, that is written down.
pub(super) type Mark = (FindingState, Severity);

/// The part of an entry that outlives the coordinator.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Past {
    failing: Option<(Timestamp, u32)>,
    passing: Option<Timestamp>,
    changes: VecDeque<Timestamp>,
    flapping: Option<(bool, Timestamp)>,
}

/// Rule G9: this many changes in a day make it flapping, two hours of calm end
/// that.
const FLAPPING_CHANGES: usize = 5;
const DAY: SignedDuration = SignedDuration::from_hours(24);
const CALM: SignedDuration = SignedDuration::from_hours(2);

impl Entry {
    pub(super) fn new(check: &'static Check, finding: Finding) -> Self {
        Self {
            finding,
            seen: false,
            check,
            timing: check.timing,
            failing: None,
            passing: None,
            changes: VecDeque::new(),
            flapping: None,
            kept: None,
            is_restored: false,
        }
    }

    /// One that an earlier coordinator knew.
    pub(super) fn restored(check: &'static Check, finding: Finding, past: Past) -> Self {
        Self {
            failing: past.failing,
            passing: past.passing,
            changes: past.changes,
            flapping: past.flapping,
            kept: Some((finding.state, finding.severity)),
            is_restored: true,
            ..Self::new(check, finding)
        }
    }

    pub(super) fn past(&self) -> Past {
        Past {
            failing: self.failing,
            passing: self.passing,
            changes: self.changes.clone(),
            flapping: self.flapping,
        }
    }

    pub(super) fn was_seen_lately(&self, at: Timestamp) -> bool {
        at.duration_since(self.finding.last_seen) < DAY
    }

    pub(super) fn mark(&self) -> Mark {
        (self.finding.state, self.finding.severity)
    }

    pub(super) fn step(&mut self, step: Step, at: Timestamp) {
        match step {
            Step::Fail(hold) => self.fail(hold, at),
            Step::Pass => self.pass(at),
            Step::Recovering => {
                self.finding.unverified = false;
                self.interrupt();
            }
            Step::Unknown => {
                self.finding.unverified = true;
                self.interrupt();
                // Only known calm counts.
                if let Some((_, since)) = &mut self.flapping {
                    *since = at;
                }
            }
            Step::Gone => {
                self.finding.state = FindingState::Resolved;
                self.changes.clear();
            }
        }
    }

    /// Neither a failure nor a pass: what was counted so far proves nothing.
    fn interrupt(&mut self) {
        self.passing = None;
        if self.finding.state == FindingState::Pending {
            self.failing = None;
        }
    }

    fn fail(&mut self, hold: Option<Duration>, at: Timestamp) {
        self.seen = true;
        self.passing = None;
        self.finding.unverified = false;
        self.finding.last_seen = at;
        if self.finding.state == FindingState::Resolved {
            self.finding.state = FindingState::Pending;
            self.failing = None;
        }
        let (since, count) = match self.failing {
            Some((since, count)) => (since, count.saturating_add(1)),
            None => (at, 1),
        };
        self.failing = Some((since, count));
        match self.finding.state {
            FindingState::Pending => {
                self.finding.first_seen = since;
                if count >= self.needed()
                    && elapsed(since, at, self.hold().max(hold.unwrap_or_default()))
                {
                    self.open(at);
                }
            }
            FindingState::Flapping => self.calm(true, at),
            _ => {}
        }
    }

    fn pass(&mut self, at: Timestamp) {
        self.finding.unverified = false;
        self.failing = None;
        let since = *self.passing.get_or_insert(at);
        match self.finding.state {
            // Never open: nothing to resolve.
            FindingState::Pending => self.finding.state = FindingState::Resolved,
            FindingState::Flapping => self.calm(false, at),
            FindingState::Resolved => {}
            _ => {
                let is_over = match self.timing {
                    Timing::T0 { .. } => true,
                    Timing::T1 { clear, .. } => at > since && elapsed(since, at, clear),
                    Timing::T2 { clear, .. } => elapsed(since, at, clear),
                    Timing::T4 => at.duration_since(self.finding.last_seen) >= DAY,
                };
                if is_over {
                    self.clear(at);
                }
            }
        }
    }

    /// Failures in a row before it opens.
    fn needed(&self) -> u32 {
        match self.timing {
            Timing::T0 { evaluations } => evaluations.into(),
            Timing::T1 { .. } => 2,
            Timing::T2 { .. } | Timing::T4 => 1,
        }
    }

    /// How long they must span.
    fn hold(&self) -> Duration {
        match self.timing {
            Timing::T1 { hold, .. } | Timing::T2 { hold, .. } => hold,
            Timing::T0 { .. } | Timing::T4 => Duration::ZERO,
        }
    }

    fn open(&mut self, at: Timestamp) {
        self.finding.state = FindingState::Open;
        self.changed(at);
        if self.changes.len() >= FLAPPING_CHANGES {
            self.finding.state = FindingState::Flapping;
            self.flapping = Some((true, at));
        }
    }

    fn clear(&mut self, at: Timestamp) {
        self.changed(at);
        if self.changes.len() >= FLAPPING_CHANGES {
            self.finding.state = FindingState::Flapping;
            self.flapping = Some((false, at));
        } else {
            self.finding.state = FindingState::Resolved;
        }
    }

    /// Resolves it without waiting. What it has been through is remembered: if
    /// it opens and clears again all day, it is flapping all the same.
    pub(super) fn close(&mut self, at: Timestamp) {
        if self.finding.state != FindingState::Pending {
            self.changed(at);
        }
        self.finding.state = FindingState::Resolved;
        self.finding.unverified = false;
        (self.failing, self.passing, self.flapping) = (None, None, None);
    }

    fn changed(&mut self, at: Timestamp) {
        while self
            .changes
            .front()
            .is_some_and(|change| at.duration_since(*change) > DAY)
        {
            self.changes.pop_front();
        }
        self.changes.push_back(at);
    }

    /// A flapping finding ends when it did not change for a while.
    fn calm(&mut self, fails: bool, at: Timestamp) {
        let since = match self.flapping {
            Some((before, since)) if before == fails => since,
            _ => at,
        };
        self.flapping = Some((fails, since));
        if at.duration_since(since) >= CALM {
            self.flapping = None;
            self.changes.clear();
            self.finding.state = if fails {
                FindingState::Open
            } else {
                FindingState::Resolved
            };
        }
    }

    /// Resolved findings are remembered while they may turn out to be flapping.
    pub(super) fn is_worth_keeping(&self, at: Timestamp) -> bool {
        self.finding.state != FindingState::Resolved
            || self
                .changes
                .back()
                .is_some_and(|change| at.duration_since(*change) <= DAY)
    }
}

fn elapsed(since: Timestamp, at: Timestamp, length: Duration) -> bool {
    let length = SignedDuration::try_from(length).unwrap_or(SignedDuration::MAX);
    at.duration_since(since) >= length
}
