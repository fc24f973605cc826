//! Who may connect from elsewhere: keys on the disk, ports, certificates and tokens.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    path::Path,
    time::Duration,
};

use jiff::Timestamp;
use pvelens_proto::v1::{
    Agent, AgentTransport, AuthorityState, Client, GetAuthoritiesRequest, ListClientsRequest,
    ListTokensRequest, Token, enrollment_service_client::EnrollmentServiceClient,
};

use super::{item::Item, system::System};
use crate::{
    cli::{Failure, client},
    config::{Config, Opening},
    grpc::Role,
    untrusted,
};

const DIRECTORY_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;
const DAY: i64 = 86_400;
/// Nodes renew theirs two months before the end.
const SOON_DAYS: i64 = 14;
/// An authority is replaced in peace.
const AUTHORITY_SOON_DAYS: i64 = 365;
const DEADLINE: Duration = Duration::from_secs(1);
const ANSWER_LIMIT: u64 = 2000;

/// What only an administrator is told.
#[derive(Debug, Clone, Default)]
pub(super) struct Invited {
    pub(super) tokens: Vec<Token>,
    pub(super) clients: Vec<Client>,
    pub(super) authorities: Vec<AuthorityState>,
}

/// Asks for it on the socket of administrators.
pub(super) async fn ask(socket: &Path) -> Result<Invited, Failure> {
    let channel = client::open(socket, Role::Admin).await?;
    let mut client = EnrollmentServiceClient::new(channel);
    let refused = |status: tonic::Status| client::refused(&status);
    let tokens = client.list_tokens(ListTokensRequest::default()).await;
    let clients = client.list_clients(ListClientsRequest::default()).await;
    let authorities = client
        .get_authorities(GetAuthoritiesRequest::default())
        .await;
    Ok(Invited {
        tokens: tokens.map_err(refused)?.into_inner().tokens,
        clients: clients.map_err(refused)?.into_inner().clients,
        authorities: authorities.map_err(refused)?.into_inner().authorities,
    })
}

/// Keys that others can read are no keys.
pub(super) fn directory(system: &System, store: &Path) -> Vec<Item> {
    if store.as_os_str().is_empty() {
        return Vec::new();
    }
    let directory = store.join("trust");
    // Not there, or not for this user to see.
    let Ok(place) = system.place(&directory) else {
        return Vec::new();
    };
    let mut wrong = Vec::new();
    if place.mode != DIRECTORY_MODE {
        wrong.push(format!(
            "{} has the mode {:04o}",
            directory.display(),
            place.mode
        ));
    }
    let files = std::fs::read_dir(system.path(&directory));
    let mut files: Vec<_> = files
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| directory.join(entry.file_name()))
        .collect();
    files.sort();
    for file in &files {
        match system.place(file) {
            Ok(it) if it.mode != FILE_MODE => {
                wrong.push(format!("{} has the mode {:04o}", file.display(), it.mode));
            }
            Ok(it) if it.owner != place.owner => {
                wrong.push(format!(
                    "{} has another owner than its directory",
                    file.display()
                ));
            }
            _ => {}
        }
    }
    if wrong.is_empty() {
        let shown = directory.display();
        return vec![Item::ok(format!(
            "keys in {shown} are for the coordinator alone"
        ))];
    }
    let shown = directory.display();
    vec![
        Item::problem("keys of the coordinator are not for it alone")
            .why(wrong.join("; "))
            .fix(format!(
                "as root: `chmod 700 {shown}; chmod 600 {shown}/*; chown -R --reference={} {shown}`; \
                 whoever read a key can pass for any node until `pvelens ca rotate`",
                store.display()
            )),
    ]
}

/// Whether the ports are as the settings want them.
pub(super) fn ports(config: &Config, agents: &[Agent], invited: Option<&Invited>) -> Vec<Item> {
    let enabled = config.link.enabled;
    if enabled == Opening::Off {
        return vec![Item::ok(
            "the ports for other machines are closed by the settings",
        )];
    }
    let addresses = [config.link.listen, config.api.listen];
    let closed: Vec<String> = addresses
        .iter()
        .filter(|address| !is_open(**address))
        .map(|address| address.port().to_string())
        .collect();
    let is_used = enabled == Opening::On
        || agents
            .iter()
            .any(|it| it.transport() == AgentTransport::Link)
        || invited.is_some_and(|it| !(it.tokens.is_empty() && it.clients.is_empty()));
    let both = format!("{} and {}", addresses[0].port(), addresses[1].port());
    if closed.is_empty() {
        vec![Item::ok(format!(
            "ports {both} are open for other machines"
        ))]
    } else if is_used {
        vec![
            Item::problem(format!("nobody can connect at port {}", closed.join(" and ")))
                .why("something else listens there, or the address of link.listen or api.listen is not of this machine")
                .fix("`ss -ltnp` says who listens; `journalctl -u pvelens -n 30` why it was not opened"),
        ]
    } else {
        vec![Item::ok(format!(
            "ports {both} are closed until the first token or client is made"
        ))]
    }
}

