//! The connection to the coordinator, and its errors in words.

use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use pvelens_proto::v1::ErrorReason;
use tokio::{net::UnixStream, runtime::Runtime, time::timeout};
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use super::{Failure, output::OutputArguments};
use crate::{grpc::Role, link};

pub(super) mod credentials;
mod heard;
mod remote;
mod way;

pub(super) use way::{Elsewhere, Way};

const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// The coordinator's own deadline comes first, when it lives.
const DEADLINE: Duration = Duration::from_secs(60);
/// What does not even answer a ping is no coordinator, or hangs.
const PING_INTERVAL: Duration = Duration::from_secs(3);
const PING_DEADLINE: Duration = Duration::from_secs(5);
pub(super) const MESSAGE_LIMIT_BYTES: usize = 64 << 20;

/// How readers reach the coordinator.
#[derive(Debug, Args)]
pub(super) struct Connection {
    /// Socket of the coordinator [default: /run/pvelens/read.sock]
    #[arg(long, value_name = "PATH", env = "PVELENS_SOCKET")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: Elsewhere,
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

/// How operators reach it.
#[derive(Debug, Args)]
pub(super) struct Operating {
    /// Socket of the coordinator [default: /run/pvelens/operate.sock]
    #[arg(long, value_name = "PATH", env = "PVELENS_OPERATE_SOCKET")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: Elsewhere,
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

/// How administrators reach it.
#[derive(Debug, Args)]
pub(super) struct Administering {
    /// Socket of the coordinator [default: /run/pvelens/admin.sock]
    #[arg(long, value_name = "PATH", env = "PVELENS_ADMIN_SOCKET")]
    socket: Option<PathBuf>,
    #[command(flatten)]
    elsewhere: Elsewhere,
    #[command(flatten)]
    pub(super) output: OutputArguments,
}

/// Arguments of every command that reads about clusters.
#[derive(Debug, Args)]
pub(super) struct Reading {
    #[command(flatten)]
    pub(super) connection: Connection,
    /// Only this cluster: its name, its id or the beginning of it
    #[arg(
        long,
        value_name = "CLUSTER",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) cluster: String,
}

impl Connection {
    pub(super) fn to(socket: PathBuf, output: OutputArguments) -> Self {
        Self {
            socket: Some(socket),
            elsewhere: Elsewhere::default(),
            output,
        }
    }

    pub(super) async fn open(&self) -> Result<Channel, Failure> {
        let way = self
            .elsewhere
            .way(self.socket.as_deref(), "PVELENS_SOCKET", Role::Reader)?;
        open_way(&way, Role::Reader).await
    }

    /// What is shown to a coordinator elsewhere, when it is one.
    pub(super) fn credentials(&self) -> Option<PathBuf> {
        let way = self
            .elsewhere
            .way(self.socket.as_deref(), "PVELENS_SOCKET", Role::Reader);
        match way {
            Ok(Way::Server { credentials, .. }) => Some(credentials),
            _ => None,
        }
    }
}

impl Operating {
    pub(super) async fn open(&self) -> Result<Channel, Failure> {
        let way = self.elsewhere.way(
            self.socket.as_deref(),
            "PVELENS_OPERATE_SOCKET",
            Role::Operator,
        )?;
        open_way(&way, Role::Operator).await
    }
}

impl Administering {
    pub(super) async fn open(&self) -> Result<Channel, Failure> {
        let way =
            self.elsewhere
                .way(self.socket.as_deref(), "PVELENS_ADMIN_SOCKET", Role::Admin)?;
        open_way(&way, Role::Admin).await
    }
}

/// Where the socket of a role is.
fn default_socket(role: Role) -> PathBuf {
    Path::new("/run/pvelens").join(role.socket())
}

/// Connects on a way that gives a role.
pub(super) async fn open_way(way: &Way, role: Role) -> Result<Channel, Failure> {
    match way {
        Way::Socket(socket) => open(socket, role).await,
        Way::Server {
            server,
            credentials,
        } => remote::open(server, credentials).await,
    }
}

/// Connects to the socket of a role.
pub(super) async fn open(socket: &Path, role: Role) -> Result<Channel, Failure> {
    let opening = async {
        let stream = UnixStream::connect(socket)
            .await
            .map_err(|error| unreachable(socket, role, &error))?;
        let endpoint = link::endpoint()
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_DEADLINE);
        link::channel(endpoint, stream)
            .await
            .map_err(|_| foreign(socket, role))
    };
    timeout(CONNECT_DEADLINE, opening)
        .await
        .unwrap_or_else(|_| Err(foreign(socket, role)))
}

