//! Who belongs to this installation, over sockets of several roles.

use pvelens_proto::{
    identity::ClientRole,
    join_line,
    v1::{
        BackUpAuthorityRequest, CreateTokenRequest, EnrollRequest, GetAuthoritiesRequest,
        IssueClientRequest, ListClientsRequest, ListTokensRequest, RenewClientRequest,
        RetireAuthorityRequest, RevokeAgentRequest, RevokeClientRequest, RotateAuthorityRequest,
        WithdrawTokenRequest, enrollment_service_client::EnrollmentServiceClient,
        enrollment_service_server::EnrollmentService,
    },
};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256};
use tonic::Request;

use super::*;
use crate::{
    trust::{self, ClientCertificate, Names, Trust},
    view::fixture::at,
};

type Client = EnrollmentServiceClient<Channel>;

/// A coordinator that knows the cluster `lab`.
struct World {
    backend: Backend,
    directory: TempDir,
}

impl World {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let names = Names::new(&["mon.example.org".to_owned()], 8440, 8441);
        let trust = Trust::open(directory.path(), names, at()).unwrap();
        Self::with(Some(Arc::new(trust)), directory)
    }

    fn with(trust: Option<Arc<Trust>>, directory: TempDir) -> Self {
        let coordinator = Arc::new(Coordinator::new(Params::default()));
        coordinator.publish(lab());
        Self {
            backend: Backend {
                coordinator,
                log: Log::of_tests(Level::Info, |_| ()),
                clock: Arc::new(at),
                started_at: at(),
                trust,
            },
            directory,
        }
    }

    async fn client(&self, role: Role) -> Client {
        let path = self.directory.path().join(role.socket());
        let listener = UnixListener::bind(&path).unwrap();
        let serving = serve(
            self.backend.clone(),
            role,
            listener,
            CancellationToken::new(),
        );
        tokio::spawn(serving);
        let stream = UnixStream::connect(&path).await.unwrap();
        Client::new(link::channel(link::endpoint(), stream).await.unwrap())
    }
}

fn key() -> KeyPair {
    KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap()
}

fn csr(key: &KeyPair) -> Vec<u8> {
    let request = CertificateParams::default().serialize_request(key);
    request.unwrap().der().to_vec()
}

/// What a node sends that was given this line.
fn enroll(line: &str, node: &str, key: &KeyPair) -> EnrollRequest {
    let ticket = join_line::read(line).unwrap();
    EnrollRequest {
        token_id: ticket.token_id,
        secret: ticket.secret,
        csr_der: csr(key),
        node_name: node.to_owned(),
        cluster_id: "c0ffee".to_owned(),
        agent_version: "0.1.0".to_owned(),
    }
}

fn token(node: &str, nodes: u32) -> CreateTokenRequest {
    CreateTokenRequest {
        node_name: node.to_owned(),
        cluster: "lab".to_owned(),
        node_count: nodes,
        ..CreateTokenRequest::default()
    }
}

fn issue(name: &str, role: message::Role) -> IssueClientRequest {
    IssueClientRequest {
        name: name.to_owned(),
        role: role.into(),
        csr_der: csr(&key()),
        valid_days: 30,
    }
}

fn revoke(node: &str, cluster: &str) -> RevokeAgentRequest {
    RevokeAgentRequest {
        node_name: node.to_owned(),
        cluster: cluster.to_owned(),
        render: None,
    }
}

