//! Ports that other machines reach: whether each is open, and what came to it.
//!
//! Whoever can reach a port can knock as often as they like, so what comes is counted
//! here and told in one line a minute, never one by one.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use jiff::Timestamp;
use rustix::net::sockopt;
use tokio::{
    net::{TcpListener, TcpSocket},
    time::sleep,
};
use tracing::info;

mod refused;
mod source;

pub(crate) use refused::REMEMBERED;
pub use refused::{Refusals, Refused, Tried};
pub use source::{Sources, Ticket};

const BACKLOG: u32 = 1024;
const TOLD: Duration = Duration::from_secs(60);

/// The ports of a coordinator.
#[derive(Debug)]
pub struct Ports {
    /// Where nodes dial in.
    pub link: Arc<Port>,
    /// gRPC for people and programs, and enrolment.
    pub api: Arc<Port>,
    /// Who was refused at either.
    pub refusals: Refusals,
    enrolled: AtomicU64,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            link: Arc::new(Port::new("link")),
            api: Arc::new(Port::new("api")),
            refusals: Refusals::default(),
            enrolled: AtomicU64::new(0),
        }
    }
}

impl Ports {
    /// Counts a node that enrolled.
    pub fn enroll(&self) {
        self.enrolled.fetch_add(1, Ordering::Relaxed);
    }

    /// Nodes that enrolled since the start.
    #[must_use]
    pub fn enrolled(&self) -> u64 {
        self.enrolled.load(Ordering::Relaxed)
    }

    /// Who was refused in the last hour, also by what came to nothing since the last
    /// question.
    #[must_use]
    pub fn refused(&self, at: Timestamp) -> Vec<Refused> {
        let noise = [
            Turned::Full,
            Turned::Source,
            Turned::Slow,
            Turned::Garbage,
            Turned::Gone,
        ];
        let ports = [&self.link, &self.api];
        let counts = ports
            .iter()
            .flat_map(|port| noise.iter().map(|why| port.turned_away(*why)));
        self.refusals.look(counts.fold(0, u64::saturating_add), at);
        self.refusals.recent(at)
    }

    /// Why a port that should be open is not, if that is so.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        let failures: Vec<String> = [&self.link, &self.api]
            .into_iter()
            .filter_map(|port| match port.state() {
                PortState::Failed(why) => {
                    Some(format!("the port {} is not open: {why}", port.name()))
                }
                PortState::Closed | PortState::Open(_) => None,
            })
            .collect();
        (!failures.is_empty()).then(|| failures.join("; "))
    }
}

/// One of them.
#[derive(Debug)]
pub struct Port {
    name: &'static str,
    state: Mutex<PortState>,
    /// By [`Turned`].
    turned: [AtomicU64; Turned::ALL.len()],
    connected: AtomicU64,
    live: AtomicU64,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum PortState {
    /// Nobody asked for it to be open.
    #[default]
    Closed,
    Open(SocketAddr),
    /// It should be open, and this is why it is not. It is tried again.
    Failed(String),
}

/// Why a connection came to nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turned {
    /// There are as many as there may be.
    Full,
    /// There are as many of its address as there may be.
    Source,
    /// Too slow to say who it is, or what it wants.
    Slow,
    /// What it said was no TLS 1.3.
    Garbage,
    /// Its certificate is not good here, or ours is not good there.
    Certificate,
    /// It went away before it had said who it is.
    Gone,
    /// It was cut: revoked or expired.
    Cut,
}

impl Turned {
    pub const ALL: [Self; 7] = [
        Self::Full,
        Self::Source,
        Self::Slow,
        Self::Garbage,
        Self::Certificate,
        Self::Gone,
        Self::Cut,
    ];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Source => "source",
            Self::Slow => "slow",
            Self::Garbage => "garbage",
            Self::Certificate => "certificate",
            Self::Gone => "gone",
            Self::Cut => "cut",
        }
    }

    /// What a handshake failed of.
    #[must_use]
    pub fn of_handshake(error: &io::Error) -> Self {
        let tls = error
            .get_ref()
            .and_then(|it| it.downcast_ref::<rustls::Error>());
        match tls {
            Some(
                rustls::Error::InvalidCertificate(_)
                | rustls::Error::NoCertificatesPresented
                | rustls::Error::AlertReceived(_),
            ) => Self::Certificate,
            Some(_) => Self::Garbage,
            None => Self::Gone,
        }
    }
}

