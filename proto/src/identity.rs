//! Who a certificate is for: the one URI in its subject alternative names.
//!
//! ```text
//! pvelens://node/CLUSTER/NODE
//! pvelens://coordinator/NAME
//! pvelens://client/ROLE/NAME
//! ```

use std::{fmt, str::FromStr};

const SCHEME: &str = "pvelens://";
/// Of one part. The fingerprint of a cluster has 64 characters.
const PART_LIMIT: usize = 253;

/// Who a certificate is for. The parts hold letters, digits, `.`, `_`, `-`, and the
/// cluster of a machine that is in none also `:`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Identity {
    /// The agent of a node.
    Node { cluster: String, node: String },
    /// A coordinator.
    Coordinator { name: String },
    /// A person or a program.
    Client { role: ClientRole, name: String },
}

/// What a client may do; each includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ClientRole {
    Reader,
    Operator,
    Admin,
}

/// Why a text names nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdentityError {
    #[error("the identity does not begin with {SCHEME}")]
    Scheme,
    #[error("the identity is of no kind that is known here")]
    Kind,
    #[error("a part of the identity is empty, too long, or holds a character that no name has")]
    Part,
}

impl Identity {
    /// The agent of a node.
    ///
    /// # Errors
    /// When one of the names cannot be part of an identity.
    pub fn node(cluster: &str, node: &str) -> Result<Self, IdentityError> {
        Ok(Self::Node {
            cluster: part(cluster)?,
            node: part(node)?,
        })
    }

    /// A coordinator.
    ///
    /// # Errors
    /// When the name cannot be part of an identity.
    pub fn coordinator(name: &str) -> Result<Self, IdentityError> {
        Ok(Self::Coordinator { name: part(name)? })
    }

    /// A person or a program.
    ///
    /// # Errors
    /// When the name cannot be part of an identity.
    pub fn client(role: ClientRole, name: &str) -> Result<Self, IdentityError> {
        Ok(Self::Client {
            role,
            name: part(name)?,
        })
    }
}

fn part(text: &str) -> Result<String, IdentityError> {
    let is_name = (1..=PART_LIMIT).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b':'));
    // Whoever reads it as a path must not leave its place.
    if !is_name || text == "." || text == ".." {
        return Err(IdentityError::Part);
    }
    Ok(text.to_owned())
}

impl FromStr for Identity {
    type Err = IdentityError;

    fn from_str(uri: &str) -> Result<Self, IdentityError> {
        let parts: Vec<_> = uri
            .strip_prefix(SCHEME)
            .ok_or(IdentityError::Scheme)?
            .split('/')
            .collect();
        match parts.as_slice() {
            ["node", cluster, node] => Self::node(cluster, node),
            ["coordinator", name] => Self::coordinator(name),
            ["client", role, name] => Self::client(role.parse()?, name),
            _ => Err(IdentityError::Kind),
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(SCHEME)?;
        match self {
            Self::Node { cluster, node } => write!(formatter, "node/{cluster}/{node}"),
            Self::Coordinator { name } => write!(formatter, "coordinator/{name}"),
            Self::Client { role, name } => write!(formatter, "client/{role}/{name}"),
        }
    }
}

impl FromStr for ClientRole {
    type Err = IdentityError;

    fn from_str(text: &str) -> Result<Self, IdentityError> {
        match text {
            "reader" => Ok(Self::Reader),
            "operator" => Ok(Self::Operator),
            "admin" => Ok(Self::Admin),
            _ => Err(IdentityError::Kind),
        }
    }
}

impl fmt::Display for ClientRole {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_kind_is_written_and_read() {
        for (uri, identity) in [
            ("pvelens://node/ab12/pve1", Identity::node("ab12", "pve1")),
            (
                "pvelens://node/host:mon/mon",
                Identity::node("host:mon", "mon"),
            ),
            ("pvelens://coordinator/mon", Identity::coordinator("mon")),
            (
                "pvelens://client/operator/ci",
                Identity::client(ClientRole::Operator, "ci"),
            ),
        ] {
            let identity = identity.unwrap();
            assert_eq!(identity.to_string(), uri);
            assert_eq!(uri.parse(), Ok(identity));
        }
    }

    #[test]
    fn what_could_be_taken_for_another_is_refused() {
        for uri in [
            "",
            "pvelens:/node/a/b",
            "PVELENS://node/a/b",
            "pvelens://node/a",
            "pvelens://node/a/b/c",
            "pvelens://node//b",
            "pvelens://node/a/..",
            "pvelens://node/a/b?x",
            "pvelens://node/a/b%2f",
            "pvelens://node/a/b\n",
            "pvelens://client/root/x",
            "pvelens://client/reader",
            "pvelens://coordinator/m\u{f6}n",
        ] {
            assert!(uri.parse::<Identity>().is_err(), "{uri}");
        }
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(uri in "pvelens://(node|coordinator|client)/[a-z.:/]{0,12}|\\PC{0,20}") {
            if let Ok(identity) = uri.parse::<Identity>() {
                prop_assert_eq!(identity.to_string(), uri);
            }
        }
    }
}
