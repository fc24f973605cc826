//! Whether a figure held a level for the whole of a window.
//!
//! "For ten minutes" means every value of that time, as the hold time of an
//! alert rule: one value on the other side starts the wait again. Too few values
//! (rule G3) decide nothing.

use std::time::Duration;

use super::{Failure, Input, Unknown, Verdicts};
use crate::{
    history::{ObjectKey, Window},
    metric::Metric,
    view::Subject,
};

/// The last minutes of one series.
#[derive(Clone, Copy)]
pub(super) struct Series<'a> {
    input: &'a Input<'a>,
    object: ObjectKey,
    metric: Metric,
}

impl<'a> Series<'a> {
    pub(super) fn of(input: &'a Input<'a>, object: ObjectKey, metric: Metric) -> Self {
        Self {
            input,
            object,
            metric,
        }
    }

    pub(super) fn last(self, minutes: u64) -> Window {
        let length = Duration::from_secs(minutes * 60);
        self.input
            .history
            .window(self.object, self.metric, self.input.at, length)
    }

    pub(super) fn above(self, level: f64, minutes: u64) -> bool {
        all_above(&self.last(minutes), level)
    }

    pub(super) fn below(self, level: f64, minutes: u64) -> bool {
        all_below(&self.last(minutes), level)
    }

    pub(super) fn mean(self, minutes: u64) -> f64 {
        self.last(minutes).mean().unwrap_or_default()
    }

    pub(super) fn is_covered(self, minutes: u64) -> bool {
        self.last(minutes).is_covered()
    }
}

pub(super) fn all_above(window: &Window, level: f64) -> bool {
    window.is_covered() && window.share_above(stored(level)) >= 1.0
}

pub(super) fn all_below(window: &Window, level: f64) -> bool {
    window.is_covered() && window.share_below(stored(level)) >= 1.0
}

/// A level with the precision of the history, so that a value exactly at the
/// level is not above it.
pub(super) fn stored(level: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the history keeps single precision"
    )]
    f64::from(level as f32)
}

/// The verdict of a metric check.
pub(super) fn decide(
    verdicts: &mut Verdicts<'_>,
    subject: Subject,
    failure: Option<Failure>,
    is_covered: bool,
    is_clear: bool,
) {
    match failure {
        Some(failure) => verdicts.fail(subject, failure),
        None if !is_covered => verdicts.unknown(subject, Unknown::Coverage),
        None if is_clear => verdicts.pass(subject),
        None => verdicts.recovering(subject),
    }
}
