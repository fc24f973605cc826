//! What systemd is told: that we serve, how it is, and that evaluations go on.
//! Without systemd nobody is told anything.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use sd_notify::NotifyState;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::{
    answer::finding::is_open,
    config::Evaluation,
    coordinator::{Coordinator, Current},
};

/// Between two changes of the status line.
const STATUS_INTERVAL: Duration = Duration::from_secs(10);

/// The service manager of this process.
#[derive(Debug)]
pub(super) struct Manager {
    /// It ends a process that did not say for so long that it works.
    watchdog: Option<Duration>,
    /// The last word did not reach it.
    failed: AtomicBool,
}

impl Manager {
    pub(super) fn of_process() -> Self {
        Self {
            watchdog: sd_notify::watchdog_enabled(),
            failed: AtomicBool::new(false),
        }
    }

    /// Everything serves, and the first evaluation is done.
    pub(super) fn ready(&self) {
        self.tell(&[NotifyState::Ready]);
    }

    /// Settings are read again; `ready` says when that is done.
    pub(super) fn reloading(&self) {
        self.tell(&[NotifyState::Reloading]);
    }

    pub(super) fn stopping(&self) {
        self.tell(&[NotifyState::Stopping]);
    }

    /// An evaluation has ended. Nothing else keeps the watchdog calm: one that
    /// hangs is ended by systemd with the whole process, and started anew.
    pub(super) fn turned(&self) {
        if self.watchdog.is_some() {
            self.tell(&[NotifyState::Watchdog]);
        }
    }

    /// Intervals at which the watchdog hears from us in time.
    pub(super) fn intervals(&self, wanted: &Evaluation) -> (Duration, Duration) {
        let wanted = (wanted.minimum(), wanted.maximum());
        let Some(watchdog) = self.watchdog else {
            return wanted;
        };
        // The other half is for the evaluation itself.
        let longest = watchdog / 2;
        let (minimum, maximum) = (wanted.0.min(longest), wanted.1.min(longest));
        if (minimum, maximum) != wanted {
            info!(
                ?longest,
                "evaluating more often, for the watchdog of systemd"
            );
        }
        (minimum, maximum)
    }

    /// Keeps the status line of `systemctl status` true.
    pub(super) async fn tell_status(self: Arc<Self>, coordinator: Arc<Coordinator>) {
        let mut states = coordinator.subscribe();
        let mut told = String::new();
        loop {
            let status = status(&states.borrow_and_update());
            if status != told {
                self.tell(&[NotifyState::Status(&status)]);
                told = status;
            }
            sleep(STATUS_INTERVAL).await;
            if states.changed().await.is_err() {
                return;
            }
        }
    }

    fn tell(&self, words: &[NotifyState<'_>]) {
        let told = sd_notify::notify(words);
        let failed_before = self.failed.swap(told.is_err(), Ordering::Relaxed);
        if let Err(error) = told
            && !failed_before
        {
            warn!(%error, "systemd was not reached");
        }
    }
}

fn status(current: &Current) -> String {
    let connected = current.agents.iter().filter(|agent| agent.connected);
    let open = current.findings.iter().filter(|finding| is_open(finding));
    format!(
        "clusters: {}, nodes: {}, agents connected: {} of {}, open findings: {}",
        current.view.clusters.len(),
        current.view.nodes.len(),
        connected.count(),
        current.agents.len(),
        open.count()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        answer::tests::{current, open},
        finding::Severity,
    };

    fn watched(seconds: Option<u64>) -> Manager {
        Manager {
            watchdog: seconds.map(Duration::from_secs),
            failed: AtomicBool::new(false),
        }
    }

    #[test]
    fn evaluations_come_in_time_for_the_watchdog() {
        let slow = Evaluation {
            minimum_interval_milliseconds: 45_000,
            maximum_interval_seconds: 60,
        };
        let seconds =
            |minimum, maximum| (Duration::from_secs(minimum), Duration::from_secs(maximum));
        assert_eq!(watched(None).intervals(&slow), seconds(45, 60));
        assert_eq!(watched(Some(60)).intervals(&slow), seconds(30, 30));
        let usual = Evaluation::default();
        assert_eq!(watched(Some(60)).intervals(&usual), seconds(1, 10));
    }

    #[test]
    fn the_status_counts_what_is_open() {
        let mut current = current();
        current.findings = vec![open("a.b", "node/pve1", Severity::Warning)];
        assert_eq!(
            status(&current),
            "clusters: 1, nodes: 3, agents connected: 0 of 0, open findings: 1"
        );
    }
}
