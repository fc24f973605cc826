//! Answers of the guest agent: JSON, as QEMU's `qga/qapi-schema.json` describes it.

use serde_json::Value;

use super::{
    json, number,
    output::{NAME, Output, WORD, count, member, some},
};
use crate::guest_command::facts::{
    Clock, Driver, GuestAgent, GuestFacts, Identity, Load, Session, VirtualCpus,
};

pub(super) mod disks;
pub(super) mod file_systems;
pub(super) mod network;
pub(super) mod statistics;

const COMMANDS: usize = 60;
const DRIVERS: usize = 60;

/// Entries of the list that an answer is, and whether it is whole. Counts those that
/// are not understood.
fn entries<T>(
    output: &Output<'_>,
    facts: &mut GuestFacts,
    read: impl Fn(&Value) -> Option<T>,
) -> Option<(Vec<T>, bool)> {
    let Some((Value::Array(all), is_whole)) = json::parse(output) else {
        return None;
    };
    let mut list = Vec::new();
    for value in &all {
        match read(value) {
            Some(one) => list.push(one),
            None => facts.unread(),
        }
    }
    // An empty list is an answer; one of which nothing was understood is none.
    let is_known = !list.is_empty() || (all.is_empty() && is_whole);
    facts.understood |= is_known;
    is_known.then_some((list, is_whole))
}

/// The object that an answer is.
fn object(output: &Output<'_>) -> Option<(Value, bool)> {
    json::parse(output).filter(|(value, _)| value.is_object())
}

/// `guest-ping` answers `{}`.
pub(super) fn ping(output: &Output<'_>, facts: &mut GuestFacts) {
    if object(output).is_some() {
        facts.understood = true;
        facts.agent = Some(GuestAgent {
            answers: true,
            ..GuestAgent::default()
        });
    }
}

/// `guest-info`.
pub(super) fn agent_info(output: &Output<'_>, facts: &mut GuestFacts) {
    let Some((value, is_whole)) = object(output) else {
        return;
    };
    let commands = value.get("supported_commands").and_then(Value::as_array);
    let mut agent = GuestAgent {
        answers: true,
        version: member(&value, "version", WORD),
        ..GuestAgent::default()
    };
    if let Some(commands) = commands {
        let is_enabled = |command: &Value| command.get("enabled").and_then(Value::as_bool);
        let mut disabled: Vec<String> = commands
            .iter()
            .filter(|command| is_enabled(command) == Some(false))
            .filter_map(|command| member(command, "name", NAME))
            .collect();
        disabled.sort();
        facts.bound("agent.disabled_commands", &mut disabled, COMMANDS);
        agent.commands_total = Some(count(commands)).filter(|_| is_whole);
        agent.disabled_commands = disabled;
        let exec = commands
            .iter()
            .find(|command| command.get("name").and_then(Value::as_str) == Some("guest-exec"));
        agent.can_exec = match exec {
            Some(exec) => is_enabled(exec),
            None => is_whole.then_some(false),
        };
    }
    facts.understood = true;
    facts.agent = Some(agent);
}

/// `guest-get-osinfo`.
pub(super) fn osinfo(output: &Output<'_>, facts: &mut GuestFacts) {
    let Some((value, is_whole)) = object(output) else {
        return;
    };
    let text = |name: &str| member(&value, name, NAME);
    // Older agents have only the longer form.
    let long_version = || text("version").filter(|_| is_whole);
    identity(
        facts,
        Identity {
            os_id: text("id"),
            os_name: text("name"),
            version: text("version-id").or_else(long_version),
            pretty_name: text("pretty-name"),
            kernel: text("kernel-release"),
            architecture: text("machine"),
            ..Identity::default()
        },
    );
}

/// `guest-get-host-name`.
pub(super) fn hostname(output: &Output<'_>, facts: &mut GuestFacts) {
    if let Some((value, _)) = object(output) {
        identity(
            facts,
            Identity {
                hostname: member(&value, "host-name", NAME),
                ..Identity::default()
            },
        );
    }
}

/// `guest-get-timezone`: name, and seconds from UTC.
pub(super) fn timezone(output: &Output<'_>, facts: &mut GuestFacts) {
    let Some((value, is_whole)) = object(output) else {
        return;
    };
    // Only who has no name for it is told by the offset.
    let offset = value.get("offset").and_then(Value::as_i64);
    let offset = offset
        .filter(|_| is_whole)
        .filter(|seconds| (-86_400..=86_400).contains(seconds))
        .map(|seconds| {
            let sign = if seconds < 0 { '-' } else { '+' };
            let minutes = seconds.unsigned_abs() / 60;
            format!("UTC{sign}{:02}:{:02}", minutes / 60, minutes % 60)
        });
    identity(
        facts,
        Identity {
            time_zone: member(&value, "zone", NAME).or(offset),
            ..Identity::default()
        },
    );
}

