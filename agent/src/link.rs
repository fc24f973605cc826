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
    sync::{Notify, watch},
    task::{JoinError, JoinSet},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

mod address;
mod backoff;
mod dial;
mod pipe;
mod report;
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests are both ends")]
mod tests;

pub use address::{Address, AddressError};
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
    coordinators: &[Address],
    agent: &Path,
    states: &watch::Sender<States>,
    shutdown: &CancellationToken,
) -> Result<(), JoinError> {
    let mut links = JoinSet::new();
    for (place, coordinator) in coordinators.iter().enumerate() {
        let link = Link {
            coordinator: coordinator.clone(),
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
    coordinator: Address,
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
            let delay = self.backoff.after(outcome.lasted());
            self.reporter.waiting(&outcome, delay);
            if shutdown.run_until_cancelled(sleep(delay)).await.is_none() {
                return;
            }
        }
    }

    /// One link, or none when it was told to stop before there was one.
    async fn attempt(&mut self, shutdown: &CancellationToken) -> Option<Outcome> {
        self.reporter.connecting();
        let connected = async {
            let coordinator = self.dialer.coordinator(&self.coordinator).await?;
            Ok((coordinator, dial::agent(&self.agent).await?))
        };
        let (coordinator, agent) = match shutdown.run_until_cancelled(connected).await? {
            Ok(ends) => ends,
            Err(error) => return Some(Outcome::Unreached(error)),
        };
        self.reporter.connected();
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
    fn lasted(&self) -> Duration {
        match self {
            Self::Unreached(_) => Duration::ZERO,
            Self::Ended(ended) => ended.lasted,
        }
    }
}
