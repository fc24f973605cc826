//! A coordinator of the tests: an authority, and a server that enrols.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex, mpsc},
    thread,
};

use pvelens_proto::{
    agent::v1::{Authority, CertificateChain},
    v1::{
        self as wire, EnrollRequest, EnrollResponse, JoinTicket,
        enrollment_service_server::{EnrollmentService, EnrollmentServiceServer},
    },
};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PublicKeyData, SanType, SignatureAlgorithm,
};
use rustls::{ServerConfig, crypto::ring, pki_types::PrivatePkcs8KeyDer, version::TLS13};
use sha2::{Digest, Sha256};
use tokio::{io::copy_bidirectional, net::TcpListener};
use tokio_rustls::TlsAcceptor;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt};
use x509_parser::{certification_request::X509CertificationRequest, prelude::FromDer};

/// The authority of an installation.
pub(super) struct Ca(CertifiedIssuer<'static, KeyPair>);

impl Ca {
    pub(super) fn new() -> Self {
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "pvelens authority of a test");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        Self(CertifiedIssuer::self_signed(params, key()).unwrap())
    }

    fn der(&self) -> Vec<u8> {
        self.0.as_ref().der().to_vec()
    }

    pub(super) fn sha256(&self) -> Vec<u8> {
        Sha256::digest(self.der()).to_vec()
    }

    fn sign(&self, uri: &str, usage: ExtendedKeyUsagePurpose, key: &impl PublicKeyData) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
        params.extended_key_usages = vec![usage];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.signed_by(key, &self.0).unwrap().der().to_vec()
    }

    fn enrol(&self, request: &EnrollRequest) -> EnrollResponse {
        let (_, csr) = X509CertificationRequest::from_der(&request.csr_der).unwrap();
        csr.verify_signature().unwrap();
        let key = csr.certification_request_info.subject_pki;
        let key = Public(key.subject_public_key.data.to_vec());
        let uri = format!("pvelens://node/host:{0}/{0}", request.node_name);
        let leaf = self.sign(&uri, ExtendedKeyUsagePurpose::ServerAuth, &key);
        EnrollResponse {
            chain: Some(CertificateChain {
                certificates_der: vec![leaf],
            }),
            authorities: vec![Authority {
                certificate_der: self.der(),
                cross_certificates_der: Vec::new(),
            }],
        }
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

struct Public(Vec<u8>);

impl PublicKeyData for Public {
    fn der_bytes(&self) -> &[u8] {
        &self.0
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

/// What the server shows.
pub(super) struct Shown<'a> {
    /// Signs the server's own certificate.
    pub(super) signer: &'a Ca,
    /// Sent behind it.
    pub(super) chain: &'a Ca,
    pub(super) uri: &'a str,
    pub(super) usage: ExtendedKeyUsagePurpose,
}

impl<'a> Shown<'a> {
    pub(super) fn of(ca: &'a Ca) -> Self {
        Self {
            signer: ca,
            chain: ca,
            uri: "pvelens://coordinator/mon",
            usage: ExtendedKeyUsagePurpose::ServerAuth,
        }
    }
}

/// How it answers, the first time first.
#[derive(Debug, Clone, Copy)]
pub(super) enum Reply {
    Yes,
    /// The node is enrolled, and does not hear of it.
    Lost,
    No(&'static str),
    /// With the identity of another node.
    ForAnother,
}

/// Where it listens, and what it was asked.
pub(super) struct Coordinator {
    pub(super) address: SocketAddr,
    asked: Arc<Mutex<Vec<EnrollRequest>>>,
}

impl Coordinator {
    /// One that is as it should be.
    pub(super) fn of(ca: Ca, replies: &[Reply]) -> Self {
        let tls = tls(&Shown::of(&ca));
        Self::serving(ca, tls, replies)
    }

    /// One that shows what it likes.
    pub(super) fn start(ca: Ca, shown: &Shown<'_>, replies: &[Reply]) -> Self {
        Self::serving(ca, tls(shown), replies)
    }

    /// Serves until the end of the test process.
    fn serving(ca: Ca, tls: ServerConfig, replies: &[Reply]) -> Self {
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let desk = Desk {
            ca: Arc::new(ca),
            asked: Arc::clone(&asked),
            replies: replies.to_vec(),
        };
        let (sender, address) = mpsc::channel();
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .unwrap();
            runtime.block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                sender.send(listener.local_addr().unwrap()).unwrap();
                let acceptor = TlsAcceptor::from(Arc::new(tls));
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        continue;
                    };
                    // The library serves no TLS stream of another library.
                    let (mut outside, inside) = tokio::io::duplex(64 << 10);
                    tokio::spawn(async move {
                        copy_bidirectional(&mut stream, &mut outside).await.ok();
                    });
                    let one = tokio_stream::once(Ok::<_, std::io::Error>(inside));
                    let service = EnrollmentServiceServer::new(desk.clone());
                    // It returns once its one connection is accepted and has ended.
                    let server = tonic::transport::Server::builder().add_service(service);
                    tokio::spawn(server.serve_with_incoming(one));
                }
            });
        });
        Self {
            address: address.recv().unwrap(),
            asked,
        }
    }

    pub(super) fn asked(&self) -> Vec<EnrollRequest> {
        self.asked.lock().unwrap().clone()
    }
}

