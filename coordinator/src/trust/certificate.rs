//! What a certificate says: for whom it is, what for, until when.

use super::authority::BACKDATED;
use crate::figure::hex;
use jiff::Timestamp;
use pvelens_proto::identity::Identity;
use sha2::{Digest, Sha256};
use x509_parser::{
    certificate::X509Certificate, extensions::GeneralName, prelude::FromDer, time::ASN1Time,
};

/// A certificate of ours has well below a kibibyte.
const LIMIT_BYTES: usize = 16 << 10;

/// What counts of a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Certificate {
    pub(super) identity: Identity,
    /// In hexadecimal.
    pub(super) serial: String,
    /// Of the key that signed it, in hexadecimal; empty when it does not say.
    pub(super) authority_key: String,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    /// It is for a TLS server, and says so.
    pub(super) serves: bool,
    /// It is for a TLS client, and says so.
    pub(super) calls: bool,
}

/// Why a certificate is none of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("it is no X.509 certificate")]
    Form,
    #[error("it does not name exactly one identity of pvelens")]
    Identity,
    #[error("it ends at a time that there is not")]
    Time,
}

impl Certificate {
    pub(super) fn read(der: &[u8]) -> Result<Self, Unreadable> {
        if der.len() > LIMIT_BYTES {
            return Err(Unreadable::Form);
        }
        let (rest, x509) = X509Certificate::from_der(der).map_err(|_| Unreadable::Form)?;
        if !rest.is_empty() {
            return Err(Unreadable::Form);
        }
        let usage = x509.extended_key_usage().map_err(|_| Unreadable::Form)?;
        let usage = usage.map(|usage| usage.value);
        Ok(Self {
            identity: identity(&x509)?,
            serial: hex(x509.raw_serial()),
            authority_key: authority_key(&x509).map(hex).unwrap_or_default(),
            not_before: time(x509.validity().not_before)?,
            not_after: time(x509.validity().not_after)?,
            serves: usage.is_some_and(|usage| usage.server_auth && !usage.any),
            calls: usage.is_some_and(|usage| usage.client_auth && !usage.any),
        })
    }
}

impl Certificate {
    /// Certificates begin before they are issued: clocks differ.
    pub(super) fn issued_at(&self) -> Timestamp {
        self.not_before
            .checked_add(BACKDATED)
            .unwrap_or(Timestamp::MAX)
    }
}

/// The one URI among the alternative names; other forms may stand beside it.
fn identity(x509: &X509Certificate<'_>) -> Result<Identity, Unreadable> {
    let names = x509
        .subject_alternative_name()
        .map_err(|_| Unreadable::Identity)?
        .ok_or(Unreadable::Identity)?;
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(uri),
            _ => None,
        });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => uri.parse().map_err(|_| Unreadable::Identity),
        _ => Err(Unreadable::Identity),
    }
}

fn authority_key<'a>(x509: &'a X509Certificate<'_>) -> Option<&'a [u8]> {
    use x509_parser::extensions::ParsedExtension;
    x509.extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(authority) => {
                authority.key_identifier.as_ref().map(|key| key.0)
            }
            _ => None,
        })
}

fn time(time: ASN1Time) -> Result<Timestamp, Unreadable> {
    Timestamp::from_second(time.timestamp()).map_err(|_| Unreadable::Time)
}

/// The key identifier of an authority's certificate, in hexadecimal.
pub(super) fn key_of_authority(der: &[u8]) -> Option<String> {
    use x509_parser::extensions::ParsedExtension;
    let (_, x509) = X509Certificate::from_der(der).ok()?;
    x509.extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(key) => Some(hex(key.0)),
            _ => None,
        })
}

/// End of any certificate.
pub(super) fn end(der: &[u8]) -> Option<Timestamp> {
    let (_, x509) = X509Certificate::from_der(der).ok()?;
    time(x509.validity().not_after).ok()
}

/// SHA-256 in hexadecimal.
pub(super) fn fingerprint(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}
