//! MCP on a Unix socket: one message per line, as on standard input and output.

use std::{io, sync::Arc, time::Duration};

use rmcp::{service::serve_server_with_ct, transport::async_rw::AsyncRwTransport};
use tokio::{
    io::AsyncWriteExt,
    net::{UnixListener, UnixStream},
    sync::Semaphore,
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::Server;
use crate::{coordinator::Coordinator, grpc::Role};

/// Each client process holds one connection.
const CONNECTIONS: usize = 64;

/// Bytes of a request. Arguments are names and filters, so this is generous.
const LINE: usize = 1 << 20;

/// How long answers that are being made may take when the server stops.
const GRACE: Duration = Duration::from_secs(2);

/// After an accept that failed, most often for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(200);

/// What a client beyond the limit is told. There is no request to answer yet.
const FULL: &str = concat!(
    r#"{"jsonrpc":"2.0","id":null,"error":{"code":-31000,"#,
    r#""message":"pvelens serves too many clients already; close one and try again"}}"#,
    "\n"
);

/// Serves clients of one role until `shutdown`. The socket is guarded by its group and
/// mode; whoever may connect has the role.
///
/// # Errors
/// When the socket cannot be used.
pub async fn serve_unix(
    coordinator: Arc<Coordinator>,
    role: Role,
    listener: UnixListener,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let server = Server::new(coordinator, role);
    let slots = Arc::new(Semaphore::new(CONNECTIONS));
    let stop = CancellationToken::new();
    let mut connections = JoinSet::new();
    loop {
        let stream = tokio::select! {
            () = shutdown.cancelled() => break,
            // Collects those that ended; pending while there are none.
            Some(_ended) = connections.join_next() => continue,
            accepted = listener.accept() => match accepted {
                Ok((stream, _address)) => stream,
                Err(error) => {
                    warn!(%error, "accepting an MCP client failed");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let Ok(slot) = Arc::clone(&slots).try_acquire_owned() else {
            warn!(limit = CONNECTIONS, "too many MCP clients, refusing one");
            connections.spawn(refuse(stream));
            continue;
        };
        // Of its own, since rmcp cancels the token of a connection that ends.
        let uid = stream.peer_cred().ok().map(|peer| peer.uid());
        let (server, stop) = (server.of(uid), stop.child_token());
        connections.spawn(async move {
            serve_client(server, stream, stop).await;
            drop(slot);
        });
    }
    drop(listener);
    stop.cancel();
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, drained).await.is_err() {
        warn!("some MCP clients were cut off");
    }
    Ok(())
}

async fn serve_client(server: Server, stream: UnixStream, stop: CancellationToken) {
    let (read, write) = stream.into_split();
    let transport = AsyncRwTransport::new_server(read, write).with_max_line_length(LINE);
    match serve_server_with_ct(server, transport, stop).await {
        Ok(running) => match running.waiting().await {
            Ok(reason) => debug!(?reason, "MCP client left"),
            Err(error) => warn!(%error, "serving an MCP client failed"),
        },
        // Also whoever connects and leaves: a probe of the socket.
        Err(error) => info!(%error, "MCP client did not begin"),
    }
}

async fn refuse(mut stream: UnixStream) {
    if let Err(error) = stream.write_all(FULL.as_bytes()).await {
        debug!(%error, "refused MCP client left first");
    }
}
