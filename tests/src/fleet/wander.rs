//! Figures that move a little, as those of a node do on which nothing happens.
//!
//! A hash of what it is and of the round: the same for the same arguments.

/// A level that wanders around `base`, by an eighth at most.
pub(super) fn level(base: u64, what: u32, round: u32) -> u64 {
    let span = base / 4;
    base - span / 2 + hash(what, round) % (span + 1)
}

/// A share that wanders as much.
pub(super) fn share(base: f64, what: u32, round: u32) -> f64 {
    let part = u16::try_from(hash(what, round) % 1001).unwrap_or(0);
    base * (0.875 + f64::from(part) / 4000.0)
}

/// A counter that grows by some `per_round`, never less than three quarters of it.
pub(super) fn counter(per_round: u64, what: u32, round: u32) -> u64 {
    u64::from(round) * per_round + hash(what, round) % (per_round / 4 + 1)
}

/// The same of seconds.
pub(super) fn seconds(per_round: f64, what: u32, round: u32) -> f64 {
    let part = u16::try_from(hash(what, round) % 1001).unwrap_or(0);
    per_round * (f64::from(round) + f64::from(part) / 4000.0)
}

/// Finaliser of SplitMix64.
fn hash(what: u32, round: u32) -> u64 {
    let mut x = (u64::from(what) << 32 | u64::from(round)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_grow_and_levels_stay_near() {
        for round in 0..100 {
            assert!(counter(100, 1, round + 1) >= counter(100, 1, round) + 75);
            assert!(seconds(1.0, 1, round + 1) >= seconds(1.0, 1, round) + 0.749);
            assert!((875..=1125).contains(&level(1000, 2, round)));
            assert!((0.0875..=0.1125).contains(&share(0.1, 3, round)));
        }
        assert_ne!(level(1000, 2, 1), level(1000, 2, 2));
        assert_ne!(level(1000, 2, 1), level(1000, 3, 1));
    }
}
