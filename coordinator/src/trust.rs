//! Who belongs to this installation: the authority, the nodes and clients that it gave
//! certificates, the tokens with which nodes join.
//!
//! All of it is in one directory of the coordinator, keys in files of their own. What is
//! answered was written down before: a certificate that left is known after a power
//! failure, and a token that was used stays used. How it is kept, replaced and restored
//! is in `coordinator/TRUST.md`.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{
    agent::v1::{self as wire, CertificateChain},
    identity::{ClientRole, Identity, IdentityError},
};
use tokio::sync::watch;

mod authority;
mod backup;
mod certificate;
mod clients;
mod enroll;
mod files;
#[cfg(test)]
pub(crate) mod fixture;
mod issue;
mod names;
mod nodes;
mod rotation;
mod state;
#[cfg(test)]
mod tests;
mod tls;
mod tokens;
mod verify;

pub use backup::restore;
pub use certificate::Unreadable;
pub use clients::{ClientState, IssuedClient};
pub use enroll::EnrollError;
pub use files::FileError;
pub use names::Names;
pub use nodes::IssuedNode;
pub use rotation::AuthorityInfo;
pub use tokens::{MadeToken, TokenInfo, TokenWish};

use authority::Authority;
use certificate::Certificate;
use state::State;

const STATE_FILE: &str = "trust.json";
/// Beside the coordinator's other state.
const DIRECTORY: &str = "trust";

/// The trust of one coordinator. Calls that change something wait for the disk: they
/// belong on a thread for that.
pub struct Trust {
    shared: Arc<Shared>,
    names: RwLock<Names>,
    directory: PathBuf,
    /// Held while something is changed.
    writer: Mutex<Writer>,
    changes: watch::Sender<u64>,
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trust")
            .field("directory", &self.directory)
            .finish_non_exhaustive()
    }
}

/// What verifiers look at, too.
#[derive(Debug)]
struct Shared(RwLock<Arc<State>>);

#[derive(Debug)]
struct Writer {
    /// Absent until there is somebody to sign for.
    authority: Option<Arc<Authority>>,
}

