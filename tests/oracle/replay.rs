//! Half an hour of a node that goes on as it did between t0 and t1.
//!
//! Checks judge over windows of up to half an hour, and a recording has two
//! moments. Counters go on as they grew between them, times move along unless
//! they stood still, and everything else stays as at t1.

use anyhow::{Context, Result};
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, ReflectMessage, Value};
use pvelens_proto::{FILE_DESCRIPTOR_SET, agent::v1::Sample, timestamp_from_millis};

/// What a collector would have read some time after t0.
#[derive(Debug)]
pub(crate) struct Replay {
    descriptor: MessageDescriptor,
    span_seconds: f64,
}

impl Replay {
    /// `span_seconds` lie between t0 and t1.
    pub(crate) fn new(span_seconds: f64) -> Result<Self> {
        let pool = DescriptorPool::decode(FILE_DESCRIPTOR_SET)?;
        let descriptor = pool
            .get_message_by_name("pvelens.agent.v1.Sample")
            .context("the wire has no samples")?;
        Ok(Self {
            descriptor,
            span_seconds,
        })
    }

    /// The samples as they would be `seconds` after t0.
    pub(crate) fn at(
        &self,
        first: &[Sample],
        second: &[Sample],
        seconds: f64,
    ) -> Result<Vec<Sample>> {
        let pairs = first.iter().zip(second);
        pairs
            .map(|(first, second)| {
                let first = self.dynamic(first)?;
                let mut second = self.dynamic(second)?;
                self.carry_on(&first, &mut second, seconds);
                Ok(Sample::decode(second.encode_to_vec().as_slice())?)
            })
            .collect()
    }

    fn dynamic(&self, sample: &Sample) -> Result<DynamicMessage> {
        let bytes = sample.encode_to_vec();
        Ok(DynamicMessage::decode(
            self.descriptor.clone(),
            bytes.as_slice(),
        )?)
    }

    fn carry_on(&self, first: &DynamicMessage, second: &mut DynamicMessage, seconds: f64) {
        for field in second.descriptor().fields() {
            if !second.has_field(&field) {
                continue;
            }
            let before = first.get_field(&field).into_owned();
            let value = second.get_field_mut(&field);
            if field.name().ends_with("_total") || field.name() == "uptime_seconds" {
                grow(&before, value, seconds / self.span_seconds);
            } else {
                self.carry_on_value(&before, value, seconds);
            }
        }
    }

    fn carry_on_value(&self, first: &Value, second: &mut Value, seconds: f64) {
        match (first, second) {
            (Value::Message(first), Value::Message(second))
                if second.descriptor().full_name() == "google.protobuf.Timestamp" =>
            {
                let (before, after) = (millis(first), millis(second));
                // What was not renewed between t0 and t1 is not renewed later.
                if (after - before).abs() > 0.0 {
                    set_millis(second, after + (seconds - self.span_seconds) * 1e3);
                }
            }
            (Value::Message(first), Value::Message(second)) => {
                self.carry_on(first, second, seconds)
            }
            // The lists of one node are sorted alike at both moments.
            (Value::List(first), Value::List(second)) if first.len() == second.len() => {
                for (first, second) in first.iter().zip(second) {
                    self.carry_on_value(first, second, seconds);
                }
            }
            _ => {}
        }
    }
}

/// Extends a counter beyond its two readings.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counters of a lab, far below 2^53"
)]
fn grow(first: &Value, second: &mut Value, share: f64) {
    match (first, second) {
        (Value::F64(first), Value::F64(second)) => *second = first + (*second - first) * share,
        (Value::U64(first), Value::U64(second)) => {
            let growth = (*second as f64 - *first as f64) * share;
            *second = (*first as f64 + growth).max(0.0) as u64;
        }
        _ => {}
    }
}

#[expect(clippy::cast_precision_loss, reason = "milliseconds of this century")]
fn millis(time: &DynamicMessage) -> f64 {
    let field = |name: &str| time.get_field_by_name(name);
    let seconds = field("seconds").and_then(|value| value.as_i64());
    let nanos = field("nanos").and_then(|value| value.as_i32());
    seconds.unwrap_or(0) as f64 * 1e3 + f64::from(nanos.unwrap_or(0)) / 1e6
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of this century"
)]
fn set_millis(time: &mut DynamicMessage, millis: f64) {
    let whole = timestamp_from_millis(millis.round() as i64);
    time.set_field_by_name("seconds", Value::I64(whole.seconds));
    time.set_field_by_name("nanos", Value::I32(whole.nanos));
}
