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
        self.measure(sent, received);
    }

    /// Something that had happened at `sent` by the node's clock arrived.
    pub(super) fn measure(&mut self, sent: Timestamp, received: Timestamp) {
        let span = received.as_second().div_euclid(SPAN_SECONDS);
        let difference = received.duration_since(sent);
        match &mut self.newer {
            Some(newer) if span <= newer.span => {
                newer.difference = newer.difference.min(difference);
            }
            newer => {
                self.older = newer.filter(|newer| span - newer.span == 1);
                *newer = Some(Smallest { span, difference });
            }
        }
        self.correction = self.offset().filter(|offset| offset.abs() >= NOISE);
    }

    /// Positive when the node's clock is ahead.
    pub(crate) fn offset(&self) -> Option<SignedDuration> {
        let smallest = [self.newer, self.older]
            .into_iter()
            .flatten()
            .map(|smallest| smallest.difference)
            .min()?;
        // Old samples and a clock that is behind look alike without a heartbeat.
        smallest
            .checked_neg()
            .filter(|offset| self.heard || !offset.is_negative())
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
