//! What the agent's collectors read from a recorded tree, as plain values by
//! the names of the wire messages.

use std::sync::{Arc, atomic::AtomicI64};

use anyhow::{Context, Result};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, Kind, ReflectMessage, Value as Dynamic};
use pvelens_agent::{
    collector::{COLLECTORS, collect_once},
    host::{Clock, Host},
};
use pvelens_proto::{
    FILE_DESCRIPTOR_SET,
    agent::v1::{FailureKind, Sample},
};
use serde_json::{Map, Value};

use crate::{peers::Peers, recordings::Tree};

/// Samples of every collector on one tree.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) samples: Vec<Sample>,
    /// By field of the sample's payload: `cpu`, `guest_configs`, ...
    pub(crate) values: Map<String, Value>,
}

/// Runs every collector on a tree, at the time of its recording.
pub(crate) fn collect(tree: &Tree) -> Result<Facts> {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "milliseconds of this century"
    )]
    let now = (tree.meta.start * 1000.0) as i64;
    let clock = Clock::Fixed(Arc::new(AtomicI64::new(now)));
    let host = Host::open(&tree.root)?.with_clock(clock);
    // As long as collectors run.
    let _peers = Peers::listen(&tree.root)?;
    let samples: Vec<Sample> = COLLECTORS
        .iter()
        .map(|collector| collect_once(collector, &host))
        .collect();
    let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
    let sample = pool
        .get_message_by_name("pvelens.agent.v1.Sample")
        .context("the wire has no samples")?;
    let payload = sample
        .oneofs()
        .find(|oneof| oneof.name() == "payload")
        .context("samples have no payload")?;
    let mut values = Map::new();
    for one in &samples {
        let message = DynamicMessage::decode(sample.clone(), one.encode_to_vec().as_slice())?;
        for field in payload.fields().filter(|field| message.has_field(field)) {
            values.insert(
                field.name().to_owned(),
                plain(&message.get_field(&field), &field.kind()),
            );
        }
    }
    Ok(Facts { samples, values })
}

/// What collectors could not read, but for what the node itself refused.
pub(crate) fn unexplained_failures(facts: &Facts, tree: &Tree) -> Vec<String> {
    let mut unexplained = Vec::new();
    for sample in &facts.samples {
        for failure in &sample.failures {
            if failure.path.is_empty() || !tree.lacks(&failure.path) {
                let kind = FailureKind::try_from(failure.kind).unwrap_or_default();
                unexplained.push(format!(
                    "{}: {} {kind:?} {}",
                    sample.collector, failure.path, failure.detail
                ));
            }
        }
        if sample.payload.is_none() && sample.failures.is_empty() {
            unexplained.push(format!("{}: neither payload nor failure", sample.collector));
        }
    }
    unexplained
}

/// Absent fields are left out, times are seconds, enums are names.
fn plain(value: &Dynamic, kind: &Kind) -> Value {
    match value {
        Dynamic::Bool(flag) => Value::from(*flag),
        Dynamic::I32(number) => Value::from(*number),
        Dynamic::I64(number) => Value::from(*number),
        Dynamic::U32(number) => Value::from(*number),
        Dynamic::U64(number) => Value::from(*number),
        Dynamic::F32(number) => Value::from(*number),
        Dynamic::F64(number) => Value::from(*number),
        Dynamic::String(text) => Value::from(text.as_str()),
        Dynamic::EnumNumber(number) => match kind {
            Kind::Enum(descriptor) => descriptor
                .get_value(*number)
                .map_or(Value::from(*number), |value| Value::from(value.name())),
            _ => Value::from(*number),
        },
        Dynamic::Message(message) => message_value(message),
        Dynamic::List(list) => list.iter().map(|item| plain(item, kind)).collect(),
        // The wire has neither.
        Dynamic::Bytes(_) | Dynamic::Map(_) => Value::Null,
    }
}

fn message_value(message: &DynamicMessage) -> Value {
    let descriptor = message.descriptor();
    if descriptor.full_name() == "google.protobuf.Timestamp" {
        let seconds = message
            .get_field_by_name("seconds")
            .and_then(|value| value.as_i64());
        return seconds.map_or(Value::Null, Value::from);
    }
    descriptor
        .fields()
        .filter(|field| !field.supports_presence() || message.has_field(field))
        .map(|field| {
            (
                field.name().to_owned(),
                plain(&message.get_field(&field), &field.kind()),
            )
        })
        .collect()
}
