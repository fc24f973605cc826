//! Real TLS over Unix sockets: who is a coordinator, and what it may install.

use std::path::PathBuf;

use pvelens_proto::agent::v1::{
    self as wire, CreateCsrRequest, DescribeRequest, InstallCertificateRequest,
    node_agent_service_client::NodeAgentServiceClient,
};
use rcgen::ExtendedKeyUsagePurpose;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
    version::TLS13,
};
use tempfile::TempDir;
use tokio::{io::AsyncReadExt, net::UnixStream};
use tokio_rustls::TlsConnector;
use tokio_util::sync::CancellationToken;
use tonic::{Code, transport::Channel};
use tower::service_fn;

use super::*;
use crate::{
    host::Host,
    identity::{
        self, Identity,
        testing::{Authority, CLIENT, COORDINATOR, Leaf, NODE, Requested, SERVER, chain, key},
    },
    service::{NodeAgent, Sockets, serve_both, serve_link},
    spool::Spool,
};

/// An agent that serves both sockets.
struct Node {
    directory: TempDir,
    slot: Arc<Slot>,
    authority: Authority,
    shutdown: CancellationToken,
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn agent() -> NodeAgent {
    let host = Arc::new(Host::open(std::path::Path::new("/")).unwrap());
    NodeAgent::new(host, Arc::new(Spool::new("e".to_owned())))
}

impl Node {
    fn joined() -> Self {
        let authority = Authority::new("a");
        let node = Self::with(authority);
        node.authority.joined().save(&node.identity()).unwrap();
        node.slot.refresh();
        node
    }

    fn with(authority: Authority) -> Self {
        let directory = TempDir::new().unwrap();
        let bind = |name| UnixListener::bind(directory.path().join(name)).unwrap();
        let slot = Arc::new(Slot::new(directory.path().join("identity")));
        let sockets = Sockets {
            local: bind("local.sock"),
            link: Some((bind("link.sock"), Arc::clone(&slot))),
        };
        let shutdown = CancellationToken::new();
        let agent = agent().with_identity(Arc::clone(&slot));
        tokio::spawn(serve_both(sockets, agent, shutdown.clone()));
        Self {
            directory,
            slot,
            authority,
            shutdown,
        }
    }

    fn identity(&self) -> PathBuf {
        self.directory.path().join("identity")
    }

    async fn dial(&self, name: &str) -> UnixStream {
        connect(self.directory.path().join(name)).await
    }

    /// A coordinator with this certificate that trusts these roots.
    async fn link(&self, tls: ClientConfig) -> Result<Client, String> {
        let stream = self.dial("link.sock").await;
        over_tls(stream, tls).await
    }

    async fn good(&self) -> Client {
        self.link(self.coordinator()).await.unwrap()
    }

    fn coordinator(&self) -> ClientConfig {
        let leaf = Leaf::new(COORDINATOR, CLIENT);
        client(&self.authority, &self.authority, &leaf)
    }

    /// Why a certificate does not get in.
    async fn refused(&self, leaf: &Leaf<'_>) -> String {
        let tls = client(&self.authority, &self.authority, leaf);
        self.link(tls).await.err().unwrap()
    }
}

type Client = NodeAgentServiceClient<Channel>;

#[expect(clippy::disallowed_methods, reason = "the test is the pipe")]
async fn connect(path: PathBuf) -> UnixStream {
    UnixStream::connect(path).await.unwrap()
}

fn client(trusted: &Authority, signs: &Authority, leaf: &Leaf<'_>) -> ClientConfig {
    let key = key();
    let certificate = signs.issue(&key, leaf);
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(trusted.der.clone()))
        .unwrap();
    ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyName(roots)))
        .with_client_auth_cert(
            vec![CertificateDer::from(certificate)],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
        )
        .unwrap()
}

/// Looks at who signed, as certificates of nodes have no name of the DNS.
#[derive(Debug)]
struct AnyName(RootCertStore);

