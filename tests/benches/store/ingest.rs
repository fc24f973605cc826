//! How fast the updates of many guests are kept.

use std::time::{Duration, Instant};

use anyhow::Result;
use pvelens::store::engine::Size;
use pvelens_tests::{
    fleet::Fleet,
    rig::figures::{Distribution, peak_resident_bytes},
};

use super::{START, TIDY_SECONDS, at, keeping, ratio};

const NODES_PER_CLUSTER: u32 = 16;
const GUESTS_PER_NODE: u32 = 50;
const STEP_SECONDS: i64 = 10;
/// As a coordinator: it writes each minute, or when so many values wait.
const WRITE_SECONDS: i64 = 60;
const MANY: usize = 200_000;

pub(super) fn run(guests: u32, minutes: u32) -> Result<()> {
    let nodes = guests.div_ceil(GUESTS_PER_NODE).max(1);
    let clusters = nodes.div_ceil(NODES_PER_CLUSTER);
    let fleet = Fleet {
        start: START,
        clusters,
        nodes_per_cluster: nodes.div_ceil(clusters),
        guests_per_cluster: guests.div_ceil(clusters),
    };
    let directory = tempfile::TempDir::new()?;
    let (coordinator, store) = keeping(directory.path(), at(0))?;
    let (mut appending, mut writing, mut tidying) = <(Duration, Duration, Duration)>::default();
    let (mut writes, mut tidied) = (Distribution::default(), Distribution::default());
    let rounds = minutes * 6;
    let mut values = 0;
    for round in 0..rounds {
        let now = at(i64::from(round) * STEP_SECONDS);
        let mut write = || {
            values += coordinator.live().waiting();
            let began = Instant::now();
            coordinator.write_down(now)?;
            writing += began.elapsed();
            writes.add(began.elapsed().as_secs_f64());
            anyhow::Ok(())
        };
        for (agent, update) in fleet.round(round) {
            let began = Instant::now();
            coordinator.live().append(&agent, update, now);
            appending += began.elapsed();
            if coordinator.live().waiting() >= MANY {
                write()?;
            }
        }
        let second = i64::from(round + 1) * STEP_SECONDS;
        if second % WRITE_SECONDS == 0 {
            write()?;
        }
        if second % TIDY_SECONDS == 0 {
            let began = Instant::now();
            store.maintain(at(second))?;
            tidying += began.elapsed();
            tidied.add(began.elapsed().as_secs_f64());
        }
    }
    // The last hour is over, and rolled up.
    let began = Instant::now();
    store.maintain(at(i64::from(minutes) * 60 + 3600))?;
    tidying += began.elapsed();
    let Size {
        total_bytes,
        log_bytes,
        ..
    } = store.condition().size;
    let taken = (appending + writing + tidying).as_secs_f64();
    let real = f64::from(minutes) * 60.0;
    let values = u64::try_from(values)?;
    println!(
        "{} nodes, {} guests, {minutes} minutes at {STEP_SECONDS} s: {values} values in {taken:.1} s on one \
         core, {:.0} times as fast as they come ({:.0} values/s)",
        fleet.nodes(),
        fleet.guests(),
        real / taken,
        ratio(values, 1) / taken,
    );
    let share = |time: Duration| 100.0 * time.as_secs_f64() / taken;
    println!(
        "  of that time: live state {:.0} %, writing {:.0} %, rolling up and tidying {:.0} %",
        share(appending),
        share(writing),
        share(tidying),
    );
    println!(
        "  a write      p50 {:.2} s, p99 {:.2} s, {} of them",
        writes.percentile(50),
        writes.percentile(99),
        writes.count(),
    );
    println!(
        "  tidying up   p50 {:.2} s; an hour rolled up: {:.1} s",
        tidied.percentile(50),
        began.elapsed().as_secs_f64(),
    );
    println!(
        "  file {} MiB, log {} MiB, memory at most {} MiB",
        total_bytes >> 20,
        log_bytes >> 20,
        peak_resident_bytes(std::process::id())? >> 20,
    );
    Ok(())
}
