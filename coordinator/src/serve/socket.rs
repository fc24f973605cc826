//! A Unix socket for clients: made with narrow rights, taken over from the dead,
//! left to the living, removed at the end.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt, MetadataExt, PermissionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
};

use tokio::net::UnixListener;
use tracing::warn;

/// Everybody may look for the sockets; each has its own rights.
const DIRECTORY_MODE: u32 = 0o755;
const PRIVATE_MODE: u32 = 0o700;
const GROUP_MODE: u32 = 0o660;
const OWNER_MODE: u32 = 0o600;
const GROUPS: &str = "/etc/group";

#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    #[error("creating the directory {path}")]
    Directory {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{path} is in the way and is not a socket; remove it or change sockets.directory")]
    InTheWay { path: PathBuf },
    #[error("another coordinator serves on {path}; stop it first or change sockets.directory")]
    Live { path: PathBuf },
    #[error("asking who serves on {path}")]
    Ask {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("making the socket {path}")]
    Bind {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// Who may connect, beside the user of the process.
#[derive(Debug, Clone, Copy)]
pub(super) enum Access<'a> {
    /// Members; empty = of the group of the process.
    Group(&'a str),
    Nobody,
}

/// The path of a bound socket. Dropping it removes the socket.
#[derive(Debug)]
pub(super) struct Socket {
    path: PathBuf,
    /// Device and inode: what a successor puts there is not ours to remove.
    identity: Option<(u64, u64)>,
}

impl Socket {
    /// Binds a socket. Must be called inside a runtime.
    ///
    /// # Errors
    /// When another coordinator serves there, or something else is in the way.
    pub(super) fn bind(
        path: &Path,
        access: Access<'_>,
    ) -> Result<(Self, UnixListener), SocketError> {
        if let Some(directory) = path.parent() {
            make_directory(directory)?;
        }
        look_at(path)?;
        let listener = Self::make(path, access).map_err(|source| SocketError::Bind {
            path: path.to_owned(),
            source,
        })?;
        let socket = Self {
            identity: identity(path).ok(),
            path: path.to_owned(),
        };
        Ok((socket, listener))
    }

    /// It gets its name when its rights are right, which also replaces a stale
    /// one without a gap. Until then it stands where nobody else can reach it.
    fn make(path: &Path, access: Access<'_>) -> io::Result<UnixListener> {
        let mut private = path.as_os_str().to_owned();
        private.push(".new");
        let private = PathBuf::from(private);
        match fs::remove_dir_all(&private) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        fs::DirBuilder::new().mode(PRIVATE_MODE).create(&private)?;
        let early = private.join("s");
        let listener = UnixListener::bind(&early)?;
        let mode = match access {
            // First who it belongs to: a change of owner may take rights away.
            Access::Group(group) => {
                give_to(&early, path, group);
                GROUP_MODE
            }
            Access::Nobody => OWNER_MODE,
        };
        fs::set_permissions(&early, fs::Permissions::from_mode(mode))?;
        fs::rename(&early, path)?;
        fs::remove_dir(&private)?;
        Ok(listener)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        if self.identity.is_some() && identity(&self.path).ok() == self.identity {
            // A socket that stays behind is replaced at the next start.
            drop(fs::remove_file(&self.path));
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn make_directory(directory: &Path) -> Result<(), SocketError> {
    if directory.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new()
        .recursive(true)
        .mode(DIRECTORY_MODE)
        .create(directory)
        .map_err(|source| SocketError::Directory {
            path: directory.to_owned(),
            source,
        })
}

/// Whether the path is free, or its owner dead.
fn look_at(path: &Path) -> Result<(), SocketError> {
    let asked = |source| SocketError::Ask {
        path: path.to_owned(),
        source,
    };
    let kind = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        metadata => metadata.map_err(asked)?.file_type(),
    };
    let path = path.to_owned();
    if !kind.is_socket() {
        return Err(SocketError::InTheWay { path });
    }
    match UnixStream::connect(&path) {
        Ok(_) => Err(SocketError::Live { path }),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => Ok(()),
        Err(source) => Err(SocketError::Ask { path, source }),
    }
}

/// Hands a socket to a group. When that is not possible it stays with the group
/// of the process, which is narrower, so this is no reason to stop.
fn give_to(early: &Path, path: &Path, group: &str) {
    if group.is_empty() {
        return;
    }
    let id = match fs::read_to_string(GROUPS) {
        Ok(groups) => group_id(&groups, group),
        Err(error) => {
            warn!(%error, "reading {GROUPS}");
            None
        }
    };
    let path_shown = path.display();
    let Some(id) = id else {
        warn!(path = %path_shown, group, "there is no such group; only this user and its own group can connect");
        return;
    };
    if let Err(error) = std::os::unix::fs::chown(early, None, Some(id)) {
        warn!(path = %path_shown, group, %error, "cannot hand over to the group; only this user and its own group can connect");
    }
}

/// From `/etc/group`. Groups of a directory service are not in it; packages make
/// theirs there.
fn group_id(groups: &str, wanted: &str) -> Option<u32> {
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        (fields.next()? == wanted).then(|| fields.nth(1)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    const ANYBODY: Access<'_> = Access::Group("");

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[tokio::test]
    async fn a_socket_has_its_rights_and_goes_at_the_end() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("run/read.sock");
        let (socket, listener) = Socket::bind(&path, ANYBODY).unwrap();
        assert_eq!(mode(path.parent().unwrap()), DIRECTORY_MODE);
        assert_eq!(mode(&path), GROUP_MODE);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        drop((listener, socket));
        assert!(!path.exists());
        let (_socket, _listener) = Socket::bind(&path, Access::Nobody).unwrap();
        assert_eq!(mode(&path), OWNER_MODE);
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_live_one_is_refused() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("read.sock");
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let (_socket, _listener) = Socket::bind(&path, ANYBODY).unwrap();
        assert!(UnixStream::connect(&path).is_ok());
        let error = Socket::bind(&path, ANYBODY).unwrap_err();
        assert!(matches!(error, SocketError::Live { .. }), "{error}");
        assert!(path.exists());
    }

    #[tokio::test]
    async fn a_file_in_the_way_is_left_alone() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("read.sock");
        fs::write(&path, "mine").unwrap();
        assert!(matches!(
            Socket::bind(&path, ANYBODY).unwrap_err(),
            SocketError::InTheWay { .. }
        ));
        assert_eq!(fs::read_to_string(&path).unwrap(), "mine");
    }

    #[tokio::test]
    async fn the_socket_of_a_successor_stays() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("read.sock");
        let (socket, _listener) = Socket::bind(&path, Access::Group("no-such-group")).unwrap();
        let successor = directory.path().join("other");
        let _listener = std::os::unix::net::UnixListener::bind(&successor).unwrap();
        fs::rename(&successor, &path).unwrap();
        drop(socket);
        assert!(path.exists());
    }

    #[test]
    fn a_group_is_found_by_its_whole_name() {
        let groups = "root:x:0:\npvelens-users-old:x:7:\npvelens-users:x:991:anna,berta\nbroken\n";
        assert_eq!(group_id(groups, "pvelens-users"), Some(991));
        assert_eq!(group_id(groups, "pvelens"), None);
        assert_eq!(group_id(groups, "broken"), None);
    }
}
