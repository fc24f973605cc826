//! `systemctl`: failed units, one unit, the whole system.

use super::{
    super::{
        number,
        output::{NAME, Output, WORD, some, split, text},
    },
    keep,
};
use crate::guest_command::facts::{GuestFacts, Unit, Units};

/// What `systemctl` sets in front of a unit that is not well.
const MARKS: &[char] = &['●', '○', '×', '↻', '*', '\u{fffd}'];

/// `nginx.service loaded failed failed A web server`, without a heading.
pub(in super::super) fn failed(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    for line in output.filled() {
        match unit(line) {
            Some(unit) => list.push(unit),
            None => facts.unread(),
        }
    }
    if list.is_empty() && !output.is_empty() {
        return;
    }
    let is_complete = !output.is_cut && facts.unread_lines == 0;
    keep(facts, list, is_complete);
}

fn unit(line: &str) -> Option<Unit> {
    let line = line.trim_start().trim_start_matches(MARKS);
    let (tokens, description) = split(line, 4);
    let [name, load, active, sub] = tokens.as_slice() else {
        return None;
    };
    // Every unit has its kind at the end.
    if !name.contains('.') || *active != "failed" {
        return None;
    }
    Some(Unit {
        name: text(name, NAME),
        description: some(description, NAME),
        load: some(load, WORD),
        active: some(active, WORD),
        sub: some(sub, WORD),
        ..Unit::default()
    })
}

/// `systemctl show`: `key=value`, an empty line between units.
pub(in super::super) fn status(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    let mut current = Unit::default();
    for line in output.lines() {
        if line.is_empty() {
            list.push(std::mem::take(&mut current));
            continue;
        }
        match line.split_once('=') {
            Some((key, value)) => property(key, value, &mut current),
            None => facts.unread(),
        }
    }
    list.push(current);
    list.retain(|unit| !unit.name.is_empty());
    if !list.is_empty() {
        keep(facts, list, false);
    }
}

fn property(key: &str, value: &str, unit: &mut Unit) {
    let word = || some(value, WORD);
    match key {
        "Id" => unit.name = text(value, NAME),
        "Description" => unit.description = some(value, NAME),
        "LoadState" => unit.load = word(),
        "ActiveState" => unit.active = word(),
        "SubState" => unit.sub = word(),
        "Result" => unit.result = word(),
        // Of `si_code`: 2 is killed, 3 is dumped.
        "ExecMainCode" => unit.was_signalled = matches!(value, "2" | "3" | "killed" | "dumped"),
        "ExecMainStatus" => unit.exit_status = number::small(value).map(i64::from),
        "NRestarts" => unit.restarts = number::small(value),
        // `[not set]` and 2^64-1 mean that nobody counts.
        "MemoryCurrent" => unit.memory_bytes = number::total(value),
        "TasksCurrent" => unit.tasks = number::total(value),
        "ActiveEnterTimestamp" => unit.active_since = stamp(value),
        "InactiveEnterTimestamp" => unit.inactive_since = stamp(value),
        "MainPID" => unit.pid = number::small(value).filter(|pid| *pid > 0),
        _ => {}
    }
}

fn stamp(value: &str) -> Option<String> {
    some(value, 40).filter(|value| value != "n/a")
}

/// `systemctl is-system-running`: one word.
pub(in super::super) fn system_state(output: &Output<'_>, facts: &mut GuestFacts) {
    const STATES: &[&str] = &[
        "initializing",
        "starting",
        "running",
        "degraded",
        "maintenance",
        "stopping",
        "offline",
        "unknown",
    ];
    let word = output.filled().next().map_or("", str::trim);
    if !STATES.contains(&word) {
        if !word.is_empty() {
            facts.unread();
        }
        return;
    }
    facts.understood = true;
    facts.units = Some(Units {
        system_state: some(word, WORD),
        ..Units::default()
    });
}
