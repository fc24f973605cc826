//! What systemd is told, and how often it wants to hear it.

use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr, UnixDatagram},
    },
    path::Path,
    process,
    time::Duration,
};

use tracing::debug;

use crate::flight::SingleFlight;

/// A systemd that takes no messages is itself in trouble; the program goes on.
const NOTIFY_DEADLINE: Duration = Duration::from_secs(1);

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

/// The time after which a silent process is started anew, if there is one
/// (`sd_watchdog_enabled(3)`).
pub(super) fn watchdog() -> Option<Duration> {
    let variable = |name| env::var(name).ok();
    watchdog_of(
        variable("WATCHDOG_USEC"),
        variable("WATCHDOG_PID"),
        process::id(),
    )
}

fn watchdog_of(microseconds: Option<String>, of: Option<String>, own: u32) -> Option<Duration> {
    // The variables may have been meant for the parent.
    if of.is_some_and(|process| process.parse() != Ok(own)) {
        return None;
    }
    let microseconds = microseconds?.parse().ok().filter(|time| *time > 0)?;
    Some(Duration::from_micros(microseconds))
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

    #[test]
    fn the_watchdog_is_that_of_this_process() {
        let of = |time: &str, process: Option<&str>| {
            watchdog_of(Some(time.to_owned()), process.map(str::to_owned), 7)
        };
        let minute = Some(Duration::from_secs(60));
        assert_eq!(of("60000000", None), minute);
        assert_eq!(of("60000000", Some("7")), minute);
        assert_eq!(of("60000000", Some("8")), None);
        assert_eq!(of("60000000", Some("")), None);
        assert_eq!(of("0", None), None);
        assert_eq!(of("soon", None), None);
        assert_eq!(watchdog_of(None, None, 7), None);
    }
}