fn tls(shown: &Shown<'_>) -> ServerConfig {
    let own = key();
    let leaf = shown.signer.sign(shown.uri, shown.usage.clone(), &own);
    let chain = vec![leaf.into(), shown.chain.der().into()];
    let mut tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, PrivatePkcs8KeyDer::from(own.serialize_der()).into())
        .unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    tls
}

/// The ticket for a coordinator with this authority at these addresses.
pub(super) fn ticket(authority_sha256: Vec<u8>, addresses: &[String]) -> JoinTicket {
    JoinTicket {
        enrollment_addresses: addresses.to_vec(),
        link_addresses: vec![
            "mon.example.org:8440".to_owned(),
            "192.0.2.7:8440".to_owned(),
        ],
        authority_sha256,
        token_id: "k3x9".to_owned(),
        secret: vec![9; 32],
        expires_at: None,
    }
}

#[derive(Clone)]
struct Desk {
    ca: Arc<Ca>,
    asked: Arc<Mutex<Vec<EnrollRequest>>>,
    replies: Vec<Reply>,
}

macro_rules! not_here {
    ($($name:ident($request:ident) -> $response:ident;)*) => {
        #[tonic::async_trait]
        impl EnrollmentService for Desk {
            async fn enroll(
                &self,
                request: Request<EnrollRequest>,
            ) -> Result<Response<EnrollResponse>, Status> {
                self.answer(request.into_inner()).map(Response::new)
            }

            $(async fn $name(
                &self,
                _: Request<wire::$request>,
            ) -> Result<Response<wire::$response>, Status> {
                Err(Status::unimplemented("not in this test"))
            })*
        }
    };
}

not_here! {
    create_token(CreateTokenRequest) -> CreateTokenResponse;
    list_tokens(ListTokensRequest) -> ListTokensResponse;
    withdraw_token(WithdrawTokenRequest) -> WithdrawTokenResponse;
    revoke_agent(RevokeAgentRequest) -> RevokeAgentResponse;
    issue_client(IssueClientRequest) -> IssueClientResponse;
    renew_client(RenewClientRequest) -> RenewClientResponse;
    list_clients(ListClientsRequest) -> ListClientsResponse;
    revoke_client(RevokeClientRequest) -> RevokeClientResponse;
    get_authorities(GetAuthoritiesRequest) -> GetAuthoritiesResponse;
    rotate_authority(RotateAuthorityRequest) -> RotateAuthorityResponse;
    retire_authority(RetireAuthorityRequest) -> RetireAuthorityResponse;
    back_up_authority(BackUpAuthorityRequest) -> BackUpAuthorityResponse;
}

impl Desk {
    fn answer(&self, request: EnrollRequest) -> Result<EnrollResponse, Status> {
        let mut asked = self.asked.lock().unwrap();
        let reply = self.replies.get(asked.len()).copied();
        asked.push(request.clone());
        match reply.unwrap_or(Reply::Yes) {
            Reply::Yes => Ok(self.ca.enrol(&request)),
            Reply::ForAnother => Ok(self.ca.enrol(&EnrollRequest {
                node_name: "other".to_owned(),
                ..request
            })),
            // As when the connection breaks.
            Reply::Lost => Err(Status::unavailable("broken pipe")),
            Reply::No(reason) => Err(Status::with_error_details(
                Code::PermissionDenied,
                "the token is no good\u{1b}[2J",
                ErrorDetails::with_error_info(reason, "pvelens", []),
            )),
        }
    }
}
