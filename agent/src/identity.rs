//! Who this node is to the coordinator that it joined: its key, its certificate, and
//! the authorities whose word it takes.
//!
//! All of it is one file, so that no moment has a key without its certificate. The
//! key is made here and never leaves the node.

use std::{path::Path, sync::Arc};

use jiff::Timestamp;
use rustls::ServerConfig;
use sha2::{Digest, Sha256};

use crate::hex;

mod accept;
pub(crate) mod certificate;
mod file;
mod key;
mod slot;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod tls;

pub use accept::{AcceptError, Accepted, accept};
pub use certificate::CertificateError;
pub use file::IdentityError;
pub use key::{KeyError, new_key_and_csr};
pub(crate) use slot::words;
pub use slot::{Held, Slot, SlotError};

/// The name of the file in its directory.
pub const FILE: &str = "identity.json";

/// What a node that joined has.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    pub cluster: String,
    pub node: String,
    /// PKCS #8 in PEM.
    pub key_pem: String,
    /// X.509 in DER: the certificate, and what leads from it to an authority.
    pub chain: Vec<Vec<u8>>,
    /// X.509 in DER, each signed by itself.
    pub authorities: Vec<Vec<u8>>,
    /// Where links go, `HOST:PORT`, in the order to try.
    pub coordinators: Vec<String>,
    begins_at: Timestamp,
    expires_at: Timestamp,
}

impl Identity {
    /// An identity of what was accepted for a key.
    #[must_use]
    pub fn new(accepted: Accepted, key_pem: String, coordinators: Vec<String>) -> Self {
        Self {
            cluster: accepted.cluster,
            node: accepted.node,
            key_pem,
            chain: accepted.chain,
            authorities: accepted.authorities,
            coordinators,
            begins_at: accepted.begins_at,
            expires_at: accepted.expires_at,
        }
    }

    /// The identity in a directory; `None` when the node has not joined.
    ///
    /// # Errors
    /// When others could have read or written it, or it is damaged.
    pub fn load(directory: &Path) -> Result<Option<Self>, IdentityError> {
        file::load(directory)
    }

    /// Takes the place of what is in the directory, which is made if it is not there.
    /// It is on the disk when this returns.
    ///
    /// # Errors
    /// When others could write in the directory, or the disk fails.
    pub fn save(&self, directory: &Path) -> Result<(), IdentityError> {
        file::save(self, directory)
    }

    /// Forgets what is in the directory; nothing there is as good.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(directory: &Path) -> Result<(), IdentityError> {
        file::remove(directory)
    }

    /// From when on the certificate is good. No clock of a node is right that says less.
    #[must_use]
    pub fn begins_at(&self) -> Timestamp {
        self.begins_at
    }

    /// Until when the certificate is good. From then on it is good for renewal alone.
    #[must_use]
    pub fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// Settings of the server for new links.
    ///
    /// # Errors
    /// When the key or an authority cannot be used.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, rustls::Error> {
        tls::server_config(self)
    }

    /// SHA-256 of the authority that signs, in hexadecimal.
    #[must_use]
    pub fn authority_fingerprint(&self) -> String {
        self.authorities
            .first()
            .map(|authority| hex(&Sha256::digest(authority)))
            .unwrap_or_default()
    }
}

/// Without the key.
impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("cluster", &self.cluster)
            .field("node", &self.node)
            .field("coordinators", &self.coordinators)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}