fn identity(facts: &mut GuestFacts, identity: Identity) {
    if identity != Identity::default() {
        facts.understood = true;
        facts.identity = Some(identity);
    }
}

/// `guest-get-time`: nanoseconds since 1970.
pub(super) fn time(output: &Output<'_>, facts: &mut GuestFacts) {
    let Some((value, _)) = json::parse(output).filter(|_| !output.is_cut) else {
        return;
    };
    // Years 1970 to 2262.
    if let Some(nanoseconds) = value
        .as_i64()
        .filter(|value| *value >= 0 && *value < i64::MAX)
    {
        facts.understood = true;
        facts.clock = Some(Clock {
            unix_nanoseconds: Some(nanoseconds),
            ..Clock::default()
        });
    }
}

/// `guest-get-users`.
pub(super) fn users(output: &Output<'_>, facts: &mut GuestFacts) {
    let users = entries(output, facts, |value| {
        let user = member(value, "user", WORD)?;
        let user = match member(value, "domain", WORD) {
            Some(domain) => some(&format!("{domain}\\{user}"), NAME)?,
            None => user,
        };
        let since = value.get("login-time").and_then(Value::as_f64);
        #[expect(clippy::cast_possible_truncation, reason = "in bounds by the filter")]
        let since = since
            .filter(|since| (0.0..1e11).contains(since))
            .map(|since| since as i64);
        Some(Session {
            user,
            since_seconds: since,
            ..Session::default()
        })
    });
    if let Some((list, _)) = users {
        super::clock::sessions::keep(facts, list);
    }
}

/// `guest-fsfreeze-status`.
pub(super) fn freeze_status(output: &Output<'_>, facts: &mut GuestFacts) {
    let status = json::parse(output).map(|(value, _)| value);
    facts.frozen = match status.as_ref().and_then(Value::as_str) {
        Some("frozen") => Some(true),
        Some("thawed") => Some(false),
        _ => None,
    };
    facts.understood = facts.frozen.is_some();
}

/// `guest-get-load`.
pub(super) fn load(output: &Output<'_>, facts: &mut GuestFacts) {
    let Some((value, _)) = object(output) else {
        return;
    };
    let load = |name: &str| {
        let load = value.get(name).and_then(Value::as_f64);
        load.filter(|load| (0.0..1e6).contains(load))
            .map(|load| number::round(load, 2))
    };
    let all = Load {
        one_minute: load("load1m"),
        five_minutes: load("load5m"),
        fifteen_minutes: load("load15m"),
        ..Load::default()
    };
    if all != Load::default() {
        facts.understood = true;
        facts.load = Some(all);
    }
}

/// `guest-get-vcpus`.
pub(super) fn vcpus(output: &Output<'_>, facts: &mut GuestFacts) {
    let cpus = entries(output, facts, |value| {
        value.get("online").and_then(Value::as_bool)
    });
    if let Some((list, true)) = cpus
        && !list.is_empty()
    {
        let online = list.iter().filter(|online| **online);
        facts.vcpus = Some(VirtualCpus {
            total: count(&list),
            online: u32::try_from(online.count()).unwrap_or(u32::MAX),
        });
    }
}

/// `guest-get-devices`, of Windows.
pub(super) fn devices(output: &Output<'_>, facts: &mut GuestFacts) {
    let drivers = entries(output, facts, |value| {
        let id = value.get("id");
        let device = id.and_then(|id| {
            let (vendor, device) = (
                json::number(id, "vendor-id")?,
                json::number(id, "device-id")?,
            );
            Some(format!(
                "{:04x}:{:04x}",
                u16::try_from(vendor).ok()?,
                u16::try_from(device).ok()?
            ))
        });
        // Nanoseconds since 1970.
        let date = value.get("driver-date").and_then(Value::as_i64);
        Some(Driver {
            name: member(value, "driver-name", NAME)?,
            version: member(value, "driver-version", WORD),
            date_seconds: date
                .map(|date| date / 1_000_000_000)
                .filter(|date| *date >= 0),
            device,
        })
    });
    if let Some((mut list, _)) = drivers {
        list.sort_by(|a, b| (&a.name, &a.device).cmp(&(&b.name, &b.device)));
        facts.bound("drivers", &mut list, DRIVERS);
        facts.drivers = list;
    }
}
