//! Where the record of guest commands of a connected agent ends: as its heartbeats
//! say, and as it answers when what they say does not fit what is known.

use std::sync::{Arc, Mutex, PoisonError};

use pvelens_proto::agent::v1::AuditHead;
use tokio::{
    sync::Semaphore,
    time::{Duration, Instant},
};

use super::{connection::Context, handle::Held};
use crate::guest_command::heads::{self, Noted};

/// Between two questions about the record of guest commands.
const INTERVAL: Duration = Duration::from_secs(60);

/// What is known of the record of one connection.
#[derive(Debug)]
pub(super) struct Audit {
    /// When the agent was last asked.
    asked: Mutex<Option<Instant>>,
    /// Held while it is asked.
    asking: Arc<Semaphore>,
}

impl Audit {
    pub(super) fn new() -> Self {
        Self {
            asked: Mutex::default(),
            asking: Arc::new(Semaphore::new(1)),
        }
    }

    /// Asks when it is time to.
    pub(super) fn keep_up(&self, context: &Context, held: &Held<'_>) {
        if self.last_asked().is_none_or(|at| at.elapsed() >= INTERVAL) {
            self.ask(context, held, None);
        }
    }

    /// Keeps where the record ends, as a heartbeat says. What is not seen from the end
    /// alone is asked for.
    pub(super) fn note(&self, context: &Context, held: &Held<'_>, head: &AuditHead) {
        let heads = context.coordinator.guest_commands().heads();
        match heads.note(&held.place(), head, context.now()) {
            Noted::Unchanged => {}
            Noted::Doubtful(known) => self.ask(context, held, Some(known)),
            // What was known is compared once for each connection.
            Noted::Ahead(known) => {
                heads::save_soon(&context.coordinator);
                if self.last_asked().is_none() {
                    self.ask(context, held, known);
                }
            }
            Noted::Problem => {
                heads::save_soon(&context.coordinator);
                context.news.notify_one();
            }
        }
    }

    /// Asks where the record ends, beside the stream: there are no heartbeats while
    /// there are samples.
    fn ask(&self, context: &Context, held: &Held<'_>, known: Option<heads::Head>) {
        // One question at a time, however much comes.
        let Ok(turn) = Arc::clone(&self.asking).try_acquire_owned() else {
            return;
        };
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        let (context, now) = (context.clone(), context.now());
        let (place, agent) = (held.place(), held.handle());
        // Ends by itself within the deadline of the call.
        tokio::spawn(async move {
            let heads = context.coordinator.guest_commands().heads();
            let known = known.or(heads.of(&place));
            let after = known
                .as_ref()
                .map_or(0, |known| known.sequence.saturating_sub(1));
            // Without an answer it is asked again later.
            if let Ok(answer) = agent.list_audit(after, 1).await
                && heads.compare(&place, known.as_ref(), &answer, now)
            {
                heads::save_soon(&context.coordinator);
                context.news.notify_one();
            }
            drop(turn);
        });
    }

    fn last_asked(&self) -> Option<Instant> {
        *self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
