//! The sockets of `run`: those that systemd made and handed over, or an own one
//! that is made with narrow rights, taken over from the dead, left to the living.

use std::{
    fs, io,
    os::unix::{
        fs::{DirBuilderExt, FileTypeExt},
        net::{UnixListener as StdListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use listenfd::ListenFd;
use rustix::fs::Mode;
use tokio::net::UnixListener;

const DIRECTORY_MODE: u32 = 0o750;
const SOCKET_MODE: u32 = 0o660;

/// File names by which the sockets of systemd are told apart.
const LOCAL: &str = "local.sock";
const LINK: &str = "link.sock";

/// What `run` listens on.
#[derive(Debug)]
pub(super) struct Sockets {
    /// For the coordinator on this node.
    pub(super) local: UnixListener,
    pub(super) local_path: PathBuf,
    /// For a coordinator elsewhere.
    pub(super) link: Option<UnixListener>,
    /// The own sockets; those of systemd are systemd's to remove.
    own: Vec<Socket>,
}

impl Sockets {
    /// Takes what systemd handed over, or else binds the path, and that of the link
    /// if there is one. Must be called inside a runtime.
    ///
    /// # Errors
    /// When what was handed over is not what this agent serves, or the path
    /// cannot be bound.
    pub(super) fn open(
        handed_over: ListenFd,
        path: &Path,
        link: Option<&Path>,
    ) -> anyhow::Result<Self> {
        if handed_over.len() > 0 {
            return Self::told_apart(listeners(handed_over)?);
        }
        let (own, local) = Socket::bind(path)?;
        let mut own = vec![own];
        let mut listener = None;
        if let Some(link) = link {
            let (socket, bound) = Socket::bind(link)?;
            own.push(socket);
            listener = Some(bound);
        }
        Ok(Self {
            local,
            local_path: path.to_owned(),
            link: listener,
            own,
        })
    }

    fn told_apart(listeners: Vec<StdListener>) -> anyhow::Result<Self> {
        let (mut local, mut link) = (None, None);
        for listener in listeners {
            let address = listener.local_addr().context("asking a socket its name")?;
            let path = address.as_pathname().unwrap_or(Path::new("without name"));
            let place = match path.file_name().and_then(|name| name.to_str()) {
                Some(LOCAL) => &mut local,
                Some(LINK) => &mut link,
                _ => bail!(
                    "systemd handed over the socket {}, which this agent does not serve: it serves {LOCAL} \
                     and {LINK}",
                    path.display()
                ),
            };
            if place.is_some() {
                bail!("systemd handed over a second socket {}", path.display());
            }
            listener
                .set_nonblocking(true)
                .and_then(|()| UnixListener::from_std(listener))
                .map(|listener| *place = Some((listener, path.to_owned())))
                .with_context(|| format!("taking over the socket {}", path.display()))?;
        }
        let (local, local_path) = local.with_context(|| {
            format!("systemd handed over no {LOCAL}; is pvelens-agent.socket running?")
        })?;
        Ok(Self {
            local,
            local_path,
            link: link.map(|(listener, _)| listener),
            own: Vec::new(),
        })
    }

    /// Whether systemd made the sockets, as it does for the unit.
    pub(super) fn are_handed_over(&self) -> bool {
        self.own.is_empty()
    }
}

fn listeners(mut handed_over: ListenFd) -> anyhow::Result<Vec<StdListener>> {
    let mut listeners = Vec::new();
    for index in 0..handed_over.len() {
        let listener = handed_over
            .take_unix_listener(index)
            .context("taking over a socket from systemd")?;
        listeners.extend(listener);
    }
    Ok(listeners)
}

/// A bound socket that is removed again at the end.
#[derive(Debug)]
struct Socket {
    path: PathBuf,
}

impl Socket {
    /// Binds the path. Must be called inside a runtime.
    ///
    /// # Errors
    /// When another agent serves there, or something else is in the way.
    fn bind(path: &Path) -> anyhow::Result<(Self, UnixListener)> {
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

    fn handed_over(directory: &TempDir, names: &[&str]) -> anyhow::Result<Sockets> {
        let bind = |name: &&str| StdListener::bind(directory.path().join(name)).unwrap();
        Sockets::told_apart(names.iter().map(bind).collect())
    }

    #[tokio::test]
    async fn sockets_of_systemd_are_told_apart_by_name_and_left_behind() {
        let directory = TempDir::new().unwrap();
        let sockets = handed_over(&directory, &["link.sock", "local.sock"]).unwrap();
        assert!(sockets.are_handed_over());
        assert_eq!(sockets.local_path, directory.path().join("local.sock"));
        let link = sockets.link.as_ref().unwrap().local_addr().unwrap();
        assert_eq!(
            link.as_pathname().unwrap(),
            directory.path().join("link.sock")
        );
        drop((sockets, link));
        assert!(directory.path().join("local.sock").exists());
        assert!(directory.path().join("link.sock").exists());
    }

    #[tokio::test]
    async fn the_link_is_optional_and_the_local_socket_is_not() {
        let directory = TempDir::new().unwrap();
        assert!(
            handed_over(&directory, &["local.sock"])
                .unwrap()
                .link
                .is_none()
        );
        let error = handed_over(&directory, &["link.sock"]).unwrap_err();
        assert!(error.to_string().contains("no local.sock"), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_socket_and_a_second_one_are_named() {
        let directory = TempDir::new().unwrap();
        let error = handed_over(&directory, &["local.sock", "read.sock"]).unwrap_err();
        assert!(error.to_string().contains("/read.sock, which"), "{error}");
        fs::create_dir(directory.path().join("other")).unwrap();
        let error = handed_over(&directory, &["link.sock", "other/link.sock"]).unwrap_err();
        assert!(error.to_string().contains("other/link.sock"), "{error}");
    }

    #[tokio::test]
    async fn without_systemd_the_own_socket_is_bound() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("x.sock");
        let sockets = Sockets::open(ListenFd::empty(), &path, None).unwrap();
        assert!(!sockets.are_handed_over());
        assert_eq!(sockets.local_path, path);
        drop(sockets);
        assert!(!path.exists());
    }

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
