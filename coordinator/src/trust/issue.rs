//! Certificates for nodes, clients and coordinators: what each kind holds.

use std::net::IpAddr;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::identity::Identity;
use rcgen::{
    CertificateParams, CertificateSigningRequestParams, DistinguishedName, DnType,
    ExtendedKeyUsagePurpose, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKey, PublicKeyData,
    SanType,
};

use super::{
    TrustError,
    authority::{Authority, lasting},
    certificate,
    state::Issued,
};

/// Of nodes and coordinators; of clients unless it was set otherwise.
pub(super) const LIFETIME: SignedDuration = SignedDuration::from_hours(24 * 90);
/// Certificates that last less long are renewed.
pub(super) const RENEWED_BELOW: SignedDuration = SignedDuration::from_hours(24 * 60);
const REQUEST_LIMIT_BYTES: usize = 16 << 10;
/// An uncompressed point (SEC 1, section 2.3.3).
const P256_POINT_BYTES: usize = 65;
/// A common name has at most 64 characters (RFC 5280, appendix A.1).
const COMMON_NAME: usize = 64;

/// What a certificate is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usage {
    TlsServer,
    TlsClient,
}

/// A key that somebody else made.
#[derive(Debug)]
pub(super) struct Requested {
    key: PublicKey,
    /// SHA-256 of the key, in hexadecimal.
    pub(super) sha256: String,
}

impl Requested {
    /// Reads a request (RFC 2986). What it wishes beside its key does not count.
    pub(super) fn read(csr_der: &[u8]) -> Result<Self, TrustError> {
        if csr_der.len() > REQUEST_LIMIT_BYTES {
            return Err(TrustError::Request("it is too large"));
        }
        // It also checks that whoever asks has the key.
        let request = CertificateSigningRequestParams::from_der(&csr_der.into())
            .map_err(|_| TrustError::Request("it is no signed PKCS #10 request"))?;
        let key = request.public_key;
        // What it was signed with does not say of which curve the key is.
        let is_p256 =
            key.algorithm() == &PKCS_ECDSA_P256_SHA256 && key.der_bytes().len() == P256_POINT_BYTES;
        if !is_p256 {
            return Err(TrustError::Request("its key is not of the curve P-256"));
        }
        Ok(Self {
            sha256: certificate::fingerprint(&key.subject_public_key_info()),
            key,
        })
    }
}

/// A certificate in DER, and what is remembered of it.
pub(super) fn issue(
    authority: &Authority,
    identity: &Identity,
    usage: Usage,
    key: &impl PublicKeyData,
    names: &[String],
    lifetime: SignedDuration,
    now: Timestamp,
) -> Result<(Vec<u8>, Issued), TrustError> {
    let mut params = CertificateParams::default();
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, common_name(identity));
    params.distinguished_name = subject;
    params.subject_alt_names = vec![SanType::URI(identity.to_string().try_into()?)];
    for name in names {
        params.subject_alt_names.push(match name.parse::<IpAddr>() {
            Ok(address) => SanType::IpAddress(address),
            Err(_) => SanType::DnsName(name.as_str().try_into()?),
        });
    }
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![match usage {
        Usage::TlsServer => ExtendedKeyUsagePurpose::ServerAuth,
        Usage::TlsClient => ExtendedKeyUsagePurpose::ClientAuth,
    }];
    let expires_at = lasting(&mut params, now, lifetime)?;
    let (der, serial) = authority.sign(params, key)?;
    let issued = Issued {
        serial,
        authority: authority.record.key_id.clone(),
        issued_at: now,
        expires_at,
    };
    Ok((der, issued))
}

/// As [`issue`], for a key that somebody asks for.
pub(super) fn issue_requested(
    authority: &Authority,
    identity: &Identity,
    usage: Usage,
    requested: &Requested,
    lifetime: SignedDuration,
    now: Timestamp,
) -> Result<(Vec<u8>, Issued), TrustError> {
    issue(
        authority,
        identity,
        usage,
        &requested.key,
        &[],
        lifetime,
        now,
    )
}

/// For people who look at it; programs read the identity.
fn common_name(identity: &Identity) -> String {
    let name = match identity {
        Identity::Node { node, .. } => node,
        Identity::Coordinator { name } | Identity::Client { name, .. } => name,
    };
    name.chars().take(COMMON_NAME).collect()
}