#[tokio::test]
async fn a_node_joins_with_a_token_and_is_turned_out() {
    let world = World::new();
    let mut client = world.client(Role::Admin).await;
    let made = client
        .create_token(token("", 2))
        .await
        .unwrap()
        .into_inner();
    let made_token = made.token.unwrap();
    assert_eq!(made_token.cluster_id, "c0ffee");
    let ticket = join_line::read(&made.join_line).unwrap();
    assert_eq!(ticket.enrollment_addresses, ["mon.example.org:8441"]);
    assert_eq!(ticket.link_addresses, ["mon.example.org:8440"]);

    // Whoever has the line needs no role.
    let mut stranger = world.client(Role::Reader).await;
    let key = key();
    let request = enroll(&made.join_line, "pve1", &key);
    let joined = stranger.enroll(request.clone()).await.unwrap().into_inner();
    assert_eq!(joined.chain.unwrap().certificates_der.len(), 1);
    assert_eq!(joined.authorities.len(), 1);
    // The answer may have been lost.
    assert!(stranger.enroll(request).await.is_ok());

    let tokens = client.list_tokens(ListTokensRequest::default()).await;
    let tokens = tokens.unwrap().into_inner().tokens;
    assert_eq!(tokens[0].joined_nodes, ["pve1"]);
    let rendered = ListTokensRequest { render: as_json() };
    let rendered = client.list_tokens(rendered).await.unwrap().into_inner();
    let shown: serde_json::Value = serde_json::from_str(&rendered.rendered).unwrap();
    assert_eq!(shown["tokens"][0]["state"], "open");
    assert!(!rendered.rendered.contains("secret"));

    for (node, cluster, expected) in [
        ("pve9", "", "NOT_FOUND_NODE"),
        ("pve1", "other", "NOT_FOUND_CLUSTER"),
    ] {
        let status = client.revoke_agent(revoke(node, cluster)).await;
        assert_eq!(reason(&status.unwrap_err()), expected);
    }
    let revoked = client.revoke_agent(revoke("pve1", "c0ff")).await;
    let revoked = revoked.unwrap().into_inner();
    assert_eq!(revoked.cluster_id, "c0ffee");
    assert_eq!(revoked.revoked_certificates, 2);
    let status = client.revoke_agent(revoke("pve1", "")).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_FOUND_NODE");
}

#[tokio::test]
async fn a_node_of_two_clusters_has_to_be_named_with_its_cluster() {
    let world = World::new();
    let mut client = world.client(Role::Admin).await;
    for cluster in ["c0ffee", "beef00"] {
        let wish = CreateTokenRequest::default();
        let made = client.create_token(wish).await.unwrap().into_inner();
        let request = EnrollRequest {
            cluster_id: cluster.to_owned(),
            ..enroll(&made.join_line, "pve1", &key())
        };
        client.enroll(request).await.unwrap();
    }
    let status = client.revoke_agent(revoke("pve1", "")).await.unwrap_err();
    assert_eq!(reason(&status), "AMBIGUOUS_NODE");
    // By the name of the one in the view, and by the id of the one that is in none.
    assert!(client.revoke_agent(revoke("pve1", "lab")).await.is_ok());
    assert!(client.revoke_agent(revoke("pve1", "beef")).await.is_ok());
}

#[tokio::test]
async fn why_a_node_may_not_join_has_a_reason_and_a_way_on() {
    let world = World::new();
    let mut client = world.client(Role::Admin).await;
    let hint = |status: &Status| {
        let details = status.get_error_details();
        details.error_info().unwrap().metadata["hint"].clone()
    };
    let mut made = Vec::new();
    for wish in [token("", 1), token("pve3", 1), token("", 1)] {
        made.push(client.create_token(wish).await.unwrap().into_inner());
    }
    let [any, named, withdrawn] = made.as_slice() else {
        panic!("three tokens");
    };
    client
        .enroll(enroll(&any.join_line, "pve1", &key()))
        .await
        .unwrap();
    let withdraw = WithdrawTokenRequest {
        id: withdrawn.token.clone().unwrap().id,
        render: as_json(),
    };
    client.withdraw_token(withdraw).await.unwrap();
    let wrong = EnrollRequest {
        secret: vec![0; 32],
        ..enroll(&any.join_line, "pve1", &key())
    };
    let elsewhere = EnrollRequest {
        cluster_id: "beef00".to_owned(),
        ..enroll(&named.join_line, "pve3", &key())
    };
    for (request, expected, way) in [
        (wrong, "TOKEN_UNKNOWN", "agents token"),
        (
            enroll(&any.join_line, "pve2", &key()),
            "TOKEN_USED",
            "agents revoke",
        ),
        (
            enroll(&named.join_line, "pve1", &key()),
            "TOKEN_SCOPE",
            "--node",
        ),
        (elsewhere, "TOKEN_SCOPE", "--cluster"),
        (
            enroll(&withdrawn.join_line, "pve2", &key()),
            "TOKEN_WITHDRAWN",
            "agents token",
        ),
    ] {
        let status = client.enroll(request).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied);
        assert_eq!(reason(&status), expected);
        assert!(hint(&status).contains(way), "{}", hint(&status));
    }
    // Only a token with its name replaces a node.
    let another = client.create_token(token("", 1)).await.unwrap();
    let another = another.into_inner().join_line;
    let status = client.enroll(enroll(&another, "pve1", &key())).await;
    let status = status.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    assert_eq!(reason(&status), "NODE_ALREADY_ENROLLED");
    assert!(hint(&status).contains("--node pve1"));
    let by_name = client.create_token(token("pve1", 1)).await.unwrap();
    let by_name = by_name.into_inner().join_line;
    let request = enroll(&by_name, "pve1", &key());
    assert!(client.enroll(request).await.is_ok());

    let no_request = EnrollRequest {
        csr_der: vec![1, 2, 3],
        ..enroll(&another, "pve2", &key())
    };
    let status = client.enroll(no_request).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
}

