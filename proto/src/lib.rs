//! Wire messages and services of pvelens, generated from `proto/pvelens`.
//!
//! Fields are added, never renumbered or reused. Units are part of a field's
//! name: `_bytes`, `_seconds`, `_ratio` (0 to 1), `_celsius`; counters end in
//! `_total`. An absent `optional` figure is unknown, never zero.

pub use prost_types::Timestamp;

pub mod identity;
pub mod join_line;

/// Between an agent and its coordinator.
pub mod agent {
    #[allow(missing_debug_implementations, unreachable_pub, clippy::all)]
    pub mod v1 {
        tonic::include_proto!("pvelens.agent.v1");
    }
}

/// Between a coordinator and its clients.
#[allow(missing_debug_implementations, unreachable_pub, clippy::all)]
pub mod v1 {
    tonic::include_proto!("pvelens.v1");
}

/// Encoded `FileDescriptorSet` of both packages, for gRPC reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/pvelens.binpb"));

/// A timestamp from milliseconds since the epoch.
#[must_use]
pub fn timestamp_from_millis(millis: i64) -> Timestamp {
    Timestamp {
        seconds: millis.div_euclid(1000),
        // `rem_euclid(1000)` is below 1000, so the product fits.
        nanos: i32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000,
    }
}

/// Milliseconds since the epoch, saturating at the ends of `i64`.
#[must_use]
pub fn timestamp_to_millis(timestamp: &Timestamp) -> i64 {
    timestamp
        .seconds
        .saturating_mul(1000)
        .saturating_add(i64::from(timestamp.nanos) / 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::{timestamp_from_millis, timestamp_to_millis};

    #[test]
    fn timestamps_keep_milliseconds_on_both_sides_of_the_epoch() {
        for millis in [0, 1, 999, 1_795_349_096_369, -1, -1001] {
            assert_eq!(timestamp_to_millis(&timestamp_from_millis(millis)), millis);
        }
    }
}
