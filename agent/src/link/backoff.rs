//! How long to wait before the next attempt.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// A link that lasted so long was a real one. To have connected says nothing: a
/// node that is refused connects each time.
pub(super) const STEADY: Duration = Duration::from_secs(30);
/// The jitter doubles it at most.
const LONGEST: Duration = Duration::from_secs(30);

/// Delays that double, each with as much again of chance at most.
#[derive(Debug)]
pub(super) struct Backoff {
    delays: ExponentialBuilder,
    upcoming: <ExponentialBuilder as BackoffBuilder>::Backoff,
}

impl Backoff {
    pub(super) fn new(first: Duration) -> Self {
        let delays = ExponentialBuilder::new()
            .with_min_delay(first)
            .with_max_delay(LONGEST)
            .without_max_times()
            .with_jitter();
        Self {
            delays,
            upcoming: delays.build(),
        }
    }

    /// The wait after an attempt whose link lasted so long.
    pub(super) fn after(&mut self, lasted: Duration) -> Duration {
        if lasted >= STEADY {
            self.upcoming = self.delays.build();
        }
        // Without a limit of attempts the delays never end.
        self.upcoming.next().unwrap_or(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const FIRST: Duration = Duration::from_secs(1);

    proptest! {
        #[test]
        fn delays_double_from_the_first_after_each_steady_link(
            links in prop::collection::vec((any::<bool>(), 0..30_u64), 1..200),
        ) {
            let mut backoff = Backoff::new(FIRST);
            let mut least = FIRST;
            for (is_steady, seconds) in links {
                let lasted = Duration::from_secs(seconds);
                if is_steady {
                    least = FIRST;
                }
                let delay = backoff.after(if is_steady { STEADY + lasted } else { lasted });
                prop_assert!(delay >= least, "{delay:?} is less than {least:?}");
                prop_assert!(delay <= least * 2, "{delay:?} is more than twice {least:?}");
                least = LONGEST.min(least * 2);
            }
        }
    }

    #[test]
    fn nodes_that_lost_the_same_coordinator_do_not_come_back_in_step() {
        let delays: Vec<_> = (0..20)
            .map(|_| Backoff::new(FIRST).after(Duration::ZERO))
            .collect();
        assert!(delays.iter().any(|delay| delay != &delays[0]), "{delays:?}");
    }
}
