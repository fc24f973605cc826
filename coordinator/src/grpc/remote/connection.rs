//! A connection over TLS that can be cut from outside.

use std::{
    future::Future,
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
    sync::OwnedSemaphorePermit,
};
use tokio_rustls::server::TlsStream;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::transport::server::Connected;

use super::live::Entry;
use crate::{
    port::{self, Ticket},
    trust::ClientCertificate,
};

/// Who is at the other end.
#[derive(Debug, Clone)]
pub(in crate::grpc) struct Peer {
    pub(in crate::grpc) certificate: Option<ClientCertificate>,
    pub(in crate::grpc) address: SocketAddr,
}

pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    peer: Peer,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Its places among those that may be here, given back at its end.
    _places: Places,
}

pub(super) struct Places {
    pub(super) entry: Entry,
    pub(super) _permit: OwnedSemaphorePermit,
    pub(super) _ticket: Option<Ticket>,
    pub(super) _counted: Option<port::Connected>,
}

impl Connection {
    pub(super) fn new(stream: TlsStream<TcpStream>, peer: Peer, places: Places) -> Self {
        Self {
            stream,
            peer,
            cut: Box::pin(places.entry.cut.clone().cancelled_owned()),
            _places: places,
        }
    }

    /// Pending, or the end when it was cut.
    fn waiting<T>(&mut self, context: &mut Context<'_>) -> Poll<io::Result<T>> {
        let cut = self.cut.as_mut().poll(context);
        cut.map(|()| Err(io::ErrorKind::ConnectionAborted.into()))
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // First, so that a peer that never pauses is cut too.
        if let Poll::Ready(end) = self.waiting(context) {
            return Poll::Ready(end);
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(end) = self.waiting(context) {
            return Poll::Ready(end);
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(end) = self.waiting(context) {
            return Poll::Ready(end);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Poll::Ready(end) = self.waiting(context) {
            return Poll::Ready(end);
        }
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A peer that reads nothing must not hold the end of what was cut.
        if self.waiting::<()>(context).is_ready() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
