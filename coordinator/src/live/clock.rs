//! Times that came from another machine.
//!
//! The offset of a node's clock is the smallest one-way difference of the last
//! minutes: a message is never faster than the network, so every measurement is
//! the negated offset plus some delay. A mean was rejected, since a replayed
//! spool delivers old samples by the thousand.

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{Timestamp as WireTime, timestamp_to_millis};

/// Length of one of the two spans whose smallest difference is kept.
const SPAN_SECONDS: i64 = 300;
/// Below this an offset is as likely delay of batching and network.
const NOISE: SignedDuration = SignedDuration::from_secs(2);
/// A sample that is older than one before it by this much shows a clock that was
/// set back. Less than that a slow collector is late.
const STEP: SignedDuration = SignedDuration::from_mins(2);
/// How much later than the quickest a message of a live stream comes.
const LIVE: SignedDuration = SignedDuration::from_secs(60);
/// 2015 and 2200: no agent ran before, none will after.
const PLAUSIBLE_MILLIS: std::ops::Range<i64> = 1_420_070_400_000..7_258_118_400_000;

/// What is known of one node's clock.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clock {
    newer: Option<Smallest>,
    older: Option<Smallest>,
    /// A heartbeat was heard, which is sent when it says it was.
    heard: bool,
    /// What times of the node are ahead by, beyond noise.
    correction: Option<SignedDuration>,
    /// The sample measured last, and its difference.
    last: Option<(Timestamp, SignedDuration)>,
}

#[derive(Debug, Clone, Copy)]
struct Smallest {
    span: i64,
    /// Receive time less send time.
    difference: SignedDuration,
}

impl Clock {
    /// A heartbeat sent at `sent` by the node's clock arrived.
    pub(super) fn heartbeat(&mut self, sent: Timestamp, received: Timestamp) {
        self.heard = true;
        self.note(received.duration_since(sent), received);
    }

    /// A sample of `sent` by the node's clock arrived. Samples are measured in the
    /// order of the stream.
    pub(super) fn measure(&mut self, sent: Timestamp, received: Timestamp) {
        let difference = received.duration_since(sent);
        if let Some((last, before)) = self.last
            && last.duration_since(sent) > STEP
        {
            self.set_back(last.duration_since(sent), before);
        }
        self.last = Some((sent, difference));
        self.note(difference, received);
    }

    /// The node's clock was set back by at least `by`. What was measured before
    /// would hide that, as the smallest, until its span is over.
    fn set_back(&mut self, by: SignedDuration, before: SignedDuration) {
        let smallest = self.smallest();
        let is_live = smallest.is_some_and(|smallest| {
            before.saturating_sub(smallest) <= LIVE && (self.heard || smallest.abs() <= LIVE)
        });
        if is_live {
            // The sample itself says where the clock is now.
            (self.newer, self.older, self.heard) = (None, None, true);
            return;
        }
        // An old sample of a spool does not: the step is known, the delay is not.
        for known in [&mut self.newer, &mut self.older].into_iter().flatten() {
            known.difference = known.difference.saturating_add(by);
        }
    }

    fn note(&mut self, difference: SignedDuration, received: Timestamp) {
        let span = received.as_second().div_euclid(SPAN_SECONDS);
        match &mut self.newer {
            // A span far ahead is of before the clock here was set back.
            Some(newer) if span <= newer.span && newer.span - span <= 1 => {
                newer.difference = newer.difference.min(difference);
            }
            newer => {
                self.older = newer.filter(|newer| span - newer.span == 1);
                *newer = Some(Smallest { span, difference });
            }
        }
        self.correction = self.offset().filter(|offset| offset.abs() >= NOISE);
    }

    fn smallest(&self) -> Option<SignedDuration> {
        [self.newer, self.older]
            .into_iter()
            .flatten()
            .map(|smallest| smallest.difference)
            .min()
    }

    /// Positive when the node's clock is ahead.
    pub(crate) fn offset(&self) -> Option<SignedDuration> {
        let smallest = self.smallest()?;
        // Old samples and a clock that is behind look alike without a heartbeat.
        smallest
            .checked_neg()
            .filter(|offset| self.heard || !offset.is_negative())
    }

