//! The live loop: every ten seconds it starts what is due and waits for none of
//! it.
//!
//! The fast collectors of one tick run side by side and make one update. Those
//! that read configuration run one after the other, since they all go through
//! pmxcfs. All others run alone. A group that is not done by the next tick is
//! left to finish, and that tick is missed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pvelens_proto::agent::v1::{CollectionClass, Sample, SourceFailure};
use tokio::{
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::schedule::Schedule;
use crate::{
    collector::{COLLECTORS, FAST, Runner},
    host::Host,
    spool::Spool,
};

/// Fast collectors that read at the same time.
const SIDE_BY_SIDE: usize = 4;

struct Live {
    host: Arc<Host>,
    spool: Arc<Spool>,
    schedule: Mutex<Schedule>,
    /// What each collector failed with last, so that only changes are logged.
    failing: Mutex<HashMap<String, String>>,
    runners: Vec<Arc<Runner>>,
}

/// The groups of one class that run without each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    Fast,
    Config,
    Single(usize),
}

pub(super) async fn run(
    host: Arc<Host>,
    spool: Arc<Spool>,
    schedule: Schedule,
    shutdown: CancellationToken,
) {
    let live = Arc::new(Live {
        host,
        spool,
        schedule: Mutex::new(schedule),
        failing: Mutex::default(),
        runners: COLLECTORS
            .iter()
            .map(|collector| Arc::new(Runner::new(*collector)))
            .collect(),
    });
    let started = Instant::now();
    let mut ticks = interval(FAST);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut tasks = JoinSet::new();
    let mut running: HashMap<Group, AbortHandle> = HashMap::new();
    loop {
        tokio::select! {
            () = shutdown.cancelled() => break,
            _ = ticks.tick() => {}
        }
        // What ended leaves the set; a panic in it is not possible to miss,
        // since collectors are caught and the rest is below.
        while tasks.try_join_next().is_some() {}
        let now = started.elapsed();
        for group in groups() {
            if running.get(&group).is_none_or(AbortHandle::is_finished) {
                running.insert(group, tasks.spawn(Arc::clone(&live).round(group, now)));
            }
        }
    }
    tasks.shutdown().await;
}

fn groups() -> impl Iterator<Item = Group> {
    let singles = (0..COLLECTORS.len()).filter(|index| {
        COLLECTORS
            .get(*index)
            .is_some_and(|collector| group_of(collector.class, *index) == Group::Single(*index))
    });
    [Group::Fast, Group::Config]
        .into_iter()
        .chain(singles.map(Group::Single))
}

fn group_of(class: CollectionClass, index: usize) -> Group {
    match class {
        CollectionClass::Fast => Group::Fast,
        CollectionClass::Config => Group::Config,
        _ => Group::Single(index),
    }
}

impl Live {
    /// Runs what is due of one group, and keeps the result as one update.
    async fn round(self: Arc<Self>, group: Group, now: Duration) {
        let members = self
            .runners
            .iter()
            .enumerate()
            .filter(|(index, runner)| group_of(runner.collector().class, *index) == group)
            .map(|(_, runner)| Arc::clone(runner));
        let samples = if group == Group::Fast {
            self.side_by_side(members, now).await
        } else {
            self.in_turn(members, now).await
        };
        if !samples.is_empty() {
            self.spool.append(samples);
        }
    }

    async fn in_turn(
        &self,
        members: impl Iterator<Item = Arc<Runner>>,
        now: Duration,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        for runner in members {
            // Asked one by one: the counters that were just read decide about
            // the next ones.
            if self.schedule().starts(runner.collector(), now) {
                samples.push(self.sampled(&runner).await);
            }
        }
        samples
    }

    async fn side_by_side(
        self: &Arc<Self>,
        members: impl Iterator<Item = Arc<Runner>>,
        now: Duration,
    ) -> Vec<Sample> {
        let places = Arc::new(Semaphore::new(SIDE_BY_SIDE));
        let mut tasks = JoinSet::new();
        for runner in members {
            if self.schedule().starts(runner.collector(), now) {
                let (live, places) = (Arc::clone(self), Arc::clone(&places));
                tasks.spawn(async move {
                    // Never closed; without a place it would run all the same.
                    let _place = places.acquire().await;
                    live.sampled(&runner).await
                });
            }
        }
        tasks.join_all().await
    }

    async fn sampled(&self, runner: &Runner) -> Sample {
        let sample = runner.run(&self.host).await;
        self.schedule().ended(runner.collector(), &sample);
        self.log(&sample);
        sample
    }

    /// Logs a failure when it begins, changes and ends.
    fn log(&self, sample: &Sample) {
        let text = describe(&sample.failures);
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        let before = failing.remove(&sample.collector);
        match (text, before) {
            (None, None) => {}
            (None, Some(_)) => info!(collector = sample.collector, "collects again"),
            (Some(text), before) => {
                if before.as_ref() != Some(&text) {
                    warn!(
                        collector = sample.collector,
                        failures = sample.failures.len(),
                        first = text,
                        "collection failed"
                    );
                }
                failing.insert(sample.collector.clone(), text);
            }
        }
    }

    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.schedule.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The first failure in words.
fn describe(failures: &[SourceFailure]) -> Option<String> {
    failures.first().map(|failure| {
        if failure.path.is_empty() {
            failure.detail.clone()
        } else {
            format!("{}: {}", failure.path, failure.detail)
        }
    })
}
