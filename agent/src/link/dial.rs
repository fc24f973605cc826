//! Connecting both ends, each with its deadline.
//!
//! A name is looked up by the resolver of the system, which may hang for minutes:
//! on a thread of its own, so that neither the watchdog nor the end waits for it.

use std::{
    io,
    net::{IpAddr, SocketAddr, ToSocketAddrs},
    path::{Path, PathBuf},
    time::Duration,
};

use rustix::net::sockopt::{
    set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl,
    set_tcp_user_timeout,
};
use tokio::{
    net::{TcpSocket, TcpStream, UnixStream},
    time::{Instant, timeout, timeout_at},
};

use super::Address;
use crate::flight::{Lost, SingleFlight};

/// For a name, and then for all its addresses together.
const DEADLINE: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;
/// A dead coordinator, or a network that swallows packets, is noticed after a
/// minute: by probes when nothing is sent, by what nobody acknowledges otherwise.
/// The TLS ends notice earlier and close; this is for when they cannot.
const KEEPALIVE_IDLE: Duration = Duration::from_secs(30);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
const KEEPALIVE_PROBES: u32 = 3;
const USER_TIMEOUT_MILLISECONDS: u32 = 60_000;

/// Why an end was not reached.
#[derive(Debug, thiserror::Error)]
pub(super) enum DialError {
    #[error("looking up {host}: {source}")]
    Lookup { host: String, source: io::Error },
    #[error("looking up {host}: {source}")]
    NoAnswer { host: String, source: Lost },
    #[error("looking up {host}: it has no address")]
    NoAddress { host: String },
    #[error("connecting to {address}: {source}")]
    Connect {
        address: SocketAddr,
        source: io::Error,
    },
    #[error("connecting to the agent at {}: {source}", path.display())]
    Agent { path: PathBuf, source: io::Error },
    #[error("no address answers: {}", joined(.0))]
    All(Vec<DialError>),
}

impl DialError {
    /// Of every address of one coordinator.
    pub(super) fn of_all(mut failures: Vec<Self>) -> Self {
        match failures.pop() {
            Some(one) if failures.is_empty() => one,
            last => {
                failures.extend(last);
                Self::All(failures)
            }
        }
    }
}

fn joined(errors: &[DialError]) -> String {
    let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
    texts.join(", ")
}

#[derive(Debug)]
pub(super) struct Dialer {
    /// One at a time: an answer that never comes costs one thread.
    lookups: SingleFlight,
}

impl Dialer {
    pub(super) fn new() -> Self {
        Self {
            lookups: SingleFlight::new("lookup"),
        }
    }

    /// Tries the addresses one after the other, in the order of the resolver.
    pub(super) async fn coordinator(&self, address: &Address) -> Result<TcpStream, DialError> {
        let addresses = self.addresses(address).await?;
        let end = Instant::now() + DEADLINE;
        let mut failure = DialError::NoAddress {
            host: address.host().to_owned(),
        };
        for (tried, address) in (0_u32..).zip(&addresses) {
            // Each gets its share of the time, so that one that swallows packets
            // does not keep the next one from being tried.
            let waiting = u32::try_from(addresses.len())
                .unwrap_or(u32::MAX)
                .saturating_sub(tried)
                .max(1);
            let now = Instant::now();
            let share = end.saturating_duration_since(now) / waiting;
            let source = match timeout_at(now + share, connect(*address)).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(error)) => error,
                Err(_) => no_answer(share),
            };
            failure = DialError::Connect {
                address: *address,
                source,
            };
        }
        Err(failure)
    }

    async fn addresses(&self, address: &Address) -> Result<Vec<SocketAddr>, DialError> {
        let port = address.port();
        if let Ok(ip) = address.host().parse::<IpAddr>() {
            return Ok(vec![SocketAddr::new(ip, port)]);
        }
        let host = address.host().to_owned();
        let look_up = move || {
            (host.as_str(), port)
                .to_socket_addrs()
                .map(|addresses| addresses.take(ADDRESSES).collect())
        };
        let host = || address.host().to_owned();
        self.lookups
            .run(DEADLINE, look_up)
            .await
            .map_err(|source| DialError::NoAnswer {
                host: host(),
                source,
            })?
            .map_err(|source| DialError::Lookup {
                host: host(),
                source,
            })
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one connection that leaves the node, in a process that sees no file of it"
)]
async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // Without it an answer waits for the acknowledgement of the one before: 44 ms.
    socket.set_nodelay(true)?;
    set_socket_keepalive(&socket, true)?;
    set_tcp_keepidle(&socket, KEEPALIVE_IDLE)?;
    set_tcp_keepintvl(&socket, KEEPALIVE_INTERVAL)?;
    set_tcp_keepcnt(&socket, KEEPALIVE_PROBES)?;
    set_tcp_user_timeout(&socket, USER_TIMEOUT_MILLISECONDS)?;
    socket.connect(address).await
}

/// Connects to the socket of the agent on this node.
#[expect(
    clippy::disallowed_methods,
    reason = "the pipe is not the agent, it brings bytes to it"
)]
pub(super) async fn agent(path: &Path) -> Result<UnixStream, DialError> {
    timeout(DEADLINE, UnixStream::connect(path))
        .await
        .unwrap_or_else(|_| Err(no_answer(DEADLINE)))
        .map_err(|source| DialError::Agent {
            path: path.to_owned(),
            source,
        })
}

/// In whole seconds: the same trouble has the same words each time.
fn no_answer(within: Duration) -> io::Error {
    let seconds = within.as_secs_f64().round();
    io::Error::new(
        io::ErrorKind::TimedOut,
        format!("no answer within {seconds} s"),
    )
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests are both ends")]
mod tests {
    use rustix::net::sockopt;
    use tempfile::TempDir;
    use tokio::net::TcpListener;

    use super::*;

    async fn dialled(address: &str) -> Result<TcpStream, DialError> {
        Dialer::new().coordinator(&address.parse().unwrap()).await
    }

    #[tokio::test]
    async fn a_name_is_looked_up_and_the_connection_notices_a_dead_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        // Where it is ::1 as well, nobody listens there, and the next one is tried.
        let stream = dialled(&format!("localhost:{port}")).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap(), listener.local_addr().unwrap());
        assert!(stream.nodelay().unwrap());
        assert!(sockopt::socket_keepalive(&stream).unwrap());
        assert_eq!(sockopt::tcp_keepidle(&stream).unwrap(), KEEPALIVE_IDLE);
        assert_eq!(sockopt::tcp_keepintvl(&stream).unwrap(), KEEPALIVE_INTERVAL);
        assert_eq!(sockopt::tcp_keepcnt(&stream).unwrap(), KEEPALIVE_PROBES);
        let milliseconds = sockopt::tcp_user_timeout(&stream).unwrap();
        assert_eq!(milliseconds, USER_TIMEOUT_MILLISECONDS);
    }

    #[tokio::test]
    async fn what_cannot_be_reached_is_named() {
        let error = dialled("nobody.invalid").await.unwrap_err().to_string();
        assert!(error.starts_with("looking up nobody.invalid: "), "{error}");
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let error = dialled(&address.to_string()).await.unwrap_err().to_string();
        let expected = format!("connecting to {address}: Connection refused");
        assert!(error.starts_with(&expected), "{error}");
        let directory = TempDir::new().unwrap();
        let error = agent(&directory.path().join("link.sock"))
            .await
            .unwrap_err();
        assert!(
            error.to_string().contains("/link.sock: No such file"),
            "{error}"
        );
    }
}
