//! The port over real TCP and TLS, with certificates of a real authority.

use std::net::Ipv4Addr;

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{
    identity::ClientRole,
    v1::{
        EnrollRequest, GetAccessRequest, RecheckRequest,
        enrollment_service_client::EnrollmentServiceClient,
        finding_service_client::FindingServiceClient, fleet_service_client::FleetServiceClient,
    },
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinHandle,
};
use tokio_rustls::TlsConnector;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use super::*;
use crate::{
    check::Params,
    coordinator::Coordinator,
    link,
    log::{Level, Log},
    port::Turned,
    trust::Names,
};

/// Much longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "certificates are verified by it")]
fn now() -> Timestamp {
    Timestamp::now()
}

struct World {
    trust: Arc<Trust>,
    coordinator: Arc<Coordinator>,
    settings: watch::Sender<Arc<Config>>,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    _store: TempDir,
}

struct Credentials {
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
}

impl World {
    fn new() -> Self {
        let store = TempDir::new().unwrap();
        let names = Names::new(&["localhost".to_owned()], 8440, 8441);
        let trust = Arc::new(Trust::open(store.path(), names, now()).unwrap());
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        let mut config = Config::default();
        config.api.listen = (Ipv4Addr::LOCALHOST, 0).into();
        let settings = watch::Sender::new(Arc::new(config));
        let shutdown = CancellationToken::new();
        let remote = Remote {
            backend: Backend {
                coordinator: Arc::clone(&coordinator),
                log: Log::of_tests(Level::Info, |_| ()),
                clock: Arc::new(now),
                started_at: now(),
                trust: Some(Arc::clone(&trust)),
            },
            trust: Arc::clone(&trust),
            settings: settings.subscribe(),
        };
        Self {
            serving: tokio::spawn(remote.serve(None, shutdown.clone())),
            trust,
            coordinator,
            settings,
            shutdown,
            _store: store,
        }
    }

    fn issue(&self, name: &str, role: ClientRole) -> Credentials {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let request = CertificateParams::default()
            .serialize_request(&key)
            .unwrap();
        let issued = self
            .trust
            .issue_client(name, role, request.der(), 90, now())
            .unwrap();
        let chain = issued.chain.certificates_der.into_iter();
        Credentials {
            chain: chain.map(Into::into).collect(),
            key: PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        }
    }

    /// Waits until the port is as expected.
    async fn until(&self, is_so: impl Fn(&PortState) -> bool) -> PortState {
        let begun = std::time::Instant::now();
        loop {
            let state = self.coordinator.ports().api.state();
            if is_so(&state) {
                return state;
            }
            assert!(begun.elapsed() < DEADLINE, "{state:?}");
            tokio::task::yield_now().await;
        }
    }

    async fn address(&self) -> SocketAddr {
        match self
            .until(|state| matches!(state, PortState::Open(_)))
            .await
        {
            PortState::Open(address) => address,
            state => panic!("{state:?}"),
        }
    }

