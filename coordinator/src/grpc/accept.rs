//! Connections of clients, bounded in number.
//!
//! tonic asks for the next connection at once when one could not be accepted, so
//! without a pause a process that is out of file descriptors would spin. The
//! bound keeps clients from bringing it there; one beyond it waits its turn.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures::{Stream, stream};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{UnixListener, UnixStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    time::sleep,
};
use tonic::transport::server::{Connected, UdsConnectInfo};
use tracing::warn;

const PAUSE: Duration = Duration::from_millis(200);

/// A client, and its place among those that may connect.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    _place: OwnedSemaphorePermit,
}

/// The connections of a listener, at most `limit` at a time.
pub(super) fn connections(
    listener: UnixListener,
    limit: usize,
) -> impl Stream<Item = io::Result<Connection>> {
    let places = Arc::new(Semaphore::new(limit));
    stream::unfold((listener, places), |(listener, places)| async move {
        // Nobody closes the semaphore, so this never ends the stream.
        let place = Arc::clone(&places).acquire_owned().await.ok()?;
        let stream = loop {
            match listener.accept().await {
                Ok((stream, _address)) => break stream,
                Err(error) => {
                    warn!(%error, "accepting a client failed");
                    sleep(PAUSE).await;
                }
            }
        };
        let connection = Connection {
            stream,
            _place: place,
        };
        Some((Ok(connection), (listener, places)))
    })
}

impl Connected for Connection {
    type ConnectInfo = UdsConnectInfo;

    fn connect_info(&self) -> UdsConnectInfo {
        self.stream.connect_info()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use futures::{FutureExt, StreamExt};
    use tempfile::TempDir;

    use super::*;

    #[tokio::test]
    async fn a_client_beyond_the_limit_waits_its_turn() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("read.sock");
        let connections = connections(UnixListener::bind(&path).unwrap(), 1);
        tokio::pin!(connections);
        let _first_client = UnixStream::connect(&path).await.unwrap();
        let first = connections.next().await.unwrap().unwrap();
        let _second_client = UnixStream::connect(&path).await.unwrap();
        assert!(connections.next().now_or_never().is_none());
        drop(first);
        assert!(connections.next().await.unwrap().is_ok());
    }
}
