//! Settings of the ports that other machines reach.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use serde::{Deserialize, Serialize};

use super::{Config, ConfigError, problem};

/// Names of one coordinator.
const NAMES: usize = 32;
const NAME_LIMIT: usize = 253;

/// The port at which nodes dial in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Link {
    /// Of the other port too: nodes enrol there.
    pub enabled: Opening,
    pub listen: SocketAddr,
    /// By which nodes and clients reach this machine. Empty = what it calls itself.
    pub names: Vec<String>,
}

/// The port of people and programs elsewhere, and of enrolment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Api {
    pub listen: SocketAddr,
}

/// Whether ports are open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Opening {
    /// Once somebody was invited.
    #[default]
    Auto,
    On,
    Off,
}

impl Default for Link {
    fn default() -> Self {
        Self {
            enabled: Opening::Auto,
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8440)),
            names: Vec::new(),
        }
    }
}

impl Default for Api {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8441)),
        }
    }
}

impl Opening {
    /// Whether a port is to be open, when somebody was invited or not.
    #[must_use]
    pub fn is_wanted(self, is_in_use: bool) -> bool {
        match self {
            Self::Auto => is_in_use,
            Self::On => true,
            Self::Off => false,
        }
    }
}

pub(super) fn validate(config: &Config) -> Result<(), ConfigError> {
    let Link {
        enabled,
        listen,
        names,
    } = &config.link;
    if names.len() > NAMES {
        return problem("link.names", format!("has more than {NAMES} entries"));
    }
    if let Some(name) = names.iter().find(|name| !is_host(name)) {
        return problem(
            "link.names",
            format!(
                "names {name:?}, which is neither a host name nor an address; a port belongs to link.listen and api.listen"
            ),
        );
    }
    let api = config.api.listen;
    // Port 0 is another one each time.
    if api.port() != 0 && api.port() == listen.port() {
        return problem("api.listen", "has the port of link.listen");
    }
    if *enabled == Opening::On && config.store.directory.as_os_str().is_empty() {
        return problem(
            "link.enabled",
            "is \"on\", which needs store.directory: that is where keys and certificates are kept",
        );
    }
    Ok(())
}

/// A name or an address without a port.
fn is_host(name: &str) -> bool {
    let is_name = (1..=NAME_LIMIT).contains(&name.len())
        && name.split('.').all(|label| {
            !label.is_empty()
                && !label.starts_with('-')
                && label
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        });
    is_name || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_host_or_an_address() {
        for name in ["mon", "mon.example.org", "192.0.2.1", "2001:db8::1", "3com"] {
            assert!(is_host(name), "{name}");
        }
        for name in [
            "", "mon:8440", "[::1]", "a..b", "-a", "a b", "m\u{f6}n", "*.x",
        ] {
            assert!(!is_host(name), "{name}");
        }
    }
}