fn is_open(address: SocketAddr) -> bool {
    let ip = match address.ip() {
        IpAddr::V6(ip) if ip.is_unspecified() => {
            // Where IPv6 is off, it is open for IPv4.
            let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, address.port()));
            if TcpStream::connect_timeout(&v6, DEADLINE).is_ok() {
                return true;
            }
            IpAddr::V4(Ipv4Addr::LOCALHOST)
        }
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    TcpStream::connect_timeout(&SocketAddr::new(ip, address.port()), DEADLINE).is_ok()
}

/// What the coordinator itself says of being ready.
pub(super) fn readiness(http: SocketAddr) -> Option<Item> {
    let said = ready(http).ok()?;
    let (head, body) = said.split_once("\r\n\r\n")?;
    if !head.starts_with("HTTP/1.1 503") {
        return None;
    }
    Some(
        Item::problem("the coordinator is not ready")
            .why(body.trim())
            .fix("`journalctl -u pvelens -n 30` may say more"),
    )
}

fn ready(http: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&http, DEADLINE)?;
    stream.set_read_timeout(Some(DEADLINE))?;
    stream.set_write_timeout(Some(DEADLINE))?;
    let port = http.port();
    let request =
        format!("GET /readyz HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut said = String::new();
    stream.take(ANSWER_LIMIT).read_to_string(&mut said)?;
    Ok(said)
}

/// Certificates of nodes that were not renewed in time.
pub(super) fn certificates(agents: &[Agent], now: Timestamp) -> Vec<Item> {
    let mut items = Vec::new();
    for agent in agents {
        let name = untrusted::name(&agent.node);
        if !agent.identity_problem.is_empty() {
            items.push(
                Item::problem(format!("who the agent of {name} is, is in doubt"))
                    .why(&agent.identity_problem)
                    .fix("if a node was cloned: on the copy `pvelens-agent join` with a token of its own"),
            );
        }
        let Some(end) = &agent.certificate_expires_at else {
            continue;
        };
        let days = end.seconds.saturating_sub(now.as_second()).div_euclid(DAY);
        if days < 0 {
            items.push(
                Item::warning(format!("the certificate of {name} has ended"))
                    .why("its node was away when it was to be renewed")
                    .fix(format!(
                        "it is renewed when {name} comes back; for one that never does: `pvelens agents revoke {name}`"
                    )),
            );
        } else if days < SOON_DAYS {
            items.push(
                Item::warning(format!("the certificate of {name} ends in {days} days"))
                    .why("it should have been renewed weeks ago")
                    .fix(format!("on {name}: `pvelens-agent doctor`")),
            );
        }
    }
    items
}

/// Tokens, clients and authorities, as administrators see them.
pub(super) fn invited(invited: &Invited, now: Timestamp) -> Vec<Item> {
    let seconds = |at: Option<&pvelens_proto::Timestamp>| at.map_or(i64::MAX, |at| at.seconds);
    let left = |at: Option<&pvelens_proto::Timestamp>| seconds(at).saturating_sub(now.as_second());
    let mut items = Vec::new();
    let open = invited.tokens.iter().filter(|token| {
        let joined = u32::try_from(token.joined_nodes.len()).unwrap_or(u32::MAX);
        !token.withdrawn && joined < token.node_count && left(token.expires_at.as_ref()) > 0
    });
    match open.count() {
        0 => {}
        count => items.push(Item::ok(format!(
            "tokens that are open: {count}; `pvelens agents tokens` shows them"
        ))),
    }
    for client in invited.clients.iter().filter(|client| !client.revoked) {
        let days = left(client.expires_at.as_ref()).div_euclid(DAY);
        if (0..SOON_DAYS).contains(&days) {
            let name = untrusted::name(&client.name);
            items.push(
                Item::warning(format!(
                    "the certificate of the client {name} ends in {days} days"
                ))
                .why("clients renew theirs themselves")
                .fix("where it is used: `pvelens client renew --credentials DIRECTORY`"),
            );
        }
    }
    for state in &invited.authorities {
        let days = left(state.expires_at.as_ref()).div_euclid(DAY);
        let id: String = state.fingerprint.chars().take(8).collect();
        if state.is_signing && days < AUTHORITY_SOON_DAYS {
            items.push(
                Item::warning(format!("the authority {id} ends in {days} days"))
                    .why("nothing that it vouches for is good after that")
                    .fix("as root: `pvelens ca rotate`, months before the end"),
            );
        } else if state.is_signing {
            items.push(Item::ok(format!(
                "the authority {id} is good for {} years",
                days.div_euclid(365)
            )));
        }
    }
    items
}