#[tokio::test]
async fn a_token_that_makes_no_sense_is_not_made() {
    let world = World::new();
    let mut client = world.client(Role::Admin).await;
    let unknown = CreateTokenRequest {
        cluster: "other".to_owned(),
        ..CreateTokenRequest::default()
    };
    let status = client.create_token(unknown).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_FOUND_CLUSTER");
    for wrong in [
        token("pve1", 2),
        token("", 1001),
        token("a node", 1),
        CreateTokenRequest {
            valid_seconds: 59,
            ..CreateTokenRequest::default()
        },
    ] {
        let status = client.create_token(wrong).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status}");
        assert_eq!(reason(&status), "INVALID_ARGUMENT");
    }
    let status = client.withdraw_token(WithdrawTokenRequest::default()).await;
    assert_eq!(reason(&status.unwrap_err()), "NOT_FOUND_TOKEN");
}

#[tokio::test]
async fn clients_are_given_certificates_and_lose_them() {
    let world = World::new();
    let mut client = world.client(Role::Admin).await;
    let issued = client.issue_client(issue("anna", message::Role::Operator));
    let issued = issued.await.unwrap().into_inner();
    assert_eq!(issued.addresses, ["mon.example.org:8441"]);
    assert_eq!(issued.authorities.len(), 1);
    assert_eq!(
        issued.expires_at.unwrap().seconds,
        at().as_second() + 30 * 86_400
    );
    for (wrong, field) in [
        (issue("anna", message::Role::Unspecified), "role"),
        (issue("an/na", message::Role::Reader), "name"),
    ] {
        let status = client.issue_client(wrong).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().starts_with(field), "{status}");
    }
    let clients = client.list_clients(ListClientsRequest::default()).await;
    let clients = clients.unwrap().into_inner().clients;
    assert_eq!(clients[0].name, "anna");
    assert_eq!(clients[0].role(), message::Role::Operator);

    let revoke = |name: &str| RevokeClientRequest {
        name_or_serial: name.to_owned(),
        render: None,
    };
    let revoked = client.revoke_client(revoke("anna")).await.unwrap();
    assert_eq!(revoked.into_inner().revoked_certificates, 1);
    let status = client.revoke_client(revoke("bert")).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_FOUND_CLIENT");
}

#[tokio::test]
async fn a_client_renews_the_certificate_that_it_shows() {
    let world = World::new();
    let mut client = world.client(Role::Admin).await;
    let issued = client.issue_client(issue("ci", message::Role::Reader));
    issued.await.unwrap();
    let renewal = || RenewClientRequest {
        csr_der: csr(&key()),
    };
    // A socket shows none.
    let status = client.renew_client(renewal()).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(!reason(&status).is_empty());

    let clients = client.list_clients(ListClientsRequest::default()).await;
    let serial = clients.unwrap().into_inner().clients[0].serial.clone();
    let mut request = Request::new(renewal());
    request.extensions_mut().insert(ClientCertificate {
        role: ClientRole::Reader,
        name: "ci".to_owned(),
        serial,
        expires_at: at(),
    });
    let service = enrollment::Service {
        backend: world.backend.clone(),
    };
    let renewed = service.renew_client(request).await.unwrap().into_inner();
    // As long as the first one.
    assert_eq!(
        renewed.expires_at.unwrap().seconds,
        at().as_second() + 30 * 86_400
    );
    assert_eq!(renewed.chain.unwrap().certificates_der.len(), 1);
}

