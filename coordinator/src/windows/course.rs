//! A level over six hours, and where it is going.

use super::{COVERAGE, Form};

/// Steps of the newest two hours.
const STILL: u16 = 24;

/// Means of the steps of a window, oldest first. A step without values is missing and
/// never made up.
#[derive(Debug, Clone, PartialEq)]
pub struct Course {
    /// Place of the step within the window, and the mean.
    steps: Box<[(u16, f32)]>,
}

impl Course {
    /// Of steps in ascending order.
    pub(crate) fn of(steps: impl IntoIterator<Item = (u16, f32)>) -> Self {
        Self {
            steps: steps.into_iter().collect(),
        }
    }

    /// Whether enough steps have values (rule G3). The newest one may have begun just
    /// now and does not count against it.
    pub(crate) fn is_covered(&self) -> bool {
        is_covered(self.steps.len(), Form::Course.steps())
    }

    /// By how much it grows in a step, over the window and still now: the lower of the
    /// slopes of all of it and of the newest two hours. Of the whole window alone a single
    /// jump in its middle would be growth, and so would a copy that has ended.
    #[must_use]
    pub fn growth(&self) -> Option<f64> {
        let newest = self.steps.last()?.0;
        let begin = newest.saturating_sub(STILL);
        let still = self.steps.partition_point(|(step, _)| *step < begin);
        let still = slope(self.steps.get(still..)?)?;
        Some(slope(&self.steps)?.min(still))
    }
}

/// The median of the slopes between all pairs of values (Theil and Sen).
fn slope(steps: &[(u16, f32)]) -> Option<f64> {
    let mut slopes: Vec<f64> = Vec::with_capacity(steps.len() * steps.len() / 2);
    for (position, (begin, from)) in steps.iter().enumerate() {
        for (end, to) in steps.iter().skip(position + 1) {
            let between = f64::from(end.saturating_sub(*begin).max(1));
            slopes.push((f64::from(*to) - f64::from(*from)) / between);
        }
    }
    let middle = slopes.len() / 2;
    if slopes.is_empty() {
        return None;
    }
    let (_, median, _) = slopes.select_nth_unstable_by(middle, f64::total_cmp);
    Some(*median)
}

/// Whether so many of the steps are enough.
pub(super) fn is_covered(some: usize, steps: i64) -> bool {
    let some = u32::try_from(some).map_or(f64::MAX, f64::from);
    let expected = u32::try_from(steps - 1).map_or(f64::MAX, f64::from);
    some >= COVERAGE * expected
}
