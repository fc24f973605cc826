//! Real handshakes, both ends here.

use std::{io, sync::Arc};

use rustls::{ClientConfig, ServerConfig, pki_types::ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;

/// A byte each way, since only then each end has judged the other.
async fn meet(client: Arc<ClientConfig>, server: Arc<ServerConfig>) -> [Result<(), String>; 2] {
    let (near, far) = duplex(1 << 16);
    let name = ServerName::try_from("pvelens").unwrap();
    let one = async {
        let mut stream = TlsConnector::from(client).connect(name, near).await?;
        stream.write_all(b"c").await?;
        stream.flush().await?;
        stream.read_u8().await.map(drop)
    };
    let other = async {
        let mut stream = TlsAcceptor::from(server).accept(far).await?;
        stream.read_u8().await?;
        stream.write_all(b"s").await?;
        stream.flush().await
    };
    let (one, other): (io::Result<()>, io::Result<()>) = tokio::join!(one, other);
    [one, other].map(|end| end.map_err(|error| error.to_string()))
}

async fn link(kept: &Kept, node: &Holder) -> [Result<(), String>; 2] {
    meet(kept.trust.link_tls(now()).unwrap(), node.link_server()).await
}

async fn api(kept: &Kept, client: &Holder) -> [Result<(), String>; 2] {
    meet(client.api_client(), kept.trust.api_tls(now()).unwrap()).await
}

fn assert_refused(ends: [Result<(), String>; 2], here: &str, there: &str) {
    let [one, other] = ends.map(Result::unwrap_err);
    assert!(one.contains(here), "{one}");
    assert!(other.contains(there), "{other}");
}

#[tokio::test]
async fn a_node_and_its_coordinator_know_each_other() {
    let kept = Kept::new();
    let node = kept.trust.join(CLUSTER, "pve1");
    assert_eq!(link(&kept, &node).await, [Ok(()), Ok(())]);
    // For a new certificate, and whoever asked sees to it that it is for nothing else.
    let old = kept.trust.join_at(CLUSTER, "pve2", now() - hours(24 * 365));
    assert_eq!(link(&kept, &old).await, [Ok(()), Ok(())]);
}

#[tokio::test]
async fn foreign_ends_are_refused_and_hear_why() {
    let (kept, foreign) = (Kept::new(), Kept::new());
    let mut node = kept.trust.join(CLUSTER, "pve1");
    let stranger = foreign.trust.join(CLUSTER, "pve1");
    assert_refused(link(&kept, &stranger).await, "UnknownIssuer", "UnknownCA");
    // The other way round: our coordinator at a node that trusts another authority.
    node.authorities.clone_from(&stranger.authorities);
    assert_refused(link(&kept, &node).await, "UnknownCA", "UnknownIssuer");
}

#[tokio::test]
async fn what_was_taken_back_is_refused_at_the_handshake() {
    let kept = Kept::new();
    let node = kept.trust.join(CLUSTER, "pve1");
    kept.trust.revoke_node(CLUSTER, "pve1", now()).unwrap();
    assert_refused(link(&kept, &node).await, "Revoked", "CertificateRevoked");
    let client = kept.trust.give_client("ci", ClientRole::Admin, now());
    kept.trust.revoke_client("ci", now()).unwrap();
    assert_refused(api(&kept, &client).await, "CertificateRevoked", "Revoked");
}

#[tokio::test]
async fn a_certificate_is_for_one_purpose() {
    let kept = Kept::new();
    let node = kept.trust.join(CLUSTER, "pve1");
    let client = kept.trust.give_client("ci", ClientRole::Admin, now());
    assert_eq!(api(&kept, &client).await, [Ok(()), Ok(())]);
    // A node as a client, and a client as a node.
    assert_refused(
        api(&kept, &node).await,
        "AccessDenied",
        "ApplicationVerification",
    );
    assert_refused(
        link(&kept, &client).await,
        "ApplicationVerification",
        "AccessDenied",
    );
    let expired = kept
        .trust
        .give_client("old", ClientRole::Reader, now() - hours(24 * 91));
    assert_refused(api(&kept, &expired).await, "CertificateExpired", "xpired");
}

#[tokio::test]
async fn after_a_rotation_peers_that_know_one_authority_go_on() {
    let kept = Kept::new();
    let node = kept.trust.join(CLUSTER, "pve1");
    let client = kept.trust.give_client("ci", ClientRole::Reader, now());
    for _ in 0..2 {
        kept.trust.rotate(now()).unwrap();
        assert_eq!(link(&kept, &node).await, [Ok(()), Ok(())]);
        assert_eq!(api(&kept, &client).await, [Ok(()), Ok(())]);
    }
    let first = kept.trust.authorities(now()).unwrap().pop().unwrap();
    kept.trust.retire(&first.fingerprint, true, now()).unwrap();
    assert_refused(link(&kept, &node).await, "UnknownIssuer", "UnknownCA");
    // A node with a certificate of the new one and only the new one to trust.
    let fresh = kept.trust.join(CLUSTER, "pve2");
    assert_eq!(link(&kept, &fresh).await, [Ok(()), Ok(())]);
}

#[tokio::test]
async fn no_session_is_resumed() {
    let kept = Kept::new();
    let node = kept.trust.join(CLUSTER, "pve1");
    let config = kept.trust.link_tls(now()).unwrap();
    let server = node.link_server();
    for _ in 0..2 {
        assert_eq!(
            meet(Arc::clone(&config), Arc::clone(&server)).await,
            [Ok(()), Ok(())]
        );
    }
    // The same configuration as before: it asks anew.
    kept.trust.revoke_node(CLUSTER, "pve1", now()).unwrap();
    let [ours, _] = meet(config, server).await;
    assert!(ours.unwrap_err().contains("Revoked"));
}
