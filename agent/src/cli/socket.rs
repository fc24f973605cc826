//! The socket of `run`: made with narrow rights, taken over from the dead, left
//! to the living.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use rustix::fs::Mode;
use tokio::net::UnixListener;

const DIRECTORY_MODE: u32 = 0o750;
const SOCKET_MODE: u32 = 0o660;

/// A bound socket that is removed again at the end.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Binds the path. Must be called inside a runtime.
    ///
    /// # Errors
    /// When another agent serves there, or something else is in the way.
    pub(super) fn bind(path: &Path) -> anyhow::Result<(Self, UnixListener)> {
        if let Some(directory) = path.parent() {
            make_directory(directory)
                .with_context(|| format!("creating the directory {}", directory.display()))?;
        }
        clear(path)?;
        // No moment with wider rights: the mask holds while it is bound.
        let before = rustix::process::umask(Mode::from_raw_mode(0o777 & !SOCKET_MODE));
        let bound = UnixListener::bind(path);
        rustix::process::umask(before);
        let listener = bound.with_context(|| format!("binding the socket {}", path.display()))?;
        let socket = Self {
            path: path.to_owned(),
        };
        Ok((socket, listener))
    }
}

impl Drop for Socket {
    #[expect(clippy::disallowed_methods, reason = "the agent's own socket")]
    fn drop(&mut self) {
        // A socket that stays behind is replaced at the next start.
        drop(fs::remove_file(&self.path));
    }
}

fn make_directory(directory: &Path) -> io::Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
}

/// Makes the path free, if nobody serves there.
#[expect(
    clippy::disallowed_methods,
    reason = "the agent's own socket, asked only whether somebody lives there"
)]
fn clear(path: &Path) -> anyhow::Result<()> {
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        result => result
            .with_context(|| format!("looking at {}", path.display()))?
            .file_type(),
    };
    if !kind.is_socket() {
        bail!(
            "{} is in the way and is not a socket; remove it or choose another --socket",
            path.display()
        );
    }
    match UnixStream::connect(path) {
        Ok(_) => bail!(
            "another agent serves on {}; stop it first or choose another --socket",
            path.display()
        ),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path)
            .with_context(|| format!("removing the stale socket {}", path.display())),
        Err(error) => {
            Err(error).with_context(|| format!("asking who serves on {}", path.display()))
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests look at what was made")]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use tempfile::TempDir;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn the_directory_and_the_socket_are_narrow_and_the_socket_goes_at_the_end() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("run/local.sock");
        let (socket, listener) = Socket::bind(&path).unwrap();
        assert_eq!(mode(path.parent().unwrap()), DIRECTORY_MODE);
        assert_eq!(mode(&path), SOCKET_MODE);
        drop((listener, socket));
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("local.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (_socket, _listener) = Socket::bind(&path).unwrap();
        let error = Socket::bind(&path).unwrap_err().to_string();
        assert!(error.starts_with("another agent serves on"), "{error}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_left_alone() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("local.sock");
        fs::write(&path, "mine").unwrap();
        assert!(Socket::bind(&path).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }
}
