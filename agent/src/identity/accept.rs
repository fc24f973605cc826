//! Whether what a coordinator gives becomes this node's identity.

use jiff::Timestamp;
use pvelens_proto::agent::v1 as wire;

use super::certificate::CertificateError;

/// Authorities at one time, and certificates of a chain or that lead to one authority.
pub(super) const AUTHORITIES: usize = 8;
pub(super) const CHAIN: usize = 8;

/// What was looked at and is taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    pub cluster: String,
    pub node: String,
    /// X.509 in DER, the certificate itself first.
    pub chain: Vec<Vec<u8>>,
    /// X.509 in DER, the one that signs first.
    pub authorities: Vec<Vec<u8>>,
    pub begins_at: Timestamp,
    pub expires_at: Timestamp,
}

/// Why it is not taken.
#[derive(Debug, thiserror::Error)]
pub enum AcceptError {
    #[error("the chain has no certificate, or more than {CHAIN}")]
    ChainLength,
    #[error("the certificate {0}")]
    Certificate(#[source] CertificateError),
    #[error("a certificate of the chain {0}")]
    Chain(#[source] CertificateError),
}

/// Checks that a certificate is for the key and for a node, that one of the trusted
/// authorities (X.509 in DER) stands behind it, and that one of them vouches for each
/// of the new authorities.
///
/// # Errors
/// When something is not as it must be. Nothing is taken then.
pub fn accept(
    trusted: &[Vec<u8>],
    authorities: &[wire::Authority],
    chain: &wire::CertificateChain,
    key_pem: &str,
) -> Result<Accepted, AcceptError> {
    let _ = (trusted, authorities, chain, key_pem);
    Err(AcceptError::ChainLength)
}
