//! What the coordinator serves, and on which sockets.

use std::{io, net::SocketAddr, sync::Arc};

use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{ServeError, socket::Socket};
use crate::{config::Config, coordinator::Coordinator, grpc, http, mcp};

/// The role reader: command line and other clients of the gRPC API.
pub const READ_SOCKET: &str = "read.sock";
pub const MCP_SOCKET: &str = "mcp.sock";

/// Bound, but not yet served.
#[derive(Debug)]
pub(super) struct Surfaces {
    read: (Socket, UnixListener),
    mcp: (Socket, UnixListener),
    http: Option<TcpListener>,
}

impl Surfaces {
    pub(super) async fn bind(config: &Config) -> Result<Self, ServeError> {
        let directory = &config.sockets.directory;
        let group = &config.sockets.group;
        let read = Socket::bind(&directory.join(READ_SOCKET), group)?;
        let mcp = Socket::bind(&directory.join(MCP_SOCKET), group)?;
        let address = config.http.listen;
        let http = if config.http.enabled {
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|source| ServeError::Listen { address, source })?)
        } else {
            None
        };
        Ok(Self { read, mcp, http })
    }

    pub(super) fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref()?.local_addr().ok()
    }

    /// Serves everything until `shutdown`, and returns when all has ended. A
    /// surface that fails ends the others too: the service manager starts anew.
    pub(super) async fn serve(
        self,
        coordinator: &Arc<Coordinator>,
        shutdown: &CancellationToken,
    ) -> Result<(), ServeError> {
        let http_address = self.http_address();
        let (read_socket, read) = self.read;
        let (mcp_socket, mcp) = self.mcp;
        let http_shown = http_address.map_or_else(|| "off".to_owned(), |at| at.to_string());
        info!(
            read = %read_socket.path().display(),
            mcp = %mcp_socket.path().display(),
            http = http_shown,
            "serving"
        );
        let mut surfaces = JoinSet::new();
        surfaces.spawn(named(
            "gRPC",
            grpc::serve(Arc::clone(coordinator), read, shutdown.clone()),
        ));
        surfaces.spawn(named(
            "MCP",
            mcp::serve_unix(Arc::clone(coordinator), mcp, shutdown.clone()),
        ));
        if let Some(listener) = self.http {
            surfaces.spawn(named(
                "HTTP",
                http::serve(Arc::clone(coordinator), listener, shutdown.clone()),
            ));
        }
        let mut result = Ok(());
        while let Some(ended) = surfaces.join_next().await {
            let ended = ended.unwrap_or_else(|defect| {
                Err(ServeError::Surface {
                    surface: "a surface",
                    source: io::Error::other(defect),
                })
            });
            if let Err(failure) = ended {
                error!(error = %failure, "stopping");
                shutdown.cancel();
                result = Err(failure);
            }
        }
        result
    }
}

async fn named(
    surface: &'static str,
    serving: impl Future<Output = io::Result<()>>,
) -> Result<(), ServeError> {
    serving
        .await
        .map_err(|source| ServeError::Surface { surface, source })
}
