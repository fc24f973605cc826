//! Every source once, side by side, for who cannot wait for what hangs.
//!
//! The sampler gives each collector its deadline and comes back later. Here there
//! is no later: what has not ended at the one deadline for all is left behind on
//! its thread and named. Collectors that read the cluster file system take turns,
//! as in the sampler, until one of them is stuck; then the rest goes on beside it.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{Receiver, Sender, channel},
    },
    thread,
    time::{Duration, Instant},
};

use pvelens_proto::agent::v1::{FailureKind, Sample};

use crate::{
    collector::{COLLECTORS, Collector, caught, failed},
    host::{Host, SourceError},
};

/// A queue from which nothing came for this long gets one more thread.
const STUCK: Duration = Duration::from_millis(150);
/// Threads of one queue, the stuck ones included.
const WORKERS: usize = 12;

/// Collectors that wait for the same thing.
struct Lane {
    queue: Arc<Mutex<VecDeque<Collector>>>,
    workers: usize,
    /// When it last got on.
    moved_at: Instant,
}

/// Runs the collectors that are `wanted` once and hands each sample to `keep` as
/// it comes. At the deadline it returns; a collector that has not ended by then
/// gives a sample that says so, as if its own deadline had passed.
pub fn collect(
    host: &Arc<Host>,
    within: Duration,
    wanted: impl Fn(&Collector) -> bool,
    mut keep: impl FnMut(Sample),
) {
    let deadline = Instant::now() + within;
    let (sender, receiver) = channel();
    let mut lanes: [Lane; 3] = std::array::from_fn(|_| Lane::new());
    let mut waiting = Vec::new();
    for collector in COLLECTORS.iter().filter(|collector| wanted(collector)) {
        waiting.push(*collector);
        if let Some(lane) = lanes.get(lane_of(collector)) {
            lane.queue().push_back(*collector);
        }
    }
    // One thread for the cluster file system, some for tools and for files.
    for (number, (lane, workers)) in lanes.iter_mut().zip([1, 6, 3]).enumerate() {
        for _ in 0..workers {
            lane.hire(number, host, &sender);
        }
    }
    while !waiting.is_empty() && Instant::now() < deadline {
        if let Some((number, sample)) = next(&receiver, deadline) {
            waiting.retain(|collector| collector.name != sample.collector);
            if let Some(lane) = lanes.get_mut(number) {
                lane.moved_at = Instant::now();
            }
            keep(sample);
        }
        for (number, lane) in lanes.iter_mut().enumerate() {
            if lane.is_stuck() {
                lane.hire(number, host, &sender);
            }
        }
    }
    for collector in waiting {
        let detail = format!("no result within {within:?}");
        let error = SourceError::new("", FailureKind::TimedOut, detail);
        keep(failed(&collector, host, error, within));
    }
}

/// What comes next, unless nothing does for a while.
fn next(receiver: &Receiver<(usize, Sample)>, deadline: Instant) -> Option<(usize, Sample)> {
    let left = deadline.saturating_duration_since(Instant::now());
    // The sender of this thread lives, so the only error is that of the time.
    receiver.recv_timeout(left.min(STUCK)).ok()
}

fn lane_of(collector: &Collector) -> usize {
    if !collector.probes.is_empty() {
        1
    } else if collector
        .paths
        .iter()
        .any(|path| path.starts_with("/etc/pve"))
    {
        0
    } else {
        2
    }
}

impl Lane {
    fn new() -> Self {
        Self {
            queue: Arc::default(),
            workers: 0,
            moved_at: Instant::now(),
        }
    }

    fn queue(&self) -> std::sync::MutexGuard<'_, VecDeque<Collector>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_stuck(&self) -> bool {
        self.workers < WORKERS && self.moved_at.elapsed() >= STUCK && !self.queue().is_empty()
    }

    /// One more thread for the queue. Where none can be started, what is left in
    /// the queue is named at the deadline.
    fn hire(&mut self, number: usize, host: &Arc<Host>, sender: &Sender<(usize, Sample)>) {
        let (queue, host, sender) = (Arc::clone(&self.queue), Arc::clone(host), sender.clone());
        self.workers = self.workers.saturating_add(1);
        self.moved_at = Instant::now();
        let work = move || {
            loop {
                let next = queue
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .pop_front();
                let Some(collector) = next else { return };
                // Nobody listens any more after the deadline.
                if sender.send((number, caught(&collector, &host))).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().spawn(work).ok();
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write the tree they read")]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    #[test]
    fn every_wanted_collector_gives_one_sample() {
        let directory = tempfile::TempDir::new().unwrap();
        fs::create_dir(directory.path().join("proc")).unwrap();
        let host = Arc::new(Host::open(directory.path()).unwrap());
        let mut samples = Vec::new();
        let wanted = |collector: &Collector| collector.name != "cpu";
        collect(&host, Duration::from_secs(60), wanted, |sample| {
            samples.push(sample);
        });
        let names: BTreeSet<_> = samples.iter().map(|s| s.collector.as_str()).collect();
        assert_eq!(names.len(), COLLECTORS.len() - 1);
        assert_eq!(samples.len(), names.len());
        assert!(!names.contains("cpu"));
    }

    #[test]
    fn without_time_every_collector_is_named() {
        let directory = tempfile::TempDir::new().unwrap();
        let host = Arc::new(Host::open(directory.path()).unwrap());
        let mut samples = Vec::new();
        collect(
            &host,
            Duration::ZERO,
            |_| true,
            |sample| samples.push(sample),
        );
        assert_eq!(samples.len(), COLLECTORS.len());
        for sample in samples {
            assert_eq!(sample.failures[0].kind(), FailureKind::TimedOut);
        }
    }
}
