//! How busy a guest is.

use super::{
    number,
    output::{Output, text},
};
use crate::guest_command::facts::{GuestFacts, Identity, Load, Pressure};

pub(super) mod vmstat;

/// No machine has such a load; a larger number is none.
const LOAD_LIMIT: f64 = 1_000_000.0;

fn load(text: &str) -> Option<f64> {
    let load = number::positive(text).filter(|load| *load <= LOAD_LIMIT)?;
    Some(number::round(load, 2))
}

/// `/proc/loadavg`: `0.10 0.20 0.30 1/234 5678`.
pub(super) fn loadavg(output: &Output<'_>, facts: &mut GuestFacts) {
    for line in output.filled() {
        let words: Vec<&str> = line.split_whitespace().take(6).collect();
        let [one, five, fifteen, tasks, _] = words.as_slice() else {
            facts.unread();
            continue;
        };
        let (Some(one), Some(five), Some(fifteen)) = (load(one), load(five), load(fifteen)) else {
            facts.unread();
            continue;
        };
        let tasks = tasks.split_once('/');
        facts.understood = true;
        facts.load = Some(Load {
            one_minute: Some(one),
            five_minutes: Some(five),
            fifteen_minutes: Some(fifteen),
            runnable: tasks.and_then(|(runnable, _)| number::small(runnable)),
            tasks: tasks.and_then(|(_, all)| number::small(all)),
        });
        return;
    }
}

/// ` 10:00:00 up 12 days,  3:04,  2 users,  load average: 0.10, 0.20, 0.30`.
pub(super) fn uptime(output: &Output<'_>, facts: &mut GuestFacts) {
    let Some(line) = output.filled().next() else {
        return;
    };
    let Some((_, after)) = line.split_once(" up ") else {
        facts.unread();
        return;
    };
    let (since, averages) = match after.find("load average") {
        Some(at) => after.split_at_checked(at).unwrap_or((after, "")),
        None => (after, ""),
    };
    let mut identity = Identity {
        uptime_seconds: up(since),
        ..Identity::default()
    };
    for part in since.split(',') {
        let mut words = part.split_whitespace();
        if let (Some(count), Some("user" | "users"), None) =
            (words.next(), words.next(), words.next())
        {
            identity.users_logged_in = number::small(count);
        }
    }
    facts.load = averages_of(averages);
    facts.understood = identity.uptime_seconds.is_some() || facts.load.is_some();
    facts.identity = facts.understood.then_some(identity);
}

/// `12 days,  3:04,`, `5 min,`, `1 day, 5 min,`, `2:03,`.
fn up(text: &str) -> Option<u64> {
    let mut seconds = None;
    for part in text.split(',') {
        let words: Vec<&str> = part.split_whitespace().take(3).collect();
        let more = match words.as_slice() {
            [count, "day" | "days"] => {
                number::whole(count).and_then(|days| days.checked_mul(86_400))
            }
            [count, "hour" | "hours" | "hrs"] => {
                number::whole(count).and_then(|hours| hours.checked_mul(3600))
            }
            [count, "min" | "mins" | "minute" | "minutes"] => {
                number::whole(count).and_then(|minutes| minutes.checked_mul(60))
            }
            [count, "sec" | "secs" | "seconds"] => number::whole(count),
            [clock] => clock.split_once(':').and_then(|(hours, minutes)| {
                let hours = number::whole(hours).filter(|hours| *hours < 24)?;
                let minutes = number::whole(minutes).filter(|minutes| *minutes < 60)?;
                Some(hours * 3600 + minutes * 60)
            }),
            _ => None,
        };
        if let Some(more) = more {
            seconds = Some(seconds.unwrap_or(0_u64).checked_add(more)?);
        }
    }
    // A thousand years.
    seconds.filter(|seconds| *seconds < 31_557_600_000)
}

/// `load average: 0.10, 0.20, 0.30`, with decimal commas `0,10, 0,20, 0,30`.
fn averages_of(text: &str) -> Option<Load> {
    let (_, numbers) = text.split_once(':')?;
    let mut loads = numbers
        .split_whitespace()
        .map(|word| load(word.trim_end_matches(',')));
    Some(Load {
        one_minute: Some(loads.next()??),
        five_minutes: Some(loads.next()??),
        fifteen_minutes: Some(loads.next()??),
        ..Load::default()
    })
}

/// `/proc/pressure/*` as `head` shows several files: `==> /proc/pressure/cpu <==`.
pub(super) fn pressure(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut pressure = Pressure::default();
    let mut file = String::new();
    for line in output.filled() {
        if let Some(name) = line
            .strip_prefix("==> ")
            .and_then(|rest| rest.strip_suffix(" <=="))
        {
            file = text(name.rsplit('/').next().unwrap_or(""), 16);
            continue;
        }
        let target = match file.as_str() {
            "cpu" => &mut pressure.cpu,
            "memory" => &mut pressure.memory,
            "io" => &mut pressure.io,
            _ => {
                facts.unread();
                continue;
            }
        };
        match averages(line) {
            Some(("some", [ten, sixty, more])) => {
                let share = target.get_or_insert_default();
                share.some_10_seconds_percent = ten;
                share.some_60_seconds_percent = sixty;
                share.some_300_seconds_percent = more;
            }
            Some(("full", [ten, sixty, more])) => {
                let share = target.get_or_insert_default();
                share.full_10_seconds_percent = ten;
                share.full_60_seconds_percent = sixty;
                share.full_300_seconds_percent = more;
            }
            _ => facts.unread(),
        }
    }
    if pressure != Pressure::default() {
        facts.understood = true;
        facts.pressure = Some(pressure);
    }
}

/// `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`.
fn averages(line: &str) -> Option<(&str, [Option<f64>; 3])> {
    let mut words = line.split_whitespace();
    let kind = words.next()?;
    let mut value = |name: &str| {
        let word = words.next()?.strip_prefix(name)?;
        Some(number::percent(word))
    };
    let all = [value("avg10=")?, value("avg60=")?, value("avg300=")?];
    Some((kind, all))
}
