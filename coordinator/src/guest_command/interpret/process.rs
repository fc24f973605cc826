//! Processes: `ps` of Linux and of `BusyBox`; `tasklist` of Windows comes here, too.

use std::collections::HashMap;

use super::{
    number,
    output::{NAME, Output, WORD, count, some, split},
};
use crate::guest_command::facts::{GuestFacts, Process, ProcessGroup, Processes};

const TOP: usize = 15;

/// `PID PPID USER STAT %CPU %MEM RSS ELAPSED COMMAND`.
pub(super) fn full(output: &Output<'_>, facts: &mut GuestFacts) {
    read(output, facts, |line| {
        let (tokens, command) = split(line, 8);
        let [pid, parent, user, state, cpu, memory, resident, elapsed] = tokens.as_slice() else {
            return None;
        };
        Some(Process {
            pid: Some(number::small(pid)?),
            parent: number::small(parent),
            user: some(user, WORD),
            state: Some(state_of(state)?),
            // Thousands of percent are possible with many processors.
            cpu_percent: number::positive(cpu)
                .filter(|percent| *percent <= 1_000_000.0)
                .map(|percent| number::round(percent, 1)),
            memory_percent: number::percent(memory),
            resident_bytes: number::bytes(resident, 1024),
            virtual_bytes: None,
            elapsed_seconds: number::total(elapsed),
            command: some(command, NAME)?,
        })
    });
}

/// `PID PPID USER STAT VSZ RSS COMMAND`; sizes in KiB, or with a letter.
pub(super) fn basic(output: &Output<'_>, facts: &mut GuestFacts) {
    read(output, facts, |line| {
        let (tokens, command) = split(line, 6);
        let [pid, parent, user, state, size, resident] = tokens.as_slice() else {
            return None;
        };
        Some(Process {
            pid: Some(number::small(pid)?),
            parent: number::small(parent),
            user: some(user, WORD),
            state: Some(state_of(state)?),
            virtual_bytes: size_of(size),
            resident_bytes: size_of(resident),
            command: some(command, NAME)?,
            ..Process::default()
        })
    });
}

fn state_of(text: &str) -> Option<String> {
    text.starts_with(|c: char| c.is_ascii_uppercase())
        .then(|| some(text, 8))
        .flatten()
}

/// `1234`, `12m`, `1.2g`.
fn size_of(text: &str) -> Option<u64> {
    let (number, unit) = match text.char_indices().next_back()? {
        (at, 'm') => (text.split_at_checked(at)?.0, 1024.0),
        (at, 'g') => (text.split_at_checked(at)?.0, 1024.0 * 1024.0),
        (at, 't') => (text.split_at_checked(at)?.0, 1024.0 * 1024.0 * 1024.0),
        _ => return number::bytes(text, 1024),
    };
    let kib = number::positive(number).filter(|number| *number < 1e6)? * unit;
    number::bytes(&format!("{:.0}", kib), 1024)
}

fn read(output: &Output<'_>, facts: &mut GuestFacts, row: impl Fn(&str) -> Option<Process>) {
    let mut all = Vec::new();
    for line in output.filled() {
        if all.is_empty() && line.trim_start().starts_with("PID") {
            continue;
        }
        match row(line) {
            Some(process) => all.push(process),
            None => facts.unread(),
        }
    }
    keep(facts, all, output.is_cut);
}

/// Counts and ranks. Of a cut list only that ranking is known in whose order it came.
pub(super) fn keep(facts: &mut GuestFacts, all: Vec<Process>, is_cut: bool) {
    if all.is_empty() {
        return;
    }
    facts.understood = true;
    let in_state = |letter: char| {
        let all = all.iter().filter(|process| {
            process
                .state
                .as_deref()
                .is_some_and(|state| state.starts_with(letter))
        });
        all.take(TOP).cloned().collect::<Vec<_>>()
    };
    let counted = |letters: &[char]| {
        let of_state = all.iter().filter(|process| {
            process
                .state
                .as_deref()
                .is_some_and(|state| state.starts_with(letters))
        });
        u32::try_from(of_state.count()).unwrap_or(u32::MAX)
    };
    let processes = Processes {
        total: count(&all),
        running: counted(&['R']),
        uninterruptible: counted(&['D']),
        zombies: counted(&['Z']),
        stopped: counted(&['T', 't']),
        has_states: all.iter().any(|process| process.state.is_some()),
        top_by_cpu: top(&all, is_cut, |process| process.cpu_percent),
        #[expect(clippy::cast_precision_loss, reason = "only to compare")]
        top_by_memory: top(&all, is_cut, |process| {
            process.resident_bytes.map(|bytes| bytes as f64)
        }),
        waiting: in_state('D'),
        groups: if is_cut { Vec::new() } else { groups(&all) },
    };
    facts.processes = Some(processes);
}

fn top(all: &[Process], is_cut: bool, value: impl Fn(&Process) -> Option<f64>) -> Vec<Process> {
    let falls = |pair: &[Process]| match pair {
        [first, second] => value(first) >= value(second),
        _ => true,
    };
    if is_cut && !all.windows(2).all(falls) {
        return Vec::new();
    }
    let mut ranked: Vec<&Process> = all
        .iter()
        .filter(|process| value(process).is_some_and(|value| value > 0.0))
        .collect();
    ranked.sort_by(|a, b| value(b).unwrap_or(0.0).total_cmp(&value(a).unwrap_or(0.0)));
    ranked.into_iter().take(TOP).cloned().collect()
}

/// Names that several processes have.
fn groups(all: &[Process]) -> Vec<ProcessGroup> {
    let mut by_name: HashMap<&str, (u32, u64)> = HashMap::new();
    for process in all {
        let (count, bytes) = by_name.entry(&process.command).or_default();
        *count = count.saturating_add(1);
        *bytes = bytes.saturating_add(process.resident_bytes.unwrap_or(0));
    }
    let mut groups: Vec<ProcessGroup> = by_name
        .into_iter()
        .filter(|(_, (count, bytes))| {
            *count > 1 && number::sane(*bytes).is_some_and(|bytes| bytes > 0)
        })
        .map(|(name, (count, resident_bytes))| ProcessGroup {
            command: name.to_owned(),
            count,
            resident_bytes,
        })
        .collect();
    groups.sort_by(|a, b| {
        let by_size = b.resident_bytes.cmp(&a.resident_bytes);
        by_size.then_with(|| a.command.cmp(&b.command))
    });
    groups.truncate(TOP / 2);
    groups
}
