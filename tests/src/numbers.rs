//! Chance that repeats: the same numbers for the same seed.

use std::time::Duration;

/// xorshift64.
#[derive(Debug)]
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % end
    }

    pub(crate) fn pause(&mut self, most_millis: u64) -> Duration {
        Duration::from_millis(self.below(most_millis))
    }
}
