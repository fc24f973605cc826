//! What histories say of what was measured: quantiles, rates of counters, and what a
//! database of an earlier schema holds.

#![expect(
    clippy::tests_outside_test_module,
    reason = "an integration test is a test module"
)]
#![expect(clippy::unwrap_used, reason = "a test fails by it, in its helpers too")]

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use pvelens::{check::Params, coordinator::Coordinator, store::Store};

#[path = "histories/counters.rs"]
mod counters;
#[path = "histories/quantiles.rs"]
mod quantiles;
#[path = "histories/recorded.rs"]
mod recorded;
#[path = "histories/schema.rs"]
mod schema;

/// An hour and a day begin.
const START: i64 = 1_795_564_800;
const LIMIT_BYTES: u64 = 1 << 30;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(START + second).unwrap()
}

/// A coordinator that keeps what it hears in a directory.
fn keeping(directory: &Path, now: Timestamp) -> (Coordinator, Arc<Store>) {
    let coordinator = Coordinator::new(Params::default());
    let store = Arc::new(Store::open(directory, LIMIT_BYTES, now).unwrap());
    coordinator.keep_in(Arc::clone(&store), now).unwrap();
    (coordinator, store)
}
