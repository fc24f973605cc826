//! gRPC for people and programs elsewhere, and for nodes that join: TCP with TLS 1.3.
//!
//! A client shows a certificate of this installation, which says its role. Without one a
//! node may enrol and nothing else: such connections have a server of their own, with
//! little room and little time. The port opens once somebody was invited, and closes
//! again, without a restart.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::{
    net::TcpListener,
    sync::{mpsc, watch},
    task,
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tonic::transport::Server;
use tower::filter::FilterLayer;
use tracing::{error, info, warn};

use super::{
    Backend, CALL_DEADLINE, Caller, ENROLL_LIMIT_BYTES, EnrollmentServiceServer, PING_INTERVAL,
    Role, enrollment, role, serve_all,
};
use crate::{
    config::{Config, Opening},
    port::{self, Port, PortState},
    trust::Trust,
};

mod connection;
mod door;
mod live;
#[cfg(test)]
mod tests;

use connection::Connection;
pub(super) use connection::Peer;
use door::Door;
use live::Live;

/// Until the port is tried again.
const RETRY: Duration = Duration::from_secs(10);
/// Of those that wait to be served.
const WAITING: usize = 16;
/// How often certificates in use are looked at, at least.
const LOOK: Duration = Duration::from_secs(30);
/// So often the certificate of the coordinator is looked at, at least.
const RENEW: Duration = Duration::from_secs(6 * 3600);
const STRANGER_STREAMS: u32 = 4;
const STRANGER_WINDOW_BYTES: u32 = 64 << 10;
const STRANGER_HEADER_BYTES: u32 = 8 << 10;

/// What the port needs.
#[derive(Debug, Clone)]
pub(crate) struct Remote {
    pub(crate) backend: Backend,
    pub(crate) trust: Arc<Trust>,
    pub(crate) settings: watch::Receiver<Arc<Config>>,
}

impl Remote {
    /// Opens and closes the port as it is wanted, until `shutdown`. `bound` is the
    /// listener that was made at the start, if it was.
    pub(crate) async fn serve(mut self, bound: Option<TcpListener>, shutdown: CancellationToken) {
        let mut bound = bound;
        let mut changes = self.trust.changes();
        while !shutdown.is_cancelled() {
            // Marked as seen first: what changes from here on is noticed.
            changes.borrow_and_update();
            self.settings.borrow_and_update();
            if !self.is_wanted() {
                bound = None;
                self.port().set_state(PortState::Closed);
                tokio::select! {
                    () = changed(&mut changes, &mut self.settings) => {}
                    () = shutdown.cancelled() => {}
                }
                continue;
            }
            let opened = match bound.take() {
                Some(listener) => self.open(listener).await,
                None => match port::bind(self.address()) {
                    Ok(listener) => self.open(listener).await,
                    Err(error) => Err(format!("listening on {}: {error}", self.address())),
                },
            };
            let failed = match opened {
                Ok(opened) => opened.serve(&mut self, &mut changes, &shutdown).await,
                Err(failed) => Err(failed),
            };
            if let Err(failed) = failed {
                if self.port().set_state(PortState::Failed(failed.clone())) {
                    error!(
                        port = self.port().name(),
                        error = failed,
                        "the port is not open; trying again"
                    );
                }
                tokio::select! {
                    () = sleep(RETRY) => {}
                    () = changed(&mut changes, &mut self.settings) => {}
                    () = shutdown.cancelled() => {}
                }
            }
        }
        self.port().set_state(PortState::Closed);
    }

    fn is_wanted(&self) -> bool {
        let enabled: Opening = self.settings.borrow().link.enabled;
        enabled.is_wanted(self.trust.is_in_use())
    }

    fn address(&self) -> SocketAddr {
        self.settings.borrow().api.listen
    }

    fn port(&self) -> &Arc<Port> {
        &self.backend.coordinator.ports().api
    }

    async fn open(&self, listener: TcpListener) -> Result<Open, String> {
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        if self.address().port() == 0 {
            // Whoever is invited has to know it.
            let names = self.trust.names();
            self.trust
                .set_names(names.with_ports(None, Some(address.port())));
        }
        let tls = self.tls().await?;
        Ok(Open {
            listener,
            address,
            live: Arc::new(Live::default()),
            tls: watch::Sender::new(tls),
        })
    }

    /// The configuration of TLS as it should be now. The certificate of the coordinator
    /// is renewed on the way, when it is time.
    async fn tls(&self) -> Result<Arc<rustls::ServerConfig>, String> {
        let (trust, now) = (Arc::clone(&self.trust), (self.backend.clock)());
        let made = task::spawn_blocking(move || trust.api_tls(now)).await;
        match made {
            Ok(Ok(tls)) => Ok(tls),
            Ok(Err(error)) => Err(format!("{:#}", anyhow::Error::from(error))),
            Err(defect) => Err(defect.to_string()),
        }
    }
}

/// Waits for either.
async fn changed(changes: &mut watch::Receiver<u64>, settings: &mut watch::Receiver<Arc<Config>>) {
    tokio::select! {
        // An end is no change.
        Ok(()) = changes.changed() => {}
        Ok(()) = settings.changed() => {}
        else => std::future::pending().await,
    }
}

