//! The way to the coordinator: a socket of this machine, or a server elsewhere.

use std::{
    env,
    ffi::OsString,
    net::Ipv6Addr,
    path::{Path, PathBuf},
};

use clap::Args;

use super::super::Failure;
use crate::grpc::Role;

const SERVER: &str = "PVELENS_SERVER";
const PORT: u16 = 8441;

/// A coordinator that is not on this machine.
#[derive(Debug, Clone, Default, Args)]
pub(in crate::cli) struct Elsewhere {
    /// Coordinator on another machine, with its port when that is not 8441
    #[arg(long, value_name = "HOST", env = SERVER)]
    server: Option<String>,
    /// Directory that client issue made, for --server
    #[arg(long, value_name = "DIRECTORY", env = "PVELENS_CREDENTIALS")]
    credentials: Option<PathBuf>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) enum Way {
    Socket(PathBuf),
    Server {
        server: Server,
        credentials: PathBuf,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Server {
    pub(super) host: String,
    pub(super) port: u16,
}

impl Elsewhere {
    /// The way for a role. What is said on the command line counts before what the
    /// environment says, and a server before a socket.
    pub(in crate::cli) fn way(
        &self,
        socket: Option<&Path>,
        socket_variable: &str,
        role: Role,
    ) -> Result<Way, Failure> {
        let of = |variable: &str| env::var_os(variable);
        self.choose(
            socket,
            [of(SERVER), of(socket_variable)],
            &super::default_socket(role),
        )
    }

    fn choose(
        &self,
        socket: Option<&Path>,
        environment: [Option<OsString>; 2],
        default: &Path,
    ) -> Result<Way, Failure> {
        let [server_there, socket_there] = environment;
        let is_server_said =
            self.server.is_some() && self.server.as_deref().map(OsString::from) != server_there;
        let is_socket_said =
            socket.is_some() && socket.map(|it| it.as_os_str().to_owned()) != socket_there;
        let server = match &self.server {
            // Both may be exported, for use in turn.
            Some(_) if is_socket_said && !is_server_said => None,
            server => server.as_deref(),
        };
        let Some(server) = server else {
            return Ok(Way::Socket(socket.unwrap_or(default).to_owned()));
        };
        let server = Server::read(server)?;
        let Some(credentials) = self.credentials.clone() else {
            return Err(Failure::Usage(
                "--server needs --credentials: the directory that `pvelens client issue` made on \
                 the coordinator's host"
                    .to_owned(),
            ));
        };
        Ok(Way::Server {
            server,
            credentials,
        })
    }
}

impl Server {
    fn read(text: &str) -> Result<Self, Failure> {
        let wrong = || {
            Failure::Usage(format!(
                "--server {text:?} is not HOST or HOST:PORT, as in mon.example.org, 192.0.2.7:8441 \
                 or [2001:db8::7]:8441"
            ))
        };
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or_else(wrong)?;
                host.parse::<Ipv6Addr>().map_err(|_| wrong())?;
                (
                    host,
                    port.strip_prefix(':').or(port.is_empty().then_some("")),
                )
            }
            None if text.parse::<Ipv6Addr>().is_ok() => (text, Some("")),
            None => match text.split_once(':') {
                Some((host, port)) => (host, Some(port).filter(|port| !port.is_empty())),
                None => (text, Some("")),
            },
        };
        let is_host = !host.is_empty()
            && host
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte));
        let port = match port.filter(|_| is_host).ok_or_else(wrong)? {
            "" => PORT,
            port => port.parse().map_err(|_| wrong())?,
        };
        Ok(Self {
            host: host.to_owned(),
            port,
        })
    }
}

impl std::fmt::Display for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elsewhere(server: Option<&str>) -> Elsewhere {
        Elsewhere {
            server: server.map(str::to_owned),
            credentials: Some(PathBuf::from("/c")),
        }
    }

    #[test]
    fn what_is_said_counts_before_the_environment() {
        let default = Path::new("/run/read.sock");
        let (own, there) = (Path::new("/own.sock"), OsString::from("mon"));
        let choose = |server, socket, environment| {
            elsewhere(server)
                .choose(socket, environment, default)
                .unwrap()
        };
        let is_server = |way: &Way| matches!(way, Way::Server { .. });
        let socket = |path: &Path| Way::Socket(path.to_owned());
        assert_eq!(choose(None, None, [None, None]), socket(default));
        assert!(is_server(&choose(Some("mon"), None, [None, None])));
        // Both said: the server.
        assert!(is_server(&choose(Some("mon"), Some(own), [None, None])));
        // The socket said, the server exported.
        let exported = [Some(there.clone()), None];
        assert_eq!(choose(Some("mon"), Some(own), exported), socket(own));
        // Both exported.
        let exported = [Some(there), Some(own.as_os_str().to_owned())];
        assert!(is_server(&choose(Some("mon"), Some(own), exported)));
    }

    #[test]
    fn a_server_has_a_host_and_maybe_a_port() {
        for (text, shown) in [
            ("mon", "mon:8441"),
            ("mon.example.org:9000", "mon.example.org:9000"),
            ("192.0.2.7", "192.0.2.7:8441"),
            ("2001:db8::7", "[2001:db8::7]:8441"),
            ("[2001:db8::7]", "[2001:db8::7]:8441"),
            ("[2001:db8::7]:1", "[2001:db8::7]:1"),
        ] {
            assert_eq!(Server::read(text).unwrap().to_string(), shown);
        }
        for text in [
            "",
            ":1",
            "mon:",
            "mon:x",
            "[::1",
            "[::1]x",
            "https://mon",
            "a b",
        ] {
            assert!(Server::read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_server_needs_credentials() {
        let mut elsewhere = elsewhere(Some("mon"));
        elsewhere.credentials = None;
        let failure = elsewhere.choose(None, [None, None], Path::new("/x"));
        assert!(failure.unwrap_err().to_string().contains("client issue"));
    }
}
