//! The stream below a link: it can be cut, tells when it is gone, and lets through no
//! more than a node may send.
//!
//! To drop a gRPC channel does not end its connection while a stream of it lives, so
//! whoever has to end a link at once, as for a certificate that was revoked, ends it
//! here. What is read is paid for here, too: nothing above sees the frames of HTTP/2.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

use super::quota::Quota;

/// A cluster of thousands of guests delivers its whole configuration at once, and then
/// some hundred kibibytes in ten seconds.
const BYTES_PER_SECOND: f64 = (4_u32 << 20) as f64;
const BYTES_AT_ONCE: f64 = (96_u32 << 20) as f64;

/// A stream under guard.
#[derive(Debug)]
pub(super) struct Guarded<S> {
    stream: S,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
    quota: Quota,
    waiting: Option<Pin<Box<Sleep>>>,
    waited_millis: Arc<AtomicU64>,
    /// Tells that nobody holds the stream any more.
    _gone: DropGuard,
}

/// What there is to do with a stream under guard.
#[derive(Debug, Clone)]
pub(super) struct Guard {
    cut: CancellationToken,
    gone: CancellationToken,
    waited_millis: Arc<AtomicU64>,
}

/// Puts a stream under guard.
pub(super) fn guarded<S>(stream: S) -> (Guarded<S>, Guard) {
    let guard = Guard {
        cut: CancellationToken::new(),
        gone: CancellationToken::new(),
        waited_millis: Arc::default(),
    };
    let guarded = Guarded {
        stream,
        cut: Box::pin(guard.cut.clone().cancelled_owned()),
        quota: Quota::new(BYTES_PER_SECOND, BYTES_AT_ONCE),
        waiting: None,
        waited_millis: Arc::clone(&guard.waited_millis),
        _gone: guard.gone.clone().drop_guard(),
    };
    (guarded, guard)
}

impl Guard {
    /// Ends the connection, now.
    pub(super) fn cut(&self) {
        self.cut.cancel();
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.is_cancelled()
    }

    /// The connection ended, whoever ended it.
    pub(super) async fn gone(&self) {
        self.gone.cancelled().await;
    }

    /// Something else that was read had to wait so long.
    pub(super) fn waited(&self, time: Duration) {
        let millis = u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        self.waited_millis.fetch_add(millis, Ordering::Relaxed);
    }

    /// Whether both guard the same stream.
    pub(super) fn is_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.waited_millis, &other.waited_millis)
    }

    /// How long reading had to wait since this was last asked.
    pub(super) fn take_waited(&self) -> Duration {
        Duration::from_millis(self.waited_millis.swap(0, Ordering::Relaxed))
    }
}

impl<S> Guarded<S> {
    fn poll_cut(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(
                io::ErrorKind::ConnectionAborted,
                "the coordinator ended the link",
            )),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Guarded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        if let Some(waiting) = &mut self.waiting {
            ready!(waiting.as_mut().poll(context));
            self.waiting = None;
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let read = buffer.filled().len().saturating_sub(before);
        #[expect(
            clippy::cast_precision_loss,
            reason = "a read is far smaller than 2^53 bytes"
        )]
        let wait = self.quota.spend(read as f64);
        if !wait.is_zero() {
            let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
            self.waited_millis.fetch_add(millis, Ordering::Relaxed);
            self.waiting = Some(Box::pin(sleep(wait)));
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Guarded<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_cut(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn a_cut_ends_a_read_that_waits_and_dropping_tells() {
        let (_far, near) = duplex(64);
        let (mut stream, guard) = guarded(near);
        let reading = tokio::spawn(async move { stream.read(&mut [0; 8]).await });
        assert!(!guard.is_gone());
        guard.cut();
        let error = reading.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        // The task held the stream.
        guard.gone().await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_waits_at_the_rate_and_nothing_of_it_is_lost() {
        const SENT: usize = 100 << 20;
        let (mut far, near) = duplex(1 << 20);
        let (mut stream, guard) = guarded(near);
        tokio::spawn(async move {
            let block = vec![7; 1 << 20];
            for _ in 0..100 {
                far.write_all(&block).await.unwrap();
            }
        });
        let began = tokio::time::Instant::now();
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.unwrap();
        assert_eq!(bytes.len(), SENT);
        let seconds = began.elapsed().as_secs_f64();
        assert!((0.9..2.0).contains(&seconds), "{seconds}");
        assert!(guard.take_waited() >= Duration::from_millis(900));
        assert!(guard.take_waited().is_zero());
    }
}
