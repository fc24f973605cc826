//! Connections of both kinds, and who is at the other end.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
    sync::OwnedSemaphorePermit,
};
use tokio_util::sync::DropGuard;
use tonic::transport::server::Connected;

/// Who calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Peer {
    /// A process of this node, as the kernel says.
    Local { uid: Option<u32>, pid: Option<i32> },
    /// A coordinator elsewhere, as its certificate says.
    Link { coordinator: String },
}

/// What carries a link.
pub(super) trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// A connection that the service takes calls from.
pub(super) enum Connection {
    Local(UnixStream),
    Link(Link),
}

/// A link after its handshake.
pub(super) struct Link {
    pub(super) stream: Box<dyn Stream>,
    pub(super) coordinator: String,
    /// Its place among the links.
    pub(super) place: Option<OwnedSemaphorePermit>,
    /// Cancels when it ends.
    pub(super) end: Option<DropGuard>,
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        match self {
            Self::Local(stream) => {
                let peer = stream.peer_cred().ok();
                Peer::Local {
                    uid: peer.map(|peer| peer.uid()),
                    pid: peer.and_then(|peer| peer.pid()),
                }
            }
            Self::Link(link) => Peer::Link {
                coordinator: link.coordinator.clone(),
            },
        }
    }
}

impl Connection {
    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        match self {
            Self::Local(stream) => Pin::new(stream),
            Self::Link(link) => Pin::new(&mut *link.stream),
        }
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.get_mut().stream().poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Local(stream) => stream.is_write_vectored(),
            Self::Link(link) => link.stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().stream().poll_shutdown(context)
    }
}