impl rustls::client::danger::ServerCertVerifier for AnyName {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        now: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        rustls::client::verify_server_cert_signed_by_trust_anchor(
            &rustls::server::ParsedCertificate::try_from(leaf)?,
            &self.0,
            intermediates,
            now,
            tls::provider().signature_verification_algorithms.all,
        )?;
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        panic!("only TLS 1.3 is spoken")
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        leaf: &CertificateDer<'_>,
        signature: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        let provider = tls::provider();
        rustls::crypto::verify_tls13_signature(
            message,
            leaf,
            signature,
            &provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        tls::provider()
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// A link that has answered, or the whole reason why it has not.
async fn over_tls<S>(stream: S, tls: ClientConfig) -> Result<Client, String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let name = ServerName::try_from("node.invalid").unwrap();
    let stream = TlsConnector::from(Arc::new(tls))
        .connect(name, stream)
        .await;
    let stream = stream.map_err(|error| error.to_string())?;
    let mut client = over(stream).await;
    match client.describe(DescribeRequest {}).await {
        Ok(_) => Ok(client),
        Err(status) => Err(identity::words(&status)),
    }
}

async fn over<S>(stream: S) -> Client
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut stream = Some(stream);
    let connector = service_fn(move |_: tonic::codegen::http::Uri| {
        let stream = stream.take().map(hyper_util::rt::TokioIo::new);
        async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://node.invalid");
    NodeAgentServiceClient::new(endpoint.connect_with_connector_lazy(connector))
}

#[tokio::test]
async fn a_coordinator_of_the_own_authority_is_served() {
    let node = Node::joined();
    let mut client = node.good().await;
    assert!(client.describe(DescribeRequest {}).await.is_ok());
}

#[tokio::test]
async fn whoever_is_no_coordinator_is_refused_with_an_alert() {
    let node = Node::joined();
    let operator = Leaf::new("pvelens://client/operator/x", CLIENT);
    let both = [CLIENT, SERVER].concat();
    for (leaf, alert) in [
        (operator, "AccessDenied"),
        (Leaf::new(NODE, CLIENT), "AccessDenied"),
        (Leaf::new("https://x.example", CLIENT), "AccessDenied"),
        (Leaf::new(COORDINATOR, &[]), "AccessDenied"),
        (Leaf::new(COORDINATOR, &both), "AccessDenied"),
        (Leaf::new(COORDINATOR, SERVER), "UnsupportedCertificate"),
        (
            Leaf::new(COORDINATOR, &[ExtendedKeyUsagePurpose::Any]),
            "UnsupportedCertificate",
        ),
    ] {
        let refused = node.refused(&leaf).await;
        assert!(refused.contains(alert), "{refused}");
    }
    let mut expired = Leaf::new(COORDINATOR, CLIENT);
    expired.years = (2020, 2021);
    let refused = node.refused(&expired).await;
    assert!(refused.contains("CertificateExpired"), "{refused}");
    node.good().await;
}

#[tokio::test]
async fn a_foreign_authority_is_refused_at_either_end() {
    let node = Node::joined();
    // Of the same name, so that only the key tells them apart.
    let foreign = Authority::new("a");
    let leaf = Leaf::new(COORDINATOR, CLIENT);
    let theirs = client(&node.authority, &foreign, &leaf);
    let refused = node.link(theirs).await.err().unwrap();
    assert!(refused.contains("alert"), "{refused}");
    let ours = client(&foreign, &node.authority, &leaf);
    let refused = node.link(ours).await.err().unwrap();
    assert!(refused.contains("invalid peer certificate"), "{refused}");
    node.good().await;
}

#[tokio::test]
async fn without_a_certificate_nobody_gets_in() {
    let node = Node::joined();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from(node.authority.der.clone()))
        .unwrap();
    let tls = ClientConfig::builder_with_provider(tls::provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyName(roots)))
        .with_no_client_auth();
    let refused = node.link(tls).await.err().unwrap();
    assert!(refused.contains("CertificateRequired"), "{refused}");
}

