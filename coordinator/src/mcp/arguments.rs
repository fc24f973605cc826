//! Arguments of the tools.
//!
//! Unknown arguments are refused, since a misspelt filter that is ignored gives
//! a wrong answer. Values are `Option` because clients send `null` for what they
//! leave out.

use std::{borrow::Cow, collections::BTreeMap};

use jiff::Timestamp;
use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Deserializer, de::Error};
use serde_json::Value;

use crate::{
    analysis::Depth,
    answer::{AnswerError, Page},
    chronicle::{EventKind, Level},
    finding::{Category, Lane, Severity},
    guest_command::catalogue::Argument,
    intent::StatementKind,
    moment, untrusted,
};

/// Entries of a page unless asked otherwise.
const PAGE: u32 = 50;
const LARGEST_PAGE: u32 = 200;

/// How much an answer tells about each object.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(super) enum Detail {
    #[default]
    Summary,
    Full,
}

impl Detail {
    pub(super) fn depth(self) -> Depth {
        match self {
            Self::Summary => Depth::Summary,
            Self::Full => Depth::Full,
        }
    }
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ClusterStatusArguments {
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NodesArguments {
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
    /// Entries of a page. Default: 50.
    #[schemars(range(min = 1, max = 200))]
    pub(super) page_size: Option<u32>,
    /// `next_page_token` of the page before, with otherwise the same arguments.
    pub(super) page_token: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NodeArguments {
    /// Node name, as `get_nodes` lists it.
    pub(super) node: String,
    /// Only needed when several clusters have a node of this name.
    pub(super) cluster: Option<String>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct StorageArguments {
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// Only the storages that this node may use.
    pub(super) node: Option<String>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
    /// Entries of a page. Default: 50.
    #[schemars(range(min = 1, max = 200))]
    pub(super) page_size: Option<u32>,
    /// `next_page_token` of the page before, with otherwise the same arguments.
    pub(super) page_token: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuestsArguments {
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// Only guests on this node.
    pub(super) node: Option<String>,
    /// Only guests in this state: `running`, `stopped`, `paused`, `io-error`, ...
    pub(super) status: Option<String>,
    /// Only guests with this tag.
    pub(super) tag: Option<String>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
    /// Entries of a page. Default: 50.
    #[schemars(range(min = 1, max = 200))]
    pub(super) page_size: Option<u32>,
    /// `next_page_token` of the page before, with otherwise the same arguments.
    pub(super) page_token: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuestArguments {
    /// VMID, or the exact name if it is unique. `vmid` is accepted for it.
    #[serde(alias = "vmid", deserialize_with = "vmid_or_name")]
    #[schemars(schema_with = "vmid_or_name_schema")]
    pub(super) guest: String,
    /// Only needed when several clusters have this guest.
    pub(super) cluster: Option<String>,
    /// Not needed: a guest is found wherever it runs.
    #[serde(rename = "node")]
    pub(super) _node: Option<String>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct IntentArguments {
    /// Only statements of this kind.
    pub(super) kind: Option<StatementKind>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FindingsArguments {
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// Only findings at least this severe.
    pub(super) severity: Option<Severity>,
    /// `health`: broken or about to be. `posture`: hygiene, hardening, policy.
    pub(super) lane: Option<Lane>,
    pub(super) category: Option<Category>,
    /// Only findings about this object: `cluster`, `node/pve1`, `guest/104`,
    /// `storage/nas`, `storage/local@pve1`.
    pub(super) subject: Option<String>,
    /// Only what opened, changed or ended since: a length before now, such as `24h`, or a
    /// time in UTC; also what is over.
    pub(super) since: Option<String>,
    /// Also what fails, but not yet for long enough to count. Default: false.
    pub(super) include_pending: Option<bool>,
    /// Also findings that operators suppressed; set_aside counts them.
    pub(super) include_suppressed: Option<bool>,
    /// `summary` (default) is compact, `full` has every figure.
    pub(super) detail: Option<Detail>,
    /// Entries of a page. Default: 50.
    #[schemars(range(min = 1, max = 200))]
    pub(super) page_size: Option<u32>,
    /// `next_page_token` of the page before, with otherwise the same arguments.
    pub(super) page_token: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HealthArguments {
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// Only this node and what is on it.
    pub(super) node: Option<String>,
    /// Only this guest: VMID, or the exact name if it is unique.
    #[serde(default, deserialize_with = "optional_vmid_or_name")]
    #[schemars(schema_with = "vmid_or_name_schema")]
    pub(super) guest: Option<String>,
    /// Only guests with this tag.
    pub(super) tag: Option<String>,
    /// The report of a cluster as it was kept then: a length before now, such as `24h`,
    /// or a time in UTC, such as `2026-11-20T14:00`. Default: the present.
    pub(super) at: Option<String>,
    /// `summary` (default) is one page, `full` lists everything.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct MetricsArguments {
    /// One or several of `node/pve1`, `guest/101` (VMID or name), `storage/nas`,
    /// `storage/local@pve1`, and `guests@pve1` for all guests on a node.
    pub(super) subjects: Words,
    /// `cpu_ratio`, `memory_used_ratio`, `used_ratio`, `disk_latency_seconds`, ...; a
    /// wrong name is answered with one that fits. Default: all they have.
    pub(super) metrics: Option<Words>,
    /// Only of this disk, interface or mount point.
    pub(super) part: Option<String>,
    /// Begin: a length before now, such as `90m`, `24h` or `7d`, or a time in UTC,
    /// such as `2026-11-20T14:00`. Default: a day before the end.
    pub(super) since: Option<String>,
    /// End, in the same forms. Default: now.
    pub(super) until: Option<String>,
    /// Seconds of one value, at least. Default: so that there are few.
    pub(super) step_seconds: Option<u32>,
    /// Series at most. Default: 20.
    #[schemars(range(min = 1, max = 200))]
    pub(super) limit: Option<u32>,
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// `summary` (default) has figures and about 24 values of each series, `full` more
    /// of both.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct EventsArguments {
    /// Only of these: `node/pve1` and all that happened there, `guest/101` (VMID or name),
    /// `storage/nas`, `cluster/access`, ... Default: all.
    pub(super) subjects: Option<Words>,
    /// Only these kinds. Default: all.
    pub(super) kinds: Option<Vec<EventKind>>,
    /// Only what matters at least so much. Default: all.
    pub(super) level: Option<Level>,
    /// Begin: a length before now, such as `90m`, `24h` or `7d`, or a time in UTC,
    /// such as `2026-11-20T14:00`. Default: a day before the end.
    pub(super) since: Option<String>,
    /// End, in the same forms. Default: now.
    pub(super) until: Option<String>,
    /// Events at most, the newest. Default: 60.
    #[schemars(range(min = 1, max = 1000))]
    pub(super) limit: Option<u32>,
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// `summary` (default) leaves out when something ended.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigHistoryArguments {
    /// `guest/101` (VMID or name), `storage/nas`, `node/pve1`, `cluster/access`,
    /// `cluster/firewall`, `cluster/datacenter`, ... Default: everything.
    #[serde(default, deserialize_with = "optional_vmid_or_name")]
    #[schemars(schema_with = "vmid_or_name_schema")]
    pub(super) subject: Option<String>,
    /// Begin: a length before now, such as `90m`, `24h` or `7d`, or a time in UTC,
    /// such as `2026-11-20T14:00`. Default: as long as is kept.
    pub(super) since: Option<String>,
    /// End, in the same forms. Default: now.
    pub(super) until: Option<String>,
    /// Changes at most, the newest. Default: 20.
    #[schemars(range(min = 1, max = 500))]
    pub(super) limit: Option<u32>,
    /// Cluster name, id, or the first 4 or more characters of an id. Default: all.
    pub(super) cluster: Option<String>,
    /// `full` has the digests of contents, too.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct GuestCommandsArguments {
    /// VMID, or the exact name if it is unique. `vmid` is accepted for it.
    #[serde(alias = "vmid", deserialize_with = "vmid_or_name")]
    #[schemars(schema_with = "vmid_or_name_schema")]
    pub(super) guest: String,
    /// Only needed when several clusters have this guest.
    pub(super) cluster: Option<String>,
    /// Not needed: a guest is found wherever it runs.
    #[serde(rename = "node")]
    pub(super) _node: Option<String>,
    /// Only commands of this group: `disk`, `memory`, `network`, `services`, ...
    pub(super) group: Option<String>,
    /// Leaves out what would not run. Default: false.
    pub(super) only_allowed: Option<bool>,
    /// `summary` (default) is compact, `full` has templates and notes.
    pub(super) detail: Option<Detail>,
    /// Entries of a page. Default: 50.
    #[schemars(range(min = 1, max = 200))]
    pub(super) page_size: Option<u32>,
    /// `next_page_token` of the page before, with otherwise the same arguments.
    pub(super) page_token: Option<String>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RunArguments {
    /// VMID, or the exact name if it is unique. `vmid` is accepted for it.
    #[serde(alias = "vmid", deserialize_with = "vmid_or_name")]
    #[schemars(schema_with = "vmid_or_name_schema")]
    pub(super) guest: String,
    /// Id of a command, as list_guest_commands lists it: `disk-usage`.
    pub(super) command: String,
    /// Values for its parameters by name: `{"unit": "nginx.service"}`.
    pub(super) parameters: Option<Values>,
    /// Only needed when several clusters have this guest.
    pub(super) cluster: Option<String>,
    /// Not needed: a guest is found wherever it runs.
    #[serde(rename = "node")]
    pub(super) _node: Option<String>,
    /// For whom, for the record of the node: a person, a ticket.
    pub(super) on_behalf_of: Option<String>,
    /// `summary` (default) cuts long output earlier than `full`.
    pub(super) detail: Option<Detail>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SuggestArguments {
    /// VMID, or the exact name if it is unique. `vmid` is accepted for it.
    #[serde(alias = "vmid", deserialize_with = "vmid_or_name")]
    #[schemars(schema_with = "vmid_or_name_schema")]
    pub(super) guest: String,
    /// The trouble in words: `slow since monday`. Without it open findings decide.
    pub(super) issue: Option<String>,
    /// Goes through a workflow: gives its next step. `slow-guest`, `disk-full`,
    /// `no-network`, `service-down`, `high-memory`, `time-drift` or `will-not-boot`.
    pub(super) workflow: Option<String>,
    /// For a workflow: the unit or Windows service in question, such as nginx.service.
    pub(super) service: Option<String>,
    /// Only needed when several clusters have this guest.
    pub(super) cluster: Option<String>,
    /// Not needed: a guest is found wherever it runs.
    #[serde(rename = "node")]
    pub(super) _node: Option<String>,
    /// `summary` (default) or `full`.
    pub(super) detail: Option<Detail>,
}

/// The part of a list that is asked for.
///
/// # Errors
/// When the size is out of range.
pub(super) fn page(size: Option<u32>, token: Option<&String>) -> Result<Page, AnswerError> {
    let size = size.unwrap_or(PAGE);
    if !(1..=LARGEST_PAGE).contains(&size) {
        return Err(AnswerError::Invalid(format!(
            "page_size {size} is out of range: 1 to {LARGEST_PAGE}; leave it out for {PAGE}"
        )));
    }
    Ok(Page {
        size,
        token: token.cloned().unwrap_or_default(),
    })
}

/// Absent and empty are the same: not asked for.
pub(super) fn text(argument: Option<String>) -> String {
    argument.unwrap_or_default()
}

fn vmid_or_name<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    optional_vmid_or_name(deserializer)?
        .ok_or_else(|| Error::custom("`guest` is a VMID or a name, not null"))
}

fn optional_vmid_or_name<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<String>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text)),
        Value::Number(number) => Ok(Some(number.to_string())),
        _ => Err(Error::custom("give a VMID or a name")),
    }
}

/// The time that an argument names, if it is given.
pub(super) fn moment_of(
    argument: &str,
    text: Option<String>,
    now: Timestamp,
) -> Result<Option<Timestamp>, AnswerError> {
    let Some(text) = text.filter(|text| !text.is_empty()) else {
        return Ok(None);
    };
    let wrong = || {
        let text = untrusted::name(&text);
        AnswerError::Invalid(format!("{argument} {text:?}: give {}", moment::FORMS))
    };
    moment::moment(&text, now).map(Some).ok_or_else(wrong)
}

/// One word, or a list of them. A number is a VMID.
#[derive(Debug, Default)]
pub(super) struct Words(pub(super) Vec<String>);

impl<'de> Deserialize<'de> for Words {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let word = |value: Value| match value {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            _ => Err(Error::custom("give a text, or a list of texts")),
        };
        let words = match Value::deserialize(deserializer)? {
            Value::Array(values) => values.into_iter().map(word).collect::<Result<_, _>>()?,
            value => vec![word(value)?],
        };
        Ok(Self(words))
    }
}

impl JsonSchema for Words {
    fn schema_name() -> Cow<'static, str> {
        "Words".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({
            "anyOf": [
                { "type": "array", "items": { "type": "string" } },
                { "type": "string" },
            ],
        })
    }
}

/// Values by name, texts or numbers.
#[derive(Debug, Default)]
pub(super) struct Values(pub(super) Vec<Argument>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let values = BTreeMap::<String, Value>::deserialize(deserializer)?.into_iter();
        let values = values.map(|(name, value)| match value {
            Value::String(value) => Ok(Argument { name, value }),
            Value::Number(number) => Ok(Argument {
                name,
                value: number.to_string(),
            }),
            _ => Err(Error::custom(format!(
                "the value of {:?} is neither text nor a number",
                untrusted::name(&name)
            ))),
        });
        values.collect::<Result<_, _>>().map(Self)
    }
}

impl JsonSchema for Values {
    fn schema_name() -> Cow<'static, str> {
        "Values".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "additionalProperties": { "anyOf": [{ "type": "string" }, { "type": "number" }] },
        })
    }
}

fn vmid_or_name_schema(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "anyOf": [{ "type": "integer", "minimum": 1 }, { "type": "string" }] })
}