impl Port {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            state: Mutex::default(),
            turned: Default::default(),
            connected: AtomicU64::new(0),
            live: AtomicU64::new(0),
        }
    }

    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    #[must_use]
    pub fn state(&self) -> PortState {
        self.lock().clone()
    }

    /// Says how it is; whether that is news.
    pub fn set_state(&self, state: PortState) -> bool {
        let mut present = self.lock();
        let is_news = *present != state;
        *present = state;
        is_news
    }

    /// Counts a connection that came to nothing.
    pub fn turn_away(&self, why: Turned) {
        self.count_of(why).fetch_add(1, Ordering::Relaxed);
    }

    #[must_use]
    pub fn turned_away(&self, why: Turned) -> u64 {
        self.count_of(why).load(Ordering::Relaxed)
    }

    /// Counts a connection whose certificate is good, until the guard is dropped.
    #[must_use]
    pub fn connect(self: &Arc<Self>) -> Connected {
        self.connected.fetch_add(1, Ordering::Relaxed);
        self.live.fetch_add(1, Ordering::Relaxed);
        Connected(Arc::clone(self))
    }

    /// Ever, and now.
    #[must_use]
    pub fn connected(&self) -> (u64, u64) {
        (
            self.connected.load(Ordering::Relaxed),
            self.live.load(Ordering::Relaxed),
        )
    }

    /// Tells what was turned away, once a minute if there was any.
    pub async fn tell(&self) {
        let counts = || Turned::ALL.map(|why| self.turned_away(why));
        let mut told = counts();
        loop {
            sleep(TOLD).await;
            let now = counts();
            if now != told {
                let words = difference(&told, &now);
                info!(
                    port = self.name,
                    turned_away = words,
                    "connections came to nothing"
                );
            }
            told = now;
        }
    }

    fn count_of(&self, why: Turned) -> &AtomicU64 {
        let [full, source, slow, garbage, certificate, gone, cut] = &self.turned;
        match why {
            Turned::Full => full,
            Turned::Source => source,
            Turned::Slow => slow,
            Turned::Garbage => garbage,
            Turned::Certificate => certificate,
            Turned::Gone => gone,
            Turned::Cut => cut,
        }
    }

    fn lock(&self) -> MutexGuard<'_, PortState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `3 garbage, 1 slow`.
fn difference(told: &[u64], now: &[u64]) -> String {
    let words: Vec<String> = Turned::ALL
        .iter()
        .zip(told.iter().zip(now))
        .filter(|(_, (told, now))| now > told)
        .map(|(why, (told, now))| format!("{} {}", now.saturating_sub(*told), why.name()))
        .collect();
    words.join(", ")
}

/// A connection among those that are counted.
#[derive(Debug)]
pub struct Connected(Arc<Port>);

impl Drop for Connected {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Listens at an address, for IPv4 too when it is `[::]`; where there is no IPv6, for
/// IPv4 alone.
///
/// # Errors
/// When that is not possible.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let wanted = bind_exactly(address);
    match wanted {
        Err(error) if address.ip().is_unspecified() && is_without_ipv6(&error) => {
            let instead = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
            bind_exactly(instead)
        }
        wanted => wanted,
    }
}

fn bind_exactly(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv6() {
        let socket = TcpSocket::new_v6()?;
        sockopt::set_ipv6_v6only(&socket, !address.ip().is_unspecified())?;
        socket
    } else {
        TcpSocket::new_v4()?
    };
    // The connections of the process before must not hold it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// The kernel has none, or no address of it.
fn is_without_ipv6(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
        || code == Some(rustix::io::Errno::ADDRNOTAVAIL.raw_os_error())
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    #[test]
    fn what_came_to_nothing_is_told_in_few_words() {
        let port = Port::new("api");
        let before = Turned::ALL.map(|why| port.turned_away(why));
        for why in [Turned::Garbage, Turned::Slow, Turned::Garbage] {
            port.turn_away(why);
        }
        let now = Turned::ALL.map(|why| port.turned_away(why));
        assert_eq!(difference(&before, &now), "1 slow, 2 garbage");
    }

    #[test]
    fn connections_are_counted_while_they_live() {
        let port = Arc::new(Port::new("api"));
        let one = port.connect();
        let _other = port.connect();
        drop(one);
        assert_eq!(port.connected(), (2, 1));
    }

    #[test]
    fn news_of_a_port_are_told_once() {
        let port = Port::new("api");
        assert!(!port.set_state(PortState::Closed));
        assert!(port.set_state(PortState::Failed("in use".to_owned())));
        assert!(!port.set_state(PortState::Failed("in use".to_owned())));
    }

    #[tokio::test]
    async fn every_address_means_ipv4_too() {
        let any = SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0));
        let listener = bind(any).unwrap();
        let port = listener.local_addr().unwrap().port();
        let client = tokio::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port));
        assert!(client.await.is_ok());
        let again = bind(SocketAddr::from((Ipv6Addr::UNSPECIFIED, port)));
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
