//! A trust in a directory of its own, and the other ends of its connections.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{
    agent::v1::{Authority as WireAuthority, CertificateChain},
    identity::ClientRole,
    join_line,
    v1::{EnrollRequest, JoinTicket},
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    server::WebPkiClientVerifier,
    version::TLS13,
};
use tempfile::TempDir;

use super::{EnrollError, Names, TokenWish, Trust};

/// TLS looks at the clock of the machine.
#[expect(clippy::disallowed_methods, reason = "TLS looks at the same clock")]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

pub(crate) fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}

/// A trust that goes with its directory.
pub(crate) struct Kept {
    pub(crate) trust: Arc<Trust>,
    pub(crate) directory: TempDir,
}

impl Kept {
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let trust = open(&directory);
        Self { trust, directory }
    }

    /// As after a restart.
    pub(crate) fn again(&mut self) {
        self.trust = open(&self.directory);
    }
}

fn open(directory: &TempDir) -> Arc<Trust> {
    let names = Names::new(&["mon.example.org".to_owned()], 8440, 8441);
    Arc::new(Trust::open(directory.path(), names, now()).unwrap())
}

pub(crate) fn wish(node: &str, node_count: u32) -> TokenWish {
    TokenWish {
        node: node.to_owned(),
        cluster: String::new(),
        node_count,
        valid: hours(1),
    }
}

/// A key and what asks for a certificate of it.
pub(crate) struct Key {
    pub(crate) key: KeyPair,
    pub(crate) csr: Vec<u8>,
}

impl Key {
    pub(crate) fn new() -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let csr = CertificateParams::default().serialize_request(&key);
        let csr = csr.unwrap().der().to_vec();
        Self { key, csr }
    }
}

/// Somebody with a key and a certificate of it.
pub(crate) struct Holder {
    pub(crate) key: KeyPair,
    pub(crate) chain: CertificateChain,
    pub(crate) authorities: Vec<WireAuthority>,
}

impl Holder {
    /// Somebody else with the same key.
    pub(crate) fn again(&self) -> Self {
        Self {
            key: KeyPair::from_pem(&self.key.serialize_pem()).unwrap(),
            chain: self.chain.clone(),
            authorities: self.authorities.clone(),
        }
    }

    pub(crate) fn leaf(&self) -> &[u8] {
        &self.chain.certificates_der[0]
    }

    fn chain(&self) -> Vec<CertificateDer<'static>> {
        let chain = self.chain.certificates_der.iter();
        chain.map(|der| der.clone().into()).collect()
    }

    fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        for authority in &self.authorities {
            roots.add(authority.certificate_der.clone().into()).unwrap();
        }
        roots
    }

    /// The end of a link at a node.
    pub(crate) fn link_server(&self) -> Arc<ServerConfig> {
        let provider = Arc::new(ring::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(self.roots()),
            Arc::clone(&provider),
        );
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_single_cert(
                self.chain(),
                PrivatePkcs8KeyDer::from(self.key.serialize_der()).into(),
            )
            .unwrap();
        config.send_tls13_tickets = 0;
        Arc::new(config)
    }

    /// A person or a program.
    pub(crate) fn api_client(&self) -> Arc<ClientConfig> {
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13])
            .unwrap()
            .with_root_certificates(self.roots())
            .with_client_auth_cert(
                self.chain(),
                PrivatePkcs8KeyDer::from(self.key.serialize_der()).into(),
            );
        Arc::new(config.unwrap())
    }
}

impl Trust {
    /// What the line of a new token says.
    pub(crate) fn ticket(&self, wish: TokenWish) -> JoinTicket {
        let made = self.create_token(wish, now()).unwrap();
        join_line::read(&made.join_line).unwrap()
    }

    pub(crate) fn join_with(
        &self,
        ticket: &JoinTicket,
        cluster: &str,
        node: &str,
        key: Key,
        at: Timestamp,
    ) -> Result<Holder, EnrollError> {
        let request = EnrollRequest {
            token_id: ticket.token_id.clone(),
            secret: ticket.secret.clone(),
            csr_der: key.csr,
            node_name: node.to_owned(),
            cluster_id: cluster.to_owned(),
            agent_version: "0.1.0".to_owned(),
        };
        let response = self.enroll(&request, "192.0.2.1", at)?;
        Ok(Holder {
            key: key.key,
            chain: response.chain.unwrap(),
            authorities: response.authorities,
        })
    }

    /// A node that joined.
    pub(crate) fn join(&self, cluster: &str, node: &str) -> Holder {
        self.join_at(cluster, node, now())
    }

    /// A node that joined then.
    pub(crate) fn join_at(&self, cluster: &str, node: &str, at: Timestamp) -> Holder {
        let made = self.create_token(wish(node, 1), at).unwrap();
        let ticket = join_line::read(&made.join_line).unwrap();
        self.join_with(&ticket, cluster, node, Key::new(), at)
            .unwrap()
    }

    /// A client that was given a certificate then.
    pub(crate) fn give_client(&self, name: &str, role: ClientRole, at: Timestamp) -> Holder {
        let key = Key::new();
        let issued = self.issue_client(name, role, &key.csr, 0, at).unwrap();
        Holder {
            key: key.key,
            chain: issued.chain,
            authorities: issued.authorities,
        }
    }
}
