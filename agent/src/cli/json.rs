//! Messages as JSON for people who read JSON.
//!
//! The messages describe themselves (`FILE_DESCRIPTOR_SET`), so this needs no
//! code for each of them: fields have the names of the `.proto` files, times are
//! RFC 3339, enums are words, and a figure that is absent is left out. Canonical
//! protobuf JSON was rejected: it renames fields and quotes 64-bit numbers.

use anyhow::Context;
use jiff::Timestamp;
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, EnumDescriptor, FieldDescriptor, Kind, ReflectMessage, Value,
};
use pvelens_proto::{FILE_DESCRIPTOR_SET, agent::v1::Sample};
use serde_json::{Map, Number, Value as Json};

const SAMPLE: &str = "pvelens.agent.v1.Sample";
const TIMESTAMP: &str = "google.protobuf.Timestamp";
/// The oneof that holds what was collected.
const PAYLOAD: &str = "payload";

/// Writes samples as JSON.
pub(super) struct Writer {
    pool: DescriptorPool,
}

impl Writer {
    pub(super) fn new() -> anyhow::Result<Self> {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)
            .context("reading the description of the messages")?;
        Ok(Self { pool })
    }

    /// One sample as an object: its payload, whatever its kind, is `payload`.
    pub(super) fn sample(&self, sample: &Sample) -> anyhow::Result<Map<String, Json>> {
        let descriptor = self
            .pool
            .get_message_by_name(SAMPLE)
            .context("samples are not described")?;
        let message = DynamicMessage::decode(descriptor, sample.encode_to_vec().as_slice())?;
        let mut object = fields(&message, |field| field.containing_oneof().is_none());
        let payload = message.fields().find(|(field, _)| {
            field
                .containing_oneof()
                .is_some_and(|oneof| oneof.name() == PAYLOAD)
        });
        if let Some((field, value)) = payload {
            object.insert("payload_kind".to_owned(), Json::from(field.name()));
            object.insert(PAYLOAD.to_owned(), json(&field, value));
        }
        Ok(object)
    }
}

impl Writer {
    /// Any message as an object, by its full name.
    pub(super) fn message(
        &self,
        name: &str,
        message: &impl Message,
    ) -> anyhow::Result<Map<String, Json>> {
        let descriptor = self
            .pool
            .get_message_by_name(name)
            .context("the message is not described")?;
        let message = DynamicMessage::decode(descriptor, message.encode_to_vec().as_slice())?;
        Ok(fields(&message, |_| true))
    }
}

/// The wanted fields of a message, in the order of their definition; those
/// that say nothing by being absent are left out.
fn fields(
    message: &DynamicMessage,
    wanted: impl Fn(&FieldDescriptor) -> bool,
) -> Map<String, Json> {
    message
        .descriptor()
        .fields()
        .filter(|field| wanted(field) && (!field.supports_presence() || message.has_field(field)))
        .map(|field| {
            let value = json(&field, &message.get_field(&field));
            (field.name().to_owned(), value)
        })
        .collect()
}

fn json(field: &FieldDescriptor, value: &Value) -> Json {
    match value {
        Value::Bool(value) => Json::from(*value),
        Value::I32(value) => Json::from(*value),
        Value::I64(value) => Json::from(*value),
        Value::U32(value) => Json::from(*value),
        Value::U64(value) => Json::from(*value),
        Value::F32(value) => float(f64::from(*value)),
        Value::F64(value) => float(*value),
        Value::String(value) => Json::from(value.as_str()),
        Value::Bytes(value) => Json::from(value.to_vec()),
        Value::EnumNumber(number) => match field.kind() {
            Kind::Enum(descriptor) => word(&descriptor, *number),
            _ => Json::from(*number),
        },
        Value::Message(message) if message.descriptor().full_name() == TIMESTAMP => time(message),
        Value::Message(message) => Json::Object(fields(message, |_| true)),
        Value::List(items) => items.iter().map(|item| json(field, item)).collect(),
        // No message of ours has a map.
        Value::Map(_) => Json::Null,
    }
}

/// JSON knows neither infinity nor NaN.
fn float(value: f64) -> Json {
    Number::from_f64(value).map_or(Json::Null, Json::Number)
}

/// `GUEST_KIND_QEMU` of the enum `GuestKind` is `qemu`.
fn word(descriptor: &EnumDescriptor, number: i32) -> Json {
    let Some(value) = descriptor.get_value(number) else {
        return Json::from(number);
    };
    let prefix = descriptor
        .default_value()
        .name()
        .trim_end_matches("UNSPECIFIED")
        .to_owned();
    let name = value.name();
    Json::from(name.strip_prefix(&prefix).unwrap_or(name).to_lowercase())
}

fn time(message: &DynamicMessage) -> Json {
    let number = |name: &str| {
        message
            .get_field_by_name(name)
            .and_then(|value| value.as_i64().or_else(|| value.as_i32().map(i64::from)))
            .unwrap_or_default()
    };
    let nanos = i32::try_from(number("nanos")).unwrap_or_default();
    Timestamp::new(number("seconds"), nanos).map_or(Json::Null, |time| Json::from(time.to_string()))
}

#[cfg(test)]
mod tests {
    use pvelens_proto::{
        agent::v1::{
            FailureKind, GuestKind, GuestList, GuestListEntry, PveNodeStatus, PveStatus,
            SourceFailure, sample::Payload,
        },
        timestamp_from_millis,
    };

    use super::*;

    #[test]
    fn names_are_those_of_the_messages_and_enums_are_words() {
        let sample = Sample {
            collector: "guest_list".to_owned(),
            observed_at: Some(timestamp_from_millis(1_795_349_087_500)),
            failures: vec![SourceFailure {
                path: "/x".to_owned(),
                kind: FailureKind::NotUtf8.into(),
                detail: "bad".to_owned(),
            }],
            payload: Some(Payload::GuestList(GuestList {
                version: u64::MAX,
                guests: vec![GuestListEntry {
                    vmid: 101,
                    kind: GuestKind::Qemu.into(),
                    node: "a".to_owned(),
                    version: 0,
                }],
            })),
            ..Sample::default()
        };
        let object = Json::Object(Writer::new().unwrap().sample(&sample).unwrap());
        assert_eq!(object["observed_at"], "2026-11-22T12:04:47.5Z");
        assert_eq!(object["failures"][0]["kind"], "not_utf8");
        assert_eq!(object["payload_kind"], "guest_list");
        assert_eq!(object["payload"]["version"], u64::MAX);
        assert_eq!(object["payload"]["guests"][0]["kind"], "qemu");
        assert_eq!(object["payload"]["guests"][0]["version"], 0);
    }

    #[test]
    fn an_absent_figure_is_left_out_and_zero_is_shown() {
        let status = PveStatus {
            node: Some(PveNodeStatus {
                cpu_ratio: Some(0.0),
                load1: Some(f64::NAN),
                ..PveNodeStatus::default()
            }),
            ..PveStatus::default()
        };
        let sample = Sample {
            payload: Some(Payload::PveStatus(status)),
            ..Sample::default()
        };
        let object = Json::Object(Writer::new().unwrap().sample(&sample).unwrap());
        let node = &object["payload"]["node"];
        assert_eq!(node["cpu_ratio"], 0.0);
        assert_eq!(node["load1"], Json::Null);
        assert!(node.get("load5").is_none());
    }
}
