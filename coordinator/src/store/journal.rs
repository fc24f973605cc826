//! Values that arrived and are not in the store yet.
//!
//! They are handed over together with the places in the streams that they came
//! with, so that both are committed in one transaction. While the store takes
//! nothing the oldest ones go: what is newest matters most, and nothing of it is
//! confirmed to anybody.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::row::SeriesId;
use crate::metric::Metric;

/// Values in memory: about a hundred mebibytes.
const VALUES: usize = 4_000_000;

/// A value of a series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Recorded {
    pub series: SeriesId,
    pub metric: u16,
    /// The time had to be corrected: the node's clock is wrong.
    pub is_corrected: bool,
    pub at_millis: i64,
    pub value: f64,
}

/// Values that wait for the store.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    values: VecDeque<Recorded>,
    /// Values that had to go since the store took none.
    dropped: u64,
}

impl Journal {
    pub(crate) fn record(
        &mut self,
        series: SeriesId,
        metric: Metric,
        at: Timestamp,
        value: f64,
        is_corrected: bool,
    ) {
        if !value.is_finite() {
            return;
        }
        if self.values.len() >= VALUES {
            self.values.pop_front();
            self.dropped = self.dropped.saturating_add(1);
        }
        self.values.push_back(Recorded {
            series,
            metric: metric.number(),
            is_corrected,
            at_millis: at.as_millisecond(),
            value: metric.rounded(value),
        });
    }

    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    /// How many had to go.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    pub(crate) fn take(&mut self) -> Vec<Recorded> {
        std::mem::take(&mut self.values).into()
    }

    /// The store could not take them; the oldest of them go first.
    pub(crate) fn put_back(&mut self, values: Vec<Recorded>) {
        let room = VALUES.saturating_sub(self.values.len());
        let kept = values.len().min(room);
        let gone = values.len().saturating_sub(kept);
        self.dropped = self
            .dropped
            .saturating_add(u64::try_from(gone).unwrap_or(u64::MAX));
        for value in values.into_iter().skip(gone).rev() {
            self.values.push_front(value);
        }
    }
}
