//! By which names others reach this coordinator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

/// Names of this machine, and the ports that nodes and clients use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Host names and addresses, in the order to try.
    hosts: Vec<String>,
    link_port: u16,
    api_port: u16,
}

impl Names {
    /// Those that were configured; without any, what this machine calls itself and the
    /// addresses from which it would reach others.
    #[must_use]
    pub fn new(configured: &[String], link_port: u16, api_port: u16) -> Self {
        let hosts = if configured.is_empty() {
            detected()
        } else {
            configured.to_vec()
        };
        Self {
            hosts,
            link_port,
            api_port,
        }
    }

    /// As [`new`](Self::new), at the ports that were really opened.
    #[must_use]
    pub fn with_ports(&self, link: Option<u16>, api: Option<u16>) -> Self {
        Self {
            hosts: self.hosts.clone(),
            link_port: link.unwrap_or(self.link_port),
            api_port: api.unwrap_or(self.api_port),
        }
    }

    /// `HOST:PORT` for links.
    #[must_use]
    pub fn link_addresses(&self) -> Vec<String> {
        self.at(self.link_port)
    }

    /// `HOST:PORT` for enrolment, people and programs.
    #[must_use]
    pub fn api_addresses(&self) -> Vec<String> {
        self.at(self.api_port)
    }

    /// What stands in the certificate of the server.
    pub(super) fn certified(&self) -> Vec<String> {
        self.hosts.clone()
    }

    fn at(&self, port: u16) -> Vec<String> {
        self.hosts
            .iter()
            .map(|host| match host.parse() {
                Ok(address) => SocketAddr::new(address, port).to_string(),
                Err(_) => format!("{host}:{port}"),
            })
            .collect()
    }
}

fn detected() -> Vec<String> {
    let mut hosts = Vec::new();
    let host = rustix::system::uname();
    let name = host.nodename().to_string_lossy();
    let is_name = !name.is_empty()
        && name != "localhost"
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'));
    if is_name {
        hosts.push(name.to_ascii_lowercase());
    }
    // Documentation addresses (RFC 5737, RFC 3849): nothing is sent, the kernel only
    // chooses from where it would be.
    let targets: [IpAddr; 2] = [
        Ipv4Addr::new(192, 0, 2, 1).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    ];
    hosts.extend(
        targets
            .into_iter()
            .filter_map(source)
            .map(|it| it.to_string()),
    );
    if hosts.is_empty() {
        hosts.push("localhost".to_owned());
    }
    hosts
}

/// From which address packets to a target would come.
fn source(target: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((target, 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    (!address.is_unspecified() && !address.is_loopback()).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_configured_is_all_there_is() {
        let configured = ["mon.example.org".to_owned(), "2001:db8::7".to_owned()];
        let names = Names::new(&configured, 8440, 8441);
        assert_eq!(
            names.link_addresses(),
            ["mon.example.org:8440", "[2001:db8::7]:8440"]
        );
        assert_eq!(
            names.with_ports(None, Some(9)).api_addresses()[1],
            "[2001:db8::7]:9"
        );
    }

    #[test]
    fn a_machine_has_some_name() {
        assert!(!Names::new(&[], 1, 2).api_addresses().is_empty());
    }
}
