//! `typeperf` of four counters: processor time, available memory, pages, disk queue.

use super::{
    super::{
        load::vmstat::average,
        number,
        output::{Output, count},
    },
    csv,
};
use crate::guest_command::facts::{Cpu, GuestFacts, Memory};

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut columns: [Vec<f64>; 4] = Default::default();
    let mut samples = Vec::new();
    for line in output.filled() {
        // A heading, and two lines of words at the end.
        let Some(values) = csv::values(line, 6).filter(|values| values.len() == 5) else {
            continue;
        };
        if values
            .first()
            .is_some_and(|first| first.starts_with("(PDH-CSV"))
        {
            continue;
        }
        samples.push(());
        for (column, value) in columns.iter_mut().zip(values.iter().skip(1)) {
            column.extend(number::positive(value.trim()));
        }
    }
    let [busy, available, pages, queue] = &columns;
    if samples.is_empty() || columns.iter().all(Vec::is_empty) {
        return;
    }
    facts.understood = true;
    facts.cpu = Some(Cpu {
        samples: count(&samples),
        busy_percent: average(busy).filter(|percent| *percent <= 100.0),
        pages_per_second: average(pages),
        disk_queue: average(queue),
        ..Cpu::default()
    });
    let available = available.iter().copied().fold(f64::INFINITY, f64::min);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "not negative, and too large is none"
    )]
    let available = available
        .is_finite()
        .then_some(available as u64)
        .and_then(number::sane);
    // The lowest of the samples.
    facts.memory = available.map(|available| Memory {
        available_bytes: Some(available),
        ..Memory::default()
    });
}