    async fn until_turned_away(&self, why: Turned) {
        let begun = std::time::Instant::now();
        while self.coordinator.ports().api.turned_away(why) == 0 {
            assert!(begun.elapsed() < DEADLINE, "{why:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    fn client(&self, credentials: Option<Credentials>) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        for authority in self.trust.authorities(now()).unwrap() {
            roots
                .add(authority.authority.certificate_der.into())
                .unwrap();
        }
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match credentials {
            Some(Credentials { chain, key }) => builder.with_client_auth_cert(chain, key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }

    async fn connect(&self, credentials: Option<Credentials>) -> Result<Channel, Status> {
        let tls = Arc::new(self.client(credentials));
        let stream = TcpStream::connect(self.address().await).await.unwrap();
        let name = ServerName::try_from("pvelens").unwrap();
        let stream = TlsConnector::from(tls).connect(name, stream).await.unwrap();
        link::channel(link::endpoint(), stream)
            .await
            .map_err(|error| Status::unavailable(error.to_string()))
    }

    async fn end(self) {
        self.shutdown.cancel();
        self.serving.await.unwrap();
    }
}

async fn role(channel: &Channel) -> Result<i32, Status> {
    let mut fleet = FleetServiceClient::new(channel.clone());
    let access = fleet.get_access(GetAccessRequest::default()).await?;
    Ok(access.into_inner().role)
}

fn reason(status: &Status) -> String {
    status
        .get_error_details()
        .error_info()
        .unwrap()
        .reason
        .clone()
}

#[tokio::test]
async fn the_port_opens_with_the_first_client_and_follows_the_settings() {
    let world = World::new();
    assert_eq!(world.coordinator.ports().api.state(), PortState::Closed);
    world.issue("ci", ClientRole::Reader);
    let address = world.address().await;
    let set = |enabled: Opening| {
        world.settings.send_modify(|config| {
            let mut changed = Config::clone(config);
            changed.link.enabled = enabled;
            *config = Arc::new(changed);
        });
    };
    set(Opening::Off);
    world.until(|state| *state == PortState::Closed).await;
    assert!(TcpStream::connect(address).await.is_err());
    set(Opening::On);
    world.address().await;
    world.end().await;
}

#[tokio::test]
async fn the_role_is_that_of_the_certificate() {
    let world = World::new();
    let reader = world.issue("ci", ClientRole::Reader);
    let operator = world.issue("anna", ClientRole::Operator);
    let reader = world.connect(Some(reader)).await.unwrap();
    assert_eq!(role(&reader).await.unwrap(), 1);
    let mut findings = FindingServiceClient::new(reader);
    let status = findings
        .recheck(RecheckRequest::default())
        .await
        .unwrap_err();
    assert_eq!(status.code(), Code::PermissionDenied);
    assert_eq!(reason(&status), "ROLE_TOO_LOW");
    assert!(
        status.message().contains("the certificate of ci"),
        "{status}"
    );

    let operator = world.connect(Some(operator)).await.unwrap();
    assert_eq!(role(&operator).await.unwrap(), 2);
    let mut findings = FindingServiceClient::new(operator);
    assert!(findings.recheck(RecheckRequest::default()).await.is_ok());
    assert_eq!(world.coordinator.ports().api.connected(), (2, 2));
    world.end().await;
}

#[tokio::test]
async fn without_a_certificate_nobody_does_more_than_enrol() {
    let world = World::new();
    world.issue("ci", ClientRole::Reader);
    let stranger = world.connect(None).await.unwrap();
    let status = role(&stranger).await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated);
    let mut enrollment = EnrollmentServiceClient::new(stranger.clone());
    let status = enrollment
        .enroll(EnrollRequest::default())
        .await
        .unwrap_err();
    assert_ne!(status.code(), Code::Unauthenticated, "{status}");
    let large = EnrollRequest {
        csr_der: vec![0; ENROLL_LIMIT_BYTES + 1],
        ..EnrollRequest::default()
    };
    let status = enrollment.enroll(large).await.unwrap_err();
    assert_eq!(status.code(), Code::OutOfRange, "{status}");
    world.end().await;
}

#[tokio::test]
async fn a_place_has_only_so_many_connections_without_a_certificate() {
    let world = World::new();
    let reader = world.issue("ci", ClientRole::Reader);
    let mut held = Vec::new();
    for _ in 0..8 {
        let channel = world.connect(None).await.unwrap();
        assert!(role(&channel).await.is_err());
        held.push(channel);
    }
    let one_more = world.connect(None).await;
    assert!(match one_more {
        Err(_) => true,
        Ok(channel) => role(&channel).await.unwrap_err().code() != Code::Unauthenticated,
    });
    world.until_turned_away(Turned::Source).await;
    // Who has one still comes in.
    let reader = world.connect(Some(reader)).await.unwrap();
    assert!(role(&reader).await.is_ok());
    world.end().await;
}

#[tokio::test]
async fn revocation_cuts_a_live_connection_and_keeps_it_out() {
    let world = World::new();
    let credentials = world.issue("ci", ClientRole::Reader);
    let again = Credentials {
        chain: credentials.chain.clone(),
        key: credentials.key.clone_key(),
    };
    let other = world.issue("other", ClientRole::Reader);
    let channel = world.connect(Some(credentials)).await.unwrap();
    let other = world.connect(Some(other)).await.unwrap();
    assert!(role(&channel).await.is_ok() && role(&other).await.is_ok());
    assert_eq!(world.trust.revoke_client("ci", now()).unwrap(), 1);
    world.until_turned_away(Turned::Cut).await;
    assert!(role(&channel).await.is_err());
    assert!(role(&other).await.is_ok());
    let refused = match world.connect(Some(again)).await {
        Err(_) => true,
        Ok(channel) => role(&channel).await.is_err(),
    };
    assert!(refused);
    world.until_turned_away(Turned::Certificate).await;
    world.end().await;
}

#[tokio::test]
async fn what_is_no_tls_ends_at_once() {
    let world = World::new();
    let reader = world.issue("ci", ClientRole::Reader);
    let mut stream = TcpStream::connect(world.address().await).await.unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // An alert, or nothing.
    stream.read_to_end(&mut answer).await.ok();
    world.until_turned_away(Turned::Garbage).await;
    drop(TcpStream::connect(world.address().await).await.unwrap());
    world.until_turned_away(Turned::Gone).await;
    let reader = world.connect(Some(reader)).await.unwrap();
    assert!(role(&reader).await.is_ok());
    world.end().await;
}

#[tokio::test]
async fn a_certificate_that_ends_cuts_its_connection() {
    let world = World::new();
    world.issue("ci", ClientRole::Reader);
    let live = Arc::new(Live::default());
    let certificate = crate::trust::ClientCertificate {
        role: ClientRole::Reader,
        name: "ci".to_owned(),
        serial: "00".to_owned(),
        expires_at: now() + SignedDuration::from_secs(60),
    };
    let entry = live.enter(Some(certificate));
    let port = &world.coordinator.ports().api;
    assert!(live.next_end(now()).unwrap() <= Duration::from_secs(60));
    live.cut(&world.trust, now(), port);
    assert!(!entry.cut.is_cancelled());
    live.cut(&world.trust, now() + SignedDuration::from_secs(61), port);
    assert!(entry.cut.is_cancelled());
    assert_eq!(live.next_end(now()), None);
    world.end().await;
}
