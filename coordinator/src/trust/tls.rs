//! Both ends of TLS that a coordinator has: the client of links, although nodes dial it,
//! and the server of people and programs.
//!
//! Its own certificates are made anew at each start and whenever something changed: the
//! authority is at hand, and a key that is never written down cannot be read.

use std::sync::Arc;

use jiff::Timestamp;
use pvelens_proto::identity::Identity;
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    client::Resumption,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};

use super::{
    Trust, TrustError,
    issue::{LIFETIME, Usage, issue},
    verify::{Clients, Nodes},
};

/// Always among the names of the server, whatever else it is called.
const SERVER_NAME: &str = "pvelens";

impl Trust {
    /// For links: nodes dial in, and are the server on that connection.
    ///
    /// # Errors
    /// When there is no certificate for this coordinator to be had.
    pub fn link_tls(&self, now: Timestamp) -> Result<Arc<ClientConfig>, TrustError> {
        let (chain, key) = self.own(Usage::TlsClient, now)?;
        let provider = provider();
        let verifier = Nodes {
            shared: Arc::clone(&self.shared),
            roots: self.roots()?,
            provider: Arc::clone(&provider),
        };
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_auth_cert(chain, key)?;
        // A session that is resumed is not verified again, and all nodes have one name.
        config.resumption = Resumption::disabled();
        config.enable_sni = false;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// For people and programs, and for nodes that enrol, which have no certificate yet.
    ///
    /// # Errors
    /// As [`link_tls`](Self::link_tls).
    pub fn api_tls(&self, now: Timestamp) -> Result<Arc<ServerConfig>, TrustError> {
        let (mut chain, key) = self.own(Usage::TlsServer, now)?;
        // A node that enrols knows the authority by its fingerprint alone.
        for record in &self.state().authorities {
            chain.push(record.certificate_der()?.into());
        }
        let provider = provider();
        let roots = Arc::new(self.roots()?);
        let by_chain = WebPkiClientVerifier::builder_with_provider(roots, Arc::clone(&provider))
            .allow_unauthenticated()
            .build()
            .map_err(|_| TrustError::Defect("no authority to verify clients by"))?;
        let verifier = Clients {
            shared: Arc::clone(&self.shared),
            chain: by_chain,
        };
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_single_cert(chain, key)?;
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.alpn_protocols = vec![b"h2".to_vec()];
        Ok(Arc::new(config))
    }

    /// A certificate for this coordinator, and its key.
    fn own(
        &self,
        usage: Usage,
        now: Timestamp,
    ) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TrustError> {
        let authority = self.signing(now)?;
        let state = self.state();
        let names = match usage {
            Usage::TlsClient => Vec::new(),
            Usage::TlsServer => {
                let mut names = self.names().certified();
                names.push(SERVER_NAME.to_owned());
                names
            }
        };
        let identity = Identity::coordinator(&state.coordinator)?;
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
        let (leaf, _) = issue(&authority, &identity, usage, &key, &names, LIFETIME, now)?;
        let chain = state.chain(leaf)?.certificates_der;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((chain.into_iter().map(Into::into).collect(), key.into()))
    }

    fn roots(&self) -> Result<RootCertStore, TrustError> {
        let mut roots = RootCertStore::empty();
        for record in &self.state().authorities {
            roots.add(record.certificate_der()?.into())?;
        }
        Ok(roots)
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}
