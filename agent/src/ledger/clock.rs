//! Whether somebody set the clock of the node.

use std::time::Duration;

use jiff::Timestamp;

/// Slewing and a late tick move it by less.
const THRESHOLD_SECONDS: f64 = 2.0;

/// The clock beside a time that nobody sets.
#[derive(Debug, Default)]
pub(super) struct ClockWatch {
    seen: Option<(Duration, Timestamp)>,
    pub(super) forward: u64,
    pub(super) back: u64,
    /// By how many seconds it jumped last, and where to.
    pub(super) last: Option<(f64, Timestamp)>,
}

impl ClockWatch {
    /// Compares both with what they were at the last look.
    pub(super) fn look(&mut self, now: Duration, wall: Timestamp) {
        let Some((then, wall_then)) = self.seen.replace((now, wall)) else {
            return;
        };
        let passed = now.as_secs_f64() - then.as_secs_f64();
        let jump = wall.duration_since(wall_then).as_secs_f64() - passed;
        if jump.abs() <= THRESHOLD_SECONDS {
            return;
        }
        let total = if jump > 0.0 {
            &mut self.forward
        } else {
            &mut self.back
        };
        *total = total.saturating_add(1);
        self.last = Some((jump, wall));
    }
}