#[tokio::test]
async fn garbage_is_answered_with_the_end() {
    let node = Node::joined();
    for garbage in [
        b"GET / HTTP/1.1\r\n\r\n".to_vec(),
        vec![0; 1 << 16],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(),
        vec![22, 3, 1, 255, 255],
    ] {
        let mut stream = node.dial("link.sock").await;
        // It may be refused before all of it is sent.
        tokio::io::AsyncWriteExt::write_all(&mut stream, &garbage)
            .await
            .ok();
        tokio::io::AsyncWriteExt::shutdown(&mut stream).await.ok();
        stream.read_to_end(&mut Vec::new()).await.ok();
    }
    node.good().await;
}

#[tokio::test]
async fn silent_connections_take_few_places_and_give_them_back() {
    let node = Node::joined();
    let mut silent = Vec::new();
    for _ in 0..HANDSHAKES {
        silent.push(node.dial("link.sock").await);
    }
    // One more is closed at once, and the others are not.
    let mut one_more = node.dial("link.sock").await;
    assert_eq!(one_more.read(&mut [0]).await.unwrap_or(0), 0);
    tokio::time::pause();
    for stream in &mut silent {
        assert_eq!(stream.read(&mut [0]).await.unwrap_or(0), 0);
    }
    tokio::time::resume();
    node.good().await;
}

#[tokio::test]
async fn a_node_that_has_not_joined_closes_every_connection_until_it_has() {
    let node = Node::with(Authority::new("a"));
    node.slot.refresh();
    for _ in 0..3 {
        let mut stream = node.dial("link.sock").await;
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
    }
    node.authority.joined().save(&node.identity()).unwrap();
    node.slot.refresh();
    node.good().await;
    Identity::remove(&node.identity()).unwrap();
    node.slot.refresh();
    assert!(node.link(node.coordinator()).await.is_err());
}

#[tokio::test]
async fn links_are_few_and_one_that_ends_makes_room() {
    let node = Node::joined();
    let mut links = Vec::new();
    for _ in 0..LINKS {
        links.push(node.good().await);
    }
    assert!(node.link(node.coordinator()).await.is_err());
    links.pop();
    // The agent hears of the end a little later.
    while node.link(node.coordinator()).await.is_err() {
        tokio::task::yield_now().await;
    }
}

/// A request for a certificate over this link, and the certificate for it.
async fn requested(node: &Node, client: &mut Client) -> Vec<u8> {
    let csr = client.create_csr(CreateCsrRequest {}).await.unwrap();
    let csr = csr.into_inner();
    assert_eq!(csr.expires_at.unwrap().seconds, 3_786_912_000);
    let mut leaf = Leaf::new("pvelens://node/cd34/pve1", SERVER);
    leaf.years = (2020, 2091);
    let key = Requested::new(&csr.csr_der);
    node.authority.issue_for(&key, &leaf)
}

fn install(certificates: &[Vec<u8>], authorities: &[wire::Authority]) -> InstallCertificateRequest {
    InstallCertificateRequest {
        chain: Some(chain(certificates)),
        authorities: authorities.to_vec(),
    }
}

#[tokio::test]
async fn a_renewed_certificate_serves_new_links_while_the_old_one_goes_on() {
    let node = Node::joined();
    let before = Identity::load(&node.identity()).unwrap().unwrap();
    let mut link = node.good().await;
    let leaf = requested(&node, &mut link).await;
    let own = node.authority.wire(&[]);
    let request = install(std::slice::from_ref(&leaf), &[own]);
    let installed = link.install_certificate(request.clone()).await.unwrap();
    let end = installed.into_inner().expires_at.unwrap().seconds;
    let kept = Identity::load(&node.identity()).unwrap().unwrap();
    assert_eq!((end, kept.expires_at().as_second()), (3_818_448_000, end));
    assert_eq!((&*kept.cluster, kept.chain.first()), ("cd34", Some(&leaf)));
    assert_ne!(kept.key_pem, before.key_pem);
    assert_eq!(kept.coordinators, before.coordinators);
    assert!(link.describe(DescribeRequest {}).await.is_ok());
    node.good().await;
    assert_eq!(*node.slot.held().unwrap().identity, kept);
    // The key is used once.
    let again = link.install_certificate(request).await.unwrap_err();
    assert_eq!(again.code(), Code::FailedPrecondition);
}

