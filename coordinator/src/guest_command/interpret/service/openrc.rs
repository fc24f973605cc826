//! `rc-status --all --nocolor`.

use std::collections::HashSet;

use super::{
    super::{
        number,
        output::{NAME, Output, WORD, some},
    },
    keep,
};
use crate::guest_command::facts::{GuestFacts, Unit};

/// ` sshd                    [  started 10:01:02 (0) ]`, below `Runlevel: default`.
pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list = Vec::new();
    // A service may be in several runlevels.
    let mut seen = HashSet::new();
    let mut has_heading = false;
    for line in output.filled() {
        if !line.starts_with(char::is_whitespace) {
            has_heading |= line.contains("unlevel");
            continue;
        }
        match service(line) {
            Some(unit) => {
                if seen.insert(unit.name.clone()) {
                    list.push(unit);
                }
            }
            None => facts.unread(),
        }
    }
    if has_heading && !list.is_empty() {
        let is_complete = !output.is_cut && facts.unread_lines == 0;
        keep(facts, list, is_complete);
    }
}

fn service(line: &str) -> Option<Unit> {
    let (name, rest) = line.trim().rsplit_once('[')?;
    let state = rest.strip_suffix(']')?.trim();
    let mut words = state.split_whitespace();
    let word = words.next()?;
    let active = match word {
        "started" => "active",
        "stopped" | "inactive" | "scheduled" => "inactive",
        "starting" => "activating",
        "stopping" => "deactivating",
        "crashed" | "failed" | "unsupervised" => "failed",
        _ => return None,
    };
    Some(Unit {
        name: some(name, NAME)?,
        active: some(active, WORD),
        sub: some(word, WORD),
        // How often its supervisor started it again.
        restarts: words
            .next_back()
            .and_then(|word| word.strip_prefix('(')?.strip_suffix(')'))
            .and_then(number::small),
        ..Unit::default()
    })
}