/// Why something about the trust could not be done.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(
        "{path} is damaged: {source}. Nothing was changed; `pvelens ca restore` puts back a backup"
    )]
    Damaged {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error("{0} was written by a newer version of pvelens")]
    Newer(PathBuf),
    #[error("the key of the authority is missing: {0}. `pvelens ca restore` puts back a backup")]
    NoKey(PathBuf),
    #[error("{0} does not hold the key of the authority. `pvelens ca restore` puts back a backup")]
    WrongKey(PathBuf),
    #[error("the request for a certificate: {0}")]
    Request(&'static str),
    #[error("signing: {0}")]
    Sign(#[from] rcgen::Error),
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    #[error("{0}")]
    Identity(#[from] IdentityError),
    #[error("{0}")]
    Wish(String),
    #[error("there is no {0}")]
    NotFound(String),
    #[error("{0}")]
    InUse(String),
    #[error("{0}")]
    Defect(&'static str),
    #[error("writing down what was changed")]
    Write(#[source] io::Error),
}

/// Why a certificate is not good here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    #[error("it is of another kind: {0}")]
    Kind(Identity),
    #[error("it was revoked")]
    Revoked,
    #[error("it is signed by an authority that is not trusted any more")]
    Authority,
    #[error("it has ended, and a later one was in use already")]
    Superseded,
    #[error("nobody was given it here")]
    Unknown,
    #[error("it ended at {0}")]
    Expired(Timestamp),
    #[error("it begins at {0} only; is a clock wrong?")]
    Early(Timestamp),
}

/// The certificate of a node, whose chain the handshake has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeCertificate {
    pub cluster: String,
    pub node: String,
    /// In hexadecimal.
    pub serial: String,
    pub expires_at: Timestamp,
    pub state: NodeState,
    pub wants_renewal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeState {
    Good,
    /// Good for a new one, and for nothing else.
    Expired,
}

/// The certificate of a person or a program, whose chain the handshake has checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientCertificate {
    pub role: ClientRole,
    pub name: String,
    /// In hexadecimal.
    pub serial: String,
    pub expires_at: Timestamp,
}

impl Trust {
    /// The trust that is kept beside other state of the coordinator. There is no
    /// authority before somebody needs one.
    ///
    /// # Errors
    /// When what is there cannot be used; it is never replaced.
    pub fn open(store: &Path, names: Names, now: Timestamp) -> Result<Self, TrustError> {
        let directory = store.join(DIRECTORY);
        files::look_at_directory(&directory)?;
        let path = directory.join(STATE_FILE);
        let state = match files::read(&path)? {
            None => State {
                version: state::VERSION,
                ..State::default()
            },
            Some(text) => parse(&path, &text)?,
        };
        let authority = match state.authorities.first() {
            None => None,
            Some(record) => Some(Arc::new(Authority::load(&directory, record)?)),
        };
        let trust = Self {
            shared: Arc::new(Shared(RwLock::new(Arc::new(state)))),
            names: RwLock::new(names),
            directory,
            writer: Mutex::new(Writer { authority }),
            changes: watch::Sender::new(0),
        };
        trust.finish_rotation(now)?;
        Ok(trust)
    }

    /// Whether somebody was invited: then others have a reason to connect.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        let state = self.state();
        !(state.tokens.is_empty() && state.nodes.is_empty() && state.clients.is_empty())
    }

    /// Counts changes: of certificates, tokens, authorities and names.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// By which names this coordinator is reached from now on.
    pub fn set_names(&self, names: Names) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
        self.changed();
    }

    /// By which names this coordinator is reached.
    #[must_use]
    pub fn names(&self) -> Names {
        self.names
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Where it is kept.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Who the node is that showed this certificate.
    ///
    /// # Errors
    /// When it is not good even for a new one.
    pub fn node_of(&self, leaf_der: &[u8], now: Timestamp) -> Result<NodeCertificate, Refusal> {
        let certificate = Certificate::read(leaf_der)?;
        let state = self.state();
        let Identity::Node { cluster, node } = &certificate.identity else {
            return Err(Refusal::Kind(certificate.identity));
        };
        state.judge(&certificate)?;
        if certificate.not_before > now {
            return Err(Refusal::Early(certificate.not_before));
        }
        let is_good = certificate.not_after > now;
        // A key that was replaced must not bring somebody in for ever.
        let seen = state.node(cluster, node).and_then(|record| record.seen);
        if !is_good && seen.is_some_and(|seen| certificate.issued_at() < seen) {
            return Err(Refusal::Superseded);
        }
        let signing = state.authorities.first();
        let is_of_signing =
            signing.is_some_and(|record| record.key_id == certificate.authority_key);
        let left = certificate.not_after.duration_since(now);
        Ok(NodeCertificate {
            cluster: cluster.clone(),
            node: node.clone(),
            serial: certificate.serial,
            expires_at: certificate.not_after,
            state: if is_good {
                NodeState::Good
            } else {
                NodeState::Expired
            },
            wants_renewal: left < issue::RENEWED_BELOW || !is_of_signing,
        })
    }

    /// Who the person or program is that showed this certificate.
    ///
    /// # Errors
    /// When it is not good.
    pub fn client_of(&self, leaf_der: &[u8], now: Timestamp) -> Result<ClientCertificate, Refusal> {
        let certificate = Certificate::read(leaf_der)?;
        let state = self.state();
        let Identity::Client { role, name } = &certificate.identity else {
            return Err(Refusal::Kind(certificate.identity));
        };
        state.judge(&certificate)?;
        // One that is not in the list could not be taken back by its name.
        let is_known = state
            .clients
            .iter()
            .any(|client| client.certificate.serial == certificate.serial);
        if !is_known {
            return Err(Refusal::Unknown);
        }
        if certificate.not_before > now {
            return Err(Refusal::Early(certificate.not_before));
        }
        if certificate.not_after <= now {
            return Err(Refusal::Expired(certificate.not_after));
        }
        Ok(ClientCertificate {
            role: *role,
            name: name.clone(),
            serial: certificate.serial,
            expires_at: certificate.not_after,
        })
    }

    fn state(&self) -> Arc<State> {
        self.shared.state()
    }

    /// Changes the state, writes it down, and lets others see it then.
    fn change<T, E: From<TrustError>>(
        &self,
        change: impl FnOnce(&mut State, &mut Writer) -> Result<T, E>,
        now: Timestamp,
    ) -> Result<T, E> {
        let mut writer = self.writer();
        let mut state = State::clone(&self.state());
        let result = change(&mut state, &mut writer);
        // What was refused may be noted, too.
        if state != *self.state() {
            state.tidy(now);
            self.save(&state)?;
            self.shared.set(state);
            self.changed();
        }
        result
    }

    fn save(&self, state: &State) -> Result<(), TrustError> {
        files::directory(&self.directory)?;
        let text =
            serde_json::to_string_pretty(state).map_err(|error| TrustError::Write(error.into()))?;
        Ok(files::write(&self.directory.join(STATE_FILE), &text)?)
    }

    /// The authority, made when there is none yet.
    fn authority(
        &self,
        state: &mut State,
        writer: &mut Writer,
        now: Timestamp,
    ) -> Result<Arc<Authority>, TrustError> {
        if let Some(authority) = &writer.authority {
            return Ok(Arc::clone(authority));
        }
        let authority = Arc::new(Authority::make(None, now)?);
        files::directory(&self.directory)?;
        authority.save_key(&self.directory)?;
        if state.coordinator.is_empty() {
            let mut name = [0; 4];
            authority::random(&mut name)?;
            state.coordinator = crate::figure::hex(&name);
        }
        state.authorities.insert(0, authority.record.clone());
        writer.authority = Some(Arc::clone(&authority));
        Ok(authority)
    }

    /// The authority that signs now, made when there is none yet.
    fn signing(&self, now: Timestamp) -> Result<Arc<Authority>, TrustError> {
        if let Some(authority) = &self.writer().authority {
            return Ok(Arc::clone(authority));
        }
        self.change(|state, writer| self.authority(state, writer, now), now)
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn changed(&self) {
        self.changes
            .send_modify(|count| *count = count.wrapping_add(1));
    }
}

impl Shared {
    fn state(&self) -> Arc<State> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, state: State) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(state);
    }
}

