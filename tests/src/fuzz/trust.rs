//! What a node that joins, a stranger with a certificate, and a file that somebody
//! changed say about who is who.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    sync::OnceLock,
};

use anyhow::{Context, Result};
use jiff::{SignedDuration, Timestamp};
use prost::Message;
use pvelens::trust::{Names, TokenWish, Trust, restore};
use pvelens_agent::identity::{self, Identity, accept, new_key_and_csr};
use pvelens_proto::{
    agent::v1::CertificateChain,
    identity::ClientRole,
    join_line,
    v1::{EnrollRequest, EnrollResponse, JoinTicket},
};
use tempfile::TempDir;

use super::{Target, directory};

const NOW: i64 = 1_795_349_100;

pub(super) const JOIN_LINE: Target = Target {
    name: "join_line",
    run: read_line,
    seeds: || Ok(vec![line()?.into_bytes()]),
};
pub(super) const ENROLMENT: Target = Target {
    name: "enrolment",
    run: enrol,
    seeds: || Ok(vec![world()?.request.encode_to_vec(), world()?.csr.clone()]),
};
pub(super) const CERTIFICATE: Target = Target {
    name: "certificate",
    run: certificate,
    seeds: certificates,
};
pub(super) const IDENTITY: Target = Target {
    name: "identity",
    run: load_identity,
    seeds: || Ok(vec![world()?.identity.clone()]),
};
pub(super) const BACKUP: Target = Target {
    name: "backup",
    run: restore_backup,
    seeds: || Ok(vec![world()?.backup.clone().into_bytes()]),
};

/// A trust with a node and a client, and the words that were spoken.
struct World {
    trust: Trust,
    names: Names,
    request: EnrollRequest,
    csr: Vec<u8>,
    response: EnrollResponse,
    key: String,
    client: CertificateChain,
    identity: Vec<u8>,
    backup: String,
    line: String,
    _directory: TempDir,
}

fn now() -> Timestamp {
    Timestamp::from_second(NOW).unwrap_or_default()
}

fn world() -> Result<&'static World> {
    static WORLD: OnceLock<Result<World, String>> = OnceLock::new();
    let world = WORLD.get_or_init(|| make().map_err(|error| format!("{error:#}")));
    world.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
}

fn make() -> Result<World> {
    let directory = TempDir::new()?;
    let names = Names::new(&["mon.example.org".to_owned()], 8440, 8441);
    let trust = Trust::open(directory.path(), names.clone(), now())?;
    let wish = TokenWish {
        node: String::new(),
        cluster: String::new(),
        node_count: 100,
        valid: SignedDuration::from_hours(24),
    };
    let line = trust.create_token(wish, now())?.join_line;
    let ticket = join_line::read(&line)?;
    let (key, csr) = new_key_and_csr("pve1")?;
    let request = EnrollRequest {
        token_id: ticket.token_id,
        secret: ticket.secret,
        csr_der: csr.clone(),
        node_name: "pve1".to_owned(),
        cluster_id: "c0ffee".to_owned(),
        agent_version: "0.1.0".to_owned(),
    };
    let response = trust.enroll(&request, "192.0.2.1", now())?;
    let issued = trust.issue_client("ci", ClientRole::Reader, &csr, 0, now())?;
    let chain = response.chain.clone().context("no chain")?;
    let trusted = response.authorities.iter();
    let trusted: Vec<_> = trusted.map(|one| one.certificate_der.clone()).collect();
    let accepted = accept(&trusted, &response.authorities, &chain, &key)?;
    let place = directory.path().join("identity");
    Identity::new(accepted, key.clone(), vec!["mon:8440".to_owned()]).save(&place)?;
    Ok(World {
        identity: fs::read(place.join(identity::FILE))?,
        backup: trust.back_up(now())?,
        client: issued.chain,
        trust,
        names,
        request,
        csr,
        response,
        key,
        line,
        _directory: directory,
    })
}

fn known() -> &'static World {
    world().unwrap_or_else(|error| panic!("no trust to work with: {error}"))
}

fn line() -> Result<String> {
    Ok(world()?.line.clone())
}

/// What is read of a line is written the same; a ticket of any content survives.
fn read_line(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(ticket) = join_line::read(text)
    {
        assert_eq!(join_line::read(&join_line::write(&ticket)), Ok(ticket));
    }
    if let Ok(ticket) = JoinTicket::decode(data) {
        // One that is too long for a line is refused.
        if let Ok(again) = join_line::read(&join_line::write(&ticket)) {
            assert_eq!(again, ticket);
        }
    }
}

