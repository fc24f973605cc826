//! Whether what a coordinator gives becomes this node's identity.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use pvelens_proto::{agent::v1 as wire, identity::Identity};
use rustls::{
    RootCertStore,
    client::verify_server_cert_signed_by_trust_anchor,
    pki_types::{CertificateDer, UnixTime},
    server::ParsedCertificate,
};
use x509_parser::prelude::X509Certificate;

use super::{
    certificate::{self, CertificateError, Use, is_only_for, parse},
    key, tls,
};

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
    #[error("there is no authority, or there are more than {AUTHORITIES}")]
    AuthoritiesLength,
    #[error("the certificate {0}")]
    Certificate(CertificateError),
    #[error("a certificate of the chain {0}")]
    Chain(CertificateError),
    #[error("a certificate of an authority {0}")]
    Authority(CertificateError),
    #[error("the key of this node cannot be read")]
    Key,
    #[error("the certificate is for another key")]
    OtherKey,
    #[error("the certificate is not for a node")]
    NotNode,
    #[error("the certificate is not for the server of a link and for that alone")]
    Usage,
    #[error("no authority that this node trusts stands behind the certificate: {0}")]
    Untrusted(rustls::Error),
    #[error("nobody whom this node trusts vouches for a new authority")]
    Unvouched,
    #[error("an authority of this node cannot be used: {0}")]
    Trusted(rustls::Error),
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
    let chain = &chain.certificates_der;
    let Some((leaf_der, intermediates)) = chain.split_first() else {
        return Err(AcceptError::ChainLength);
    };
    if chain.len() > CHAIN {
        return Err(AcceptError::ChainLength);
    }
    let leaf = parse(leaf_der).map_err(AcceptError::Certificate)?;
    for one in intermediates {
        parse(one).map_err(AcceptError::Chain)?;
    }
    let key = key::public_key_info(key_pem).map_err(|_| AcceptError::Key)?;
    if leaf.public_key().raw != key {
        return Err(AcceptError::OtherKey);
    }
    let Identity::Node { cluster, node } =
        certificate::identity(&leaf).map_err(AcceptError::Certificate)?
    else {
        return Err(AcceptError::NotNode);
    };
    if !is_only_for(&leaf, Use::Server) {
        return Err(AcceptError::Usage);
    }
    let (begins_at, expires_at) = certificate::validity(&leaf).map_err(AcceptError::Certificate)?;
    let vouched = vouched(trusted, authorities)?;
    let roots = trusted.iter().chain(&vouched);
    // An authority that goes may stand behind the certificate for the last time.
    let roots = tls::roots(roots).map_err(AcceptError::Trusted)?;
    verify(leaf_der, intermediates, &roots, (begins_at, expires_at))
        .map_err(AcceptError::Untrusted)?;
    Ok(Accepted {
        cluster,
        node,
        chain: chain.clone(),
        authorities: vouched,
        begins_at,
        expires_at,
    })
}

/// At a time when the certificate is good: the clock of a node may be wrong, and what a
/// coordinator just made does not depend on it.
fn verify(
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    roots: &Arc<RootCertStore>,
    (begins_at, expires_at): (Timestamp, Timestamp),
) -> Result<(), rustls::Error> {
    let now = Timestamp::now().min(expires_at).max(begins_at);
    let now = u64::try_from(now.as_second()).unwrap_or_default();
    let now = UnixTime::since_unix_epoch(Duration::from_secs(now));
    let leaf = CertificateDer::from(leaf);
    let intermediates: Vec<_> = intermediates
        .iter()
        .map(|one| CertificateDer::from(one.as_slice()))
        .collect();
    verify_server_cert_signed_by_trust_anchor(
        &ParsedCertificate::try_from(&leaf)?,
        roots,
        &intermediates,
        now,
        tls::provider().signature_verification_algorithms.all,
    )
}

/// The certificates of the authorities, when each is one that is trusted or has a
/// certificate by one that is, over others of them if need be.
fn vouched(
    trusted: &[Vec<u8>],
    authorities: &[wire::Authority],
) -> Result<Vec<Vec<u8>>, AcceptError> {
    if authorities.is_empty() || authorities.len() > AUTHORITIES {
        return Err(AcceptError::AuthoritiesLength);
    }
    let parsed = |der: &Vec<u8>| parse(der).map(drop).map_err(AcceptError::Authority);
    for authority in authorities {
        parsed(&authority.certificate_der)?;
        if authority.cross_certificates_der.len() > CHAIN {
            return Err(AcceptError::AuthoritiesLength);
        }
        authority
            .cross_certificates_der
            .iter()
            .try_for_each(parsed)?;
    }
    let mut good: Vec<X509Certificate<'_>> = Vec::new();
    for one in trusted {
        good.push(parse(one).map_err(AcceptError::Authority)?);
    }
    let mut waiting: Vec<&wire::Authority> = authorities.iter().collect();
    // Each round takes one at least.
    while !waiting.is_empty() {
        let before = waiting.len();
        let mut still = Vec::new();
        for authority in waiting {
            let new = parse(&authority.certificate_der).map_err(AcceptError::Authority)?;
            let is_known = trusted.contains(&authority.certificate_der);
            if is_known || (is_authority(&new) && has_voucher(authority, &new, &good)) {
                good.push(new);
            } else {
                still.push(authority);
            }
        }
        if still.len() == before {
            return Err(AcceptError::Unvouched);
        }
        waiting = still;
    }
    let mut vouched: Vec<Vec<u8>> = Vec::new();
    for authority in authorities {
        if !vouched.contains(&authority.certificate_der) {
            vouched.push(authority.certificate_der.clone());
        }
    }
    Ok(vouched)
}

/// Signed by itself, and made to sign certificates.
fn is_authority(certificate: &X509Certificate<'_>) -> bool {
    may_sign(certificate)
        && certificate.subject() == certificate.issuer()
        && certificate.verify_signature(None).is_ok()
}

fn may_sign(certificate: &X509Certificate<'_>) -> bool {
    let may_sign_certificates = match certificate.key_usage() {
        Ok(Some(usage)) => usage.value.key_cert_sign(),
        Ok(None) => true,
        Err(_) => false,
    };
    certificate.is_ca() && may_sign_certificates
}

/// Whether one of the good ones signed the same name and key.
fn has_voucher(
    authority: &wire::Authority,
    new: &X509Certificate<'_>,
    good: &[X509Certificate<'_>],
) -> bool {
    let crosses = authority.cross_certificates_der.iter();
    crosses.filter_map(|der| parse(der).ok()).any(|cross| {
        may_sign(&cross)
            && cross.subject().as_raw() == new.subject().as_raw()
            && cross.public_key().raw == new.public_key().raw
            && good.iter().any(|voucher| {
                voucher.subject().as_raw() == cross.issuer().as_raw()
                    && cross.verify_signature(Some(voucher.public_key())).is_ok()
            })
    })
}
