//! From the simulator's real numbers to the whole ones of the kernel, and back.

#[must_use]
pub fn millis(seconds: u64) -> i64 {
    i64::try_from(seconds.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// Seconds with a fraction, for clocks.
#[expect(
    clippy::cast_possible_truncation,
    reason = "hours at most; the cast saturates"
)]
#[must_use]
pub fn milliseconds(seconds: f64) -> i64 {
    (seconds * 1000.0) as i64
}

#[must_use]
pub fn small(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// A counter as the kernel prints it.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters are positive and far below 2^53; the cast saturates"
)]
#[must_use]
pub fn whole(number: f64) -> u64 {
    number.max(0.0) as u64
}

#[expect(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
#[must_use]
pub fn real(number: u64) -> f64 {
    number as f64
}

#[expect(clippy::cast_precision_loss, reason = "times are far below 2^53 ms")]
#[must_use]
pub fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

#[must_use]
pub fn share_of(bytes: u64, share: f64) -> u64 {
    whole(real(bytes) * share)
}
