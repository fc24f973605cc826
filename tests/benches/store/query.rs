//! How long questions take, as the surfaces ask them.

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use anyhow::{Result, ensure};
use jiff::Timestamp;
use pvelens::{
    answer::metrics::{MetricsFilter, metrics},
    store::FILE,
};
use pvelens_tests::{fleet::Fleet, rig::figures::Distribution};

use super::{START, TIDY_SECONDS, at, keeping};

const NODES: u32 = 3;
const STEP_SECONDS: i64 = 10;
const WRITE_SECONDS: i64 = 60;
const DAY: i64 = 86_400;
const CALLS: u32 = 300;
/// Figures that all guests have.
const METRICS: &[&str] = &[
    "cpu_ratio",
    "memory_host_bytes",
    "read_bytes_per_second",
    "write_bytes_per_second",
    "received_bytes_per_second",
];

pub(super) fn run(days: u32, guests: u32, directory: Option<PathBuf>) -> Result<()> {
    let fleet = Fleet {
        start: START,
        clusters: 1,
        nodes_per_cluster: NODES,
        guests_per_cluster: NODES * guests,
    };
    let temporary = tempfile::TempDir::new()?;
    let directory = directory.unwrap_or_else(|| temporary.path().to_owned());
    let end = i64::from(days) * DAY;
    if !directory.join(FILE).exists() {
        let began = Instant::now();
        fill(&directory, &fleet, end)?;
        println!("{days} days made in {:.0} s", began.elapsed().as_secs_f64());
    }
    let size = std::fs::metadata(directory.join(FILE))?.len();
    let now = at(end);
    let (coordinator, store) = keeping(&directory, now)?;
    store.maintain(now)?;
    // The view says which guests are on a node.
    for (agent, update) in fleet.round(0) {
        coordinator.live().append(&agent, update, now);
    }
    let current = coordinator.evaluate(now);
    println!(
        "{days} days of {NODES} nodes with {guests} guests each at {STEP_SECONDS} s, {} MiB",
        size >> 20
    );
    let ask = |title: &str, filter: &dyn Fn(u32) -> MetricsFilter, calls: u32| {
        let mut times = Distribution::default();
        let (mut values, mut series) = (0, 0);
        for call in 0..calls {
            let filter = filter(call);
            let began = Instant::now();
            let answer = metrics(&current, Some(&store), &filter, now)?;
            times.add(began.elapsed().as_secs_f64());
            series = answer.series.len();
            values = answer.series.first().map_or(0, |one| one.values.len());
        }
        ensure!(values > 0, "{title}: no values");
        println!(
            "  {title:<44} {series:>4} series of {values:>4} values: p50 {:>6.2} ms, p99 {:>6.2} ms",
            times.percentile(50) * 1000.0,
            times.percentile(99) * 1000.0,
        );
        Ok(())
    };
    let one = |call: u32, days: i64, step_seconds, points| MetricsFilter {
        subjects: vec![format!("guest/{}", 100 + call * 37 % (NODES * guests))],
        metrics: vec![METRICS[usize::try_from(call).unwrap_or(0) % METRICS.len()].to_owned()],
        from: Some(before(now, days)),
        step_seconds,
        points,
        ..MetricsFilter::default()
    };
    let week = i64::from(days.min(7));
    ask(
        "one series, a week (goal p99 < 10 ms)",
        &|call| one(call, week, 0, 0),
        CALLS,
    )?;
    ask(
        "one series, a week, each 5 minutes",
        &|call| one(call, week, 300, 3000),
        CALLS,
    )?;
    ask("one series, a day", &|call| one(call, 1, 0, 0), CALLS)?;
    let all = |call: u32, step_seconds| MetricsFilter {
        subjects: vec![format!(
            "guests@{}",
            pvelens_tests::fleet::name(call % NODES)
        )],
        metrics: vec![METRICS[usize::try_from(call).unwrap_or(0) % METRICS.len()].to_owned()],
        from: Some(before(now, 1)),
        step_seconds,
        series: 1000,
        points: if step_seconds == 0 { 0 } else { 3000 },
        ..MetricsFilter::default()
    };
    ask(
        "all guests of a node, a day (goal < 200 ms)",
        &|call| all(call, 0),
        CALLS / 6,
    )?;
    ask(
        "all guests of a node, a day, each minute",
        &|call| all(call, 60),
        CALLS / 6,
    )
}

fn before(now: Timestamp, days: i64) -> Timestamp {
    Timestamp::from_second(now.as_second() - days * DAY).unwrap_or(now)
}

/// Keeps what the nodes say until a second, as a coordinator does.
fn fill(directory: &Path, fleet: &Fleet, end: i64) -> Result<()> {
    let (coordinator, store) = keeping(directory, at(0))?;
    for round in 0.. {
        let second = i64::from(round) * STEP_SECONDS;
        if second > end {
            break;
        }
        for (agent, update) in fleet.round(round) {
            coordinator.live().append(&agent, update, at(second));
        }
        if second % WRITE_SECONDS == 0 {
            coordinator.write_down(at(second))?;
        }
        if second % TIDY_SECONDS == 0 {
            store.maintain(at(second))?;
        }
    }
    Ok(())
}
