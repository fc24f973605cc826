//! Connecting to a Unix socket below the root.
//!
//! QEMU listens where a VM's monitor and guest agent are asked. The socket is
//! found like any file, by [`Host::resolve`], and connected to as what was found: no
//! link leads out of the root, and nothing put in its place meanwhile is met.

use std::os::{
    fd::{AsRawFd, OwnedFd},
    unix::net::UnixStream,
};

use pvelens_proto::agent::v1::FailureKind;
use rustix::{
    fs::{FileType, OFlags},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with},
};

use super::{Host, SourceError, errno, file_type, kind_word};

impl Host {
    /// Connects without waiting, to a stream that reads and writes without waiting;
    /// `None` when as many as the listener lets wait are waiting already.
    ///
    /// # Errors
    /// When there is no socket, it may not be opened, or nobody listens, which is
    /// [`FailureKind::Disconnected`].
    pub(crate) fn connect(&self, path: &str) -> Result<Option<UnixStream>, SourceError> {
        self.recorded(path, OFlags::PATH)?;
        let place = self.resolve(path, OFlags::PATH)?;
        let kind = file_type(path, &place)?;
        if kind != FileType::Socket {
            let detail = format!("a {} where a socket is expected", kind_word(kind));
            return Err(SourceError::new(path, FailureKind::NotAFile, detail));
        }
        match connect_to(&place) {
            Ok(socket) => Ok(Some(socket.into())),
            Err(Errno::AGAIN) => Ok(None),
            Err(Errno::CONNREFUSED) => Err(SourceError::new(
                path,
                FailureKind::Disconnected,
                "nobody listens",
            )),
            Err(error) => Err(errno(path, error)),
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "what QEMU and guest agents know is told over sockets only"
)]
fn connect_to(place: &OwnedFd) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
    // The kernel goes from here to the open socket itself, whatever its name.
    let place = format!("/proc/self/fd/{}", place.as_raw_fd());
    rustix::net::connect(&socket, &SocketAddrUnix::new(place)?)?;
    Ok(socket)
}
