//! The listener for links, port 8440: takes connections, bounds those that have shown
//! nothing yet, and hands each to its own task.
//!
//! Handshakes one after the other were tried and rejected: with a thousand nodes coming
//! back at once a single slow one held up all of them.

use std::{
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::ClientConfig;
use tokio::{
    net::TcpListener,
    sync::{OwnedSemaphorePermit, Semaphore},
    task,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{Clock, admission::Admission, claims::Claims, connection::Context};
use crate::{config::Enabled, coordinator::Coordinator, trust::Trust};

/// Connections at the same time that have not shown a certificate yet.
const UNKNOWN: usize = 512;
/// Of one address of IPv4, or one network of IPv6, since one holder has as many
/// addresses as he likes there.
const UNKNOWN_OF_ONE: usize = 64;
/// After an error of accept, which comes back at once.
const PAUSE: Duration = Duration::from_millis(200);
/// Between two attempts to open the port.
const RETRY: Duration = Duration::from_secs(30);
/// The coordinator's own certificate is looked at this often.
const TLS_LIFETIME: Duration = Duration::from_secs(3600);

/// What the listener works with.
#[derive(Clone)]
pub struct Listening {
    pub coordinator: Arc<Coordinator>,
    pub trust: Arc<Trust>,
    pub clock: Clock,
    pub news: Arc<tokio::sync::Notify>,
    pub listen: SocketAddr,
    pub enabled: Enabled,
}

impl std::fmt::Debug for Listening {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Listening")
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

impl Listening {
    /// Accepts links until `shutdown`, as soon as there is somebody to accept.
    pub async fn run(self, shutdown: CancellationToken) {
        let links = TaskTracker::new();
        let accepting = async {
            self.until_wanted().await;
            let listener = self.open().await;
            self.accept(listener, &links, &shutdown).await;
        };
        shutdown.run_until_cancelled(accepting).await;
        // Each ends with the token, and says so in the log.
        links.close();
        links.wait().await;
    }

    /// Waits until the port shall be open.
    async fn until_wanted(&self) {
        let mut changes = self.trust.changes();
        loop {
            match self.enabled {
                Enabled::On => return,
                Enabled::Auto if self.trust.is_in_use() => return,
                // The sender lives as long as the trust.
                Enabled::Auto => drop(changes.changed().await),
                Enabled::Off => std::future::pending().await,
            }
        }
    }

    /// Opens the port, if not now then later: what is there without it goes on.
    async fn open(&self) -> TcpListener {
        let mut last = None;
        loop {
            match bind(self.listen).await {
                Ok(listener) => {
                    let address = listener.local_addr().unwrap_or(self.listen);
                    info!(%address, "open for links");
                    self.coordinator.agents().set_listening(Ok(address));
                    return listener;
                }
                Err(error) => {
                    if last != Some(error.kind()) {
                        warn!(address = %self.listen, %error, "the port for links cannot be opened; see link.listen");
                    }
                    last = Some(error.kind());
                    self.coordinator
                        .agents()
                        .set_listening(Err(format!("{}: {error}", self.listen)));
                }
            }
            sleep(RETRY).await;
        }
    }

    async fn accept(
        &self,
        listener: TcpListener,
        links: &TaskTracker,
        shutdown: &CancellationToken,
    ) {
        let admission = Admission {
            context: Context {
                coordinator: Arc::clone(&self.coordinator),
                clock: Arc::clone(&self.clock),
                news: Arc::clone(&self.news),
            },
            trust: Arc::clone(&self.trust),
            claims: Arc::new(Claims::default()),
        };
        let counts = self.coordinator.agents().counts();
        let unknown = Arc::new(Semaphore::new(UNKNOWN));
        let sources = Arc::new(Sources::default());
        let mut tls = Tls::new(Arc::clone(&self.trust), Arc::clone(&self.clock));
        loop {
            // Nobody closes it. Those beyond wait in the queue of the kernel.
            let Ok(permit) = Arc::clone(&unknown).acquire_owned().await else {
                return;
            };
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(%error, "accepting a link failed");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            counts.accepted();
            let Some(place) = Sources::place(&sources, address.ip(), permit) else {
                counts.turned_away("too_many_of_one_address");
                continue;
            };
            let Some(config) = tls.current().await else {
                counts.turned_away("no_certificate");
                continue;
            };
            let following = admission
                .clone()
                .follow(stream, shown(address), config, place);
            let end = shutdown.clone();
            links.spawn(async move { end.run_until_cancelled(following).await });
        }
    }
}

/// Listens on an address. Where there is no IPv6, on all addresses of IPv4 instead.
async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    match TcpListener::bind(address).await {
        Err(error)
            if address.ip() == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
                && error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// Without the form that IPv4 has on a socket of IPv6.
fn shown(address: SocketAddr) -> String {
    SocketAddr::new(address.ip().to_canonical(), address.port()).to_string()
}

/// What our end of the handshake goes by, made anew when the trust changed.
struct Tls {
    trust: Arc<Trust>,
    clock: Clock,
    changes: tokio::sync::watch::Receiver<u64>,
    made: Option<(Instant, Arc<ClientConfig>)>,
}

impl Tls {
    fn new(trust: Arc<Trust>, clock: Clock) -> Self {
        Self {
            changes: trust.changes(),
            trust,
            clock,
            made: None,
        }
    }

    async fn current(&mut self) -> Option<Arc<ClientConfig>> {
        // Its sender lives as long as the trust.
        let changed = self.changes.has_changed().unwrap_or(true);
        if let Some((at, config)) = &self.made
            && !changed
            && at.elapsed() < TLS_LIFETIME
        {
            return Some(Arc::clone(config));
        }
        self.changes.borrow_and_update();
        let (trust, now) = (Arc::clone(&self.trust), (self.clock)());
        let made = task::spawn_blocking(move || trust.link_tls(now)).await;
        match made {
            Ok(Ok(config)) => {
                self.made = Some((Instant::now(), Arc::clone(&config)));
                Some(config)
            }
            Ok(Err(error)) => {
                warn!(%error, "no certificate for links");
                None
            }
            Err(defect) => {
                warn!(error = %defect, "no certificate for links");
                None
            }
        }
    }
}

/// How many of those that have shown nothing come from where.
#[derive(Debug, Default)]
struct Sources(Mutex<HashMap<IpAddr, usize>>);

/// One of them.
#[derive(Debug)]
struct Place {
    sources: Arc<Sources>,
    network: IpAddr,
    _permit: OwnedSemaphorePermit,
}

impl Sources {
    fn place(sources: &Arc<Self>, address: IpAddr, permit: OwnedSemaphorePermit) -> Option<Place> {
        let network = network(address);
        let mut counts = sources.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(network).or_default();
        if *count >= UNKNOWN_OF_ONE {
            return None;
        }
        *count += 1;
        drop(counts);
        Some(Place {
            sources: Arc::clone(sources),
            network,
            _permit: permit,
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self
            .sources
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.network) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.network);
            }
        }
    }
}

/// The address, or of IPv6 its first 64 bits.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() >> 64 << 64).into(),
        address => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_of_one_network_are_too_many_and_leave_room_for_others() {
        let sources = Arc::new(Sources::default());
        let unknown = Arc::new(Semaphore::new(UNKNOWN));
        let place = |address: &str| {
            let permit = Arc::clone(&unknown).try_acquire_owned().unwrap();
            Sources::place(&sources, address.parse().unwrap(), permit)
        };
        let held: Vec<_> = (0..UNKNOWN_OF_ONE)
            .map(|number| place(&format!("2001:db8::{number:x}")).unwrap())
            .collect();
        assert!(place("2001:db8::ffff").is_none());
        let other = place("2001:db8:0:1::1").unwrap();
        let mapped = place("::ffff:192.0.2.1").unwrap();
        assert_eq!(mapped.network, "192.0.2.1".parse::<IpAddr>().unwrap());
        drop(held);
        assert!(place("2001:db8::ffff").is_some());
        drop((other, mapped));
        assert!(sources.0.lock().unwrap().is_empty());
        assert_eq!(unknown.available_permits(), UNKNOWN);
    }
}
