//! The server end of a link: who may be at the other end, and how this end shows who
//! it is.
//!
//! TLS 1.3 alone, and each link from the beginning: one that resumed another would
//! leave out the look at who it is.

use std::{sync::Arc, time::Duration};

use pvelens_proto::identity::Identity as Named;
use rustls::{
    CertificateError as Flaw, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    ServerConfig, SignatureScheme,
    client::danger::HandshakeSignatureValid,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, UnixTime, pem::PemObject},
    server::{
        NoServerSessionStorage, WebPkiClientVerifier,
        danger::{ClientCertVerified, ClientCertVerifier},
    },
    version::TLS13,
};

use super::{
    Identity,
    certificate::{self, Use, is_only_for, parse},
};

/// The server's settings for new links with this identity.
///
/// # Errors
/// When the key or an authority cannot be used.
pub(super) fn server_config(identity: &Identity) -> Result<Arc<ServerConfig>, Error> {
    let roots = roots(identity.authorities.iter())?;
    let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider())
        .build()
        .map_err(|error| Error::General(error.to_string()))?;
    let verifier = Coordinators {
        verifier,
        // The certificate was made then, so no clock that says less is right.
        earliest: u64::try_from(identity.begins_at().as_second()).unwrap_or_default(),
    };
    let key = PrivateKeyDer::from_pem_slice(identity.key_pem.as_bytes())
        .map_err(|error| Error::General(error.to_string()))?;
    let chain = identity.chain.iter().cloned().map(CertificateDer::from);
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_single_cert(chain.collect(), key)?;
    config.send_tls13_tickets = 0;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

pub(crate) fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(super) fn roots<'a>(
    authorities: impl Iterator<Item = &'a Vec<u8>>,
) -> Result<Arc<RootCertStore>, Error> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(CertificateDer::from(authority.as_slice()))?;
    }
    Ok(Arc::new(roots))
}

/// The name of the coordinator that a certificate is for.
pub(crate) fn coordinator(leaf: &[u8]) -> Option<String> {
    let leaf = parse(leaf).ok()?;
    match certificate::identity(&leaf) {
        Ok(Named::Coordinator { name }) if is_only_for(&leaf, Use::Client) => Some(name),
        _ => None,
    }
}

/// Takes the certificates of coordinators and of nobody else. It looks inside the
/// handshake, so that whoever is refused is told.
#[derive(Debug)]
struct Coordinators {
    verifier: Arc<dyn ClientCertVerifier>,
    /// Seconds of the epoch.
    earliest: u64,
}

impl ClientCertVerifier for Coordinators {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let now = Duration::from_secs(now.as_secs().max(self.earliest));
        let now = UnixTime::since_unix_epoch(now);
        let verified = self.verifier.verify_client_cert(leaf, intermediates, now)?;
        match coordinator(leaf) {
            Some(_) => Ok(verified),
            None => Err(Flaw::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("only TLS 1.3 is spoken here".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier
            .verify_tls13_signature(message, leaf, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
