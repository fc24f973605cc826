//! Fields of requests as the types that questions take.

use jiff::Timestamp;
use pvelens_proto::{agent::v1 as agent, v1 as message};
use serde::{Deserialize, de::value::StrDeserializer};
use tonic::Status;

use super::status::{invalid, no_such_check};
use crate::{
    analysis::Depth,
    answer::Page,
    check::{self, Check},
    chronicle::{self, EventKind},
    finding::{Category, Lane, Severity},
    intent::StatementKind,
    log::Level,
    render::{Format, Style},
    report::AnalysisKind,
    untrusted,
};

pub(super) fn style(options: &message::RenderOptions) -> Result<Style, Status> {
    let format = match enumeration("render.format", options.format)? {
        message::RenderFormat::Unspecified | message::RenderFormat::Text => Format::Text,
        message::RenderFormat::Json => Format::Json,
        message::RenderFormat::Markdown => Format::Markdown,
    };
    Ok(Style {
        format,
        width: match options.width_columns {
            0 => None,
            // Wider than any terminal is as good as no limit.
            columns => u16::try_from(columns).ok(),
        },
        color: options.color,
    })
}

/// A moment, if the calendar has it.
pub(super) fn timestamp(field: &str, at: &pvelens_proto::Timestamp) -> Result<Timestamp, Status> {
    Timestamp::new(at.seconds, at.nanos).map_err(|_| invalid(field, "a time that no calendar has"))
}

pub(super) fn page(size: u32, token: String) -> Page {
    Page { size, token }
}

pub(super) fn severity(value: i32) -> Result<Option<Severity>, Status> {
    Ok(match enumeration("minimum_severity", value)? {
        message::Severity::Unspecified => None,
        message::Severity::Info => Some(Severity::Info),
        message::Severity::Warning => Some(Severity::Warning),
        message::Severity::Critical => Some(Severity::Critical),
    })
}

pub(super) fn lane(value: i32) -> Result<Option<Lane>, Status> {
    Ok(match enumeration("lane", value)? {
        message::Lane::Unspecified => None,
        message::Lane::Health => Some(Lane::Health),
        message::Lane::Posture => Some(Lane::Posture),
    })
}

pub(super) fn category(word: &str) -> Result<Option<Category>, Status> {
    if word.is_empty() {
        return Ok(None);
    }
    Category::deserialize(StrDeserializer::<serde::de::value::Error>::new(word))
        .map(Some)
        .map_err(|error| invalid("category", &untrusted::line(&error.to_string(), 300)))
}

pub(super) fn check(id: &str) -> Result<Option<&'static Check>, Status> {
    if id.is_empty() {
        return Ok(None);
    }
    check::find(id).map(Some).ok_or_else(|| no_such_check(id))
}

pub(super) fn guest_kind(value: i32) -> Result<Option<agent::GuestKind>, Status> {
    Ok(match enumeration("kind", value)? {
        message::GuestKind::Unspecified => None,
        message::GuestKind::Qemu => Some(agent::GuestKind::Qemu),
        message::GuestKind::Lxc => Some(agent::GuestKind::Lxc),
    })
}

pub(super) fn statement_kind(value: i32) -> Result<Option<StatementKind>, Status> {
    Ok(match enumeration("kind", value)? {
        message::StatementKind::Unspecified => None,
        message::StatementKind::Acknowledged => Some(StatementKind::Acknowledged),
        message::StatementKind::Suppressed => Some(StatementKind::Suppressed),
        message::StatementKind::Maintenance => Some(StatementKind::Maintenance),
        message::StatementKind::Off => Some(StatementKind::Off),
        message::StatementKind::Rotated => Some(StatementKind::Rotated),
        message::StatementKind::NoBackup => Some(StatementKind::NoBackup),
    })
}

pub(super) fn depth(value: i32) -> Result<Depth, Status> {
    Ok(match enumeration("depth", value)? {
        message::Depth::Unspecified | message::Depth::Summary => Depth::Summary,
        message::Depth::Full => Depth::Full,
    })
}

/// None = all.
pub(super) fn analysis_kind(value: i32) -> Result<Option<AnalysisKind>, Status> {
    Ok(match enumeration("kind", value)? {
        message::AnalysisKind::Unspecified => None,
        message::AnalysisKind::ClusterHealth => Some(AnalysisKind::ClusterHealth),
    })
}

pub(super) fn event_kinds(values: &[i32]) -> Result<Vec<EventKind>, Status> {
    use message::EventKind as Kind;
    let known = |value: &i32| {
        Ok(match enumeration("kinds", *value)? {
            Kind::Unspecified => return Err(invalid("kinds", "one of them is missing")),
            Kind::Task => EventKind::Task,
            Kind::Log => EventKind::Log,
            Kind::Login => EventKind::Login,
            Kind::Kernel => EventKind::Kernel,
            Kind::Link => EventKind::Link,
            Kind::Quorum => EventKind::Quorum,
            Kind::Ha => EventKind::Ha,
            Kind::Node => EventKind::Node,
            Kind::Guest => EventKind::Guest,
            Kind::Agent => EventKind::Agent,
            Kind::Config => EventKind::Config,
            Kind::Finding => EventKind::Finding,
            Kind::Intent => EventKind::Intent,
            Kind::Audit => EventKind::Audit,
            Kind::Health => EventKind::Health,
        })
    };
    values.iter().map(known).collect()
}

pub(super) fn event_level(value: i32) -> Result<chronicle::Level, Status> {
    use message::EventLevel as Level;
    Ok(match enumeration("minimum_level", value)? {
        Level::Unspecified | Level::Info => chronicle::Level::Info,
        Level::Warning => chronicle::Level::Warning,
        Level::Error => chronicle::Level::Error,
    })
}

pub(super) fn log_level(value: i32) -> Result<Level, Status> {
    Ok(match enumeration("level", value)? {
        message::LogLevel::Unspecified => return Err(invalid("level", "missing")),
        message::LogLevel::Error => Level::Error,
        message::LogLevel::Warn => Level::Warn,
        message::LogLevel::Info => Level::Info,
        message::LogLevel::Debug => Level::Debug,
        message::LogLevel::Trace => Level::Trace,
    })
}

/// A value of an enumeration. Of a newer client it may be one we do not know.
pub(super) fn enumeration<E: TryFrom<i32>>(field: &str, value: i32) -> Result<E, Status> {
    E::try_from(value)
        .map_err(|_| invalid(field, &format!("{value} is not known to this coordinator")))
}
