//! Lengths of time as arguments.

use std::ops::RangeInclusive;

use crate::moment;

/// Seconds of `90s`, `30m`, `2h` or `7d`, in a range.
pub(super) fn seconds(text: &str, range: RangeInclusive<u32>) -> Option<u32> {
    u32::try_from(moment::length(text)?.as_secs())
        .ok()
        .filter(|seconds| range.contains(seconds))
}
