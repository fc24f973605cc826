//! How a policy names guests and commands.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

use super::PolicyError;
use crate::guest::{
    catalogue::{Catalogue, Command},
    resolve::Guest,
};

/// VMIDs that PVE gives.
const VMIDS: std::ops::RangeInclusive<u32> = 100..=999_999_999;

/// Guests by VMID: never by a name or a tag, which others can edit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Guests(Vec<GuestSelector>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GuestSelector {
    All,
    /// From and to.
    Range(u32, u32),
    /// The one that was created in this second: not another one that has its VMID
    /// later.
    Created(u32, i64),
}

/// Commands by id, by group or by kind.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Commands(Vec<CommandSelector>);

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
enum CommandSelector {
    All,
    /// What guest agents are asked.
    Questions,
    /// What is started in guests.
    Programs,
    Group(String),
    Id(String),
}

impl Guests {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn have(&self, guest: &Guest) -> bool {
        self.0.iter().any(|selector| match selector {
            GuestSelector::All => true,
            GuestSelector::Range(from, to) => (*from..=*to).contains(&guest.vmid),
            GuestSelector::Created(vmid, created) => {
                guest.vmid == *vmid && guest.created_seconds == Some(*created)
            }
        })
    }

    /// VMIDs that are named without the time of creation.
    pub(crate) fn unpinned(&self) -> impl Iterator<Item = u32> {
        self.0.iter().filter_map(|selector| match selector {
            GuestSelector::Range(from, to) if from == to => Some(*from),
            _ => None,
        })
    }

    /// VMIDs that are named with the time of creation.
    pub(crate) fn pinned(&self) -> impl Iterator<Item = (u32, i64)> {
        self.0.iter().filter_map(|selector| match selector {
            GuestSelector::Created(vmid, created) => Some((*vmid, *created)),
            _ => None,
        })
    }
}

impl Commands {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn have(&self, command: &Command) -> bool {
        self.0.iter().any(|selector| match selector {
            CommandSelector::All => true,
            CommandSelector::Questions => command.rpc().is_some(),
            CommandSelector::Programs => command.rpc().is_none(),
            CommandSelector::Group(group) => command.group == *group,
            CommandSelector::Id(id) => command.id == *id,
        })
    }

    /// # Errors
    /// When something is named that does not exist.
    pub(super) fn known_to(
        &self,
        catalogue: &Catalogue,
        place: impl Fn() -> String,
    ) -> Result<(), PolicyError> {
        for selector in &self.0 {
            let (kind, name, known) = match selector {
                CommandSelector::All | CommandSelector::Questions | CommandSelector::Programs => {
                    continue;
                }
                CommandSelector::Group(group) => {
                    let known = catalogue.commands().iter().any(|one| one.group == *group);
                    ("group", group, known)
                }
                CommandSelector::Id(id) => ("command", id, catalogue.find(id).is_some()),
            };
            if !known {
                let shown: String = name.escape_debug().take(60).collect();
                return Err(PolicyError::Meaningless {
                    place: place(),
                    wrong: format!("there is no {kind} `{shown}`"),
                });
            }
        }
        Ok(())
    }
}

impl From<String> for CommandSelector {
    fn from(text: String) -> Self {
        match text.as_str() {
            "all" => Self::All,
            "questions" => Self::Questions,
            "programs" => Self::Programs,
            _ => match text.strip_prefix("group:") {
                Some(group) => Self::Group(group.to_owned()),
                None => Self::Id(text),
            },
        }
    }
}

impl<'de> Deserialize<'de> for GuestSelector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyGuest)
    }
}

/// `101`, `"101"`, `"200-299"`, `"105@1650984230"` or `"all"`.
struct AnyGuest;

impl Visitor<'_> for AnyGuest {
    type Value = GuestSelector;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a VMID, \"FROM-TO\", \"VMID@CREATED\" or \"all\"")
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
        let vmid = u32::try_from(number).ok().filter(|id| VMIDS.contains(id));
        vmid.map(|vmid| GuestSelector::Range(vmid, vmid))
            .ok_or_else(|| E::invalid_value(de::Unexpected::Signed(number), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        guest_selector(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

fn guest_selector(text: &str) -> Option<GuestSelector> {
    if text == "all" {
        return Some(GuestSelector::All);
    }
    if let Some((vmid, created)) = text.split_once('@') {
        return Some(GuestSelector::Created(
            number(vmid)?,
            created.parse().ok().filter(|seconds| *seconds > 0)?,
        ));
    }
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    let (from, to) = (number(from)?, number(to)?);
    (from <= to).then_some(GuestSelector::Range(from, to))
}

fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| text.parse().ok())??;
    VMIDS.contains(&number).then_some(number)
}
