//! `link.sock`, for a coordinator elsewhere that comes through its pipe: the agent is
//! the server of TLS, and the coordinator has to show a certificate.
//!
//! An agent that has not joined has no identity to show, so it turns everybody away.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::UnixListener,
    sync::{Semaphore, mpsc},
    time::{Instant, sleep, timeout},
};
use tokio_rustls::TlsAcceptor;
use tracing::info;

use super::peer::{Connection, Link};
use crate::identity::{Slot, tls};

mod refused;
mod seldom;

pub(super) use refused::Refused;
use seldom::Seldom;

/// Handshakes at the same time, and the time for one. Nobody has shown who it is yet.
const HANDSHAKES: usize = 8;
const DEADLINE: Duration = Duration::from_secs(10);
/// Links at the same time: one of each coordinator, and old ones that nobody has
/// noticed the end of.
const LINKS: usize = 4;
/// After turning somebody away: a pipe that comes back at once costs little, and a
/// listener that fails is not asked without end.
const PAUSE: Duration = Duration::from_millis(100);

const NOT_JOINED: &str = "this node has not joined a coordinator";

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    #[error("no handshake within {} s", DEADLINE.as_secs())]
    Deadline,
    #[error("the handshake failed: {0}")]
    Handshake(#[source] io::Error),
    #[error("whoever is there showed no certificate of a coordinator")]
    Unnamed,
    #[error(transparent)]
    Serve(#[from] super::ServeError),
}

/// What is said of those who come, each once a minute at most.
#[derive(Debug, Default)]
struct Logs {
    unjoined: Seldom,
    full: Seldom,
    failed: Seldom,
}

/// Accepts for ever, and hands over those who are coordinators.
pub(super) async fn accept(
    listener: UnixListener,
    slot: Arc<Slot>,
    refused: Arc<Refused>,
    connections: mpsc::Sender<io::Result<Connection>>,
) {
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES));
    let links = Arc::new(Semaphore::new(LINKS));
    let logs = Arc::new(Mutex::new(Logs::default()));
    let say = |which: fn(&mut Logs) -> &mut Seldom, what: &str| said(&logs, which, what);
    loop {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                say(|logs| &mut logs.full, &error.to_string());
                sleep(PAUSE).await;
                continue;
            }
        };
        let Some(held) = slot.held() else {
            let problem = slot.problem();
            let why = problem.unwrap_or_else(|| NOT_JOINED.to_owned());
            say(|logs| &mut logs.unjoined, &why);
            drop(stream);
            sleep(PAUSE).await;
            continue;
        };
        let Ok(pending) = Arc::clone(&handshakes).try_acquire_owned() else {
            say(|logs| &mut logs.full, "too many handshakes are not done");
            continue;
        };
        let (links, logs) = (Arc::clone(&links), Arc::clone(&logs));
        let (connections, refused) = (connections.clone(), Arc::clone(&refused));
        tokio::spawn(async move {
            let shaken = shake_hands(stream, held.tls).await;
            drop(pending);
            let mut link = match shaken {
                Ok(link) => link,
                Err(error) => {
                    refused.note(&error);
                    return said(&logs, |logs| &mut logs.failed, &error.to_string());
                }
            };
            let Ok(place) = links.try_acquire_owned() else {
                return said(&logs, |logs| &mut logs.full, "there are too many links");
            };
            info!(coordinator = link.coordinator, "a coordinator is linked");
            link.place = Some(place);
            // Nobody is there at the end of the agent.
            connections.send(Ok(Connection::Link(link))).await.ok();
        });
    }
}

fn said(logs: &Mutex<Logs>, which: fn(&mut Logs) -> &mut Seldom, why: &str) {
    let mut logs = logs.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(times) = which(&mut logs).times(Instant::now()) {
        info!(connections = times, why, "turned away on link.sock");
    }
}

/// The handshake as the server, and whose certificate was shown in it.
pub(super) async fn shake_hands<S>(stream: S, tls: Arc<ServerConfig>) -> Result<Link, LinkError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let shaken = timeout(DEADLINE, TlsAcceptor::from(tls).accept(stream));
    let stream = shaken
        .await
        .map_err(|_| LinkError::Deadline)?
        .map_err(LinkError::Handshake)?;
    let shown = stream.get_ref().1.peer_certificates();
    let coordinator = shown
        .and_then(|chain| chain.first())
        .and_then(|leaf| tls::coordinator(leaf))
        .ok_or(LinkError::Unnamed)?;
    Ok(Link {
        stream: Box::new(stream),
        coordinator,
        place: None,
        end: None,
    })
}

/// Accepts processes of this node, for ever.
pub(super) async fn accept_local(
    listener: UnixListener,
    connections: mpsc::Sender<io::Result<Connection>>,
) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                let sent = connections.send(Ok(Connection::Local(stream)));
                if sent.await.is_err() {
                    return;
                }
            }
            Err(error) => {
                info!(%error, "local.sock accepts nobody");
                sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests;