/// Runs a command that asks the coordinator to its end.
pub(super) fn run<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    run_within(DEADLINE, command)
}

/// As [`run`], for what may take longer.
pub(super) fn run_within<T>(
    deadline: Duration,
    command: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    runtime()?.block_on(async {
        timeout(deadline, command).await.unwrap_or_else(|_| {
            Err(Failure::NotAssessed(format!(
                "the coordinator gave no answer within {} s; its log may say why",
                deadline.as_secs()
            )))
        })
    })
}

/// One thread is enough for a client.
pub(super) fn runtime() -> Result<Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::NotAssessed(format!("starting: {error}")))
}

fn unreachable(socket: &Path, role: Role, error: &io::Error) -> Failure {
    let socket = socket.display();
    Failure::NotAssessed(match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("the coordinator does not answer at {socket}; is `pvelens serve` running?")
        }
        io::ErrorKind::PermissionDenied => {
            format!("you may not use {socket}; {}", role.how_to_get())
        }
        _ => format!("connecting to the coordinator at {socket}: {error}"),
    })
}

fn foreign(socket: &Path, role: Role) -> Failure {
    Failure::NotAssessed(format!(
        "what answers at {} is not a coordinator, or it hangs; --socket takes the path of {}",
        socket.display(),
        role.socket()
    ))
}

/// An answer of the coordinator that is none.
pub(super) fn refused(status: &Status) -> Failure {
    let text = status.message().to_owned();
    match status.code() {
        Code::NotFound | Code::InvalidArgument => Failure::Usage(text),
        Code::PermissionDenied => Failure::Usage(match hint(status) {
            Some(hint) => format!("{text}; {hint}"),
            None => text,
        }),
        Code::Unimplemented => Failure::NotAssessed(
            "the coordinator does not know this question; is it of an older version?".to_owned(),
        ),
        Code::Unavailable => Failure::NotAssessed(
            "the coordinator ended the connection or hangs; is it being restarted, and is the \
             path that of a gRPC socket, not of mcp.sock?"
                .to_owned(),
        ),
        code if text.is_empty() => Failure::NotAssessed(format!("the coordinator: {code}")),
        _ => Failure::NotAssessed(format!("the coordinator: {text}")),
    }
}

/// Whether the coordinator gives this reason.
pub(super) fn is_because(status: &Status, reason: ErrorReason) -> bool {
    let details = status.get_error_details();
    let told = details.error_info().map(|info| info.reason.as_str());
    let name = reason.as_str_name();
    told == Some(name.strip_prefix("ERROR_REASON_").unwrap_or(name))
}

/// How to go on, in the coordinator's words.
pub(super) fn hint(status: &Status) -> Option<String> {
    let details = status.get_error_details();
    details.error_info()?.metadata.get("hint").cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_do_about_an_unreachable_coordinator_is_said() {
        let socket = Path::new("/run/pvelens/read.sock");
        use io::ErrorKind::{ConnectionRefused, NotFound, PermissionDenied};
        for (role, kind, part) in [
            (Role::Reader, NotFound, "is `pvelens serve` running?"),
            (Role::Reader, ConnectionRefused, "does not answer at /run"),
            (Role::Reader, PermissionDenied, "pvelens-users"),
            (Role::Operator, PermissionDenied, "pvelens-operators"),
            (Role::Admin, PermissionDenied, "only root"),
        ] {
            let failure = unreachable(socket, role, &kind.into());
            assert!(failure.to_string().contains(part), "{failure}");
            assert_eq!(failure.status(), super::super::NOT_ASSESSED);
        }
    }

    #[test]
    fn a_wrong_name_is_a_matter_of_usage() {
        let failure = refused(&Status::not_found("no node \"x\""));
        assert_eq!(failure.status(), super::super::USAGE);
        let failure = refused(&Status::internal("defect"));
        assert_eq!(failure.status(), super::super::NOT_ASSESSED);
    }
}
