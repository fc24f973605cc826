//! The identity while the agent runs: read again when the file changes, since joining
//! and leaving are other processes, and replaced when a coordinator renews it.

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::{
    agent::v1::{CreateCsrResponse, InstallCertificateRequest, InstallCertificateResponse},
    timestamp_from_millis,
};
use rustls::ServerConfig;
use tokio::{task::spawn_blocking, time::sleep};
use tracing::{info, warn};

use super::{
    AcceptError, Identity, IdentityError, KeyError, accept,
    file::{Stamp, stamp},
    new_key_and_csr,
};

const PERIOD: Duration = Duration::from_secs(5);

/// An identity, and what new links are served with.
#[derive(Debug, Clone)]
pub struct Held {
    pub identity: Arc<Identity>,
    pub tls: Arc<ServerConfig>,
}

/// The identity in a directory, as far as there is one.
pub struct Slot {
    directory: PathBuf,
    state: Mutex<State>,
    /// The key of the last request whose certificate has not come, in PEM. Locked
    /// while a certificate is installed, so one after the other.
    pending: Mutex<Option<String>>,
}

#[derive(Default)]
struct State {
    /// Of what was read.
    stamp: Option<Stamp>,
    held: Option<Held>,
    problem: Option<String>,
}

/// Why there is no request for a certificate, or why one is not installed.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    #[error("this node has not joined a coordinator")]
    NotJoined,
    #[error("there is no request that waits for a certificate; ask for one first")]
    NoRequest,
    #[error("there is no certificate in it")]
    NoChain,
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the certificate is not taken: {0}")]
    Refused(#[from] AcceptError),
    #[error("the certificate cannot be used: {0}")]
    Unusable(rustls::Error),
    #[error("the certificate cannot be kept: {0}")]
    Unwritten(#[source] IdentityError),
}

impl Slot {
    /// A slot for the identity in a directory, which is read for the first time by
    /// [`Slot::refresh`].
    #[must_use]
    pub fn new(directory: PathBuf) -> Self {
        Self {
            directory,
            state: Mutex::default(),
            pending: Mutex::default(),
        }
    }

    /// What new links are served with; `None` when this node has not joined, or its
    /// identity cannot be used.
    #[must_use]
    pub fn held(&self) -> Option<Held> {
        self.state().held.clone()
    }

    /// Why what is in the directory is not used.
    #[must_use]
    pub fn problem(&self) -> Option<String> {
        self.state().problem.clone()
    }

    /// Looks at the directory every few seconds, for ever. It may hang with its disk,
    /// and then only this does.
    pub async fn follow(self: Arc<Self>) {
        loop {
            let slot = Arc::clone(&self);
            // It neither panics nor is it stopped.
            drop(spawn_blocking(move || slot.refresh()).await);
            sleep(PERIOD).await;
        }
    }

    /// Reads the identity if it is another than before.
    pub fn refresh(&self) {
        let stamp = match stamp(&self.directory) {
            Ok(stamp) => stamp,
            Err(error) => {
                let shown = self.directory.display();
                return self.keep(format!("{shown} cannot be read: {error}"));
            }
        };
        {
            let state = self.state();
            if state.stamp == stamp && (stamp.is_none() || state.held.is_some()) {
                return;
            }
        }
        match Identity::load(&self.directory) {
            Ok(None) => self.take(stamp, None, None),
            Ok(Some(identity)) => match identity.server_config() {
                Ok(tls) => self.take(stamp, Some(held(identity, tls)), None),
                Err(error) => {
                    let problem = format!("the identity of this node cannot be used: {error}");
                    self.take(stamp, None, Some(problem));
                }
            },
            // What it was is still true, and the disk may come back.
            Err(error @ IdentityError::Io { .. }) => self.keep(words(&error)),
            Err(error) => self.take(stamp, None, Some(words(&error))),
        }
    }

    /// A new key, and the request for a certificate for it. The key before it is
    /// forgotten, unless it is in use.
    ///
    /// # Errors
    /// When the node has not joined.
    pub fn create_csr(&self) -> Result<CreateCsrResponse, SlotError> {
        let held = self.held().ok_or(SlotError::NotJoined)?;
        let (key, csr_der) = new_key_and_csr(&held.identity.node)?;
        *self.pending() = Some(key);
        Ok(CreateCsrResponse {
            csr_der,
            expires_at: Some(wire(held.identity.expires_at())),
        })
    }

    /// Puts a certificate for the last request in the place of the one in use. Links
    /// that are there go on; it is on the disk when this returns.
    ///
    /// # Errors
    /// When it is not one that this node takes, or the disk fails. Then everything
    /// stays as it was, and another certificate for the same request may come.
    pub fn install(
        &self,
        request: InstallCertificateRequest,
    ) -> Result<InstallCertificateResponse, SlotError> {
        let mut pending = self.pending();
        // Whoever left the coordinator meanwhile does not come back by this.
        self.refresh();
        let before = self.held().ok_or(SlotError::NotJoined)?.identity;
        let key = pending.as_deref().ok_or(SlotError::NoRequest)?;
        let chain = request.chain.ok_or(SlotError::NoChain)?;
        let accepted = accept(&before.authorities, &request.authorities, &chain, key)?;
        let identity = Identity::new(accepted, key.to_owned(), before.coordinators.clone());
        let tls = identity.server_config().map_err(SlotError::Unusable)?;
        let saved = identity.save(&self.directory);
        saved.map_err(SlotError::Unwritten)?;
        *pending = None;
        info!(
            expires_at = %identity.expires_at(),
            authority = identity.authority_fingerprint(),
            "the certificate of this node was renewed"
        );
        let expires_at = identity.expires_at();
        let stamp = stamp(&self.directory).ok().flatten();
        self.take(stamp, Some(held(identity, tls)), None);
        Ok(InstallCertificateResponse {
            expires_at: Some(wire(expires_at)),
        })
    }

    fn take(&self, stamp: Option<Stamp>, held: Option<Held>, problem: Option<String>) {
        let mut state = self.state();
        if let Some(held) = &held
            && state.held.as_ref().map(|held| &held.identity) != Some(&held.identity)
        {
            let identity = &held.identity;
            info!(
                node = identity.node,
                cluster = identity.cluster,
                expires_at = %identity.expires_at(),
                "links are served with the identity of this node"
            );
        }
        if held.is_none() && state.held.is_some() && problem.is_none() {
            info!("this node has left its coordinator");
        }
        state.say(problem);
        state.stamp = stamp;
        state.held = held;
    }

    fn keep(&self, problem: String) {
        self.state().say(Some(problem));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pending(&self) -> MutexGuard<'_, Option<String>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Into the log once.
    fn say(&mut self, problem: Option<String>) {
        if let Some(problem) = &problem
            && self.problem.as_ref() != Some(problem)
        {
            warn!(problem, "links are not served with what is there");
        }
        self.problem = problem;
    }
}

/// Without the keys.
impl fmt::Debug for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Slot")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

fn held(identity: Identity, tls: Arc<ServerConfig>) -> Held {
    Held {
        identity: Arc::new(identity),
        tls,
    }
}

fn wire(time: Timestamp) -> pvelens_proto::Timestamp {
    timestamp_from_millis(time.as_millisecond())
}

/// With what is behind it.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
