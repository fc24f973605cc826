//! What a client shows to a coordinator elsewhere, and by what it knows that one.

use std::{fs, io, os::unix::fs::PermissionsExt, path::Path, sync::Arc};

use jiff::Timestamp;
use pvelens_proto::identity::Identity;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        Resumption,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_cert_signed_by_trust_anchor,
    },
    crypto::{CryptoProvider, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject},
    server::ParsedCertificate,
};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use super::super::Failure;

pub(in crate::cli) const KEY: &str = "key.pem";
pub(in crate::cli) const CERTIFICATE: &str = "cert.pem";
pub(in crate::cli) const AUTHORITIES: &str = "ca.pem";
/// Others must not read a key.
const OTHERS: u32 = 0o077;

/// The three files of `client issue`, read.
pub(super) struct Credentials {
    key: PrivateKeyDer<'static>,
    chain: Vec<CertificateDer<'static>>,
    authorities: RootCertStore,
}

impl Credentials {
    pub(super) fn read(directory: &Path, now: Timestamp) -> Result<Self, Failure> {
        let key = directory.join(KEY);
        let mode = fs::metadata(&key).map_err(|error| unread(&key, &error))?;
        if mode.permissions().mode() & OTHERS != 0 {
            return Err(Failure::Usage(format!(
                "{} can be read by others: `chmod 600` it, or have a new one issued if they may \
                 have read it",
                key.display()
            )));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(&key)?).map_err(|_| foreign(&key))?;
        let file = directory.join(CERTIFICATE);
        let chain = certificates(&file)?;
        chain
            .first()
            .ok_or_else(|| foreign(&file))
            .and_then(|leaf| is_valid(leaf, &file, now))?;
        let file = directory.join(AUTHORITIES);
        let mut authorities = RootCertStore::empty();
        for authority in certificates(&file)? {
            authorities.add(authority).map_err(|_| foreign(&file))?;
        }
        if authorities.is_empty() {
            return Err(foreign(&file));
        }
        Ok(Self {
            key,
            chain,
            authorities,
        })
    }

    /// TLS 1.3 that shows the certificate and takes a coordinator of ours only.
    pub(super) fn tls(self) -> Result<ClientConfig, Failure> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Arc::new(IsCoordinator {
            authorities: self.authorities,
            provider: Arc::clone(&provider),
        });
        let failed = |error: rustls::Error| {
            Failure::Usage(format!("the credentials cannot be used: {error}"))
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(failed)?
            .dangerous()
            .with_custom_certificate_verifier(verifier)
            .with_client_auth_cert(self.chain, self.key)
            .map_err(failed)?;
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(config)
    }
}

fn read(file: &Path) -> Result<Vec<u8>, Failure> {
    fs::read(file).map_err(|error| unread(file, &error))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, Failure> {
    CertificateDer::pem_slice_iter(&read(file)?)
        .collect::<Result<_, _>>()
        .map_err(|_| foreign(file))
}

fn unread(file: &Path, error: &io::Error) -> Failure {
    Failure::Usage(format!(
        "reading {}: {error}; --credentials takes the directory that `pvelens client issue` made",
        file.display()
    ))
}

fn foreign(file: &Path) -> Failure {
    Failure::Usage(format!(
        "{} is not as `pvelens client issue` wrote it",
        file.display()
    ))
}

/// The coordinator would turn it away, with fewer words.
fn is_valid(leaf: &CertificateDer<'_>, file: &Path, now: Timestamp) -> Result<(), Failure> {
    let (_, leaf) = X509Certificate::from_der(leaf).map_err(|_| foreign(file))?;
    let validity = leaf.validity();
    let day = |second: i64| {
        Timestamp::from_second(second)
            .map(|at| at.strftime("%Y-%m-%d %H:%M UTC").to_string())
            .unwrap_or_default()
    };
    if now.as_second() > validity.not_after.timestamp() {
        return Err(Failure::Usage(format!(
            "the certificate {} ended on {}: an administrator gives a new one with `pvelens client \
             issue` (before its end, `pvelens client renew` does)",
            file.display(),
            day(validity.not_after.timestamp())
        )));
    }
    if now.as_second() < validity.not_before.timestamp() {
        return Err(Failure::Usage(format!(
            "the certificate {} is good from {} on: is the clock of this machine behind?",
            file.display(),
            day(validity.not_before.timestamp())
        )));
    }
    Ok(())
}

/// Whether the other end is a coordinator of an authority that we know. Its name is of
/// no importance: the authority is of one installation alone.
#[derive(Debug)]
struct IsCoordinator {
    authorities: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for IsCoordinator {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let parsed = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &parsed,
            &self.authorities,
            intermediates,
            now,
            algorithms,
        )?;
        if is_coordinator(end_entity) {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Err(CertificateError::Other(OtherError(Arc::new(io::Error::other("TLS 1.2")))).into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

fn is_coordinator(certificate: &CertificateDer<'_>) -> bool {
    let Ok((_, parsed)) = X509Certificate::from_der(certificate) else {
        return false;
    };
    let Ok(Some(names)) = parsed.subject_alternative_name() else {
        return false;
    };
    let mut uris = names
        .value
        .general_names
        .iter()
        .filter_map(|name| match name {
            GeneralName::URI(uri) => Some(*uri),
            _ => None,
        });
    let (Some(uri), None) = (uris.next(), uris.next()) else {
        return false;
    };
    matches!(uri.parse(), Ok(Identity::Coordinator { .. }))
}
