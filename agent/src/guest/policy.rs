//! What the administrator of this node allows, from `/etc/pvelens/guest-policy.toml`.
//!
//! A profile allows a little, `allow` adds commands for guests by VMID, and `narrow`
//! takes away again: only that goes by tags and pools, which people without rights on
//! the node can edit. The file is read for each command. One that cannot be used
//! allows nothing: what it was to forbid is not known.

use serde::Deserialize;

use super::{
    catalogue::{Catalogue, Command, Rpc},
    resolve::Guest,
    rule::{Refusal, Rule, Rules},
};
use crate::host::Host;

pub(crate) mod review;
mod select;

pub(crate) use select::{Commands, Guests};

/// The policy, as the file has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Policy {
    pub(crate) profile: Profile,
    pub(crate) allow: Vec<Allow>,
    pub(crate) narrow: Vec<Narrow>,
}

/// What is allowed in every guest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Profile {
    /// Ping, operating system and file systems.
    #[default]
    Standard,
    /// Ping: guests belong to others.
    Hosting,
}

/// Adds commands.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Allow {
    pub(crate) guests: Guests,
    pub(crate) commands: Commands,
    /// On these nodes alone; on all without it.
    #[serde(default)]
    pub(crate) nodes: Vec<String>,
}

/// Takes away every command but these, in guests that any of the three names.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Narrow {
    #[serde(default)]
    pub(crate) tags: Vec<String>,
    #[serde(default)]
    pub(crate) pools: Vec<String>,
    #[serde(default)]
    pub(crate) guests: Guests,
    pub(crate) commands: Commands,
}

/// Why there is no policy.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("{0}")]
    Unreadable(String),
    #[error("{0}")]
    Malformed(String),
    #[error("{place}: {wrong}")]
    Meaningless { place: String, wrong: String },
}

impl Profile {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Hosting => "hosting",
        }
    }

    pub(crate) fn allows(self, command: &Command) -> bool {
        match command.rpc() {
            Some(Rpc::Ping) => true,
            Some(Rpc::OsInfo | Rpc::FsInfo) => self == Self::Standard,
            _ => false,
        }
    }
}

impl Policy {
    /// The policy of the node; the profile `standard` when there is no file.
    ///
    /// # Errors
    /// When the file cannot be read, is not understood, names commands that do not
    /// exist, or may have been written by others.
    pub(crate) fn of(host: &Host, catalogue: &Catalogue) -> Result<Self, PolicyError> {
        let text = host
            .read_guest_policy()
            .map_err(|error| PolicyError::Unreadable(error.detail))?;
        match text {
            Some(text) => Self::parse(&text, catalogue),
            None => Ok(Self::default()),
        }
    }

    /// # Errors
    /// As [`Policy::of`].
    pub(crate) fn parse(text: &str, catalogue: &Catalogue) -> Result<Self, PolicyError> {
        let policy: Self =
            toml::from_str(text).map_err(|error| PolicyError::Malformed(error.to_string()))?;
        for (number, allow) in (1..).zip(&policy.allow) {
            let place = || format!("rule {number} of allow");
            allow.commands.known_to(catalogue, place)?;
            if allow.guests.is_empty() || allow.commands.is_empty() {
                return Err(PolicyError::Meaningless {
                    place: place(),
                    wrong: "it allows nothing: `guests` or `commands` is empty".to_owned(),
                });
            }
        }
        for (number, narrow) in (1..).zip(&policy.narrow) {
            let place = || format!("rule {number} of narrow");
            narrow.commands.known_to(catalogue, place)?;
            if narrow.tags.is_empty() && narrow.pools.is_empty() && narrow.guests.is_empty() {
                return Err(PolicyError::Meaningless {
                    place: place(),
                    wrong: "it is for no guest: give `tags`, `pools` or `guests`".to_owned(),
                });
            }
        }
        Ok(policy)
    }

    /// # Errors
    /// When the command may not run in the guest.
    pub(crate) fn check(
        &self,
        command: &Command,
        guest: &Guest,
        rules: Rules,
    ) -> Result<(), Refusal> {
        let allowed = self.profile.allows(command)
            || self.allow.iter().any(|allow| {
                (allow.nodes.is_empty() || allow.nodes.contains(&guest.node))
                    && allow.guests.have(guest)
                    && allow.commands.have(command)
            });
        rules.refuse_if(!allowed, Rule::PolicyDenies, || {
            format!(
                "the policy of {} does not allow {} in {}",
                guest.node, command.id, guest.vmid
            )
        })?;
        for (number, narrow) in (1..).zip(&self.narrow) {
            let takes = narrow.is_for(guest) && !narrow.commands.have(command);
            rules.refuse_if(takes, Rule::PolicyNarrowed, || {
                format!(
                    "rule {number} of narrow in the policy of {} takes {} away from {}",
                    guest.node, command.id, guest.vmid
                )
            })?;
        }
        Ok(())
    }
}

impl Narrow {
    /// A guest whose pools are not known is in all of them: it shall not be allowed
    /// more because a file cannot be read.
    fn is_for(&self, guest: &Guest) -> bool {
        let tagged = self
            .tags
            .iter()
            .any(|tag| guest.tags.iter().any(|own| own.eq_ignore_ascii_case(tag)));
        let pooled = match &guest.pools {
            Some(own) => self.pools.iter().any(|pool| own.contains(pool)),
            None => !self.pools.is_empty(),
        };
        tagged || pooled || self.guests.have(guest)
    }
}

#[cfg(test)]
mod tests;
