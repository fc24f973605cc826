//! `tasklist /FO CSV /NH`: `"svchost.exe","912","Services","0","12,345 K"`.

use super::{
    super::{
        number,
        output::{NAME, Output, some},
        process,
    },
    csv,
};
use crate::guest_command::facts::{GuestFacts, Process};

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut all = Vec::new();
    for line in output.filled() {
        match one(line) {
            Some(process) => all.push(process),
            None => facts.unread(),
        }
    }
    process::keep(facts, all, output.is_cut);
}

fn one(line: &str) -> Option<Process> {
    let values = csv::values(line, 5)?;
    let [image, pid, _, _, memory] = values.as_slice() else {
        return None;
    };
    // `12,345 K`, `12.345 K`, `12 345 Ko`.
    let kib = number::grouped(memory.trim_end_matches(|c: char| c.is_alphabetic()));
    Some(Process {
        pid: Some(number::small(pid)?),
        resident_bytes: kib
            .and_then(|kib| kib.checked_mul(1024))
            .and_then(number::sane),
        command: some(image, NAME)?,
        ..Process::default()
    })
}
