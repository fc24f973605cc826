//! Listeners that systemd made before we ran. Each is known by the file name of
//! its own address: the order in which systemd hands them over is that of its
//! units, which an administrator may change.

use std::{
    io,
    os::unix::net::UnixListener,
    path::{Path, PathBuf},
};

use listenfd::ListenFd;

use super::{ADMIN_SOCKET, MCP_OPERATE_SOCKET, MCP_SOCKET, OPERATE_SOCKET, READ_SOCKET};

/// Every socket that systemd makes for the coordinator.
#[derive(Debug)]
pub struct Handover {
    pub(super) read: UnixListener,
    pub(super) mcp: UnixListener,
    pub(super) operate: UnixListener,
    pub(super) mcp_operate: UnixListener,
    pub(super) admin: UnixListener,
}

/// Why what systemd handed over cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HandoverError {
    #[error("systemd handed over a descriptor (number {position}) that is no Unix listener")]
    NotUnix {
        position: usize,
        #[source]
        source: io::Error,
    },
    #[error("systemd handed over a socket that has no path")]
    NoPath,
    #[error(
        "systemd handed over {path}, and {name:?} is no socket of the coordinator: those are \
         {READ_SOCKET}, {MCP_SOCKET}, {OPERATE_SOCKET}, {MCP_OPERATE_SOCKET} and {ADMIN_SOCKET}"
    )]
    Unknown { path: PathBuf, name: String },
    #[error("systemd handed over two sockets named {name}")]
    Twice { name: &'static str },
    #[error(
        "systemd handed over other sockets but no {name}; {unit} gives it: see `systemctl status \
         {unit}`"
    )]
    Missing {
        name: &'static str,
        unit: &'static str,
    },
}

/// The sockets, and the units that give them.
const UNITS: [(&str, &str); 5] = [
    (READ_SOCKET, "pvelens-read.socket"),
    (MCP_SOCKET, "pvelens-read.socket"),
    (OPERATE_SOCKET, "pvelens-operate.socket"),
    (MCP_OPERATE_SOCKET, "pvelens-operate.socket"),
    (ADMIN_SOCKET, "pvelens-admin.socket"),
];

impl Handover {
    /// Takes what systemd handed over, if it did. Must be called before there
    /// are other threads, since it changes the environment.
    ///
    /// # Errors
    /// When a socket is missing, unknown or of another kind.
    pub fn take() -> Result<Option<Self>, HandoverError> {
        let mut given = ListenFd::from_env();
        let mut listeners = Vec::new();
        for position in 0..given.len() {
            let taken = given.take_unix_listener(position);
            let taken = taken.map_err(|source| HandoverError::NotUnix { position, source })?;
            listeners.extend(taken);
        }
        if listeners.is_empty() {
            return Ok(None);
        }
        Self::of(listeners).map(Some)
    }

    fn of(listeners: Vec<UnixListener>) -> Result<Self, HandoverError> {
        let mut known = UNITS.map(|(name, unit)| (name, unit, None));
        for listener in listeners {
            let path = path(&listener).ok_or(HandoverError::NoPath)?;
            let file = path.file_name().and_then(|name| name.to_str());
            let Some((name, _, place)) = known.iter_mut().find(|(name, ..)| file == Some(name))
            else {
                let name = file.unwrap_or_default().to_owned();
                return Err(HandoverError::Unknown { path, name });
            };
            if place.replace(listener).is_some() {
                return Err(HandoverError::Twice { name });
            }
        }
        let [read, mcp, operate, mcp_operate, admin] =
            known.map(|(name, unit, place)| place.ok_or(HandoverError::Missing { name, unit }));
        Ok(Self {
            read: read?,
            mcp: mcp?,
            operate: operate?,
            mcp_operate: mcp_operate?,
            admin: admin?,
        })
    }
}

/// Where clients find a listener.
pub(super) fn path(listener: &UnixListener) -> Option<PathBuf> {
    let address = listener.local_addr().ok()?;
    address.as_pathname().map(Path::to_owned)
}

#[cfg(test)]
mod tests {
    use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};

    use tempfile::TempDir;

    use super::*;

    fn made(directory: &TempDir, names: &[&str]) -> Vec<UnixListener> {
        let made = names
            .iter()
            .map(|name| UnixListener::bind(directory.path().join(name)).unwrap());
        made.collect()
    }

    #[test]
    fn sockets_are_known_by_their_names_in_any_order() {
        let directory = TempDir::new().unwrap();
        let names = [
            ADMIN_SOCKET,
            MCP_OPERATE_SOCKET,
            MCP_SOCKET,
            READ_SOCKET,
            OPERATE_SOCKET,
        ];
        let handover = Handover::of(made(&directory, &names)).unwrap();
        for (listener, name) in [
            (&handover.read, READ_SOCKET),
            (&handover.mcp, MCP_SOCKET),
            (&handover.operate, OPERATE_SOCKET),
            (&handover.mcp_operate, MCP_OPERATE_SOCKET),
            (&handover.admin, ADMIN_SOCKET),
        ] {
            assert_eq!(path(listener).unwrap(), directory.path().join(name));
        }
    }

    #[test]
    fn a_socket_that_is_unknown_or_missing_is_named() {
        let directory = TempDir::new().unwrap();
        let error = Handover::of(made(&directory, &[READ_SOCKET, "write.sock"])).unwrap_err();
        assert!(error.to_string().contains("/write.sock"), "{error}");
        for (name, unit) in UNITS {
            let directory = TempDir::new().unwrap();
            let others = UNITS.map(|(name, _)| name);
            let others: Vec<&str> = others.into_iter().filter(|other| *other != name).collect();
            let error = Handover::of(made(&directory, &others))
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && error.contains(unit), "{error}");
        }
    }

    #[test]
    fn a_name_that_comes_twice_or_not_at_all_is_refused() {
        let (one, other) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let mut listeners = made(&one, &[READ_SOCKET]);
        listeners.extend(made(&other, &[READ_SOCKET]));
        let error = Handover::of(listeners).unwrap_err();
        assert!(matches!(error, HandoverError::Twice { name: READ_SOCKET }));
        let name = format!("pvelens-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(name).unwrap();
        let error = Handover::of(vec![UnixListener::bind_addr(&address).unwrap()]).unwrap_err();
        assert!(matches!(error, HandoverError::NoPath), "{error}");
    }
}
