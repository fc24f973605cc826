//! `systeminfo /FO CSV /NH`: one record, its values in a fixed order.

use super::{
    super::{memory, number, output::Output},
    csv, known,
};
use crate::guest_command::facts::{GuestFacts, Identity, Memory};

/// Positions of values, the same since Windows 7.
const HOST: usize = 0;
const NAME_OF_OS: usize = 1;
const VERSION: usize = 2;
const BOOTED: usize = 10;
const TYPE: usize = 13;
const TIME_ZONE: usize = 21;
const MEMORY_TOTAL: usize = 22;
const MEMORY_AVAILABLE: usize = 23;
const PAGED_LIMIT: usize = 24;
const PAGED_USED: usize = 26;

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    for line in output.filled() {
        let Some(values) = csv::values(line, 60).filter(|values| values.len() > PAGED_USED) else {
            facts.unread();
            continue;
        };
        let value = |position: usize| values.get(position).map(String::as_str).unwrap_or_default();
        facts.identity = Some(Identity {
            os_id: Some("mswindows".to_owned()),
            pretty_name: known(value(NAME_OF_OS)),
            // `10.0.17763 N/A Build 17763`
            kernel: value(VERSION).split_whitespace().next().and_then(known),
            // `x64-based PC`
            architecture: value(TYPE).split(['-', ' ']).next().and_then(known),
            hostname: known(value(HOST)),
            booted: known(value(BOOTED)),
            time_zone: known(value(TIME_ZONE)),
            ..Identity::default()
        });
        facts.understood = true;
        let megabytes = |position: usize| bytes(value(position));
        memory::finish(
            Memory {
                total_bytes: megabytes(MEMORY_TOTAL),
                available_bytes: megabytes(MEMORY_AVAILABLE),
                commit_limit_bytes: megabytes(PAGED_LIMIT),
                committed_bytes: megabytes(PAGED_USED),
                ..Memory::default()
            },
            facts,
        );
        return;
    }
}

/// `8,191 MB`, `8.191 MB`, `8 191 Mo`.
fn bytes(text: &str) -> Option<u64> {
    let digits = text.trim_end_matches(|c: char| c.is_alphabetic());
    number::grouped(digits)?
        .checked_mul(1 << 20)
        .and_then(number::sane)
}
