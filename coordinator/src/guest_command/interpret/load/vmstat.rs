//! `vmstat 1 {samples}`.

use super::super::{number, output::Output};
use crate::guest_command::facts::{Cpu, GuestFacts};

/// Columns, by their headings; which there are depends on the version.
const COLUMNS: [&str; 12] = [
    "r", "b", "si", "so", "bi", "bo", "cs", "us", "sy", "id", "wa", "st",
];

type Sample = [Option<f64>; COLUMNS.len()];

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut headings: Vec<&str> = Vec::new();
    let mut samples: Vec<Sample> = Vec::new();
    for line in output.filled() {
        let words: Vec<&str> = line.split_whitespace().take(40).collect();
        match words.first() {
            // The heading comes again when a screen is full.
            Some(&"r") => headings = words,
            Some(first) if first.starts_with("procs") => {}
            _ => match sample(&headings, &words) {
                Some(sample) => samples.push(sample),
                None => facts.unread(),
            },
        }
    }
    let since_start = samples.len() == 1;
    let counted = if since_start {
        samples.as_slice()
    } else {
        samples.get(1..).unwrap_or_default()
    };
    if counted.is_empty() {
        return;
    }
    let mean = |name: &str| mean(counted, name);
    // `vmstat` counts in KiB.
    let bytes = |name: &str| mean(name).map(|kib| number::round(kib * 1024.0, 0));
    let percent = |name: &str| mean(name).filter(|percent| *percent <= 100.0);
    let (user, system) = (percent("us"), percent("sy"));
    facts.understood = true;
    facts.cpu = Some(Cpu {
        samples: super::super::output::count(counted),
        since_start,
        run_queue: mean("r"),
        blocked: mean("b"),
        swap_in_bytes_per_second: bytes("si"),
        swap_out_bytes_per_second: bytes("so"),
        block_in_bytes_per_second: bytes("bi"),
        block_out_bytes_per_second: bytes("bo"),
        context_switches_per_second: mean("cs"),
        user_percent: user,
        system_percent: system,
        idle_percent: percent("id"),
        wait_percent: percent("wa"),
        steal_percent: percent("st"),
        busy_percent: user
            .zip(system)
            .map(|(user, system)| number::round((user + system).min(100.0), 1)),
        ..Cpu::default()
    });
}

fn sample(headings: &[&str], words: &[&str]) -> Option<Sample> {
    if headings.len() < 15 || words.len() != headings.len() {
        return None;
    }
    let mut sample = [None; COLUMNS.len()];
    for (heading, word) in headings.iter().zip(words) {
        let value = number::total(word)?;
        let column = COLUMNS.iter().position(|column| column == heading);
        if let Some(slot) = column.and_then(|column| sample.get_mut(column)) {
            *slot = number::positive(&value.to_string());
        }
    }
    Some(sample)
}

/// None unless all samples have it.
fn mean(samples: &[Sample], name: &str) -> Option<f64> {
    let column = COLUMNS.iter().position(|column| *column == name)?;
    let values: Option<Vec<f64>> = samples.iter().map(|sample| *sample.get(column)?).collect();
    average(&values?)
}

/// None of nothing.
pub(in super::super) fn average(values: &[f64]) -> Option<f64> {
    let count = u32::try_from(values.len())
        .ok()
        .filter(|count| *count > 0)?;
    Some(number::round(
        values.iter().sum::<f64>() / f64::from(count),
        1,
    ))
}
