//! Programs of Windows, whose texts may be translated: read by order and by number.

use super::{
    number,
    output::{NAME, Output, some},
};
use crate::guest_command::facts::{FileSystem, GuestFacts};

pub(super) mod counters;
pub(super) mod csv;
pub(super) mod event_kind;
pub(super) mod events;
pub(super) mod processes;
pub(super) mod services;
pub(super) mod system;
pub(super) mod vss_writers;

/// `fsutil volume diskfree`: free, all, free for this user. The drive is not in it, so
/// `mount` stays empty.
///
/// `Total free bytes        :  59,124,285,440 ( 55.1 GB)`; older ones have no brackets.
pub(super) fn disk_free(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut numbers = Vec::new();
    for line in output.filled() {
        let value = line.rsplit_once(" : ").or_else(|| line.rsplit_once(": "));
        match value.and_then(|(_, value)| size(value)) {
            Some(bytes) => numbers.push(bytes),
            None => facts.unread(),
        }
    }
    let [free, size, available, ..] = numbers.as_slice() else {
        return;
    };
    if *size == 0 || free > size {
        return;
    }
    let mut one = FileSystem::default();
    let used = size.checked_sub(*free);
    super::disk::file_system::sizes(
        &mut one,
        Some(*size),
        used,
        Some(*available).filter(|available| available <= free),
    );
    // A quota may leave less than is free.
    one.used_percent = used.and_then(|used| number::share(used, *size));
    super::disk::file_system::keep(facts, vec![one]);
}

/// Digits up to the bracket.
fn size(value: &str) -> Option<u64> {
    number::grouped(value.split('(').next().unwrap_or(value))
}

/// A value that Windows does not have.
fn known(value: &str) -> Option<String> {
    some(value, NAME).filter(|value| !matches!(value.as_str(), "N/A" | "n/a" | "Nicht zutreffend"))
}
