//! Who is let in by a handshake: the chain, the kind of the certificate, and what was
//! revoked. It is judged inside of the handshake, so that whoever is refused hears why.

use std::sync::Arc;

use pvelens_proto::identity::Identity;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::{
        ParsedCertificate,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
};

use super::{Refusal, Shared, certificate::Certificate};

/// Lets in nodes. One whose certificate has ended, too: it gets a new one and nothing
/// else, which is for whoever asked to see to.
#[derive(Debug)]
pub(super) struct Nodes {
    pub(super) shared: Arc<Shared>,
    pub(super) roots: RootCertStore,
    pub(super) provider: Arc<CryptoProvider>,
}

/// Lets in people and programs.
#[derive(Debug)]
pub(super) struct Clients {
    pub(super) shared: Arc<Shared>,
    pub(super) chain: Arc<dyn ClientCertVerifier>,
}

impl ServerCertVerifier for Nodes {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = Certificate::read(end_entity).map_err(|_| refused())?;
        if !matches!(certificate.identity, Identity::Node { .. }) || !certificate.serves {
            return Err(refused());
        }
        let end = u64::try_from(certificate.not_after.as_second()).unwrap_or(0);
        let at = now.as_secs().min(end);
        verify_server_cert_signed_by_trust_anchor(
            &ParsedCertificate::try_from(end_entity)?,
            &self.roots,
            intermediates,
            UnixTime::since_unix_epoch(std::time::Duration::from_secs(at)),
            self.provider.signature_verification_algorithms.all,
        )?;
        self.shared.judge(&certificate)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::PeerIncompatible(
            rustls::PeerIncompatible::Tls13RequiredForQuic,
        ))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

impl ClientCertVerifier for Clients {
    fn offer_client_auth(&self) -> bool {
        self.chain.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chain.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chain.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let certificate = Certificate::read(end_entity).map_err(|_| refused())?;
        if !matches!(certificate.identity, Identity::Client { .. }) || !certificate.calls {
            return Err(refused());
        }
        let verified = self
            .chain
            .verify_client_cert(end_entity, intermediates, now)?;
        self.shared.judge(&certificate)?;
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls12_signature(message, cert, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chain.verify_tls13_signature(message, cert, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chain.supported_verify_schemes()
    }
}

impl Shared {
    fn judge(&self, certificate: &Certificate) -> Result<(), Error> {
        match self.state().judge(certificate) {
            Ok(()) => Ok(()),
            Err(Refusal::Revoked) => Err(CertificateError::Revoked.into()),
            Err(_) => Err(refused()),
        }
    }
}

fn refused() -> Error {
    CertificateError::ApplicationVerificationFailure.into()
}
