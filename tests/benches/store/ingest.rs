//! How fast the updates of many guests are kept: by the CPU time of this thread, which
//! a busy machine makes no longer. Waiting for the disk is not part of it.

use std::time::Duration;

use anyhow::Result;
use pvelens::store::engine::Size;
use pvelens_tests::{
    fleet::Fleet,
    rig::figures::{Distribution, peak_resident_bytes},
};
use rustix::time::{ClockId, clock_gettime};

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
    let mut writes = Distribution::default();
    let rounds = minutes * 6;
    let mut values = 0;
    for round in 0..rounds {
        let now = at(i64::from(round) * STEP_SECONDS);
        let mut write = || {
            values += coordinator.live().waiting();
            let began = worked();
            coordinator.write_down(now)?;
            let took = worked().saturating_sub(began);
            writing += took;
            writes.add(took.as_secs_f64());
            anyhow::Ok(())
        };
        for (agent, update) in fleet.round(round) {
            let began = worked();
            coordinator.live().append(&agent, update, now);
            appending += worked().saturating_sub(began);
            if coordinator.live().waiting() >= MANY {
                write()?;
            }
        }
        let second = i64::from(round + 1) * STEP_SECONDS;
        if second % WRITE_SECONDS == 0 {
            write()?;
        }
        if second % TIDY_SECONDS == 0 {
            let began = worked();
            store.maintain(at(second))?;
            tidying += worked().saturating_sub(began);
        }
    }
    // The last hour is over, and rolled up.
    let began = worked();
    store.maintain(at(i64::from(minutes) * 60 + 7200))?;
    let rolled_up = worked().saturating_sub(began);
    tidying += rolled_up;
    let Size {
        total_bytes,
        log_bytes,
        ..
    } = store.condition().size;
    let taken = (appending + writing + tidying).as_secs_f64();
    let real = f64::from(minutes) * 60.0;
    let values = u64::try_from(values)?;
    println!(
        "{} nodes, {} guests, {minutes} minutes at {STEP_SECONDS} s: {values} values in {taken:.1} s of one \
         core, {:.1} times as fast as they come ({:.0} values/s)",
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
        "  the last hour rolled up: {:.1} s",
        rolled_up.as_secs_f64()
    );
    println!(
        "  file {} MiB, log {} MiB, memory at most {} MiB, with what makes the updates",
        total_bytes >> 20,
        log_bytes >> 20,
        peak_resident_bytes(std::process::id())? >> 20,
    );
    Ok(())
}

/// CPU time of this thread.
fn worked() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
