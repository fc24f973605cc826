//! Running collectors so that none can harm another.
//!
//! A collector blocks: each run has a thread of its own, a deadline, and one
//! flight at a time. A run that hangs costs that thread, a panic costs one
//! sample. Both are facts, and so is what a run that hangs was reading.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use pvelens_proto::agent::v1::{FailureKind, Sample};

use super::{Collector, collect_watched, empty_sample, microseconds, reading::failure};
use crate::{
    flight::{Lost, SingleFlight},
    host::{Host, SourceError},
};

/// Runs one collector again and again.
#[derive(Debug)]
pub struct Runner {
    collector: Collector,
    flight: SingleFlight,
    /// Of the run that is under way.
    whereabouts: Arc<Whereabouts>,
}

/// What a run is reading, for whoever waits for it in vain.
#[derive(Debug, Default)]
pub(super) struct Whereabouts(Mutex<String>);

impl Runner {
    #[must_use]
    pub fn new(collector: Collector) -> Self {
        Self {
            collector,
            flight: SingleFlight::new(collector.name),
            whereabouts: Arc::default(),
        }
    }

    /// Whether a run has begun and not ended; beyond the deadline it hangs.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.flight.is_under_way()
    }

    #[must_use]
    pub fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Runs the collector once and waits until its deadline at most.
    pub async fn run(&self, host: &Arc<Host>) -> Sample {
        let (collector, root) = (self.collector, Arc::clone(host));
        let whereabouts = Arc::clone(&self.whereabouts);
        let run = move || caught_at(&collector, &root, &whereabouts);
        let begun = Instant::now();
        match self.flight.run(self.collector.deadline, run).await {
            Ok(sample) => sample,
            Err(lost) => {
                let (kind, path) = match lost {
                    Lost::InProgress => (FailureKind::InProgress, self.whereabouts.get()),
                    Lost::NotStarted(_) => (FailureKind::Io, String::new()),
                    Lost::Panicked => (FailureKind::Panicked, String::new()),
                    Lost::TimedOut(_) => (FailureKind::TimedOut, self.whereabouts.get()),
                };
                let error = SourceError::new(&path, kind, lost.to_string());
                failed(&self.collector, host, error, begun.elapsed())
            }
        }
    }
}

impl Whereabouts {
    /// Is at a path while something is read there.
    pub(super) fn at<T>(&self, path: &str, read: impl FnOnce() -> T) -> T {
        self.lock().push_str(path);
        let read = read();
        self.lock().clear();
        read
    }

    fn get(&self) -> String {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs a collector and turns a panic into a sample. Collectors keep no state,
/// so nothing can be left half-changed.
pub(crate) fn caught(collector: &Collector, host: &Host) -> Sample {
    caught_at(collector, host, &Whereabouts::default())
}

fn caught_at(collector: &Collector, host: &Host, whereabouts: &Whereabouts) -> Sample {
    let begun = Instant::now();
    catch_unwind(AssertUnwindSafe(|| {
        collect_watched(collector, host, whereabouts)
    }))
    .unwrap_or_else(|panic| {
        // It unwound out of a read, if it was in one.
        whereabouts.lock().clear();
        let error = SourceError::new("", FailureKind::Panicked, panic_text(&*panic));
        failed(collector, host, error, begun.elapsed())
    })
}

/// The sample of a run that gave none.
pub(crate) fn failed(
    collector: &Collector,
    host: &Host,
    error: SourceError,
    took: Duration,
) -> Sample {
    Sample {
        duration_microseconds: microseconds(took),
        failures: vec![failure(error)],
        ..empty_sample(collector, host.now())
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without text")
}

#[cfg(test)]
mod tests {
    use std::{
        path::Path,
        sync::atomic::{AtomicBool, Ordering},
        thread,
    };

    use pvelens_proto::agent::v1::{CollectionClass, Load};

    use super::*;
    use crate::collector::{CollectError, Payload, Reading};

    fn collector(collect: fn(&mut Reading<'_>) -> Result<Payload, CollectError>) -> Runner {
        Runner::new(Collector {
            name: "test",
            summary: "test",
            class: CollectionClass::Fast,
            interval: Duration::from_secs(10),
            deadline: Duration::from_millis(500),
            paths: &["/test"],
            probes: &[],
            collect,
        })
    }

    fn host() -> Arc<Host> {
        Arc::new(Host::open(Path::new("/")).unwrap())
    }

    fn kinds(sample: &Sample) -> Vec<FailureKind> {
        sample
            .failures
            .iter()
            .map(|failure| failure.kind())
            .collect()
    }

    #[tokio::test]
    async fn a_panic_is_a_failure_with_its_text_and_the_next_run_goes_on() {
        let runner = collector(|_| panic!("boom"));
        for _ in 0..2 {
            let sample = runner.run(&host()).await;
            assert_eq!(kinds(&sample), [FailureKind::Panicked]);
            assert_eq!(sample.failures[0].detail, "boom");
            assert_eq!(sample.payload, None);
        }
    }

    #[tokio::test]
    async fn a_hung_run_times_out_and_is_not_started_twice() {
        static RELEASE: AtomicBool = AtomicBool::new(false);
        let runner = collector(|_| {
            while !RELEASE.load(Ordering::Acquire) {
                thread::sleep(Duration::from_millis(1));
            }
            Ok(Payload::Load(Load::default()))
        });
        assert_eq!(kinds(&runner.run(&host()).await), [FailureKind::TimedOut]);
        assert_eq!(kinds(&runner.run(&host()).await), [FailureKind::InProgress]);
        RELEASE.store(true, Ordering::Release);
        let mut sample = runner.run(&host()).await;
        while kinds(&sample) == [FailureKind::InProgress] {
            tokio::time::sleep(Duration::from_millis(1)).await;
            sample = runner.run(&host()).await;
        }
        assert!(sample.payload.is_some());
    }

    #[tokio::test]
    async fn nothing_to_collect_is_no_failure() {
        let sample = collector(|_| Err(CollectError::NoData("no such thing")))
            .run(&host())
            .await;
        assert_eq!(kinds(&sample), []);
        assert!(matches!(sample.payload, Some(Payload::NoData(_))));
    }
}