    /// Whether times of the node have to be corrected.
    pub(crate) fn corrects(&self) -> bool {
        self.correction.is_some()
    }

    /// A time of the node's clock as the coordinator's clock had it. What was
    /// received cannot be from later.
    pub(crate) fn correct(&self, observed: Timestamp, received: Timestamp) -> Timestamp {
        let corrected = match self.correction {
            Some(offset) => observed.checked_sub(offset).unwrap_or(observed),
            None => observed,
        };
        corrected.min(received)
    }
}

/// The time, if it can be one.
pub(crate) fn plausible(time: Option<&WireTime>) -> Option<Timestamp> {
    let millis = timestamp_to_millis(time?);
    PLAUSIBLE_MILLIS
        .contains(&millis)
        .then(|| Timestamp::from_millisecond(millis).ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_600_000 + second).unwrap()
    }

    #[test]
    fn a_replayed_spool_does_not_look_like_a_slow_clock() {
        let mut clock = Clock::default();
        for second in 0..100 {
            clock.measure(at(second - 3600), at(0));
        }
        assert_eq!(clock.offset(), None);
        clock.heartbeat(at(60), at(0));
        for second in 0..100 {
            clock.measure(at(second - 3600), at(1));
        }
        assert_eq!(clock.offset(), Some(SignedDuration::from_secs(60)));
        assert_eq!(clock.correct(at(70), at(20)), at(10));
    }

    #[test]
    fn a_clock_that_was_set_back_is_noticed_within_two_spans() {
        let mut clock = Clock::default();
        clock.measure(at(100), at(0));
        for second in (10..=700).step_by(10) {
            clock.measure(at(second), at(second));
        }
        assert_eq!(clock.offset(), Some(SignedDuration::ZERO));
    }

    #[test]
    fn a_clock_that_was_set_back_far_is_noticed_at_once() {
        let mut clock = Clock::default();
        for second in (0..100).step_by(10) {
            clock.measure(at(second), at(second + 1));
        }
        clock.measure(at(100 - 3600), at(101));
        assert_eq!(clock.offset(), Some(SignedDuration::from_secs(-3601)));
        assert_eq!(clock.correct(at(110 - 3600), at(112)), at(111));
        // And a day ahead.
        clock.measure(at(86_400), at(111));
        assert_eq!(clock.offset(), Some(SignedDuration::from_secs(86_289)));
    }

    #[test]
    fn a_step_within_a_replayed_spool_is_not_taken_for_delay() {
        let mut clock = Clock::default();
        clock.heartbeat(at(0), at(0));
        for second in [-900, -890, -4000, -3990] {
            clock.measure(at(second), at(1));
        }
        // Known is only that it was set back by this much.
        assert_eq!(clock.offset(), Some(SignedDuration::from_secs(-3110)));
        clock.measure(at(-3600), at(1));
        assert_eq!(clock.offset(), Some(SignedDuration::from_secs(-3110)));
    }

    #[test]
    fn a_coordinator_whose_clock_is_set_back_follows_at_once() {
        let mut clock = Clock::default();
        clock.heartbeat(at(90_000), at(90_000));
        clock.heartbeat(at(90_010), at(3610));
        assert_eq!(clock.offset(), Some(SignedDuration::from_secs(86_400)));
        assert_eq!(clock.correct(at(90_010), at(3610)), at(3610));
        clock.heartbeat(at(4000), at(4000));
        clock.heartbeat(at(4400), at(4400));
        clock.heartbeat(at(4800), at(4800));
        assert_eq!(clock.offset(), Some(SignedDuration::ZERO));
    }

    #[test]
    fn nothing_is_observed_after_it_was_received() {
        let clock = Clock::default();
        assert_eq!(clock.correct(at(500), at(3)), at(3));
    }

    #[test]
    fn absurd_times_are_none() {
        let time = |seconds| WireTime { seconds, nanos: 0 };
        assert_eq!(plausible(None), None);
        for seconds in [i64::MIN, -1, 0, 9_000_000_000, i64::MAX] {
            assert_eq!(plausible(Some(&time(seconds))), None);
        }
        assert!(plausible(Some(&time(1_795_600_000))).is_some());
    }
}
