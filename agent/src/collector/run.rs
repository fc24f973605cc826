//! Running collectors so that none can harm another.
//!
//! A collector blocks: each run has a thread of its own, a deadline, and one
//! flight at a time. A run that hangs (a dead `/etc/pve`, a lost disk) costs one
//! thread until it ends by itself; a panic costs one sample. Both are facts.
//! A shared thread pool was rejected: hung runs would starve it.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use pvelens_proto::agent::v1::{FailureKind, Sample};
use tokio::{sync::oneshot, time::timeout};

use super::{Collector, collect_once, empty_sample, failure};
use crate::host::{Host, SourceError};

/// Runs one collector again and again.
#[derive(Debug)]
pub struct Runner {
    collector: Collector,
    in_flight: Arc<AtomicBool>,
}

impl Runner {
    #[must_use]
    pub fn new(collector: Collector) -> Self {
        Self {
            collector,
            in_flight: Arc::default(),
        }
    }

    #[must_use]
    pub fn collector(&self) -> &Collector {
        &self.collector
    }

    /// Runs the collector once and waits until its deadline at most.
    pub async fn run(&self, host: &Arc<Host>) -> Sample {
        if self.in_flight.swap(true, Ordering::AcqRel) {
            return self.failed(
                host,
                FailureKind::InProgress,
                "the previous run still hangs",
            );
        }
        let (sender, receiver) = oneshot::channel();
        let flight = Flight(Arc::clone(&self.in_flight));
        let (collector, root) = (self.collector, Arc::clone(host));
        let spawned = thread::Builder::new()
            .name(collector.name.to_owned())
            .spawn(move || {
                let sample = caught(&collector, &root);
                // The flight ends before the result is seen, so that the next
                // run never meets a flight that has landed.
                drop(flight);
                // Nobody waits any more after the deadline.
                drop(sender.send(sample));
            });
        if let Err(error) = spawned {
            return self.failed(
                host,
                FailureKind::Io,
                &format!("starting a thread: {error}"),
            );
        }
        match timeout(self.collector.deadline, receiver).await {
            Ok(Ok(sample)) => sample,
            Ok(Err(_)) => self.failed(host, FailureKind::Panicked, "ended without a result"),
            Err(_) => self.failed(
                host,
                FailureKind::TimedOut,
                &format!("no result within {:?}", self.collector.deadline),
            ),
        }
    }

    fn failed(&self, host: &Host, kind: FailureKind, detail: &str) -> Sample {
        failed(&self.collector, host, kind, detail)
    }
}

/// Marks the end of a run, also when it unwinds.
#[derive(Debug)]
struct Flight(Arc<AtomicBool>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Release);
    }
}

/// Runs a collector and turns a panic into a sample. Collectors keep no state,
/// so nothing can be left half-changed.
pub(crate) fn caught(collector: &Collector, host: &Host) -> Sample {
    catch_unwind(AssertUnwindSafe(|| collect_once(collector, host)))
        .unwrap_or_else(|panic| failed(collector, host, FailureKind::Panicked, panic_text(&*panic)))
}

fn failed(collector: &Collector, host: &Host, kind: FailureKind, detail: &str) -> Sample {
    Sample {
        failures: vec![failure(SourceError::new("", kind, detail))],
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
    use std::{path::Path, time::Duration};

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
        while runner.in_flight.load(Ordering::Acquire) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert!(runner.run(&host()).await.payload.is_some());
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