#[tokio::test]
async fn after_a_rotation_both_authorities_coordinators_get_in_until_the_old_one_goes() {
    let node = Node::joined();
    let mut link = node.good().await;
    let csr = link.create_csr(CreateCsrRequest {}).await.unwrap();
    let new = Authority::new("new");
    let cross = new.signed_by(&node.authority);
    let key = Requested::new(&csr.into_inner().csr_der);
    let leaf = new.issue_for(&key, &Leaf::new(NODE, SERVER));
    let authorities = [
        new.wire(std::slice::from_ref(&cross)),
        node.authority.wire(&[]),
    ];
    let request = install(&[leaf, cross], &authorities);
    link.install_certificate(request).await.unwrap();
    let leaf = Leaf::new(COORDINATOR, CLIENT);
    // One that knows the old root alone reaches it over the cross certificate.
    node.good().await;
    node.link(client(&new, &new, &leaf)).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_not_taken_changes_nothing() {
    let node = Node::joined();
    let before = Identity::load(&node.identity()).unwrap().unwrap();
    let mut link = node.good().await;
    let own = node.authority.wire(&[]);
    let without_request = link
        .install_certificate(install(&before.chain, std::slice::from_ref(&own)))
        .await
        .unwrap_err();
    assert_eq!(without_request.code(), Code::FailedPrecondition);
    let good = requested(&node, &mut link).await;
    let foreign = Authority::new("a");
    let other_key = node.authority.issue(&key(), &Leaf::new(NODE, SERVER));
    let huge = vec![0; 64 << 10];
    for request in [
        InstallCertificateRequest::default(),
        install(&[], std::slice::from_ref(&own)),
        install(&[other_key], std::slice::from_ref(&own)),
        install(&before.chain, std::slice::from_ref(&own)),
        install(
            std::slice::from_ref(&good),
            &[own.clone(), foreign.wire(&[])],
        ),
        install(std::slice::from_ref(&good), &[foreign.wire(&[])]),
        install(std::slice::from_ref(&good), &[]),
        install(&[good.clone(), huge], std::slice::from_ref(&own)),
    ] {
        let refused = link.install_certificate(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{refused}");
    }
    let enormous = vec![vec![0; 1 << 20]; 8];
    let refused = link
        .install_certificate(install(&enormous, &[]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::OutOfRange, "{refused}");
    assert_eq!(Identity::load(&node.identity()).unwrap().unwrap(), before);
    // And the request still waits for its certificate.
    link.install_certificate(install(&[good], &[own]))
        .await
        .unwrap();
}

#[tokio::test]
async fn processes_of_the_node_do_not_change_who_it_is() {
    let node = Node::joined();
    let mut local = over(node.dial("local.sock").await).await;
    assert!(local.describe(DescribeRequest {}).await.is_ok());
    let created = local.create_csr(CreateCsrRequest {}).await.unwrap_err();
    assert_eq!(created.code(), Code::PermissionDenied);
    let request = InstallCertificateRequest::default();
    let installed = local.install_certificate(request).await.unwrap_err();
    assert_eq!(installed.code(), Code::PermissionDenied);
}

#[tokio::test]
async fn whoever_leaves_the_coordinator_is_not_brought_back_by_a_renewal() {
    let node = Node::joined();
    let mut link = node.good().await;
    let leaf = requested(&node, &mut link).await;
    Identity::remove(&node.identity()).unwrap();
    let own = node.authority.wire(&[]);
    let refused = link
        .install_certificate(install(&[leaf], &[own]))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(Identity::load(&node.identity()).unwrap(), None);
}

#[tokio::test]
async fn a_simulated_node_is_served_over_any_stream_and_ends_with_it() {
    let authority = Authority::new("a");
    let tls = authority.joined().server_config().unwrap();
    let (near, far) = tokio::io::duplex(1 << 16);
    let agent = agent();
    let serving = tokio::spawn(async move { serve_link(near, &agent, tls).await });
    let leaf = Leaf::new(COORDINATOR, CLIENT);
    let link = over_tls(far, client(&authority, &authority, &leaf))
        .await
        .unwrap();
    assert!(!serving.is_finished());
    drop(link);
    serving.await.unwrap().unwrap();
}
