//! Connecting to a probe: the one call that the agent makes to anybody.

use std::{io, os::unix::net::UnixStream, path::Path};

use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};

/// Connects without waiting, to a socket that reads and writes without waiting.
///
/// # Errors
/// When nobody listens, or nobody has time.
#[expect(
    clippy::disallowed_methods,
    reason = "the probes do for the agent what needs privileges; std can only connect and wait"
)]
pub(super) fn connect(path: &Path) -> io::Result<UnixStream> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket.into())
}
