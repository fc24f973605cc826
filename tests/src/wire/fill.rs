//! A message with every field set to something that its number tells.

use std::collections::HashMap;

use anyhow::{Context, Result};
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};

const SAMPLE: &str = "pvelens.agent.v1.Sample";
const PAYLOAD: &str = "payload";
/// Messages may hold themselves.
const DEPTH: u32 = 8;

/// The payloads of a sample, by the name of their field.
///
/// # Errors
/// When the descriptors have no sample.
pub fn payloads(pool: &DescriptorPool) -> Result<Vec<FieldDescriptor>> {
    let sample = pool.get_message_by_name(SAMPLE).context(SAMPLE)?;
    let payload = sample.oneofs().find(|oneof| oneof.name() == PAYLOAD);
    Ok(payload.context(PAYLOAD)?.fields().collect())
}

/// Sets every field, of alternatives the first; of a sample the payload of that name.
#[must_use]
pub fn fill(message: &MessageDescriptor, payload: &str) -> DynamicMessage {
    filled(message, payload, 0)
}

fn filled(message: &MessageDescriptor, payload: &str, depth: u32) -> DynamicMessage {
    let mut made = DynamicMessage::new(message.clone());
    if depth >= DEPTH {
        return made;
    }
    for field in message.fields() {
        let alternatives = field
            .containing_oneof()
            .filter(|oneof| !oneof.is_synthetic());
        if let Some(alternatives) = alternatives {
            let is_wanted = |field: &FieldDescriptor| field.name() == payload;
            let mut fields = alternatives.fields();
            let wanted = fields
                .find(is_wanted)
                .or_else(|| alternatives.fields().next());
            if wanted.is_some_and(|wanted| wanted != field) {
                continue;
            }
        }
        made.set_field(&field, value(&field, payload, depth));
    }
    made
}

fn value(field: &FieldDescriptor, payload: &str, depth: u32) -> Value {
    if field.is_map()
        && let Kind::Message(entry) = field.kind()
    {
        let key = match scalar(&entry.map_entry_key_field(), payload, depth) {
            Value::U32(key) => MapKey::U32(key),
            Value::U64(key) => MapKey::U64(key),
            Value::I32(key) => MapKey::I32(key),
            Value::I64(key) => MapKey::I64(key),
            Value::Bool(key) => MapKey::Bool(key),
            Value::String(key) => MapKey::String(key),
            _ => MapKey::U32(0),
        };
        let value = scalar(&entry.map_entry_value_field(), payload, depth);
        return Value::Map(HashMap::from([(key, value)]));
    }
    let one = scalar(field, payload, depth);
    if field.is_list() {
        Value::List(vec![one.clone(), one])
    } else {
        one
    }
}

fn scalar(field: &FieldDescriptor, payload: &str, depth: u32) -> Value {
    let number = field.number();
    let signed = i32::try_from(number).unwrap_or(i32::MAX);
    match field.kind() {
        Kind::Double => Value::F64(f64::from(number) + 0.5),
        Kind::Float => Value::F32(0.5),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(signed),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(signed.into()),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(number),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(number.into()),
        Kind::Bool => Value::Bool(true),
        Kind::String => Value::String(format!("{}-{number}", field.name())),
        Kind::Bytes => Value::Bytes(vec![1, 2, 3].into()),
        Kind::Message(message) => Value::Message(filled(&message, payload, depth + 1)),
        Kind::Enum(values) => {
            let known = values.values().map(|value| value.number());
            Value::EnumNumber(known.max().unwrap_or(0))
        }
    }
}
