//! Values that a request may fill in, by type. No type has a value that begins an
//! option, names a path or is a pattern.

use std::{collections::BTreeMap, fmt, ops::RangeInclusive};

use serde::{Deserialize, Deserializer};

use super::shown;
use crate::guest::rule::{Refusal, Rule, Rules};

/// Bytes of any value. systemd's units may be longer, and are not in practice.
pub(super) const LONGEST_VALUE: usize = 128;
/// `IFNAMSIZ` of Linux without its end.
const LONGEST_INTERFACE: usize = 15;
/// Kinds of units that systemd has (`systemd.unit(5)`), and what a name ends with.
const UNIT_KINDS: [&str; 11] = [
    "service",
    "socket",
    "target",
    "timer",
    "mount",
    "automount",
    "swap",
    "path",
    "slice",
    "scope",
    "device",
];

/// One value of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub name: String,
    pub title: String,
    /// What it is when the request does not say; without one, it has to.
    pub default: Option<String>,
    pub(super) kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Count(RangeInclusive<u64>),
    /// What a request names, and what stands in the argument for it.
    Choice(BTreeMap<String, String>),
    /// A unit of systemd with its kind: `nginx.service`.
    Unit,
    /// A network interface of Linux.
    Interface,
    /// A service of Windows by its short name.
    Service,
    /// A container of Docker or Podman.
    Container,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    title: String,
    #[serde(rename = "type")]
    kind: RawKind,
    default: Option<String>,
    minimum: Option<u64>,
    maximum: Option<u64>,
    #[serde(default)]
    choices: BTreeMap<String, String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawKind {
    Count,
    Choice,
    Unit,
    Interface,
    Service,
    Container,
}

/// Reads `[command.parameters.NAME]`.
pub(super) fn named<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Parameter>, D::Error> {
    let raw = BTreeMap::<String, Raw>::deserialize(input)?;
    raw.into_iter()
        .map(|(name, raw)| Parameter::of(name, raw).map_err(serde::de::Error::custom))
        .collect()
}

/// What is wrong with a parameter of the catalogue.
struct Flaw(String, &'static str);

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "parameter `{}`: {}", self.0, self.1)
    }
}

impl Parameter {
    fn of(name: String, raw: Raw) -> Result<Self, Flaw> {
        let bounds = raw.minimum.zip(raw.maximum);
        let kind = match (raw.kind, bounds, raw.choices.is_empty()) {
            (RawKind::Count, Some((from, to)), true) if from <= to => Kind::Count(from..=to),
            (RawKind::Count, ..) => return Err(Flaw(name, "a count has `minimum` and `maximum`")),
            (_, Some(_), _) => return Err(Flaw(name, "only a count has bounds")),
            (RawKind::Choice, None, false) => Kind::Choice(raw.choices),
            (RawKind::Choice, None, true) => return Err(Flaw(name, "a choice has `choices`")),
            (_, None, false) => return Err(Flaw(name, "only a choice has `choices`")),
            (RawKind::Unit, None, true) => Kind::Unit,
            (RawKind::Interface, None, true) => Kind::Interface,
            (RawKind::Service, None, true) => Kind::Service,
            (RawKind::Container, None, true) => Kind::Container,
        };
        Ok(Self {
            name,
            title: raw.title,
            default: raw.default,
            kind,
        })
    }

    /// What it takes, in words: `a number from 1 to 500`.
    #[must_use]
    pub fn takes(&self) -> String {
        match &self.kind {
            Kind::Count(range) => format!("a number from {} to {}", range.start(), range.end()),
            Kind::Choice(choices) => {
                let names: Vec<&str> = choices.keys().map(String::as_str).collect();
                format!("one of {}", names.join(", "))
            }
            Kind::Unit => "a unit of systemd with its kind, such as nginx.service".to_owned(),
            Kind::Interface => "a network interface, such as eth0".to_owned(),
            Kind::Service => "a Windows service by its short name, such as Spooler".to_owned(),
            Kind::Container => "a container by its name or id".to_owned(),
        }
    }