#[tokio::test]
async fn authorities_are_replaced_kept_and_restored() {
    let world = World::new();
    let mut client = world.client(Role::Admin).await;
    let back_up = BackUpAuthorityRequest {};
    let status = client.back_up_authority(back_up).await.unwrap_err();
    assert_eq!(reason(&status), "NOT_FOUND_AUTHORITY");
    client
        .issue_client(issue("anna", message::Role::Reader))
        .await
        .unwrap();
    let show = GetAuthoritiesRequest::default;
    let before = client.get_authorities(show()).await.unwrap().into_inner();
    let old = before.authorities[0].fingerprint.clone();
    assert_eq!(before.authorities[0].client_certificates, 1);

    let rotated = client.rotate_authority(RotateAuthorityRequest::default());
    let rotated = rotated.await.unwrap().into_inner().authority.unwrap();
    assert!(rotated.is_signing && rotated.fingerprint != old);
    let retire = |fingerprint: &str, force: bool| RetireAuthorityRequest {
        fingerprint: fingerprint.to_owned(),
        force,
        render: None,
    };
    for (wanted, expected) in [
        (rotated.fingerprint.as_str(), "IN_USE"),
        (old.as_str(), "IN_USE"),
        ("00", "NOT_FOUND_AUTHORITY"),
        ("", "NOT_FOUND_AUTHORITY"),
    ] {
        let status = client.retire_authority(retire(wanted, false)).await;
        let status = status.unwrap_err();
        // Two hexadecimal digits may be those of an authority.
        if wanted != "00" || status.code() == Code::NotFound {
            assert_eq!(reason(&status), expected, "{wanted}");
        }
    }
    let backup = client.back_up_authority(back_up).await.unwrap();
    let backup = backup.into_inner().backup;
    let retired = client.retire_authority(retire(&old, true)).await;
    assert_eq!(
        retired.unwrap().into_inner().authority.unwrap().fingerprint,
        old
    );
    let after = client.get_authorities(show()).await.unwrap().into_inner();
    assert_eq!(after.authorities.len(), 1);

    let elsewhere = TempDir::new().unwrap();
    trust::restore(elsewhere.path(), &backup, false).unwrap();
    let names = Names::new(&["other".to_owned()], 8440, 8441);
    let restored = Trust::open(elsewhere.path(), names, at()).unwrap();
    assert_eq!(restored.authorities(at()).unwrap().len(), 2);
    assert_eq!(restored.clients()[0].name, "anna");
}

#[tokio::test]
async fn only_administrators_decide_who_belongs_here() {
    let world = World::new();
    for role in [Role::Reader, Role::Operator] {
        let mut client = world.client(role).await;
        let refusals = [
            client.create_token(token("", 1)).await.map(drop),
            client
                .list_tokens(ListTokensRequest::default())
                .await
                .map(drop),
            client
                .withdraw_token(WithdrawTokenRequest::default())
                .await
                .map(drop),
            client.revoke_agent(revoke("pve1", "")).await.map(drop),
            client
                .issue_client(issue("eve", message::Role::Admin))
                .await
                .map(drop),
            client
                .list_clients(ListClientsRequest::default())
                .await
                .map(drop),
            client
                .revoke_client(RevokeClientRequest::default())
                .await
                .map(drop),
            client
                .rotate_authority(RotateAuthorityRequest::default())
                .await
                .map(drop),
            client
                .retire_authority(RetireAuthorityRequest::default())
                .await
                .map(drop),
            client
                .back_up_authority(BackUpAuthorityRequest {})
                .await
                .map(drop),
        ];
        for refusal in refusals {
            let status = refusal.unwrap_err();
            assert_eq!(status.code(), Code::PermissionDenied);
            assert_eq!(reason(&status), "ROLE_TOO_LOW");
        }
        // Whom to trust is for everybody.
        let authorities = client.get_authorities(GetAuthoritiesRequest::default());
        assert!(
            authorities
                .await
                .unwrap()
                .into_inner()
                .authorities
                .is_empty()
        );
    }
}

#[tokio::test]
async fn a_coordinator_that_keeps_nothing_says_how_to_change_that() {
    let world = World::with(None, TempDir::new().unwrap());
    let mut client = world.client(Role::Admin).await;
    let status = client.create_token(token("", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(reason(&status), "NO_TRUST");
    let details = status.get_error_details();
    assert!(details.error_info().unwrap().metadata["hint"].contains("[store]"));
    let request = EnrollRequest::default();
    assert_eq!(
        reason(&client.enroll(request).await.unwrap_err()),
        "NO_TRUST"
    );
}
