//! Whom this node joins: a coordinator whose certificate leads to the one authority
//! that the line names. Its host name says nothing, since whoever controls names and
//! routes controls that, too.

use std::sync::{Arc, OnceLock};

use pvelens_proto::identity::Identity;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, ring, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
    version::TLS13,
};
use sha2::{Digest, Sha256};

use crate::identity::certificate::{Use, identity, is_only_for, parse};

/// Of a chain: a coordinator sends its own certificate, cross certificates and
/// authorities.
const CHAIN: usize = 32;

/// Why it is not the coordinator of the line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum PinError {
    #[error("it does not show the authority of the line")]
    OtherAuthority,
    #[error("its certificate is not of the authority that it shows")]
    NotSigned,
    #[error("its certificate is good from another time on; the clock of this node may be wrong")]
    Early,
    #[error("its certificate has ended; the clock of this node may be wrong")]
    Late,
    #[error("its certificate is not that of a coordinator")]
    NoCoordinator,
    #[error("its certificate cannot be read: {0}")]
    Unreadable(String),
}

/// Who was at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Peer {
    pub(super) name: String,
    /// X.509 in DER.
    pub(super) authority: Vec<u8>,
}

/// Looks at the certificates of one connection.
#[derive(Debug)]
pub(super) struct Pin {
    authority_sha256: Vec<u8>,
    provider: Arc<CryptoProvider>,
    verdict: OnceLock<Result<Peer, PinError>>,
}

impl Pin {
    pub(super) fn new(authority_sha256: &[u8]) -> Arc<Self> {
        Arc::new(Self {
            authority_sha256: authority_sha256.to_vec(),
            provider: Arc::new(ring::default_provider()),
            verdict: OnceLock::new(),
        })
    }

    /// What was found; `None` when it did not come to that.
    pub(super) fn verdict(&self) -> Option<Result<Peer, PinError>> {
        self.verdict.get().cloned()
    }

    /// TLS for a connection that is judged by this.
    pub(super) fn tls(self: &Arc<Self>) -> Result<ClientConfig, Error> {
        let mut config = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::<Self>::clone(self))
            .with_no_client_auth();
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }

    fn judge(
        &self,
        leaf: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<Peer, PinError> {
        let unreadable = |error: &dyn std::fmt::Display| PinError::Unreadable(error.to_string());
        let authority = others
            .iter()
            .take(CHAIN)
            .find(|other| Sha256::digest(other).as_slice() == self.authority_sha256)
            .ok_or(PinError::OtherAuthority)?;
        let is_authority = parse(authority)
            .map_err(|error| unreadable(&error))?
            .is_ca();
        if !is_authority {
            return Err(PinError::NotSigned);
        }
        let mut roots = RootCertStore::empty();
        roots
            .add(authority.clone().into_owned())
            .map_err(|error| unreadable(&error))?;
        let parsed = ParsedCertificate::try_from(leaf).map_err(|error| unreadable(&error))?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        let others = others.get(..CHAIN).unwrap_or(others);
        verify_server_cert_signed_by_trust_anchor(&parsed, &roots, others, now, algorithms)
            .map_err(|error| why(&error))?;
        let leaf = parse(leaf).map_err(|error| unreadable(&error))?;
        if !is_only_for(&leaf, Use::Server) {
            return Err(PinError::NoCoordinator);
        }
        let Ok(Identity::Coordinator { name }) = identity(&leaf) else {
            return Err(PinError::NoCoordinator);
        };
        Ok(Peer {
            name,
            authority: authority.to_vec(),
        })
    }
}

fn why(error: &Error) -> PinError {
    match error {
        Error::InvalidCertificate(
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. },
        ) => PinError::Early,
        Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        ) => PinError::Late,
        Error::InvalidCertificate(
            CertificateError::InvalidPurpose | CertificateError::InvalidPurposeContext { .. },
        ) => PinError::NoCoordinator,
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => PinError::NotSigned,
        other => PinError::Unreadable(other.to_string()),
    }
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verdict = self
            .verdict
            .get_or_init(|| self.judge(end_entity, intermediates, now));
        match verdict {
            Ok(_) => Ok(ServerCertVerified::assertion()),
            Err(PinError::OtherAuthority | PinError::NotSigned) => {
                Err(CertificateError::UnknownIssuer.into())
            }
            Err(_) => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}