    /// What a choice has.
    pub fn choices(&self) -> impl Iterator<Item = &str> {
        let choices = match &self.kind {
            Kind::Choice(choices) => Some(choices),
            _ => None,
        };
        choices
            .into_iter()
            .flat_map(|choices| choices.keys().map(String::as_str))
    }

    /// # Errors
    /// When the value is none of this type.
    pub(super) fn check(&self, value: &str, rules: Rules) -> Result<(), Refusal> {
        rules.refuse_if(value.len() > LONGEST_VALUE, Rule::ValueTooLong, || {
            format!("`{}` is longer than {LONGEST_VALUE} bytes", self.name)
        })?;
        let wrong = || {
            format!(
                "`{}` is `{}`, not {}",
                self.name,
                shown(value),
                self.takes()
            )
        };
        match &self.kind {
            Kind::Count(range) => {
                rules.refuse_if(!is_count(value), Rule::NotACount, wrong)?;
                let number = value.parse::<u64>().ok();
                let fits = number.is_some_and(|number| range.contains(&number));
                // Of what is no number it is not to be said.
                let out = !fits && is_count(value);
                rules.refuse_if(out, Rule::CountOutOfRange, wrong)
            }
            Kind::Choice(choices) => {
                rules.refuse_if(!choices.contains_key(value), Rule::NotAChoice, wrong)
            }
            Kind::Unit => rules.refuse_if(!is_unit(value), Rule::NotAUnit, wrong),
            Kind::Interface => rules.refuse_if(!is_interface(value), Rule::NotAnInterface, wrong),
            Kind::Service => rules.refuse_if(!is_service(value), Rule::NotAService, wrong),
            Kind::Container => rules.refuse_if(!is_container(value), Rule::NotAContainer, wrong),
        }
    }

    /// What stands in the slot for a value.
    pub(super) fn argument<'a>(&'a self, value: &'a str) -> &'a str {
        match &self.kind {
            Kind::Choice(choices) => choices.get(value).map_or(value, String::as_str),
            _ => value,
        }
    }
}

/// Digits as a program would print them: no sign, no zero before.
fn is_count(value: &str) -> bool {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits && (value == "0" || !value.starts_with('0'))
}

/// `a-b@c.service`, `srv-my\x2ddisk.mount`: no pattern, no path, no option.
fn is_unit(value: &str) -> bool {
    let Some((stem, kind)) = value.rsplit_once('.') else {
        return false;
    };
    UNIT_KINDS.contains(&kind)
        && stem
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric() || first == b'_')
        && is_escaped(stem)
}

/// Letters, digits and `:_.@-`; a backslash only as systemd writes bytes: `\x2d`.
fn is_escaped(stem: &str) -> bool {
    let mut rest = stem.as_bytes();
    while let [first, after @ ..] = rest {
        rest = match (first, after) {
            (b'\\', [b'x', high, low, after @ ..])
                if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() =>
            {
                after
            }
            (byte, after) if byte.is_ascii_alphanumeric() || b":_.@-".contains(byte) => after,
            _ => return false,
        };
    }
    true
}

fn is_interface(value: &str) -> bool {
    value.len() <= LONGEST_INTERFACE && is_name(value, b"_.-")
}

/// `MSSQL$SQLEXPRESS`: no spaces, no `\\server`, no `type=`.
fn is_service(value: &str) -> bool {
    is_name(value, b"_.-$")
}

/// `docker@daemon/names/names.go`
fn is_container(value: &str) -> bool {
    is_name(value, b"_.-")
}

/// Begins with a letter or a digit and goes on with these and `others`.
fn is_name(value: &str, others: &[u8]) -> bool {
    let bytes = value.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphanumeric)
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || others.contains(byte))
}
