//! `vssadmin list writers`.

use super::super::{
    number,
    output::{NAME, Output, some, text},
};
use crate::guest_command::facts::{GuestFacts, VssWriter};

const LIMIT: usize = 40;
/// The first of the states that mean a failure (`VSS_WS_FAILED_AT_IDENTIFY`).
const FAILED: u32 = 6;

/// `Writer name: 'System Writer'`, then indented lines: two ids, `State: [1] Stable`,
/// `Last error: No error`.
pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut list: Vec<VssWriter> = Vec::new();
    for line in output.filled() {
        let Some((_, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        if !line.starts_with(char::is_whitespace) {
            if let Some(name) = value
                .strip_prefix('\'')
                .and_then(|name| name.strip_suffix('\''))
            {
                list.push(VssWriter {
                    name: text(name, NAME),
                    ..VssWriter::default()
                });
            }
            continue;
        }
        let Some(writer) = list.last_mut() else {
            continue;
        };
        if let Some((state, words)) = value
            .strip_prefix('[')
            .and_then(|rest| rest.split_once(']'))
        {
            writer.state = number::small(state).filter(|state| *state < 100);
            writer.state_text = some(words, NAME);
            writer.failed = writer.state.is_some_and(|state| state >= FAILED);
        } else if writer.state.is_some() {
            writer.last_error = some(value, NAME);
        }
    }
    if output.is_cut
        && list
            .last()
            .is_some_and(|writer| writer.last_error.is_none())
    {
        list.pop();
    }
    if list.is_empty() {
        return;
    }
    facts.understood = true;
    list.sort_by_key(|writer| !writer.failed);
    facts.bound("vss_writers", &mut list, LIMIT);
    facts.vss_writers = Some(list);
}
