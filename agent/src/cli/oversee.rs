//! What systemd is told about the agent, and the cage checked on the way.
//!
//! Everything here follows the ticks of the sampling loop: when that is stuck,
//! the watchdog hears nothing and systemd starts the agent anew.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;

use super::{plain, systemd::Systemd};
use crate::{
    cage::{Cage, Violation},
    service::NodeAgent,
    spool::Spool,
};

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
            if let Some(cage) = &mut self.cage
                && let Some(violation) = cage.check().await
            {
                return violation;
            }
            let mut message = format!("WATCHDOG=1\nSTATUS={}\n", self.status(newest));
            if !std::mem::replace(&mut ready, true) {
                message.push_str("READY=1\n");
            }
            self.systemd.tell(message).await;
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
