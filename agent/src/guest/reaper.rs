//! Fetches the results of programs that did not end in time: a guest agent keeps each
//! until somebody asks, and its memory is the guest's.

use std::{sync::Arc, time::Duration};

use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use super::{Guests, execute, resolve, traffic::Left};
use crate::{
    audit,
    guest_socket::qga::{Answer, Cut},
};

/// Between two looks.
const PAUSE: Duration = Duration::from_secs(30);
/// After which nobody asks any more.
const PATIENCE: SignedDuration = SignedDuration::from_hours(24);
/// Of the result only the end is wanted.
const LONGEST_STRING: usize = 64;

impl Guests {
    /// Looks after what was left running until `shutdown`.
    pub async fn look_after(self: Arc<Self>, shutdown: CancellationToken) {
        let looking = async {
            loop {
                tokio::time::sleep(PAUSE).await;
                let guests = Arc::clone(&self);
                let looked = tokio::task::spawn_blocking(move || guests.reap());
                if let Err(error) = looked.await {
                    tracing::error!(%error, "looking after guest commands failed");
                }
            }
        };
        shutdown.run_until_cancelled(looking).await;
    }

    /// One look at everything that was left running.
    pub fn reap(&self) {
        for left in self.traffic.left() {
            let Some(outcome) = self.end_of(&left) else {
                continue;
            };
            self.traffic.forget(&left);
            let event = audit::Event::reaped(audit::Reaped {
                request_id: left.request_id,
                vmid: left.vmid,
                outcome: outcome.to_owned(),
            });
            if let Err(error) = self.audit.append(event) {
                tracing::error!(%error, "the end of a guest command could not be written down");
            }
        }
    }

    /// How it ended, if it did.
    fn end_of(&self, left: &Left) -> Option<&'static str> {
        if resolve::process(&self.host, left.vmid) != Some(left.process) {
            return Some("vm_stopped");
        }
        if self.host.now().duration_since(left.since).abs() > PATIENCE {
            return Some("given_up");
        }
        let id = execute::next_id(&self.sync_ids);
        match execute::status(&self.host, left.vmid, id, left.guest_pid, LONGEST_STRING) {
            Ok(Answer::Returned(Cut { value, .. })) => value.exited.then_some("ended"),
            // Frozen, and asked again later.
            Ok(Answer::Refused(complaint)) if complaint.is_disabled() => None,
            Ok(Answer::Refused(_)) => Some("lost"),
            Err(_) => None,
        }
    }
}
