//! From a connection that somebody made to the listener for links to one of a known node:
//! the handshake and its certificate, and what is noted when it is over.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tonic::transport::Endpoint;
use tracing::{debug, info, warn};

use super::{
    channel,
    claims::Claims,
    connection::{ANSWER_DEADLINE, Context},
    guarded::guarded,
    known::{Known, Turned},
    renewal::Renewals,
};
use crate::{
    port::{self, Tried},
    trust::{self, Trust},
    untrusted,
};

/// For the handshake; whoever needs longer is no agent.
pub(super) const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// A dead link shows after the one and the other.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_DEADLINE: Duration = Duration::from_secs(5);
/// The window of a stream by the number of streams is below that of the connection: a
/// stream that nobody reads for a moment does not hold up the others.
const STREAM_WINDOW_BYTES: u32 = 1 << 20;
const CONNECTION_WINDOW_BYTES: u32 = 32 << 20;

/// What every link needs.
#[derive(Clone)]
pub(super) struct Admission {
    pub(super) context: Context,
    pub(super) trust: Arc<Trust>,
    pub(super) claims: Arc<Claims>,
    pub(super) renewals: Arc<Renewals>,
}

impl Admission {
    /// Follows one connection from its beginning to its end. The permit counts it among
    /// those that have shown nothing yet.
    pub(super) async fn follow(
        self,
        stream: TcpStream,
        peer: SocketAddr,
        tls: Arc<ClientConfig>,
        permit: impl Send,
    ) {
        let address = shown(peer);
        let coordinator = &self.context.coordinator;
        let port = &coordinator.ports().link;
        let known = match self.shake_hands(stream, address.clone(), tls).await {
            Ok(known) => known,
            Err(NoHandshake { why, tried, words }) => {
                port.turn_away(why);
                if why == port::Turned::Certificate {
                    let reason = untrusted::line(&words, super::REASON_LIMIT).into_owned();
                    let (ports, now) = (coordinator.ports(), self.context.now());
                    ports.refusals.note(tried, peer.ip(), reason, now);
                }
                // Whoever reaches the port can knock as often as they like.
                debug!(address, reason = words, "not a link");
                return;
            }
        };
        drop(permit);
        let connected = port.connect();
        let node = known.certified();
        let turned = known.link().await;
        drop(connected);
        coordinator.agents().counts().ended(turned.word());
        let reason = untrusted::line(&turned.to_string(), super::REASON_LIMIT).into_owned();
        let (lost, named, why) = (address.clone(), node.clone(), reason.clone());
        let noting = self
            .context
            .note(move |live| live.disconnected_link(&lost, Some(&named), &why));
        noting.await;
        self.context.news.notify_one();
        let node = &*node.1;
        match turned {
            Turned::Renewed | Turned::Same(_) => info!(address, node, reason, "no link"),
            _ => warn!(address, node, reason, "no link"),
        }
    }

    async fn shake_hands(
        &self,
        stream: TcpStream,
        address: String,
        tls: Arc<ClientConfig>,
    ) -> Result<Known<'_>, NoHandshake> {
        stream.set_nodelay(true)?;
        // It means nothing: the certificate says who it is.
        let name = ServerName::try_from("node.invalid").map_err(io::Error::other)?;
        let connecting = TlsConnector::from(tls).connect(name, stream);
        let slow = |_| NoHandshake {
            why: port::Turned::Slow,
            tried: Tried::Noise,
            words: format!("no handshake within {} s", HANDSHAKE_DEADLINE.as_secs()),
        };
        let stream = timeout(HANDSHAKE_DEADLINE, connecting)
            .await
            .map_err(slow)??;
        let leaf = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first);
        let leaf = leaf.map(|leaf| leaf.to_vec()).unwrap_or_default();
        let refused = |refusal: trust::Refusal| NoHandshake {
            why: port::Turned::Certificate,
            tried: match refusal {
                trust::Refusal::Revoked => Tried::Revoked,
                _ => Tried::Certificate,
            },
            words: refusal.to_string(),
        };
        let certificate = self
            .trust
            .node_of(&leaf, self.context.now())
            .map_err(refused)?;
        let (stream, guard) = guarded(stream);
        let channel = timeout(ANSWER_DEADLINE, channel(endpoint(), stream))
            .await
            .map_err(slow)?
            .map_err(io::Error::other)?;
        Ok(Known {
            admission: self,
            certificate,
            leaf,
            address,
            channel,
            guard,
        })
    }
}

/// Without the form that IPv4 has on a socket of IPv6.
fn shown(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// Why a connection never showed a good certificate.
struct NoHandshake {
    why: port::Turned,
    /// What the other end tried.
    tried: Tried,
    words: String,
}

impl From<io::Error> for NoHandshake {
    fn from(error: io::Error) -> Self {
        let why = port::Turned::of_handshake(&error);
        let (tried, words) = match why {
            port::Turned::Certificate => Tried::of_handshake(&error),
            _ => (Tried::Noise, error.to_string()),
        };
        Self { why, tried, words }
    }
}

fn endpoint() -> Endpoint {
    Endpoint::from_static("http://node.invalid")
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_DEADLINE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}