/// An open port.
struct Open {
    listener: TcpListener,
    address: SocketAddr,
    live: Arc<Live>,
    tls: watch::Sender<Arc<rustls::ServerConfig>>,
}

impl Open {
    /// Serves until the port is not wanted, or `shutdown`.
    async fn serve(
        self,
        remote: &mut Remote,
        changes: &mut watch::Receiver<u64>,
        shutdown: &CancellationToken,
    ) -> Result<(), String> {
        let Self {
            listener,
            address,
            live,
            tls,
        } = self;
        let port = remote.port();
        port.set_state(PortState::Open(address));
        info!(port = port.name(), %address, "open");
        let stop = shutdown.child_token();
        let (known, known_connections) = mpsc::channel(WAITING);
        let (strange, strange_connections) = mpsc::channel(WAITING);
        let tasks = TaskTracker::new();
        let door = Door {
            trust: Arc::clone(&remote.trust),
            coordinator: Arc::clone(&remote.backend.coordinator),
            clock: Arc::clone(&remote.backend.clock),
            live: Arc::clone(&live),
            tls: tls.subscribe(),
            known,
            strange,
            tasks: tasks.clone(),
        };
        tasks.spawn(stop.clone().run_until_cancelled_owned(door.open(listener)));
        let counts = Arc::clone(port);
        tasks.spawn(
            stop.clone()
                .run_until_cancelled_owned(async move { counts.tell().await }),
        );
        let serving = serve_all(
            remote.backend.clone(),
            known_caller,
            ReceiverStream::new(known_connections).map(Ok),
            stop.clone(),
        );
        let enrolling = enroll(
            remote.backend.clone(),
            ReceiverStream::new(strange_connections),
            stop.clone(),
        );
        let both = async { tokio::try_join!(serving, enrolling).map(drop) };
        let ended = {
            tokio::pin!(both);
            let ended = tokio::select! {
                ended = &mut both => Some(ended),
                () = remote.watch_over(&live, &tls, changes, shutdown) => None,
            };
            stop.cancel();
            match ended {
                Some(ended) => ended,
                // They answer what they were asked.
                None => both.await,
            }
        };
        live.cut_all();
        tasks.close();
        tasks.wait().await;
        info!(port = remote.port().name(), %address, "closed");
        ended.map_err(|error| format!("serving: {error}"))
    }
}

impl Remote {
    /// Keeps TLS as it should be, and cuts whoever may not be here any more. Returns when
    /// the port is not wanted.
    async fn watch_over(
        &mut self,
        live: &Live,
        tls: &watch::Sender<Arc<rustls::ServerConfig>>,
        changes: &mut watch::Receiver<u64>,
        shutdown: &CancellationToken,
    ) {
        let mut renewed = tokio::time::Instant::now();
        while self.is_wanted() {
            let now = (self.backend.clock)();
            live.cut(&self.trust, now, self.port());
            let pause = live.next_end(now).map_or(LOOK, |end| end.min(LOOK));
            let is_news = tokio::select! {
                () = changed(changes, &mut self.settings) => true,
                () = sleep(pause) => false,
                () = shutdown.cancelled() => return,
            };
            changes.borrow_and_update();
            self.settings.borrow_and_update();
            if is_news || renewed.elapsed() >= RENEW {
                // Before anything that takes a moment.
                live.cut(&self.trust, (self.backend.clock)(), self.port());
                renewed = tokio::time::Instant::now();
                match self.tls().await {
                    Ok(config) => drop(tls.send_replace(config)),
                    Err(error) => warn!(error, "TLS goes on as it was before"),
                }
            }
        }
    }
}

/// Who a request is from, by the certificate of its connection, which a service finds
/// too.
fn known_caller(extensions: &mut http::Extensions) -> Option<Caller> {
    let certificate = extensions.get::<Peer>()?.certificate.clone()?;
    let caller = Caller {
        role: Role::from(certificate.role),
        client: Some(certificate.name.as_str().into()),
    };
    extensions.insert(certificate);
    Some(caller)
}

/// Serves those without a certificate: they may enrol.
async fn enroll(
    backend: Backend,
    connections: ReceiverStream<Connection>,
    shutdown: CancellationToken,
) -> io::Result<()> {
    let service = EnrollmentServiceServer::new(enrollment::Service { backend })
        .max_decoding_message_size(ENROLL_LIMIT_BYTES);
    Server::builder()
        .timeout(CALL_DEADLINE)
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .concurrency_limit_per_connection(1)
        .max_concurrent_streams(STRANGER_STREAMS)
        .initial_stream_window_size(STRANGER_WINDOW_BYTES)
        .initial_connection_window_size(STRANGER_WINDOW_BYTES)
        .http2_max_header_list_size(STRANGER_HEADER_BYTES)
        .layer(FilterLayer::new(|request: http::Request<_>| {
            role::check(None, request)
        }))
        .add_service(service)
        .serve_with_incoming_shutdown(
            connections.map(Ok::<_, io::Error>),
            shutdown.cancelled_owned(),
        )
        .await
        .map_err(io::Error::other)
}
