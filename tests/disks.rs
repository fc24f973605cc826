//! A coordinator on disks that lose power, are full, read-only or damaged.
//!
//! What is present is seen and judged whatever the disk does; a finding names it; when
//! the disk is mended nothing is missing that was said to be kept.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]

#[path = "disks/damaged.rs"]
mod damaged;
#[path = "disks/full.rs"]
mod full;
#[path = "disks/power.rs"]
mod power;
#[path = "disks/watch.rs"]
mod watch;
