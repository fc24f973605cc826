//! What a round of updates, a view and all checks cost, by size.
//!
//! `cargo bench -p pvelens-tests --bench view`. Times depend on the machine; the
//! items per second of two sizes compare on any: they should be alike, since
//! nothing here may grow faster than the number of guests.

use std::{collections::BTreeMap, sync::LazyLock};

use divan::{Bencher, counter::ItemsCount};
use pvelens::{
    check::{self, Input, Params},
    intent::Intent,
    live::Live,
    view,
    windows::Windows,
};
use pvelens_tests::fleet::{self, Fleet};

const SIZES: &[Fleet] = &[fleet::SMALL, fleet::ONE_LARGE_CLUSTER, fleet::MANY_CLUSTERS];

/// Stores that have heard a few rounds, by number of nodes.
static STORES: LazyLock<BTreeMap<u32, Live>> = LazyLock::new(|| {
    SIZES
        .iter()
        .map(|fleet| (fleet.nodes(), fleet.live(ROUNDS)))
        .collect()
});
const ROUNDS: u32 = 3;

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES, sample_count = 20, sample_size = 1)]
fn build_view(bencher: Bencher<'_, '_>, fleet: &Fleet) {
    let live = &STORES[&fleet.nodes()];
    bencher
        .counter(ItemsCount::new(fleet.guests()))
        .bench(|| view::build(live, fleet::at(ROUNDS)));
}

#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn run_all_checks(bencher: Bencher<'_, '_>, fleet: &Fleet) {
    let live = &STORES[&fleet.nodes()];
    let at = fleet::at(ROUNDS);
    let view = view::build(live, at);
    let (params, intent) = (Params::default(), Intent::default());
    let windows = Windows::default();
    bencher.counter(ItemsCount::new(fleet.guests())).bench(|| {
        check::run_all(&Input {
            view: &view,
            history: live.history(),
            windows: &windows,
            params: &params,
            refused: &[],
            store: None,
            intent: &intent,
            at,
        })
    });
}

#[divan::bench(args = SIZES, sample_count = 10, sample_size = 1)]
fn copy_history(bencher: Bencher<'_, '_>, fleet: &Fleet) {
    let live = &STORES[&fleet.nodes()];
    bencher
        .counter(ItemsCount::new(fleet.guests()))
        .bench(|| live.history().clone());
}

#[divan::bench(args = SIZES, sample_count = 3, sample_size = 1)]
fn append_round(bencher: Bencher<'_, '_>, fleet: &Fleet) {
    let mut live = fleet.live(ROUNDS);
    let mut round = ROUNDS;
    bencher
        .counter(ItemsCount::new(fleet.guests()))
        .with_inputs(|| {
            round += 1;
            (round, fleet.round(round))
        })
        .bench_local_values(|(round, updates)| {
            for (agent, update) in updates {
                live.append(&agent, update, fleet::at(round));
            }
        });
}
