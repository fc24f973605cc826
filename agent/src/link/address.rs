//! Where a coordinator listens for links: a name or an address, and a port.

use std::{fmt, net::Ipv4Addr, net::Ipv6Addr, str::FromStr};

use serde::{Deserialize, Serialize};

/// Where a coordinator accepts links unless it was set otherwise.
const DEFAULT_PORT: u16 = 8440;
/// Of a name in the DNS and of a part of it (RFC 1035).
const NAME_LIMIT: usize = 253;
const LABEL_LIMIT: usize = 63;

/// `HOST` or `HOST:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Address {
    /// A name, or an address without brackets.
    host: String,
    port: u16,
}

/// Why some text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    #[error("{0:?} is a URL: only HOST or HOST:PORT is wanted")]
    Url(String),
    #[error("{0:?} has no port from 1 to 65535 after the colon")]
    Port(String),
    #[error("{0:?} is an IPv6 address without brackets: write [{0}]")]
    Brackets(String),
    #[error("{0:?} has no IPv6 address between its brackets")]
    Ipv6(String),
    #[error("{0:?} is neither a host name nor an address, with or without :PORT")]
    Host(String),
}

impl Address {
    /// What is looked up: a name, or an address without brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let of_all = |error: fn(String) -> AddressError| error(text.to_owned());
        if text.contains("://") {
            return Err(of_all(AddressError::Url));
        }
        if text.parse::<Ipv6Addr>().is_ok() {
            return Err(of_all(AddressError::Brackets));
        }
        if let Some(rest) = text.strip_prefix('[') {
            let (host, rest) = rest
                .split_once(']')
                .ok_or_else(|| of_all(AddressError::Ipv6))?;
            let host: Ipv6Addr = host.parse().map_err(|_| of_all(AddressError::Ipv6))?;
            let port = match rest.strip_prefix(':') {
                Some(port) => Some(port),
                None if rest.is_empty() => None,
                None => return Err(of_all(AddressError::Host)),
            };
            return Ok(Self {
                host: host.to_string(),
                port: port_of(port).ok_or_else(|| of_all(AddressError::Port))?,
            });
        }
        let (host, port) = match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        };
        if !is_host(host) {
            return Err(of_all(AddressError::Host));
        }
        Ok(Self {
            host: host.to_ascii_lowercase(),
            port: port_of(port).ok_or_else(|| of_all(AddressError::Port))?,
        })
    }
}

fn port_of(text: Option<&str>) -> Option<u16> {
    let Some(text) = text else {
        return Some(DEFAULT_PORT);
    };
    // `parse` would take a sign.
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let port = text.parse().ok().filter(|port| *port != 0)?;
    is_number.then_some(port)
}

/// A name as in the DNS or `/etc/hosts`, or an IPv4 address. The resolver would
/// also take `10.1` for `10.0.0.1`, which nobody means.
fn is_host(host: &str) -> bool {
    // A dot at the end keeps the resolver from trying its search list.
    let name = host.strip_suffix('.').unwrap_or(host);
    let last = name.rsplit('.').next().unwrap_or(name);
    if last.bytes().all(|byte| byte.is_ascii_digit()) {
        return host.parse::<Ipv4Addr>().is_ok();
    }
    name.len() <= NAME_LIMIT && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && label.len() <= LABEL_LIMIT
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(formatter, "[{}]:{}", self.host, self.port)
        } else {
            write!(formatter, "{}:{}", self.host, self.port)
        }
    }
}

impl TryFrom<String> for Address {
    type Error = AddressError;

    fn try_from(text: String) -> Result<Self, AddressError> {
        text.parse()
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(text: &str) -> String {
        text.parse::<Address>().unwrap().to_string()
    }

    fn refused(text: &str) -> AddressError {
        text.parse::<Address>().unwrap_err()
    }

    #[test]
    fn names_and_addresses_have_the_port_of_the_links_unless_it_is_set() {
        assert_eq!(shown("mon.example.org"), "mon.example.org:8440");
        assert_eq!(shown("mon.example.org.:1"), "mon.example.org.:1");
        assert_eq!(shown("Mon_1:65535"), "mon_1:65535");
        assert_eq!(shown("192.0.2.7"), "192.0.2.7:8440");
        assert_eq!(shown("[2001:DB8::7]"), "[2001:db8::7]:8440");
        assert_eq!(shown("[::1]:9"), "[::1]:9");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let all = |error: fn(String) -> AddressError, texts: &[&str]| {
            for text in texts {
                assert_eq!(refused(text), error((*text).to_owned()));
            }
        };
        all(AddressError::Url, &["https://mon.example.org"]);
        all(AddressError::Brackets, &["2001:db8::7", "::1"]);
        all(AddressError::Ipv6, &["[::1", "[mon]:1", "[fe80::1%eth0]"]);
        all(
            AddressError::Port,
            &["mon:", "mon:0", "mon:65536", "mon:+1", "mon:x", "[::1]:"],
        );
        all(
            AddressError::Host,
            &[
                "",
                ":1",
                "a b",
                "-a",
                "a-.b",
                "a..b",
                ".",
                "10.1",
                "1.2.3.4.",
                "256.1.1.1",
                "mon\n",
                "m\u{f6}n",
                "[::1]1",
                "mon/x",
                "user@mon",
            ],
        );
        let long = "a".repeat(64);
        assert_eq!(refused(&long), AddressError::Host(long));
        let long = ["abc"; 64].join(".");
        assert_eq!(refused(&long), AddressError::Host(long));
    }

    proptest! {
        #[test]
        fn what_is_shown_is_the_same_address(text in "\\PC{0,12}|[a-c0-2.:\\[\\]-]{0,12}") {
            if let Ok(address) = text.parse::<Address>() {
                prop_assert_eq!(address.to_string().parse::<Address>(), Ok(address));
            }
        }
    }
}
