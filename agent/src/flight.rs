//! Work that may hang: a thread of its own, a deadline, and one flight at a time.
//!
//! What hangs (a dead `/etc/pve`, a lost disk) costs one thread until it ends by
//! itself. A shared thread pool was rejected: hung work would starve it.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use tokio::{sync::oneshot, time::timeout};

/// Starts the same work again and again, never twice at a time.
#[derive(Debug)]
pub(crate) struct SingleFlight {
    name: &'static str,
    in_flight: Arc<AtomicBool>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Lost {
    #[error("the previous run still hangs")]
    InProgress,
    #[error("starting a thread: {0}")]
    NotStarted(io::Error),
    #[error("ended without a result")]
    Panicked,
    #[error("no result within {0:?}")]
    TimedOut(Duration),
}

impl SingleFlight {
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            in_flight: Arc::default(),
        }
    }

    /// Whether a run has begun and not ended.
    pub(crate) fn is_under_way(&self) -> bool {
        self.in_flight.load(Ordering::Acquire)
    }

    /// Does the work and waits until the deadline at most.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        deadline: Duration,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Lost> {
        if self.in_flight.swap(true, Ordering::AcqRel) {
            return Err(Lost::InProgress);
        }
        let (sender, receiver) = oneshot::channel();
        let flight = Flight(Arc::clone(&self.in_flight));
        thread::Builder::new()
            .name(self.name.to_owned())
            .spawn(move || {
                let result = work();
                // The flight ends before the result is seen, so that the next
                // run never meets a flight that has landed.
                drop(flight);
                // Nobody waits any more after the deadline.
                drop(sender.send(result));
            })
            .map_err(Lost::NotStarted)?;
        match timeout(deadline, receiver).await {
            Ok(result) => result.map_err(|_| Lost::Panicked),
            Err(_) => Err(Lost::TimedOut(deadline)),
        }
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
