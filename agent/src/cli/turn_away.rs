//! `link.sock`, for a coordinator elsewhere that comes through its pipe.
//!
//! An agent that has not joined has no identity to show, so it turns everybody
//! away. The TLS server of a joined agent takes this place.

use std::time::Duration;

use tokio::{
    net::UnixListener,
    time::{Instant, sleep},
};
use tracing::info;

/// Between two connections: a pipe that comes back at once costs little, and a
/// listener that fails is not asked without end.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two lines of the log.
const SILENCE: Duration = Duration::from_secs(60);

/// Accepts and closes each connection, for ever.
pub(super) async fn turn_away(listener: UnixListener) {
    let mut log = Seldom::default();
    loop {
        let error = listener.accept().await.err();
        if let Some(times) = log.times(Instant::now()) {
            match error {
                None => info!(
                    connections = times,
                    "turned away on link.sock: this node has not joined a coordinator"
                ),
                Some(error) => info!(%error, "link.sock accepts nobody"),
            }
        }
        sleep(PAUSE).await;
    }
}

/// Says how often something happened, once a minute at most.
#[derive(Debug, Default)]
struct Seldom {
    said: Option<Instant>,
    times: u64,
}

impl Seldom {
    /// Counts one more time; gives the times since it was last said.
    fn times(&mut self, now: Instant) -> Option<u64> {
        self.times = self.times.saturating_add(1);
        let quiet = self.said.is_some_and(|said| now < said + SILENCE);
        (!quiet).then(|| {
            self.said = Some(now);
            std::mem::take(&mut self.times)
        })
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test is the pipe")]
mod tests {
    use tempfile::TempDir;
    use tokio::{io::AsyncReadExt, net::UnixStream};

    use super::*;

    #[tokio::test]
    async fn every_connection_is_closed_at_once() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("link.sock");
        let serving = tokio::spawn(turn_away(UnixListener::bind(&path).unwrap()));
        for _ in 0..3 {
            let mut stream = UnixStream::connect(&path).await.unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        }
        assert!(!serving.is_finished());
        serving.abort();
    }

    #[test]
    fn a_pipe_that_keeps_coming_is_named_once_a_minute() {
        let mut log = Seldom::default();
        let start = Instant::now();
        let after = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(log.times(start), Some(1));
        assert_eq!(log.times(after(1)), None);
        assert_eq!(log.times(after(59)), None);
        assert_eq!(log.times(after(60)), Some(3));
        assert_eq!(log.times(after(61)), None);
    }
}