/// Any request, and any request for a certificate from one who has a token.
fn enrol(data: &[u8]) {
    let World { trust, request, .. } = known();
    if let Ok(request) = EnrollRequest::decode(data) {
        drop(trust.enroll(&request, "192.0.2.1", now()));
    }
    let hostile = EnrollRequest {
        csr_der: data.to_vec(),
        ..request.clone()
    };
    if let Ok(response) = trust.enroll(&hostile, "192.0.2.1", now()) {
        // Whatever it asked for, it got the certificate of a node.
        let chain = response.chain.unwrap_or_default();
        let leaf = chain.certificates_der.first();
        let leaf = leaf.map_or(&[][..], Vec::as_slice);
        let node = trust.node_of(leaf, now());
        assert!(
            node.as_ref()
                .is_ok_and(|node| node.node == request.node_name),
            "{node:?}"
        );
        assert!(trust.client_of(leaf, now()).is_err());
    }
}

fn certificates() -> Result<Vec<Vec<u8>>> {
    let world = world()?;
    let node = world.response.chain.iter().chain([&world.client]);
    let leaves = node.flat_map(|chain| chain.certificates_der.iter());
    let authorities = world.response.authorities.iter();
    let authorities = authorities.map(|one| &one.certificate_der);
    Ok(leaves.chain(authorities).cloned().collect())
}

/// A certificate of which only the handshake has looked at the chain, and one that a
/// coordinator gives a node.
fn certificate(data: &[u8]) {
    let World {
        trust,
        response,
        key,
        ..
    } = known();
    let node = trust.node_of(data, now());
    let client = trust.client_of(data, now());
    assert!(node.is_err() || client.is_err(), "both a node and a client");
    let trusted = response.authorities.iter();
    let trusted: Vec<_> = trusted.map(|one| one.certificate_der.clone()).collect();
    let chain = CertificateChain {
        certificates_der: vec![data.to_vec()],
    };
    if accept(&trusted, &response.authorities, &chain, key).is_ok() {
        // It has a signature, so it is the one that was given.
        assert_eq!(response.chain, Some(chain));
    }
    let mut hostile = response.authorities.clone();
    if let Some(first) = hostile.first_mut() {
        first.cross_certificates_der = vec![data.to_vec()];
    }
    let authority = pvelens_proto::agent::v1::Authority {
        certificate_der: data.to_vec(),
        cross_certificates_der: vec![data.to_vec()],
    };
    hostile.push(authority);
    let own = response.chain.clone().unwrap_or_default();
    if let Ok(accepted) = accept(&trusted, &hostile, &own, key) {
        assert!(accepted.authorities.iter().all(|one| trusted.contains(one)));
    }
}

fn load_identity(data: &[u8]) {
    let directory = private_directory();
    let path = directory.path().join("identity");
    put(&path.join(identity::FILE), data);
    if let Ok(Some(identity)) = Identity::load(&path) {
        drop(identity.server_config());
        let beside = directory.path().join("again");
        let saved = identity
            .save(&beside)
            .and_then(|()| Identity::load(&beside));
        assert_eq!(saved.ok().flatten(), Some(identity));
    }
}

fn private_directory() -> TempDir {
    let directory = directory();
    let made = fs::DirBuilder::new()
        .mode(0o700)
        .create(directory.path().join("identity"));
    made.unwrap_or_else(|error| panic!("no directory to work in: {error}"));
    directory
}

fn put(path: &Path, data: &[u8]) {
    use std::io::Write;
    let file = fs::OpenOptions::new()
        .create_new(true)
        .write(true)
        .mode(0o600)
        .open(path);
    if let Err(error) = file.and_then(|mut file| file.write_all(data)) {
        panic!("writing {}: {error}", path.display());
    }
}

/// What was restored can be opened, or says why not.
fn restore_backup(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let World { names, csr, .. } = known();
    let directory = directory();
    if restore(directory.path(), text, false).is_ok()
        && let Ok(trust) = Trust::open(directory.path(), names.clone(), now())
    {
        drop(trust.link_tls(now()));
        drop(trust.api_tls(now()));
        drop(trust.authorities(now()));
        drop(trust.issue_client("x", ClientRole::Reader, csr, 0, now()));
        drop((trust.tokens(), trust.clients(), trust.nodes()));
    }
}