impl State {
    /// Whether a certificate was taken back.
    fn judge(&self, certificate: &Certificate) -> Result<(), Refusal> {
        let is_of_ours = self
            .authorities
            .iter()
            .any(|record| record.key_id == certificate.authority_key);
        if !is_of_ours {
            return Err(Refusal::Authority);
        }
        let issued_at = certificate.issued_at();
        let is_ended = self
            .ended_at(&certificate.identity)
            // Certificates know whole seconds.
            .is_some_and(|ended| issued_at.as_second() <= ended.as_second());
        if is_ended || self.is_revoked(&certificate.serial) {
            return Err(Refusal::Revoked);
        }
        Ok(())
    }

    /// When to issue a certificate for somebody, so that it is not among those that
    /// were ended: a clock may have been set back since.
    fn issuing_at(&self, identity: &Identity, now: Timestamp) -> Timestamp {
        let after = self
            .ended_at(identity)
            .and_then(|ended| ended.checked_add(SignedDuration::from_secs(1)).ok());
        after.map_or(now, |after| after.max(now))
    }

    /// What leads from a certificate to any authority that was ever trusted.
    fn chain(&self, leaf: Vec<u8>) -> Result<CertificateChain, TrustError> {
        let mut certificates_der = vec![leaf];
        if let Some(signing) = self.authorities.first() {
            certificates_der.extend(signing.cross_certificates_der()?);
        }
        Ok(CertificateChain { certificates_der })
    }

    /// All that is trusted.
    fn authorities(&self) -> Result<Vec<wire::Authority>, TrustError> {
        self.authorities
            .iter()
            .map(|record| {
                Ok(wire::Authority {
                    certificate_der: record.certificate_der()?,
                    cross_certificates_der: record.cross_certificates_der()?,
                })
            })
            .collect()
    }
}

fn parse(path: &Path, text: &str) -> Result<State, TrustError> {
    let state: State = serde_json::from_str(text).map_err(|source| TrustError::Damaged {
        path: path.to_owned(),
        source,
    })?;
    if state.version > state::VERSION {
        return Err(TrustError::Newer(path.to_owned()));
    }
    Ok(state)
}
