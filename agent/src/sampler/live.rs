//! The live loop: every ten seconds it starts what is due and waits for none of
//! it.
//!
//! The fast collectors of one tick run side by side and make one update. Those
//! that read the cluster file system run one after the other: first the small
//! status files, then, as a group of its own, the sweep over the configuration.
//! All others run alone. A group that is not done by the next tick is left to
//! finish, and that tick is missed: a sweep that hangs delays neither quorum nor
//! figures.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use pvelens_proto::agent::v1::{CollectionClass, Sample, SourceFailure};
use tokio::{
    sync::{Semaphore, watch},
    task::{AbortHandle, JoinSet},
    time::{Instant, MissedTickBehavior, interval, timeout},
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Sampler, schedule::Schedule};
use crate::{
    collector::{COLLECTORS, Collector, FAST, Runner},
    host::Host,
    recorder::Recorder,
    spool::Spool,
};

/// Time for the status files of one tick: three deadlines, and some.
const STATUS_WAIT: Duration = Duration::from_secs(7);
/// Fast collectors that read at the same time.
const SIDE_BY_SIDE: usize = 4;

struct Live {
    host: Arc<Host>,
    spool: Arc<Spool>,
    recorder: Option<Arc<Recorder>>,
    schedule: Mutex<Schedule>,
    /// What each collector failed with last, so that only changes are logged.
    failing: Mutex<HashMap<String, String>>,
    runners: Vec<Arc<Runner>>,
    /// The tick whose status files have been read.
    polled: watch::Sender<Duration>,
}

/// The groups of one class that run without each other.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Group {
    Fast,
    /// Status files of the cluster.
    Status,
    /// Configuration, when it changed.
    Sweep,
    Single(usize),
}

pub(super) async fn run(sampler: Sampler, shutdown: CancellationToken) {
    let live = Arc::new(Live {
        host: sampler.host,
        spool: sampler.spool,
        recorder: sampler.recorder,
        schedule: Mutex::new(sampler.schedule),
        failing: Mutex::default(),
        runners: COLLECTORS
            .iter()
            .map(|collector| Arc::new(Runner::new(*collector)))
            .collect(),
        polled: watch::Sender::new(Duration::ZERO),
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
        while let Some(ended) = tasks.try_join_next() {
            // Collectors are caught, so this is a fault of the loop itself.
            if let Err(error) = ended {
                warn!(%error, "a round of sampling was lost");
            }
        }
        let now = started.elapsed();
        for group in groups() {
            if running.get(&group).is_none_or(AbortHandle::is_finished) {
                running.insert(group, tasks.spawn(Arc::clone(&live).round(group, now)));
            }
        }
        sampler
            .ticks
            .send_modify(|ticks| *ticks = ticks.wrapping_add(1));
    }
    tasks.shutdown().await;
}

fn groups() -> impl Iterator<Item = Group> {
    let singles = (0..COLLECTORS.len()).filter(|index| {
        COLLECTORS
            .get(*index)
            .is_some_and(|collector| group_of(collector, *index) == Group::Single(*index))
    });
    [Group::Fast, Group::Status, Group::Sweep]
        .into_iter()
        .chain(singles.map(Group::Single))
}

fn group_of(collector: &Collector, index: usize) -> Group {
    match collector.class {
        CollectionClass::Fast => Group::Fast,
        CollectionClass::Config if collector.runs_on_change() => Group::Sweep,
        CollectionClass::Config => Group::Status,
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
            .filter(|(index, runner)| group_of(runner.collector(), *index) == group)
            .map(|(_, runner)| Arc::clone(runner));
        if group == Group::Sweep {
            // The counters of this tick decide what is due. Late ones are not
            // waited for: then the interval decides.
            let mut polled = self.polled.subscribe();
            timeout(STATUS_WAIT, polled.wait_for(|tick| *tick >= now))
                .await
                .ok();
        }
        let samples = if group == Group::Fast {
            self.side_by_side(members, now).await
        } else {
            self.in_turn(members, now).await
        };
        if group == Group::Status {
            self.polled.send_replace(now);
        }
        if samples.is_empty() {
            return;
        }
        let update = self.spool.append(samples);
        if let Some(recorder) = &self.recorder {
            recorder.observe(&update, now, self.host.now());
        }
    }

    async fn in_turn(
        &self,
        members: impl Iterator<Item = Arc<Runner>>,
        now: Duration,
    ) -> Vec<Sample> {
        let mut samples = Vec::new();
        for runner in members {
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
