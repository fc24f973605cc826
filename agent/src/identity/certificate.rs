//! What certificates say.

use jiff::Timestamp;
use pvelens_proto::identity::Identity;
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// Of one certificate, in DER.
pub(super) const BYTES: usize = 16 << 10;

/// Why a certificate is not taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CertificateError {
    #[error("has more than {BYTES} bytes")]
    Size,
    #[error("is no certificate")]
    Syntax,
    #[error("has a time that does not exist")]
    Time,
    #[error("has not exactly one name of pvelens")]
    Name,
    #[error("names nobody: {0}")]
    Identity(#[from] pvelens_proto::identity::IdentityError),
}

/// Reads one certificate and nothing behind it.
pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, CertificateError> {
    if der.len() > BYTES {
        return Err(CertificateError::Size);
    }
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(CertificateError::Syntax),
    }
}

/// From when and until when it is good.
pub(super) fn validity(
    certificate: &X509Certificate<'_>,
) -> Result<(Timestamp, Timestamp), CertificateError> {
    let time = |seconds| Timestamp::from_second(seconds).map_err(|_| CertificateError::Time);
    let validity = certificate.validity();
    Ok((
        time(validity.not_before.timestamp())?,
        time(validity.not_after.timestamp())?,
    ))
}

/// Whom it is for: the one URI among its names. A second one could be taken for the
/// first by another reader.
pub(crate) fn identity(certificate: &X509Certificate<'_>) -> Result<Identity, CertificateError> {
    let mut uris = certificate
        .extensions()
        .iter()
        .filter_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectAlternativeName(names) => Some(&names.general_names),
            _ => None,
        })
        .flatten()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri.parse()?),
        _ => Err(CertificateError::Name),
    }
}

/// What a certificate may be used for by its extended key usage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    Server,
    Client,
}

/// Whether it is for that use and no other. Libraries take one without the extension
/// for either end.
pub(crate) fn is_only_for(certificate: &X509Certificate<'_>, wanted: Use) -> bool {
    let Ok(Some(usage)) = certificate.extended_key_usage() else {
        return false;
    };
    let usage = usage.value;
    let is_other = usage.any || usage.code_signing || usage.email_protection;
    let is_other = is_other || usage.time_stamping || usage.ocsp_signing || !usage.other.is_empty();
    let wanted = match wanted {
        Use::Server => (true, false),
        Use::Client => (false, true),
    };
    !is_other && (usage.server_auth, usage.client_auth) == wanted
}
