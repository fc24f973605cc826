//! Who this node is to a coordinator elsewhere, for `status` and `doctor`: read from
//! its file, which is closed to everybody but root.

use std::{io, path::Path};

use jiff::{SignedDuration, Timestamp};

use super::plain;
use crate::identity::{Identity, IdentityError, words};

/// A certificate is renewed long before: when 60 of its 90 days are left.
const LATE: SignedDuration = SignedDuration::from_hours(21 * 24);
/// Characters of a cluster's fingerprint that are shown.
const SHOWN: usize = 12;

#[derive(Debug)]
pub(super) enum Identified {
    NotJoined,
    Joined(Box<Identity>),
    /// To this user.
    Closed,
    /// Why, in words.
    Unusable(String),
}

/// How the certificate stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    Good,
    /// It should have been renewed by now.
    Late,
    /// It is good for its renewal alone.
    Expired,
}

impl Identified {
    pub(super) fn look(directory: &Path) -> Self {
        match Identity::load(directory) {
            Ok(None) => Self::NotJoined,
            Ok(Some(identity)) => match identity.server_config() {
                Ok(_) => Self::Joined(Box::new(identity)),
                Err(error) => Self::Unusable(error.to_string()),
            },
            Err(IdentityError::Io { source, .. })
                if source.kind() == io::ErrorKind::PermissionDenied =>
            {
                Self::Closed
            }
            Err(error) => Self::Unusable(words(&error)),
        }
    }
}

pub(super) fn standing(identity: &Identity, now: Timestamp) -> Standing {
    let left = identity.expires_at().duration_since(now);
    if left.is_negative() || left.is_zero() {
        Standing::Expired
    } else if left < LATE {
        Standing::Late
    } else {
        Standing::Good
    }
}

/// To whom it is joined as whom.
pub(super) fn joined(identity: &Identity) -> String {
    let cluster: String = identity.cluster.chars().take(SHOWN).collect();
    let to = match identity.coordinators.as_slice() {
        [] => "a coordinator".to_owned(),
        all => all.join(", "),
    };
    plain(&format!(
        "joined to {to} as {} of cluster {cluster}",
        identity.node
    ))
}

pub(super) fn day(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}
