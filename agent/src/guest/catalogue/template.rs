//! Arguments with slots: `--lines={lines}`.
//!
//! A slot is a name of lower-case letters and `_` in braces; every other brace stands
//! for itself. A value is put in once and not looked at again, so that what it holds
//! is never a slot, and one argument stays one argument.

/// The names of the slots of an argument, in order.
pub(super) fn slots(argument: &str) -> impl Iterator<Item = &str> {
    parts(argument).filter_map(|part| match part {
        Part::Slot(name) => Some(name),
        Part::Text(_) => None,
    })
}

/// The argument with its values. A slot without one is left empty; a catalogue that has
/// such a slot is refused.
pub(super) fn fill(argument: &str, values: &[(&str, &str)]) -> String {
    parts(argument)
        .map(|part| match part {
            Part::Text(text) => text,
            Part::Slot(name) => values
                .iter()
                .find(|(known, _)| *known == name)
                .map_or("", |(_, value)| value),
        })
        .collect()
}

enum Part<'a> {
    Text(&'a str),
    Slot(&'a str),
}

fn parts(argument: &str) -> impl Iterator<Item = Part<'_>> {
    let mut rest = argument;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        if let Some((name, after)) = slot_at_start(rest) {
            rest = after;
            return Some(Part::Slot(name));
        }
        // One character further at least, to the next brace.
        let first = rest.chars().next().map_or(0, char::len_utf8);
        let tail = rest.get(first..).unwrap_or_default();
        let length = first + tail.find('{').unwrap_or(tail.len());
        let (text, after) = rest.split_at(length);
        rest = after;
        Some(Part::Text(text))
    })
}

fn slot_at_start(text: &str) -> Option<(&str, &str)> {
    let (name, after) = text.strip_prefix('{')?.split_once('}')?;
    let is_name = !name.is_empty()
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    is_name.then_some((name, after))
}
