//! What systemd is told about the agent, and the cage checked on the way.
//!
//! Everything here follows the ticks of the sampling loop: when that is stuck,
//! the watchdog hears nothing and systemd starts the agent anew.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::Path,
    sync::Arc,
    time::Duration,
};

use jiff::Timestamp;
use tokio::sync::watch;
use tracing::debug;

use super::plain;
use crate::{
    cage::{Cage, Violation},
    flight::SingleFlight,
    service::NodeAgent,
    spool::Spool,
};

/// A systemd that takes no messages is itself in trouble; the agent goes on.
const NOTIFY_DEADLINE: Duration = Duration::from_secs(1);

pub(super) struct Overseer {
    pub(super) ticks: watch::Receiver<u64>,
    pub(super) spool: Arc<Spool>,
    pub(super) agent: NodeAgent,
    /// Only inside the sandbox.
    pub(super) cage: Option<Cage>,
    pub(super) systemd: Systemd,
}

impl Overseer {
    /// Goes on until the cage is broken, and tells how.
    pub(super) async fn run(&mut self) -> Violation {
        let mut news = self.spool.subscribe();
        let mut newest = None;
        let mut ready = false;
        loop {
            tokio::select! {
                tick = self.ticks.changed() => if tick.is_err() {
                    // The sampling ended, which `run` sees itself.
                    return std::future::pending().await;
                },
                Ok(()) = news.changed() => {
                    newest = Some((*news.borrow_and_update(), Timestamp::now()));
                    continue;
                }
            }
            if let Some(cage) = &mut self.cage
                && let Some(violation) = cage.check().await
            {
                return violation;
            }
            let mut message = format!("WATCHDOG=1\nSTATUS={}\n", self.status(newest));
            if !std::mem::replace(&mut ready, true) {
                message.push_str("READY=1\n");
            }
            self.systemd.tell(message).await;
        }
    }

    /// One line for `systemctl status`.
    fn status(&self, newest: Option<(u64, Timestamp)>) -> String {
        let name = match self.agent.node_name() {
            name if name.is_empty() => "node without name".to_owned(),
            // A line break would begin another message to systemd.
            name => plain(&name),
        };
        match newest {
            Some((sequence, at)) => format!("{name}: newest samples at {at:.0}, update {sequence}"),
            None => format!("{name}: no samples yet"),
        }
    }
}

/// The service manager, if one started this process and wants to be told.
///
/// Messages are sent without connecting, which the sandbox refuses; the crate
/// `sd-notify` connects (`sd_notify(3)` leaves it open).
pub(super) struct Systemd(SingleFlight);

impl Systemd {
    pub(super) fn new() -> Self {
        Self(SingleFlight::new("notify"))
    }

    /// Sends assignments, one in a line.
    pub(super) async fn tell(&self, message: String) {
        let Some(socket) = env::var_os("NOTIFY_SOCKET") else {
            return;
        };
        let sent = move || send(&socket, &message);
        match self.0.run(NOTIFY_DEADLINE, sent).await {
            Ok(Ok(())) => {}
            // Its own watchdog is what reports this.
            Ok(Err(error)) => debug!(%error, "systemd was not told"),
            Err(error) => debug!(%error, "systemd was not told"),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the socket on which systemd waits for word of its own child"
)]
fn send(socket: &OsStr, message: &str) -> io::Result<()> {
    let sender = UnixDatagram::unbound()?;
    match socket.as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => {
            let address = SocketAddr::from_abstract_name(name)?;
            sender.send_to_addr(message.as_bytes(), &address)
        }
        None => sender.send_to(message.as_bytes(), Path::new(socket)),
    }
    .map(drop)
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    #[test]
    fn systemd_is_told_without_a_connection() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("notify");
        let receiver = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1\n").unwrap();
        let mut buffer = [0; 64];
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"READY=1\n");

        let name = format!("pvelens-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name.as_bytes()).unwrap();
        let receiver = UnixDatagram::bind_addr(&address).unwrap();
        send(OsStr::new(&format!("@{name}")), "WATCHDOG=1\n").unwrap();
        let length = receiver.recv(&mut buffer).unwrap();
        assert_eq!(&buffer[..length], b"WATCHDOG=1\n");
        assert!(send(&directory.path().join("none").into_os_string(), "x").is_err());
    }
}
