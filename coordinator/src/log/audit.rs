//! Who did what, for the store beside the log.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Debug,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{Layer, layer::Context};

use super::AUDIT;

/// Acts that wait for the store; the oldest go first.
const WAITING: usize = 10_000;
/// Of statements the store has records of their own.
const RECORDED: &str = "statement";

/// Something that somebody did with the coordinator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Act {
    pub at: Timestamp,
    /// `recheck`, `a node joined`.
    pub what: String,
    /// By name of the field.
    pub fields: BTreeMap<String, String>,
}

/// Acts that were logged and wait to be taken.
#[derive(Debug, Clone, Default)]
pub(super) struct Acts {
    waiting: Arc<Mutex<VecDeque<Act>>>,
}

impl Acts {
    pub(super) fn take(&self) -> Vec<Act> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).into()
    }
}

impl<S: Subscriber> Layer<S> for Acts {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != AUDIT {
            return;
        }
        let mut fields = Fields::default();
        event.record(&mut fields);
        if fields.0.contains_key(RECORDED) {
            return;
        }
        #[expect(
            clippy::disallowed_methods,
            reason = "a log has the time at which it is written"
        )]
        let at = Timestamp::now();
        let act = Act {
            at,
            what: fields.0.remove("message").unwrap_or_default(),
            fields: fields.0,
        };
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() >= WAITING {
            waiting.pop_front();
        }
        waiting.push_back(act);
    }
}

#[derive(Default)]
struct Fields(BTreeMap<String, String>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.insert(field.name().to_owned(), format!("{value:?}"));
    }
}

#[cfg(test)]
mod tests {
    use tracing::{info, subscriber::with_default};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

    #[test]
    fn acts_are_kept_with_their_fields_and_nothing_else_is() {
        let acts = Acts::default();
        with_default(tracing_subscriber::registry().with(acts.clone()), || {
            info!("no act");
            info!(target: AUDIT, role = "operator", resolved = 3, client = %"alice", "recheck");
            info!(target: AUDIT, statement = "01234567", "statement made");
        });
        let taken = acts.take();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0].what, "recheck");
        let fields: Vec<(&str, &str)> = taken[0]
            .fields
            .iter()
            .map(|(name, value)| (&**name, &**value))
            .collect();
        assert_eq!(
            fields,
            [("client", "alice"), ("resolved", "3"), ("role", "operator")]
        );
        assert!(acts.take().is_empty());
    }
}
