//! Repeatable noise: a hash of seed, name and time instead of a generator with
//! state, so that one more guest does not change the noise of all others.

/// 0 to 1, the same for the same arguments.
pub(super) fn unit(seed: u64, name: &str, tick: u64) -> f64 {
    let mut hash = seed ^ 0xcbf2_9ce4_8422_2325;
    for byte in name.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    let bits = mix(hash ^ mix(tick.wrapping_add(1))) >> 32;
    f64::from(u32::try_from(bits).unwrap_or(u32::MAX)) / f64::from(u32::MAX)
}

/// `value` within ±`share` of itself.
pub(super) fn around(value: f64, share: f64, seed: u64, name: &str, tick: u64) -> f64 {
    value * (1.0 + share * (2.0 * unit(seed, name, tick) - 1.0))
}

/// A number below `limit`, for choices made once.
pub(crate) fn choose(seed: u64, name: &str, limit: usize) -> usize {
    if limit == 0 {
        return 0;
    }
    let limit_f = count(limit);
    super::state::whole(unit(seed, name, 0) * limit_f)
        .try_into()
        .unwrap_or(0_usize)
        .min(limit - 1)
}

#[expect(clippy::cast_precision_loss, reason = "numbers of objects are small")]
pub(super) fn count(number: usize) -> f64 {
    number as f64
}

/// Finaliser of SplitMix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_repeats_and_spreads() {
        assert!((unit(1, "a", 2) - unit(1, "a", 2)).abs() < f64::EPSILON);
        let mean: f64 = (0..1000).map(|tick| unit(7, "cpu", tick)).sum::<f64>() / 1000.0;
        assert!((mean - 0.5).abs() < 0.05, "{mean}");
        assert!((0..100).all(|tick| choose(tick, "x", 3) < 3));
    }
}
