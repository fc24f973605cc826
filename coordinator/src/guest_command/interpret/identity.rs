//! `/etc/os-release`.

use super::{
    output::{NAME, Output, WORD, some},
    pairs,
};
use crate::guest_command::facts::{GuestFacts, Identity};

pub(super) fn os_release(output: &Output<'_>, facts: &mut GuestFacts) {
    let mut identity = Identity::default();
    for (key, value) in pairs::lines(output, '=') {
        let value = unquoted(value);
        match key {
            "ID" => identity.os_id = some(&value, WORD),
            "NAME" => identity.os_name = some(&value, NAME),
            "VERSION_ID" => identity.version = some(&value, WORD),
            "PRETTY_NAME" => identity.pretty_name = some(&value, NAME),
            _ => {}
        }
    }
    if identity != Identity::default() {
        facts.understood = true;
        facts.identity = Some(identity);
    }
}

/// Values are written for a shell: in quotes when they have blanks, with backslashes
/// before quotes, dollars and backslashes.
fn unquoted(value: &str) -> String {
    let quoted = |sign: char| {
        value
            .strip_prefix(sign)
            .and_then(|rest| rest.strip_suffix(sign))
    };
    let inner = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    let mut kept = String::with_capacity(inner.len());
    let mut letters = inner.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '\\' => kept.extend(letters.next()),
            _ => kept.push(letter),
        }
    }
    kept
}
