//! Lengths of time as people write them.

use std::ops::RangeInclusive;

use jiff::{SignedDuration, Span, SpanRelativeTo};

/// Seconds of `90s`, `30m`, `2h` or `7d`, in a range.
pub(super) fn seconds(text: &str, range: RangeInclusive<u32>) -> Option<u32> {
    let length = text.parse::<SignedDuration>().ok().or_else(|| {
        // Days, which some say are not always as long.
        let span: Span = text.parse().ok()?;
        span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()
    })?;
    u32::try_from(length.as_secs())
        .ok()
        .filter(|seconds| range.contains(seconds))
}
