//! What a configuration is, named by its digest, and how one differs from another.
//!
//! A content is the message of the wire, which holds no secrets. It is shown by the
//! description of that message: a field that is new on the wire needs nothing here.

use std::{collections::BTreeMap, sync::LazyLock};

use jiff::Timestamp;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, ReflectMessage, Value};
use pvelens_proto::FILE_DESCRIPTOR_SET;
use sha2::{Digest, Sha256};

use crate::{figure::hex, untrusted};

/// Lines of one content.
const LINES: usize = 20_000;
/// Characters of a value.
const VALUE: usize = 200;
/// Fields that tell the entries of a list apart, the first of them that has a value.
const NAMES: &[&str] = &[
    "key",
    "id",
    "name",
    "vmid",
    "slot",
    "path",
    "mount_point",
    "sid",
    "node",
    "storage",
];
/// Fields that follow from others.
const DERIVED: &[&str] = &["sha256"];

/// Which message a content is. The number is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Guest = 1,
    Storage = 2,
    Node = 3,
    Firewall = 4,
    Corosync = 5,
    Access = 6,
    Datacenter = 7,
    Jobs = 8,
    Replication = 9,
    Notifications = 10,
    MetricServers = 11,
    Ha = 12,
    Sdn = 13,
    Mappings = 14,
    CpuModels = 15,
    Ceph = 16,
    Packages = 17,
    HostFiles = 18,
    Sshd = 19,
}

const SHAPES: &[(Shape, &str)] = &[
    (Shape::Guest, "GuestConfig"),
    (Shape::Storage, "StorageEntry"),
    (Shape::Node, "NodeSettings"),
    (Shape::Firewall, "FirewallFile"),
    (Shape::Corosync, "CorosyncConfig"),
    (Shape::Access, "AccessConfig"),
    (Shape::Datacenter, "DatacenterConfig"),
    (Shape::Jobs, "JobConfig"),
    (Shape::Replication, "ReplicationConfig"),
    (Shape::Notifications, "NotificationConfig"),
    (Shape::MetricServers, "MetricServerConfig"),
    (Shape::Ha, "HaConfig"),
    (Shape::Sdn, "SdnConfig"),
    (Shape::Mappings, "MappingConfig"),
    (Shape::CpuModels, "CpuModelConfig"),
    (Shape::Ceph, "CephConfig"),
    (Shape::Packages, "Packages"),
    (Shape::HostFiles, "HostFiles"),
    (Shape::Sshd, "SshdConfig"),
];

static POOL: LazyLock<Option<DescriptorPool>> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).ok());

/// A configuration as it is kept: its shape, then its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    bytes: Vec<u8>,
}

/// One setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Line {
    /// `volumes[scsi0] size`.
    pub(crate) path: String,
    pub(crate) value: String,
}

/// A setting that is another one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    pub(crate) path: String,
    /// None = it was not set.
    pub(crate) before: Option<String>,
    /// None = it is not set any more.
    pub(crate) after: Option<String>,
}

impl Content {
    pub(super) fn new(shape: Shape, message: &impl Message) -> Self {
        Self::of_bytes(shape, &message.encode_to_vec())
    }

    pub(super) fn of_bytes(shape: Shape, message: &[u8]) -> Self {
        let mut bytes = vec![shape as u8];
        bytes.extend_from_slice(message);
        Self { bytes }
    }

