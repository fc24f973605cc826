//! `sc queryex`: blocks of lines, states and codes by number.

use super::super::{
    number,
    output::{NAME, Output, WORD, some, text},
    service,
};
use crate::guest_command::facts::{GuestFacts, Unit};

/// It was not started since Windows was (`ERROR_SERVICE_NEVER_STARTED`).
const NEVER_STARTED: i64 = 1077;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut blocks: Vec<Block> = Vec::new();
    for line in output.filled() {
        if line.starts_with(char::is_whitespace) {
            // Flags of the state have a line of their own, in brackets.
            if let (Some(block), Some((_, value))) = (blocks.last_mut(), line.split_once(':')) {
                block.values.push(number_of(value));
                if block.values.len() == STATE + 1 {
                    block.word = value
                        .split_whitespace()
                        .nth(1)
                        .and_then(|word| some(word, WORD));
                }
            }
            continue;
        }
        match line.split_once(": ") {
            // The second line of a block is the name that people read.
            Some((_, value)) => match blocks.last_mut() {
                Some(block) if block.values.is_empty() && block.display.is_none() => {
                    block.display = some(value, NAME);
                }
                _ => blocks.push(Block::new(value)),
            },
            None => facts.unread(),
        }
    }
    // The values of the last one may be cut off.
    if output.is_cut {
        blocks.pop();
    }
    let before = blocks.len();
    // A list says the kind of each; one that was asked for alone has no second name.
    let is_complete = blocks.len() > 1 && !output.is_cut;
    let units: Vec<Unit> = blocks.into_iter().filter_map(Block::unit).collect();
    for _ in units.len()..before {
        facts.unread();
    }
    if !units.is_empty() {
        service::keep(facts, units, is_complete);
    }
}

/// Positions of the values in a block.
const STATE: usize = 1;
const EXIT: usize = 2;
const OWN_EXIT: usize = 3;
const PID: usize = 6;

#[derive(Debug)]
struct Block {
    name: String,
    display: Option<String>,
    values: Vec<Option<i64>>,
    word: Option<String>,
}

impl Block {
    fn new(name: &str) -> Self {
        Self {
            name: text(name, NAME),
            display: None,
            values: Vec::new(),
            word: None,
        }
    }

    fn unit(self) -> Option<Unit> {
        let value = |position: usize| self.values.get(position).copied().flatten();
        // Of `SERVICE_STATUS_PROCESS`.
        let (active, sub) = match value(STATE)? {
            1 => ("inactive", "stopped"),
            2 => ("activating", "start-pending"),
            3 => ("deactivating", "stop-pending"),
            4 => ("active", "running"),
            5 => ("activating", "continue-pending"),
            6 => ("active", "pause-pending"),
            7 => ("active", "paused"),
            _ => return None,
        };
        // 1066: the service has a code of its own.
        let exit = match value(EXIT) {
            Some(1066) => value(OWN_EXIT),
            other => other,
        };
        let has_failed =
            active == "inactive" && exit.is_some_and(|exit| exit != 0 && exit != NEVER_STARTED);
        if self.name.is_empty() {
            return None;
        }
        Some(Unit {
            pid: value(PID)
                .and_then(|pid| u32::try_from(pid).ok())
                .filter(|pid| *pid > 0),
            name: self.name,
            description: self.display,
            active: some(if has_failed { "failed" } else { active }, WORD),
            sub: some(sub, WORD),
            exit_status: exit.filter(|exit| *exit != NEVER_STARTED),
            ..Unit::default()
        })
    }
}

/// `1  STOPPED`, `1077  (0x435)`, `0x0`.
fn number_of(value: &str) -> Option<i64> {
    let word = value.split_whitespace().next()?;
    match word.strip_prefix("0x") {
        Some(digits) => i64::from_str_radix(digits, 16)
            .ok()
            .filter(|value| *value >= 0),
        None => number::small(word).map(i64::from),
    }
}
