//! What the coordinator serves, and on which sockets.

use std::{
    io,
    net::SocketAddr,
    os::unix,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::{
    net::{TcpListener, UnixListener},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use super::{
    ServeError,
    handover::{self, Handover},
    socket::{Access, Socket},
};
use crate::{
    config::{Config, Opening},
    grpc::{self, Backend, Role},
    http, mcp, port,
};

/// The role reader: command line and other clients of the gRPC API.
pub const READ_SOCKET: &str = "read.sock";
/// The same role for MCP.
pub const MCP_SOCKET: &str = "mcp.sock";
/// The role operator.
pub const OPERATE_SOCKET: &str = "operate.sock";
/// The same role for MCP.
pub const MCP_OPERATE_SOCKET: &str = "mcp-operate.sock";
/// The role admin.
pub const ADMIN_SOCKET: &str = "admin.sock";

/// Bound, but not yet served.
#[derive(Debug)]
pub(super) struct Surfaces {
    read: Bound,
    mcp: Bound,
    operate: Bound,
    mcp_operate: Bound,
    admin: Bound,
    http: Option<TcpListener>,
    api: Option<TcpListener>,
}

/// A listener, and the socket to remove at the end if it is ours.
#[derive(Debug)]
struct Bound {
    listener: UnixListener,
    path: PathBuf,
    own: Option<Socket>,
}

impl Bound {
    fn own(directory: &Path, name: &str, access: Access<'_>) -> Result<Self, ServeError> {
        let path = directory.join(name);
        let (socket, listener) = Socket::bind(&path, access)?;
        Ok(Self {
            listener,
            path,
            own: Some(socket),
        })
    }

    fn handed_over(listener: unix::net::UnixListener) -> Result<Self, ServeError> {
        let path = handover::path(&listener).unwrap_or_default();
        let ours = listener
            .set_nonblocking(true)
            .and_then(|()| UnixListener::from_std(listener));
        Ok(Self {
            listener: ours.map_err(|source| ServeError::Surface {
                surface: "a socket of systemd",
                source,
            })?,
            path,
            own: None,
        })
    }
}

impl Surfaces {
    /// Uses the sockets of systemd, or makes them.
    pub(super) async fn bind(
        config: &Config,
        handover: Option<Handover>,
    ) -> Result<Self, ServeError> {
        let [read, mcp, operate, mcp_operate, admin] = match handover {
            Some(Handover {
                read,
                mcp,
                operate,
                mcp_operate,
                admin,
            }) => [read, mcp, operate, mcp_operate, admin].map(Bound::handed_over),
            None => {
                let sockets = &config.sockets;
                let readers = Access::Group(&sockets.group);
                let operators = Access::Group(&sockets.operators_group);
                [
                    (READ_SOCKET, readers),
                    (MCP_SOCKET, readers),
                    (OPERATE_SOCKET, operators),
                    (MCP_OPERATE_SOCKET, operators),
                    (ADMIN_SOCKET, Access::Nobody),
                ]
                .map(|(name, access)| Bound::own(&sockets.directory, name, access))
            }
        };
        let address = config.http.listen;
        let http = if config.http.enabled {
            let bound = TcpListener::bind(address).await;
            Some(bound.map_err(|source| ServeError::Listen { address, source })?)
        } else {
            None
        };
        Ok(Self {
            read: read?,
            mcp: mcp?,
            operate: operate?,
            mcp_operate: mcp_operate?,
            admin: admin?,
            http,
            api: ports(config)?,
        })
    }

    /// The port for other machines, when it was opened at the start.
    pub(super) fn take_api(&mut self) -> Option<TcpListener> {
        self.api.take()
    }

    pub(super) fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref()?.local_addr().ok()
    }

    /// Begins to serve everything until `shutdown`.
    pub(super) fn serve(self, backend: &Backend, shutdown: &CancellationToken) -> Serving {
        let http_address = self.http_address();
        let http_shown = http_address.map_or_else(|| "off".to_owned(), |at| at.to_string());
        info!(
            read = %self.read.path.display(),
            mcp = %self.mcp.path.display(),
            operate = %self.operate.path.display(),
            mcp_operate = %self.mcp_operate.path.display(),
            admin = %self.admin.path.display(),
            http = http_shown,
            "serving"
        );
        let coordinator = || Arc::clone(&backend.coordinator);
        let mut tasks = JoinSet::new();
        let mut sockets = Vec::new();
        for (role, bound) in [
            (Role::Reader, self.read),
            (Role::Operator, self.operate),
            (Role::Admin, self.admin),
        ] {
            sockets.extend(bound.own);
            tasks.spawn(named(
                "gRPC",
                grpc::serve(backend.clone(), role, bound.listener, shutdown.clone()),
            ));
        }
        for (role, bound) in [(Role::Reader, self.mcp), (Role::Operator, self.mcp_operate)] {
            sockets.extend(bound.own);
            tasks.spawn(named(
                "MCP",
                mcp::serve_unix(coordinator(), role, bound.listener, shutdown.clone()),
            ));
        }
        if let Some(listener) = self.http {
            tasks.spawn(named(
                "HTTP",
                http::serve(coordinator(), listener, shutdown.clone()),
            ));
        }
        Serving {
            tasks,
            shutdown: shutdown.clone(),
            _sockets: sockets,
        }
    }
}

/// Ports that have to be open: better now than in the first minutes of an outage. Links
/// have a listener of their own, which comes to the same address.
fn ports(config: &Config) -> Result<Option<TcpListener>, ServeError> {
    if config.link.enabled != Opening::On {
        return Ok(None);
    }
    let bind = |key, address| {
        port::bind(address).map_err(|source| ServeError::Port {
            key,
            address,
            source,
        })
    };
    drop(bind("link.listen", config.link.listen)?);
    bind("api.listen", config.api.listen).map(Some)
}

/// What is being served.
pub(super) struct Serving {
    tasks: JoinSet<Result<(), ServeError>>,
    shutdown: CancellationToken,
    /// Removed at the end.
    _sockets: Vec<Socket>,
}

impl Serving {
    /// Returns when all has ended. A surface that fails ends the others too: the
    /// service manager starts anew.
    pub(super) async fn ended(mut self) -> Result<(), ServeError> {
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            let ended = ended.unwrap_or_else(|defect| {
                Err(ServeError::Surface {
                    surface: "a surface",
                    source: io::Error::other(defect),
                })
            });
            if let Err(failure) = ended {
                error!(error = %failure, "stopping");
                self.shutdown.cancel();
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
