//! One server for both sockets.

use std::{io, sync::Arc, time::Duration};

use pvelens_proto::agent::v1::node_agent_service_server::NodeAgentServiceServer;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
    sync::mpsc,
};
use tokio_stream::{Stream, StreamExt, wrappers::ReceiverStream};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use tonic::transport::Server;

use super::{
    NodeAgent,
    link::{self, LinkError},
    peer::Connection,
};
use crate::identity::Slot;

/// Connections that wait for the server.
const CHANNEL: usize = 4;
/// A connection that is silent this long is asked, and given up after that long.
const KEEPALIVE: Duration = Duration::from_secs(10);
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
const CALLS: u32 = 64;
/// Requests on their way; they are small. What one call may have unread leaves room
/// for the others.
const STREAM_WINDOW: u32 = 64 << 10;
const CONNECTION_WINDOW: u32 = 1 << 20;
/// Of a request. The largest has the certificates of eight authorities.
const REQUEST_BYTES: usize = 2 << 20;

/// Why the service ended early.
#[derive(Debug, thiserror::Error)]
#[error("serving the node agent")]
pub struct ServeError(#[from] tonic::transport::Error);

/// What an agent listens on.
#[derive(Debug)]
pub struct Sockets {
    pub local: UnixListener,
    /// For coordinators elsewhere, and the identity that is shown to them.
    pub link: Option<(UnixListener, Arc<Slot>)>,
}

/// Serves an agent on a local socket until the token is cancelled; open calls end
/// then.
///
/// # Errors
/// When the listener fails for good.
pub async fn serve(
    listener: UnixListener,
    agent: NodeAgent,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let sockets = Sockets {
        local: listener,
        link: None,
    };
    serve_both(sockets, agent, shutdown).await
}

/// As [`serve`], for coordinators elsewhere, too.
///
/// # Errors
/// When the server cannot go on.
pub async fn serve_both(
    sockets: Sockets,
    agent: NodeAgent,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let (sender, connections) = mpsc::channel(CHANNEL);
    let local = link::accept_local(sockets.local, sender.clone());
    let _local = AbortOnDropHandle::new(tokio::spawn(local));
    let _link = sockets.link.map(|(listener, slot)| {
        let refused = Arc::clone(&agent.shared.refused);
        AbortOnDropHandle::new(tokio::spawn(link::accept(listener, slot, refused, sender)))
    });
    served(ReceiverStream::new(connections), agent, shutdown).await
}

/// Serves an agent over one stream that is connected already, as the server of TLS
/// with these settings, until the other end leaves. For nodes that are simulated.
///
/// # Errors
/// When the other end is no coordinator, or the server cannot go on.
pub async fn serve_link<S>(
    stream: S,
    agent: &NodeAgent,
    tls: Arc<ServerConfig>,
) -> Result<(), LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut link = link::shake_hands(stream, tls).await?;
    let end = CancellationToken::new();
    link.end = Some(end.clone().drop_guard());
    // A server ends with what comes in, and does not wait for what came before.
    let one = tokio_stream::once(io::Result::Ok(Connection::Link(link)));
    let shutdown = agent.shared.closing.child_token();
    let ended = async {
        tokio::select! {
            () = end.cancelled() => {}
            () = shutdown.cancelled() => {}
        }
    };
    let connections = one.chain(tokio_stream::pending());
    server(agent.clone())
        .serve_with_incoming_shutdown(connections, ended)
        .await
        .map_err(ServeError::from)?;
    Ok(())
}

async fn served(
    connections: impl Stream<Item = io::Result<Connection>>,
    agent: NodeAgent,
    shutdown: CancellationToken,
) -> Result<(), ServeError> {
    let closing = agent.shared.closing.clone();
    server(agent)
        .serve_with_incoming_shutdown(connections, async move {
            shutdown.cancelled().await;
            closing.cancel();
        })
        .await?;
    Ok(())
}

fn server(agent: NodeAgent) -> tonic::transport::server::Router {
    let service = NodeAgentServiceServer::new(agent).max_decoding_message_size(REQUEST_BYTES);
    Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(CALLS)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .add_service(service)
}
