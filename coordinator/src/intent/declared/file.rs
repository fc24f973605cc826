//! The keys of `intent.toml`.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::GRACE_MINUTES;
use crate::{
    intent::{Calendar, Meaning, Object},
    moment,
};

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct File {
    pub(super) tags: BTreeMap<Meaning, Vec<String>>,
    pub(super) suppressions: Vec<Decision>,
    pub(super) acknowledgements: Vec<Decision>,
    pub(super) maintenance: Maintenance,
    pub(super) schedules: Schedules,
    pub(super) storages: Storages,
    pub(super) backup: Backup,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Decision {
    pub(super) check: String,
    pub(super) object: Object,
    #[serde(default)]
    pub(super) cluster: String,
    pub(super) author: String,
    pub(super) reason: String,
    pub(super) from: When,
    pub(super) until: When,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Maintenance {
    pub(super) windows: Vec<Window>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Window {
    pub(super) objects: Vec<Object>,
    #[serde(default)]
    pub(super) cluster: String,
    pub(super) author: String,
    pub(super) reason: String,
    pub(super) from: When,
    pub(super) until: When,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Schedules {
    pub(super) off: Vec<Off>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Off {
    pub(super) objects: Vec<Object>,
    #[serde(default)]
    pub(super) cluster: String,
    pub(super) calendar: Calendar,
    #[serde(default = "grace_minutes")]
    pub(super) grace_minutes: u32,
    pub(super) author: String,
    pub(super) reason: String,
    pub(super) until: Option<When>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Storages {
    pub(super) rotated: Vec<Rotated>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rotated {
    pub(super) storage: String,
    #[serde(default)]
    pub(super) cluster: String,
    pub(super) every_days: u32,
    pub(super) author: String,
    pub(super) reason: String,
    pub(super) until: Option<When>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Backup {
    pub(super) exempt: Vec<Exempt>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Exempt {
    pub(super) r#match: Vec<Object>,
    #[serde(default)]
    pub(super) cluster: String,
    pub(super) author: String,
    pub(super) reason: String,
    pub(super) until: Option<When>,
}

fn grace_minutes() -> u32 {
    GRACE_MINUTES
}

/// A date or time, as TOML or as text.
#[derive(Debug, Clone, Copy)]
pub(super) struct When(pub(super) Timestamp);

impl<'de> Deserialize<'de> for When {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(time) => time.to_string(),
            _ => return Err(D::Error::custom(NO_TIME)),
        };
        // A length has no meaning in a file that is read again and again.
        let is_time = moment::length(&text).is_none();
        let at = moment::moment(&text, Timestamp::UNIX_EPOCH).filter(|_| is_time);
        at.map(Self).ok_or_else(|| D::Error::custom(NO_TIME))
    }
}

const NO_TIME: &str = "not a date or time in UTC such as 2026-11-20 or 2026-11-20T14:00";

impl Serialize for When {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Every key there is, so that there is no second list of them.
pub(super) fn example() -> File {
    let text = String::new;
    let when = When(Timestamp::UNIX_EPOCH);
    let decision = || Decision {
        check: text(),
        object: Object::All,
        cluster: text(),
        author: text(),
        reason: text(),
        from: when,
        until: when,
    };
    File {
        tags: Meaning::ALL
            .into_iter()
            .map(|meaning| (meaning, vec![meaning.name().to_owned()]))
            .collect(),
        suppressions: vec![decision()],
        acknowledgements: vec![decision()],
        maintenance: Maintenance {
            windows: vec![Window {
                objects: Vec::new(),
                cluster: text(),
                author: text(),
                reason: text(),
                from: when,
                until: when,
            }],
        },
        schedules: Schedules {
            off: vec![Off {
                objects: Vec::new(),
                cluster: text(),
                calendar: Calendar::always(),
                grace_minutes: GRACE_MINUTES,
                author: text(),
                reason: text(),
                until: Some(when),
            }],
        },
        storages: Storages {
            rotated: vec![Rotated {
                storage: text(),
                cluster: text(),
                every_days: 14,
                author: text(),
                reason: text(),
                until: Some(when),
            }],
        },
        backup: Backup {
            exempt: vec![Exempt {
                r#match: Vec::new(),
                cluster: text(),
                author: text(),
                reason: text(),
                until: Some(when),
            }],
        },
    }
}
