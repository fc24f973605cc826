//! The connections that are open, so that each can be cut when its certificate is
//! revoked or ends.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jiff::Timestamp;
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::{
    port::{Port, Turned},
    trust::{ClientCertificate, Trust},
};

#[derive(Debug, Default)]
pub(super) struct Live(Mutex<Connections>);

#[derive(Debug, Default)]
struct Connections {
    last: u64,
    open: BTreeMap<u64, One>,
}

#[derive(Debug)]
struct One {
    /// `None` = a stranger, whose time is short anyway.
    certificate: Option<ClientCertificate>,
    cut: CancellationToken,
}

/// A connection among the open ones, until it is dropped.
#[derive(Debug)]
pub(super) struct Entry {
    live: Weak<Live>,
    number: u64,
    pub(super) cut: CancellationToken,
}

impl Live {
    pub(super) fn enter(self: &Arc<Self>, certificate: Option<ClientCertificate>) -> Entry {
        let cut = CancellationToken::new();
        let mut connections = self.lock();
        connections.last += 1;
        let number = connections.last;
        let one = One {
            certificate,
            cut: cut.clone(),
        };
        connections.open.insert(number, one);
        Entry {
            live: Arc::downgrade(self),
            number,
            cut,
        }
    }

    /// Cuts those whose certificate is not good any more, and says why.
    pub(super) fn cut(&self, trust: &Trust, now: Timestamp, port: &Port) {
        for one in self.lock().open.values() {
            let Some(certificate) = &one.certificate else {
                continue;
            };
            let reason = if trust.is_revoked(&certificate.serial) {
                "its certificate was revoked"
            } else if certificate.expires_at <= now {
                "its certificate has ended"
            } else {
                continue;
            };
            if !one.cut.is_cancelled() {
                port.turn_away(Turned::Cut);
                info!(client = certificate.name, reason, "cut a connection");
                one.cut.cancel();
            }
        }
    }

    pub(super) fn cut_all(&self) {
        for one in self.lock().open.values() {
            one.cut.cancel();
        }
    }

    /// Until the first certificate ends.
    pub(super) fn next_end(&self, now: Timestamp) -> Option<Duration> {
        let connections = self.lock();
        let open = connections.open.values();
        let ends = open
            .filter(|one| !one.cut.is_cancelled())
            .filter_map(|one| Some(one.certificate.as_ref()?.expires_at));
        let left = now.duration_until(ends.min()?);
        // The end itself is not before it.
        let left = Duration::try_from(left).unwrap_or_default();
        Some(left.max(Duration::from_millis(1)))
    }

    fn lock(&self) -> MutexGuard<'_, Connections> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        // Whoever waits for its end goes on.
        self.cut.cancel();
        if let Some(live) = self.live.upgrade() {
            live.lock().open.remove(&self.number);
        }
    }
}
