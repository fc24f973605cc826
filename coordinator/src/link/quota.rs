//! How much of something may come in a time: it is paid for afterwards, by waiting.
//!
//! What comes over a network was sent before anybody could refuse it, so the limiters
//! that are asked before, of which there are crates, do not fit here.

use std::time::Duration;

use tokio::time::Instant;

/// An amount that drains at a rate, and beyond a limit has to be waited for.
#[derive(Debug)]
pub(super) struct Quota {
    per_second: f64,
    at_once: f64,
    level: f64,
    at: Instant,
}

impl Quota {
    pub(super) fn new(per_second: f64, at_once: f64) -> Self {
        Self {
            per_second,
            at_once,
            level: 0.0,
            at: Instant::now(),
        }
    }

    /// Takes an amount if it may come now.
    pub(super) fn admits(&mut self, amount: f64) -> bool {
        let level = self.drained() + amount;
        let is_admitted = level <= self.at_once;
        if is_admitted {
            self.level = level;
        }
        is_admitted
    }

    /// Takes an amount that came; how long to wait before more may come.
    pub(super) fn spend(&mut self, amount: f64) -> Duration {
        self.level = self.drained() + amount;
        let excess = self.level - self.at_once;
        if excess <= 0.0 {
            return Duration::ZERO;
        }
        Duration::try_from_secs_f64(excess / self.per_second).unwrap_or(Duration::MAX)
    }

    /// What is left of it now.
    fn drained(&mut self) -> f64 {
        let now = Instant::now();
        let passed = now.duration_since(self.at).as_secs_f64();
        self.at = now;
        self.level = (self.level - passed * self.per_second).max(0.0);
        self.level
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tokio::time::{advance, pause};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn beyond_what_may_come_at_once_the_rate_holds() {
        let mut quota = Quota::new(10.0, 100.0);
        assert_eq!(quota.spend(100.0), Duration::ZERO);
        assert_eq!(quota.spend(5.0), Duration::from_millis(500));
        advance(Duration::from_secs(1)).await;
        assert_eq!(quota.spend(5.0), Duration::ZERO);
        advance(Duration::from_secs(3600)).await;
        // Silence is not saved up.
        assert_eq!(quota.spend(110.0), Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_admitted_costs_nothing() {
        let mut quota = Quota::new(1.0, 2.0);
        assert!(quota.admits(1.0) && quota.admits(1.0));
        assert!((0..100).all(|_| !quota.admits(1.0)));
        advance(Duration::from_secs(1)).await;
        assert!(quota.admits(1.0) && !quota.admits(1.0));
    }

    proptest! {
        #[test]
        fn who_waits_as_told_gets_no_more_than_the_rate(
            amounts in prop::collection::vec(0.0..50.0_f64, 1..100),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
            runtime.block_on(async {
                pause();
                let began = Instant::now();
                let mut quota = Quota::new(10.0, 100.0);
                for amount in &amounts {
                    let wait = quota.spend(*amount);
                    advance(wait).await;
                }
                let passed = began.elapsed().as_secs_f64();
                let sum: f64 = amounts.iter().sum();
                prop_assert!(sum <= 100.0 + passed * 10.0 + 0.01 * 100.0);
                Ok(())
            })?;
        }
    }
}
