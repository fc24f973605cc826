//! Clock, updates and who is logged in.

use super::{
    number,
    output::{NAME, Output, some},
    pairs,
};
use crate::guest_command::facts::{Clock, GuestFacts, Updates};

pub(super) mod sessions;
pub(super) mod updates;

/// No clock is further off: thirty years.
const OFFSET_LIMIT: f64 = 1e9;

/// `timedatectl show`.
pub(super) fn timedatectl(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut clock = Clock::default();
    let yes = |value: &str| match value {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    };
    for (key, value) in pairs::lines(output, '=') {
        match key {
            "Timezone" => clock.time_zone = some(value, NAME),
            "LocalRTC" => clock.rtc_in_local_time = yes(value),
            "NTP" => clock.ntp_enabled = yes(value),
            "NTPSynchronized" => clock.synchronised = yes(value),
            _ => {}
        }
    }
    if clock != Clock::default() {
        facts.understood = true;
        facts.clock = Some(clock);
    }
}

/// `chronyc -n tracking`.
pub(super) fn chrony_tracking(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut clock = Clock::default();
    for (key, value) in pairs::lines(output, ':') {
        match key {
            // `C0A80001 (192.168.0.1)`
            "Reference ID" => {
                let server = value
                    .split_once('(')
                    .and_then(|(_, rest)| rest.split_once(')'));
                clock.source = server.and_then(|(server, _)| some(server, NAME));
                // Nobody, and its own clock.
                if value.starts_with("00000000") || value.starts_with("7F7F01") {
                    clock.synchronised = Some(false);
                }
            }
            "Stratum" => clock.stratum = number::small(value).filter(|stratum| *stratum <= 16),
            "Ref time (UTC)" => clock.last_update = some(value, 40),
            // `0.000012345 seconds slow of NTP time`
            "System time" => clock.offset_seconds = chrony_offset(value),
            "Leap status" => {
                let follows = value != "Not synchronised";
                clock.synchronised = Some(follows && clock.synchronised != Some(false));
            }
            _ => {}
        }
    }
    if clock.synchronised.is_none() && clock.offset_seconds.is_none() {
        return;
    }
    // Without a server the offset is one of an old measurement, or 0.
    if clock.synchronised == Some(false) {
        clock.offset_seconds = None;
    }
    facts.understood = true;
    facts.clock = Some(clock);
}

fn chrony_offset(value: &str) -> Option<f64> {
    let mut words = value.split_whitespace();
    let seconds = words.next().and_then(number::positive)?;
    let sign = match (words.next()?, words.next()?) {
        ("seconds", "slow") => -1.0,
        ("seconds", "fast") => 1.0,
        _ => return None,
    };
    offset(seconds * sign)
}

fn offset(seconds: f64) -> Option<f64> {
    (seconds.abs() <= OFFSET_LIMIT).then(|| number::round(seconds, 6))
}

/// `w32tm /query /status /verbose`, by the order of its lines since they may be
/// translated: leap indicator, stratum, ..., reference, last sync, source; then, after
/// an empty line, the offset.
pub(super) fn windows(output: &Output<'_>, facts: &mut GuestFacts) {
    // The service does not run (`ERROR_SERVICE_NOT_ACTIVE`).
    if output.lines().any(|line| line.contains("0x80070426")) {
        facts.understood = true;
        facts.clock = Some(Clock {
            ntp_enabled: Some(false),
            ..Clock::default()
        });
        return;
    }
    let lines: Vec<&str> = output
        .lines()
        .skip_while(|line| line.trim().is_empty())
        .collect();
    let end = lines
        .iter()
        .position(|line| line.trim().is_empty())
        .unwrap_or(lines.len());
    let (first, second) = lines.split_at_checked(end).unwrap_or_default();
    let value = |lines: &[&str], position: usize| -> Option<String> {
        let (_, value) = lines.get(position)?.split_once(':')?;
        Some(value.trim().to_owned())
    };
    let number_of = |text: String| number::small(text.split(['(', ' ']).next()?);
    let (Some(leap), Some(stratum)) = (
        value(first, 0)
            .and_then(number_of)
            .filter(|leap| *leap <= 3),
        value(first, 1)
            .and_then(number_of)
            .filter(|stratum| *stratum <= 16),
    ) else {
        return;
    };
    let reference = value(first, 5).unwrap_or_default();
    // `0x4C4F434C (source name:  "LOCL")` and 0 are its own clock.
    let is_own = reference.starts_with("0x4C4F434C") || reference.starts_with("0x00000000");
    let source = value(first, 7);
    let offset = second
        .iter()
        .find(|line| !line.trim().is_empty())
        .and_then(|line| {
            let (_, value) = line.split_once(':')?;
            number::decimal(value.trim().strip_suffix('s')?).and_then(offset)
        });
    let synchronised = if leap == 3 || stratum == 0 || is_own {
        Some(false)
    } else {
        // Whose clock it is, stands in the reference.
        (!reference.is_empty()).then_some(true)
    };
    facts.understood = true;
    facts.clock = Some(Clock {
        synchronised,
        offset_seconds: offset.filter(|_| synchronised == Some(true)),
        source: source.and_then(|source| some(source.split(",0x").next().unwrap_or(&source), NAME)),
        stratum: Some(stratum),
        last_update: value(first, 6).and_then(|when| some(&when, 40)),
        ..Clock::default()
    });
}

/// `ls /run/reboot-required /var/run/reboot-required`: names of those that are there.
pub(super) fn reboot_required(output: &Output<'_>, facts: &mut GuestFacts) {
    let is_flag = |line: &str| line.trim().ends_with("/reboot-required");
    let is_there = output.filled().any(is_flag);
    let is_other = output.filled().any(|line| !is_flag(line));
    if is_there || (!output.is_cut && !is_other) {
        facts.understood = true;
        facts.updates = Some(Updates {
            reboot_required: Some(is_there),
            ..Updates::default()
        });
    } else {
        facts.unread();
    }
}
