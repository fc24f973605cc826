//! From a knock to a connection whose peer is known: limits first, then TLS with a
//! deadline, each in a task of its own, so that nobody waits behind a slow one.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc, watch},
    time::{sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

use super::{
    connection::{Connection, Peer, Places},
    live::Live,
};
use crate::{
    coordinator::Coordinator,
    link::Clock,
    port::{Port, Sources, Ticket, Tried, Turned},
    trust::{ClientCertificate, Refusal, Trust},
};

/// After a connection could not be accepted: see grpc/accept.rs.
const PAUSE: Duration = Duration::from_millis(200);
/// Handshakes in progress, in all and from one place. Programs may begin with several
/// connections at once, and places may be behind one address.
const HANDSHAKES: usize = 64;
const HANDSHAKES_OF_SOURCE: u32 = 16;
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(10);
/// For whoever is refused to hear why.
const HEARD_DEADLINE: Duration = Duration::from_secs(1);
const HEARD_BYTES: u64 = 64 << 10;
/// Connections without a certificate, and how long each may last: enrolling takes one
/// call.
const STRANGERS: usize = 32;
const STRANGERS_OF_SOURCE: u32 = 8;
pub(super) const STRANGER_LIFE: Duration = Duration::from_secs(15);
/// Connections with one.
const KNOWN: usize = 256;

pub(super) struct Door {
    pub(super) trust: Arc<Trust>,
    pub(super) coordinator: Arc<Coordinator>,
    pub(super) clock: Clock,
    pub(super) live: Arc<Live>,
    pub(super) tls: watch::Receiver<Arc<rustls::ServerConfig>>,
    pub(super) known: mpsc::Sender<Connection>,
    pub(super) strange: mpsc::Sender<Connection>,
    pub(super) tasks: TaskTracker,
}

/// How many there may be.
struct Limits {
    handshakes: Arc<Semaphore>,
    handshakes_of: Sources,
    known: Arc<Semaphore>,
    strangers: Arc<Semaphore>,
    strangers_of: Sources,
}

impl Door {
    /// Lets connections in until it is dropped.
    pub(super) async fn open(self, listener: TcpListener) {
        let door = Arc::new(self);
        let limits = Arc::new(Limits {
            handshakes: Arc::new(Semaphore::new(HANDSHAKES)),
            handshakes_of: Sources::new(HANDSHAKES_OF_SOURCE),
            known: Arc::new(Semaphore::new(KNOWN)),
            strangers: Arc::new(Semaphore::new(STRANGERS)),
            strangers_of: Sources::new(STRANGERS_OF_SOURCE),
        });
        loop {
            let (stream, address) = match listener.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    warn!(port = door.port().name(), %error, "accepting a connection failed");
                    sleep(PAUSE).await;
                    continue;
                }
            };
            let Some(ticket) = limits.handshakes_of.enter(address.ip()) else {
                door.port().turn_away(Turned::Source);
                continue;
            };
            let Ok(permit) = Arc::clone(&limits.handshakes).try_acquire_owned() else {
                door.port().turn_away(Turned::Full);
                continue;
            };
            let (door, limits) = (Arc::clone(&door), Arc::clone(&limits));
            let tasks = door.tasks.clone();
            tasks.spawn(async move {
                let shaken = door.shake(stream, address, &limits).await;
                drop((permit, ticket));
                match shaken {
                    Ok((connection, channel)) => {
                        // Without a server there is nobody to serve it.
                        channel.send(connection).await.ok();
                    }
                    Err(why) => door.port().turn_away(why),
                }
            });
        }
    }

    async fn shake(
        &self,
        stream: TcpStream,
        address: SocketAddr,
        limits: &Limits,
    ) -> Result<(Connection, &mpsc::Sender<Connection>), Turned> {
        // Answers are short; else each waits for a delayed acknowledgement.
        stream.set_nodelay(true).map_err(|_| Turned::Gone)?;
        let acceptor = TlsAcceptor::from(Arc::clone(&self.tls.borrow()));
        let accepting = acceptor.accept(stream).into_fallible();
        let shaken = timeout(HANDSHAKE_DEADLINE, accepting)
            .await
            .map_err(|_| Turned::Slow)?;
        let stream = match shaken {
            Ok(stream) => stream,
            Err((error, stream)) => {
                debug!(%address, %error, "handshake");
                let_hear(stream).await;
                let why = Turned::of_handshake(&error);
                if why == Turned::Certificate {
                    let (tried, words) = Tried::of_handshake(&error);
                    self.refuse(tried, address, words);
                }
                return Err(why);
            }
        };
        let leaf = stream
            .get_ref()
            .1
            .peer_certificates()
            .and_then(<[_]>::first);
        let certificate = match leaf {
            None => None,
            Some(leaf) => {
                // The configuration may be older than what was revoked since.
                let known = self.trust.client_of(leaf, (self.clock)());
                Some(known.map_err(|error| {
                    debug!(%address, %error, "certificate");
                    let tried = match error {
                        Refusal::Revoked => Tried::Revoked,
                        _ => Tried::Certificate,
                    };
                    self.refuse(tried, address, error.to_string());
                    Turned::Certificate
                })?)
            }
        };
        let is_known = certificate.is_some();
        let (permit, ticket) = self.place(address, is_known, limits)?;
        let entry = self.live.enter(certificate.clone());
        self.look_again(certificate.as_ref(), &entry.cut)?;
        if !is_known {
            let cut = entry.cut.clone();
            self.tasks.spawn(async move {
                // Either way its time is over.
                timeout(STRANGER_LIFE, cut.cancelled()).await.ok();
                cut.cancel();
            });
        }
        let peer = Peer {
            certificate,
            address,
        };
        let places = Places {
            entry,
            _permit: permit,
            _ticket: ticket,
            _counted: is_known.then(|| self.port().connect()),
        };
        let channel = if is_known { &self.known } else { &self.strange };
        Ok((Connection::new(stream, peer, places), channel))
    }

    fn refuse(&self, tried: Tried, peer: SocketAddr, why: String) {
        let refusals = &self.coordinator.ports().refusals;
        refusals.note(tried, peer.ip(), why, (self.clock)());
    }

    /// A place among those that may be here.
    fn place(
        &self,
        address: SocketAddr,
        is_known: bool,
        limits: &Limits,
    ) -> Result<(tokio::sync::OwnedSemaphorePermit, Option<Ticket>), Turned> {
        let (slots, ticket) = if is_known {
            (&limits.known, None)
        } else {
            let ticket = limits.strangers_of.enter(address.ip());
            (&limits.strangers, Some(ticket.ok_or(Turned::Source)?))
        };
        let permit = Arc::clone(slots)
            .try_acquire_owned()
            .map_err(|_| Turned::Full)?;
        Ok((permit, ticket))
    }

    /// What was revoked before it stood among the open connections was not cut there.
    fn look_again(
        &self,
        certificate: Option<&ClientCertificate>,
        cut: &tokio_util::sync::CancellationToken,
    ) -> Result<(), Turned> {
        if certificate.is_some_and(|it| self.trust.is_revoked(&it.serial)) {
            cut.cancel();
            return Err(Turned::Cut);
        }
        Ok(())
    }

    fn port(&self) -> &Arc<Port> {
        &self.coordinator.ports().api
    }
}

/// Lets a peer hear the alert that says why it is refused. In TLS 1.3 it may have sent
/// its first request by then, and closing with that unread would take the alert back.
async fn let_hear(mut stream: TcpStream) {
    let mut rest = tokio::io::sink();
    let hearing = async {
        stream.shutdown().await?;
        tokio::io::copy(&mut (&mut stream).take(HEARD_BYTES), &mut rest).await
    };
    // Whoever does not close is not waited for.
    timeout(HEARD_DEADLINE, hearing).await.ok();
}
