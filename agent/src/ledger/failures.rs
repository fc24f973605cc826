//! The failures of the past, each from when it came to when it went.

use pvelens_proto::{
    Timestamp,
    agent::v1::{FailureKind, FailureReport, Sample, SourceFailure},
};

/// Failures that are kept; a broken node has hundreds at a time.
const LIMIT: usize = 256;

/// One for each collector, path and kind.
#[derive(Debug, Default)]
pub(super) struct Failures {
    kept: Vec<Known>,
    /// Counts samples: the clock cannot order what it jumped between.
    turn: u64,
    forgotten: u64,
}

#[derive(Debug)]
struct Known {
    report: FailureReport,
    /// The turn that named it last.
    turn: u64,
    /// The run before the present one named it.
    was_current: bool,
}

impl Failures {
    /// Takes in what a sample names, and what it no longer names.
    pub(super) fn note(&mut self, sample: &Sample) {
        self.turn = self.turn.saturating_add(1);
        // A run that hangs, or was not started, says nothing of what else is wrong.
        let is_blind = sample.payload.is_none() && sample.failures.iter().any(is_hang);
        for known in &mut self.kept {
            if known.report.collector == sample.collector {
                known.was_current = known.report.is_current;
                let stays = is_blind && !known.report.failure.as_ref().is_some_and(is_hang);
                known.report.is_current &= stays;
            }
        }
        for failure in &sample.failures {
            self.add(&sample.collector, failure, sample.observed_at);
        }
    }

    /// Those that last first, then by the run that named them last.
    pub(super) fn list(&self) -> Vec<FailureReport> {
        let mut all: Vec<&Known> = self.kept.iter().collect();
        all.sort_by_key(|known| std::cmp::Reverse((known.report.is_current, known.turn)));
        all.into_iter().map(|known| known.report.clone()).collect()
    }

    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    fn add(&mut self, collector: &str, failure: &SourceFailure, at: Option<Timestamp>) {
        let turn = self.turn;
        let is_same = |known: &&mut Known| {
            let report = &known.report;
            report.collector == collector
                && report
                    .failure
                    .as_ref()
                    .is_some_and(|it| it.kind == failure.kind && it.path == failure.path)
        };
        if let Some(known) = self.kept.iter_mut().find(is_same) {
            // A sample may name one path twice.
            if known.turn < turn {
                let report = &mut known.report;
                report.runs = report.runs.saturating_add(1);
                report.returns = report.returns.saturating_add(u64::from(!known.was_current));
                report.last_at = at;
                report.failure = Some(failure.clone());
            }
            known.report.is_current = true;
            known.turn = turn;
            return;
        }
        if !self.make_room() {
            return;
        }
        self.kept.push(Known {
            report: FailureReport {
                collector: collector.to_owned(),
                failure: Some(failure.clone()),
                first_at: at,
                last_at: at,
                runs: 1,
                returns: 0,
                is_current: true,
            },
            turn,
            was_current: false,
        });
    }

    /// Forgets the one that was not named for the longest time. `false` when all
    /// that are kept still last: then the new one is forgotten.
    fn make_room(&mut self) -> bool {
        if self.kept.len() < LIMIT {
            return true;
        }
        self.forgotten = self.forgotten.saturating_add(1);
        let past = self.kept.iter().enumerate();
        let oldest = past
            .filter(|(_, known)| !known.report.is_current)
            .min_by_key(|(_, known)| known.turn)
            .map(|(index, _)| index);
        if let Some(index) = oldest {
            self.kept.swap_remove(index);
        }
        oldest.is_some()
    }
}

/// The run was given up, or not begun since one that was given up still lasts.
fn is_hang(failure: &SourceFailure) -> bool {
    matches!(
        failure.kind(),
        FailureKind::TimedOut | FailureKind::InProgress
    )
}