    /// As it was kept.
    pub(crate) fn kept(bytes: Vec<u8>) -> Self {
        Self { bytes }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Lower-case hexadecimal SHA-256.
    pub(super) fn digest(&self) -> String {
        hex(&Sha256::digest(&self.bytes))
    }

    /// Its settings in the order of the message; none of a content that a newer
    /// version kept.
    pub(crate) fn lines(&self) -> Vec<Line> {
        let mut lines = Vec::new();
        let Some((number, message)) = self.bytes.split_first() else {
            return lines;
        };
        let name = SHAPES.iter().find(|(shape, _)| *shape as u8 == *number);
        let described = name.and_then(|(_, name)| {
            let pool = POOL.as_ref()?;
            pool.get_message_by_name(&format!("pvelens.agent.v1.{name}"))
        });
        if let Some(described) = described
            && let Ok(message) = DynamicMessage::decode(described, message)
        {
            fields(&message, "", &mut lines);
        }
        lines.truncate(LINES);
        lines
    }
}

/// What differs, by setting.
pub(crate) fn differences(before: &[Line], after: &[Line]) -> Vec<Changed> {
    let by_path = |lines: &[Line]| {
        let mut paths: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in lines {
            let values = paths.entry(line.path.clone()).or_default();
            values.push(line.value.clone());
        }
        paths
    };
    let (mut before, after) = (by_path(before), by_path(after));
    let mut changed = Vec::new();
    for (path, now) in after {
        let was = before.remove(&path).unwrap_or_default();
        changed.extend(of_setting(&path, was, now));
    }
    for (path, was) in before {
        changed.extend(of_setting(&path, was, Vec::new()));
    }
    changed.sort_by(|a, b| a.path.cmp(&b.path));
    changed
}

/// Of a setting that may have several values, those that came and went.
fn of_setting(path: &str, mut before: Vec<String>, after: Vec<String>) -> Vec<Changed> {
    let mut came = Vec::new();
    for value in after {
        match before.iter().position(|was| *was == value) {
            Some(same) => drop(before.remove(same)),
            None => came.push(value),
        }
    }
    let both = before.len().min(came.len());
    let mut gone = before.into_iter();
    let mut came = came.into_iter();
    let mut changed: Vec<Changed> = gone
        .by_ref()
        .take(both)
        .zip(came.by_ref())
        .map(|(was, now)| (Some(was), Some(now)))
        .map(|(before, after)| one(path, before, after))
        .collect();
    changed.extend(gone.map(|was| one(path, Some(was), None)));
    changed.extend(came.map(|now| one(path, None, Some(now))));
    changed
}

fn one(path: &str, before: Option<String>, after: Option<String>) -> Changed {
    Changed {
        path: path.to_owned(),
        before,
        after,
    }
}

fn fields(message: &DynamicMessage, path: &str, lines: &mut Vec<Line>) {
    for field in message.descriptor().fields() {
        if lines.len() >= LINES {
            return;
        }
        if !message.has_field(&field) || DERIVED.contains(&field.name()) {
            continue;
        }
        let value = message.get_field(&field);
        let here = match field.name() {
            // What a guest is set to is what its configuration is about.
            "settings" if path.is_empty() => String::new(),
            name => join(path, &label(name)),
        };
        match &*value {
            Value::List(values) => list(values, &field, &here, lines),
            Value::Map(entries) => {
                let mut entries: Vec<_> = entries.iter().collect();
                entries.sort_by_key(|(key, _)| format!("{key:?}"));
                for (key, value) in entries {
                    let key = format!("{key:?}");
                    let of_entry = format!("{here}[{}]", untrusted::name(&key));
                    add(value, &field, &of_entry, lines);
                }
            }
            value => add(value, &field, &here, lines),
        }
    }
}

fn list(values: &[Value], field: &FieldDescriptor, path: &str, lines: &mut Vec<Line>) {
    let is_message = matches!(field.kind(), Kind::Message(_));
    if !is_message {
        lines.extend(values.iter().map(|value| Line {
            path: path.to_owned(),
            value: scalar(value, field),
        }));
        return;
    }
    for value in values {
        let Value::Message(message) = value else {
            continue;
        };
        match name_of(message) {
            Some((by, name)) => {
                let of_entry = format!("{path}[{name}]");
                let before = lines.len();
                fields(message, &of_entry, lines);
                // Its name is told already.
                let named = join(&of_entry, &label(by));
                if let Some(place) = lines
                    .iter()
                    .skip(before)
                    .position(|line| line.path == named)
                {
                    lines.remove(before + place);
                }
                if lines.len() == before {
                    lines.push(Line {
                        path: of_entry,
                        value: "yes".to_owned(),
                    });
                }
            }
            // An entry without a name is what it says.
            None => lines.push(Line {
                path: path.to_owned(),
                value: entry(message),
            }),
        }
    }
}

/// A whole entry in one line.
fn entry(message: &DynamicMessage) -> String {
    let mut inner = Vec::new();
    fields(message, "", &mut inner);
    let words: Vec<String> = inner
        .iter()
        .map(|line| match &*line.value {
            "yes" => line.path.clone(),
            value => format!("{} {value}", line.path),
        })
        .collect();
    shown(&words.join(", "))
}

/// Safe to show; what is cut still differs from what was cut at the same place.
fn shown(text: &str) -> String {
    let line = untrusted::line(text, VALUE);
    if text.chars().count() <= VALUE {
        return line.into_owned();
    }
    let digest = Sha256::digest(text.as_bytes());
    let begin: String = hex(&digest).chars().take(8).collect();
    format!("{line} ({} bytes, {begin})", text.len())
}

/// The field that names an entry, and the name.
fn name_of(message: &DynamicMessage) -> Option<(&'static str, String)> {
    let descriptor = message.descriptor();
    NAMES.iter().find_map(|name| {
        let field = descriptor.get_field_by_name(name)?;
        let text = match &*message.get_field(&field) {
            Value::String(text) => untrusted::name(text).into_owned(),
            Value::U32(number) => number.to_string(),
            _ => return None,
        };
        (!text.is_empty()).then_some((*name, text))
    })
}

fn add(value: &Value, field: &FieldDescriptor, path: &str, lines: &mut Vec<Line>) {
    if let Value::Message(message) = value {
        if let Some(at) = timestamp(message) {
            lines.push(Line {
                path: path.to_owned(),
                value: at,
            });
            return;
        }
        let before = lines.len();
        fields(message, path, lines);
        // It is there, and says no more.
        if lines.len() == before {
            lines.push(Line {
                path: path.to_owned(),
                value: "yes".to_owned(),
            });
        }
        return;
    }
    lines.push(Line {
        path: path.to_owned(),
        value: scalar(value, field),
    });
}

fn scalar(value: &Value, field: &FieldDescriptor) -> String {
    match value {
        Value::Bool(true) => "yes".to_owned(),
        Value::Bool(false) => "no".to_owned(),
        Value::String(text) if text.is_empty() => "(empty)".to_owned(),
        Value::String(text) => shown(text),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(described) => match described.get_value(*number) {
                Some(value) => {
                    let prefix = described.get_value(0).map_or(0, |zero| {
                        zero.name().len().saturating_sub("UNSPECIFIED".len())
                    });
                    let name = value.name().get(prefix..).unwrap_or_default();
                    name.to_ascii_lowercase().replace('_', " ")
                }
                None => number.to_string(),
            },
            _ => number.to_string(),
        },
        Value::U32(number) => quantity(u64::from(*number), field.name()),
        Value::U64(number) => quantity(*number, field.name()),
        Value::I32(number) => number.to_string(),
        Value::I64(number) => number.to_string(),
        Value::F64(number) => number.to_string(),
        Value::F32(number) => number.to_string(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::List(_) | Value::Map(_) | Value::Message(_) => String::new(),
    }
}

/// In the unit that the name of the field ends in. Exact: what is rounded may hide a
/// difference.
fn quantity(value: u64, field: &str) -> String {
    const UNITS: [(u64, &str); 4] = [
        (1 << 40, "TiB"),
        (1 << 30, "GiB"),
        (1 << 20, "MiB"),
        (1 << 10, "KiB"),
    ];
    if field.ends_with("_seconds") {
        return format!("{value} s");
    }
    if !field.ends_with("_bytes") {
        return value.to_string();
    }
    let unit = UNITS
        .iter()
        .find(|(size, _)| value >= *size && value.is_multiple_of(*size));
    match unit {
        Some((size, unit)) => format!("{} {unit}", value / size),
        None => format!("{value} bytes"),
    }
}

fn timestamp(message: &DynamicMessage) -> Option<String> {
    if message.descriptor().full_name() != "google.protobuf.Timestamp" {
        return None;
    }
    let seconds = message.get_field_by_name("seconds")?.as_i64()?;
    let at = Timestamp::from_second(seconds).ok()?;
    Some(at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// `memory_bytes` is `memory`.
fn label(field: &str) -> String {
    let name = field
        .strip_suffix("_bytes")
        .or_else(|| field.strip_suffix("_seconds"))
        .unwrap_or(field);
    name.replace('_', " ")
}

fn join(path: &str, label: &str) -> String {
    match path.is_empty() {
        true => label.to_owned(),
        false => format!("{path} {label}"),
    }
}
