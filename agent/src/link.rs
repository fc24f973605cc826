//! The byte pipe between coordinators elsewhere and `link.sock` of the agent: it
//! dials, connects the agent, copies, and backs off when that ends.
//!
//! It runs as its own unit, which has the network and no files, while the agent
//! has files and no network. It knows nothing of TLS or gRPC: the agent is the
//! server and judges who is at the other end, so what goes by here is ciphertext,
//! and a link that is refused ends as any other.
//!
//! The coordinator comes first: it speaks first, at once, so neither end waits
//! for the other. An agent that was connected first would spend one of its few
//! places for handshakes on a coordinator that may be off for days.

use std::{
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use tokio::{
    net::TcpStream,
    sync::{Notify, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

mod address;
mod backoff;
mod coordinator;
mod dial;
mod pipe;
mod report;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests are both ends")]
mod tests;

pub use address::{Address, AddressError};
pub use coordinator::{Coordinator, CoordinatorError, merged};
pub use report::{States, summary};

use backoff::{Backoff, STEADY};
use dial::{DialError, Dialer};
use pipe::{End, carry};
use report::Reporter;

/// The first wait after an attempt.
const FIRST_DELAY: Duration = Duration::from_secs(1);

/// Keeps one link to each coordinator until `shutdown`, then ends them in order.
/// `states` is told how each of them is, in their order.
///
/// # Errors
/// When a link panicked.
pub async fn run(
    coordinators: &[Coordinator],
    agent: &Path,
    states: &watch::Sender<States>,
    shutdown: &CancellationToken,
) -> Result<(), JoinError> {
    let mut links = JoinSet::new();
    for (place, coordinator) in coordinators.iter().enumerate() {
        let link = Link {
            coordinator: coordinator.clone(),
            place: 0,
            agent: agent.to_owned(),
            backoff: Backoff::new(FIRST_DELAY),
            dialer: Dialer::new(),
            reporter: Reporter::new(coordinator, place, states.clone()),
        };
        links.spawn(link.follow(shutdown.clone()));
    }
    while let Some(link) = links.join_next().await {
        link?;
    }
    Ok(())
}

struct Link {
    coordinator: Coordinator,
    /// Of the address that is tried first: the one that worked last.
    place: usize,
    agent: PathBuf,
    backoff: Backoff,
    dialer: Dialer,
    reporter: Reporter,
}

/// How one attempt went.
#[derive(Debug)]
enum Outcome {
    Unreached(DialError),
    Ended(Ended),
}

/// A link that was there.
#[derive(Debug)]
struct Ended {
    end: End,
    lasted: Duration,
    to_agent: u64,
    to_coordinator: u64,
}

/// What a link carried so far.
#[derive(Debug, Default)]
struct Traffic {
    to_agent: AtomicU64,
    to_coordinator: AtomicU64,
    /// The agent sent its first bytes.
    answered: Notify,
}

impl Link {
    async fn follow(mut self, shutdown: CancellationToken) {
        while let Some(outcome) = self.attempt(&shutdown).await {
            if shutdown.is_cancelled() {
                self.reporter.stopped(&outcome);
                return;
            }
            if outcome.is_no_link() {
                self.place = self.place.wrapping_add(1) % self.coordinator.count();
            }
            let delay = self.backoff.after(outcome.lasted());
            self.reporter.waiting(&outcome, delay);
            if shutdown.run_until_cancelled(sleep(delay)).await.is_none() {
                return;
            }
        }
    }

    /// The first address that answers, from the one that worked last, and its place.
    async fn coordinator(&self) -> Result<(usize, TcpStream), DialError> {
        let mut failures = Vec::new();
        for step in 0..self.coordinator.count() {
            let place = self.place.wrapping_add(step) % self.coordinator.count();
            match self.dialer.coordinator(self.coordinator.at(place)).await {
                Ok(stream) => return Ok((place, stream)),
                Err(error) => failures.push(error),
            }
        }
        Err(DialError::of_all(failures))
    }

    /// One link, or none when it was told to stop before there was one.
    async fn attempt(&mut self, shutdown: &CancellationToken) -> Option<Outcome> {
        self.reporter.connecting();
        let connected = async {
            let (place, coordinator) = self.coordinator().await?;
            Ok((place, coordinator, dial::agent(&self.agent).await?))
        };
        let (place, coordinator, agent) = match shutdown.run_until_cancelled(connected).await? {
            Ok(ends) => ends,
            Err(error) => return Some(Outcome::Unreached(error)),
        };
        self.place = place;
        self.reporter.connected(self.coordinator.at(place));
        let since = Instant::now();
        let traffic = Traffic::default();
        let mut carried = std::pin::pin!(carry(
            coordinator,
            agent,
            |bytes| {
                traffic.to_agent.fetch_add(bytes, Ordering::Relaxed);
            },
            |bytes| {
                if traffic.to_coordinator.fetch_add(bytes, Ordering::Relaxed) == 0 {
                    traffic.answered.notify_one();
                }
            },
            shutdown,
        ));
        let mut steady = std::pin::pin!(sleep(STEADY));
        let (mut has_answered, mut is_steady) = (false, false);
        let end = loop {
            tokio::select! {
                end = &mut carried => break end,
                () = traffic.answered.notified() => {
                    has_answered = true;
                    self.reporter.answered(is_steady);
                }
                () = &mut steady, if !is_steady => {
                    is_steady = true;
                    if has_answered {
                        self.reporter.answered(is_steady);
                    }
                }
            }
        };
        Some(Outcome::Ended(Ended {
            end,
            lasted: since.elapsed(),
            to_agent: traffic.to_agent.load(Ordering::Relaxed),
            to_coordinator: traffic.to_coordinator.load(Ordering::Relaxed),
        }))
    }
}

impl Outcome {
    /// Somebody is at this address, and it came to nothing: another one may be better.
    fn is_no_link(&self) -> bool {
        matches!(self, Self::Ended(ended) if !ended.was_up())
    }

    fn lasted(&self) -> Duration {
        match self {
            Self::Unreached(_) => Duration::ZERO,
            Self::Ended(ended) => ended.lasted,
        }
    }
}
