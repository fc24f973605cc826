//! Carrying bytes between the two ends of one link.
//!
//! Not `copy_bidirectional`: after one end closed it waits for the other as long
//! as that takes, which for one that hangs is for ever.

use std::{
    fmt,
    future::pending,
    io::{self, ErrorKind},
    pin::pin,
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpStream, UnixStream},
    time::timeout,
};
use tokio_util::sync::CancellationToken;

/// For the rest, once one end has closed: dropped at once, the last words of the
/// other could be lost, among them why TLS refused it.
pub(super) const GRACE: Duration = Duration::from_secs(2);
/// Of each direction, while there is a link. What does not fit waits at its sender.
const BUFFER_BYTES: usize = 32 << 10;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Agent,
    Coordinator,
}

/// What ended a link, of both directions the one that came first.
#[derive(Debug)]
pub(super) enum End {
    Closed(Side),
    Reading { from: Side, source: io::Error },
    Writing { to: Side, source: io::Error },
    Stopped,
}

impl Side {
    fn other(self) -> Self {
        match self {
            Self::Agent => Self::Coordinator,
            Self::Coordinator => Self::Agent,
        }
    }
}

impl End {
    /// Whether that end went, with or without a last look at what it was sent.
    pub(super) fn is_close_of(&self, side: Side) -> bool {
        match self {
            Self::Closed(by) => *by == side,
            Self::Reading { from: at, source } | Self::Writing { to: at, source } => {
                *at == side
                    && matches!(
                        source.kind(),
                        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe
                    )
            }
            Self::Stopped => false,
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Agent => "the agent",
            Self::Coordinator => "the coordinator",
        })
    }
}

impl fmt::Display for End {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(side) => write!(formatter, "{side} closed it"),
            Self::Reading { from, source } => write!(formatter, "reading from {from}: {source}"),
            Self::Writing { to, source } => write!(formatter, "writing to {to}: {source}"),
            Self::Stopped => formatter.write_str("told to stop"),
        }
    }
}

/// Copies both ways until one end closes, or until told to stop, which looks to
/// the agent as if the coordinator had closed: it says its last words and closes.
/// Each number of bytes that was carried is told.
pub(super) async fn carry(
    mut coordinator: TcpStream,
    mut agent: UnixStream,
    to_agent: impl FnMut(u64),
    to_coordinator: impl FnMut(u64),
    stop: &CancellationToken,
) -> End {
    let (coordinator_reader, coordinator_writer) = coordinator.split();
    let (agent_reader, agent_writer) = agent.split();
    let mut inward = pin!(half(
        Side::Coordinator,
        coordinator_reader,
        agent_writer,
        to_agent,
        stop.cancelled(),
    ));
    let mut outward = pin!(half(
        Side::Agent,
        agent_reader,
        coordinator_writer,
        to_coordinator,
        pending(),
    ));
    // What the slower direction ends with says nothing new.
    tokio::select! {
        end = &mut inward => {
            drop(timeout(GRACE, outward).await);
            end
        }
        end = &mut outward => {
            drop(timeout(GRACE, inward).await);
            end
        }
    }
}

/// Copies one way and passes the end on.
async fn half(
    from: Side,
    mut reader: impl AsyncRead + Unpin,
    mut writer: impl AsyncWrite + Unpin,
    carried: impl FnMut(u64),
    stop: impl Future<Output = ()>,
) -> End {
    let end = tokio::select! {
        end = copy(from, &mut reader, &mut writer, carried) => end,
        () = stop => End::Stopped,
    };
    // An end that is gone needs not be told.
    drop(writer.shutdown().await);
    end
}

async fn copy(
    from: Side,
    reader: &mut (impl AsyncRead + Unpin),
    writer: &mut (impl AsyncWrite + Unpin),
    mut carried: impl FnMut(u64),
) -> End {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let bytes = match reader.read(&mut buffer).await {
            Ok(0) => return End::Closed(from),
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(source) => return End::Reading { from, source },
        };
        if let Err(source) = writer.write_all(bytes).await {
            let to = from.other();
            return End::Writing { to, source };
        }
        carried(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    }
}
