//! What systemd is told about the agent, and the cage checked on the way.
//!
//! Everything here follows the ticks of the sampling loop: when that is stuck,
//! the watchdog hears nothing and systemd starts the agent anew.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use sd_notify::NotifyState;
use tokio::sync::watch;
use tracing::debug;

use super::plain;
use crate::{
    cage::{Cage, Violation},
    flight::SingleFlight,
    service::NodeAgent,
    spool::Spool,
};

/// A systemd that takes no messages is itself in trouble; the agent goes on.
const NOTIFY_DEADLINE: Duration = Duration::from_secs(1);

pub(super) struct Overseer {
    pub(super) ticks: watch::Receiver<u64>,
    pub(super) spool: Arc<Spool>,
    pub(super) agent: NodeAgent,
    /// Only inside the sandbox.
    pub(super) cage: Option<Cage>,
    pub(super) systemd: Systemd,
}

impl Overseer {
    /// Goes on until the cage is broken, and tells how.
    pub(super) async fn run(&mut self) -> Violation {
        let mut news = self.spool.subscribe();
        let mut newest = None;
        let mut ready = false;
        loop {
            tokio::select! {
                tick = self.ticks.changed() => if tick.is_err() {
                    // The sampling ended, which `run` sees itself.
                    return std::future::pending().await;
                },
                Ok(()) = news.changed() => {
                    newest = Some((*news.borrow_and_update(), Timestamp::now()));
                    continue;
                }
            }
            let status = NotifyState::Status(&self.status(newest)).to_string();
            let mut states = vec![NotifyState::Watchdog, NotifyState::Custom(&status)];
            if !std::mem::replace(&mut ready, true) {
                states.push(NotifyState::Ready);
            }
            self.systemd.notify(&states).await;
            if let Some(cage) = &mut self.cage
                && let Some(violation) = cage.check().await
            {
                return violation;
            }
        }
    }

    /// One line for `systemctl status`.
    fn status(&self, newest: Option<(u64, Timestamp)>) -> String {
        let name = match self.agent.node_name() {
            name if name.is_empty() => "node without name".to_owned(),
            // A line break would begin another message to systemd.
            name => plain(&name),
        };
        match newest {
            Some((sequence, at)) => format!("{name}: newest samples at {at:.0}, update {sequence}"),
            None => format!("{name}: no samples yet"),
        }
    }
}

/// The service manager, if one started this process and wants to be told.
pub(super) struct Systemd(SingleFlight);

impl Systemd {
    pub(super) fn new() -> Self {
        Self(SingleFlight::new("notify"))
    }

    pub(super) async fn notify(&self, states: &[NotifyState<'_>]) {
        let states: Vec<String> = states.iter().map(ToString::to_string).collect();
        let send = move || {
            let states: Vec<NotifyState<'_>> = states
                .iter()
                .map(|state| NotifyState::Custom(state))
                .collect();
            sd_notify::notify(&states)
        };
        match self.0.run(NOTIFY_DEADLINE, send).await {
            Ok(Ok(())) => {}
            // Its own watchdog is what reports this.
            Ok(Err(error)) => debug!(%error, "systemd was not told"),
            Err(error) => debug!(%error, "systemd was not told"),
        }
    }
}
