//! The listener for links, port 8440: takes connections, bounds those that have shown
//! nothing yet, and hands each to its own task.
//!
//! Handshakes one after the other were tried and rejected: with a thousand nodes coming
//! back at once a single slow one held up all of them.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use rustls::ClientConfig;
use tokio::{
    net::TcpListener,
    sync::{Notify, Semaphore, watch},
    task,
    time::{Instant, sleep},
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tracing::{info, warn};

use super::{Clock, admission::Admission, connection::Context};
use crate::{
    config::Config,
    coordinator::Coordinator,
    port::{self, PortState, Sources, Turned},
    trust::Trust,
};

/// Connections at the same time that have not shown a certificate yet.
const UNKNOWN: usize = 512;
/// Of one place.
const UNKNOWN_OF_ONE: u32 = 64;
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
    pub news: Arc<Notify>,
    /// Where to listen, and whether at all; read again while it runs.
    pub settings: watch::Receiver<Arc<Config>>,
}

impl fmt::Debug for Listening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listening")
            .field("listen", &self.address())
            .finish_non_exhaustive()
    }
}

impl Listening {
    /// Accepts links until `shutdown`, as soon as there is somebody to accept.
    pub async fn run(self, shutdown: CancellationToken) {
        let links = TaskTracker::new();
        let serving = async {
            loop {
                self.until(true).await;
                self.serve(&links, shutdown.child_token()).await;
            }
        };
        let serving = async { tokio::join!(serving, self.keep_enrolled()) };
        shutdown.run_until_cancelled(serving).await;
        // Each ends with the token, and says so in the log.
        links.close();
        links.wait().await;
    }

    /// Tells which nodes belong here, at the start and whenever that changes: one that is
    /// silent since the start is missed, too.
    async fn keep_enrolled(&self) {
        let context = self.context();
        let mut changes = self.trust.changes();
        loop {
            changes.borrow_and_update();
            let nodes = self.trust.nodes();
            let now = (self.clock)();
            context.note(move |live| live.enrolled(&nodes, now)).await;
            self.news.notify_one();
            // Its sender lives as long as the trust.
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn context(&self) -> Context {
        Context {
            coordinator: Arc::clone(&self.coordinator),
            clock: Arc::clone(&self.clock),
            news: Arc::clone(&self.news),
        }
    }

    /// Serves until the port is not wanted any more, and then ends the links.
    async fn serve(&self, links: &TaskTracker, end: CancellationToken) {
        let port = &self.coordinator.ports().link;
        let accepting = async {
            let listener = self.open().await;
            tokio::join!(self.accept(listener, links, &end), port.tell())
        };
        tokio::select! {
            _ = accepting => {}
            () = self.until(false) => {}
        }
        end.cancel();
        port.set_state(PortState::Closed);
        info!("closed for links");
    }

    /// Waits until the port shall be open, or shall not.
    async fn until(&self, open: bool) {
        let (mut changes, mut settings) = (self.trust.changes(), self.settings.clone());
        loop {
            let enabled = settings.borrow_and_update().link.enabled;
            if enabled.is_wanted(self.trust.is_in_use()) == open {
                return;
            }
            // Both senders live as long as the coordinator.
            tokio::select! {
                Ok(()) = changes.changed() => {}
                Ok(()) = settings.changed() => {}
                else => std::future::pending().await,
            }
        }
    }

    fn address(&self) -> SocketAddr {
        self.settings.borrow().link.listen
    }

    /// Opens the port, if not now then later: what there is without it goes on.
    async fn open(&self) -> TcpListener {
        let port = &self.coordinator.ports().link;
        loop {
            let wanted = self.address();
            match port::bind(wanted) {
                Ok(listener) => {
                    let address = listener.local_addr().unwrap_or(wanted);
                    info!(%address, "open for links");
                    port.set_state(PortState::Open(address));
                    return listener;
                }
                Err(error) => {
                    let why = format!("{wanted}: {error}");
                    if port.set_state(PortState::Failed(why)) {
                        warn!(address = %wanted, %error, "the port for links cannot be opened; see link.listen");
                    }
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
            context: self.context(),
            trust: Arc::clone(&self.trust),
            claims: Arc::default(),
            renewals: Arc::default(),
        };
        let port = &self.coordinator.ports().link;
        let unknown = Arc::new(Semaphore::new(UNKNOWN));
        let sources = Sources::new(UNKNOWN_OF_ONE);
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
            let Some(ticket) = sources.enter(address.ip()) else {
                port.turn_away(Turned::Source);
                continue;
            };
            let Some(config) = tls.current().await else {
                port.turn_away(Turned::Certificate);
                continue;
            };
            let following = admission
                .clone()
                .follow(stream, address, config, (permit, ticket));
            let end = shutdown.clone();
            links.spawn(async move { end.run_until_cancelled(following).await });
        }
    }
}

/// What our end of the handshake goes by, made anew when the trust changed.
struct Tls {
    trust: Arc<Trust>,
    clock: Clock,
    changes: watch::Receiver<u64>,
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
