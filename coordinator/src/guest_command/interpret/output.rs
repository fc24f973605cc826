//! The output of one command on its way to facts.

use serde_json::Value;

use crate::{guest_command::facts::GuestFacts, untrusted};

/// Bytes that are read; the agent gives less.
const TEXT_LIMIT: usize = 4 << 20;

/// Bytes of texts that facts keep.
pub(super) const WORD: usize = 32;
pub(super) const NAME: usize = 96;
pub(super) const PATH: usize = 160;
pub(super) const LINE: usize = 240;

/// Text that a guest printed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Output<'a> {
    pub(super) text: &'a str,
    /// There was more.
    pub(super) is_cut: bool,
}

impl<'a> Output<'a> {
    pub(super) fn new(text: &'a str, is_cut: bool) -> Self {
        let end = text.floor_char_boundary(TEXT_LIMIT);
        let (kept, rest) = text.split_at_checked(end).unwrap_or((text, ""));
        Self {
            text: kept,
            is_cut: is_cut || !rest.is_empty(),
        }
    }

    /// Whole lines without their ends, empty ones too. The last line of a cut text
    /// may be half a line, so it is none.
    pub(super) fn lines(&self) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
        let text = if self.is_cut {
            self.text.rsplit_once('\n').map_or("", |(whole, _)| whole)
        } else {
            self.text
        };
        text.lines()
    }

    /// Lines with something in them.
    pub(super) fn filled(&self) -> impl DoubleEndedIterator<Item = &'a str> + use<'a> {
        self.lines().filter(|line| !line.trim().is_empty())
    }

    /// There was no output at all, which some commands mean as "none".
    pub(super) fn is_empty(&self) -> bool {
        !self.is_cut && self.text.trim().is_empty()
    }
}

/// One line of at most `limit` bytes, without what would control a terminal.
pub(super) fn text(text: &str, limit: usize) -> String {
    let mut shown = untrusted::line(text.trim(), limit).into_owned();
    if shown.len() > limit {
        shown.truncate(shown.floor_char_boundary(limit.saturating_sub('…'.len_utf8())));
        shown.push('…');
    }
    shown
}

/// As [`text`]; nothing for an empty text.
pub(super) fn some(value: &str, limit: usize) -> Option<String> {
    Some(text(value, limit)).filter(|text| !text.is_empty())
}

/// A string member of a JSON object.
pub(super) fn member(object: &Value, name: &str, limit: usize) -> Option<String> {
    some(object.get(name)?.as_str()?, limit)
}

/// `first` tokens that blanks separate, and what follows them, trimmed.
pub(super) fn split(line: &str, first: usize) -> (Vec<&str>, &str) {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while tokens.len() < first && !rest.is_empty() {
        let (token, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        tokens.push(token);
        rest = after.trim_start();
    }
    (tokens, rest.trim_end())
}

impl GuestFacts {
    pub(super) fn unread(&mut self) {
        self.unread_lines = self.unread_lines.saturating_add(1);
    }
}

/// Length of a list, as facts have counts.
pub(super) fn count<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_line_is_none() {
        let lines = |text, is_cut| Output::new(text, is_cut).lines().collect::<Vec<_>>();
        assert_eq!(lines("a\r\nb\n\nc", false), ["a", "b", "", "c"]);
        assert_eq!(lines("a\nb\nc", true), ["a", "b"]);
        assert_eq!(lines("a\nb\n", true), ["a", "b"]);
        assert_eq!(lines("a", true), Vec::<&str>::new());
        assert!(Output::new(" \n", false).is_empty());
        assert!(!Output::new("", true).is_empty());
    }

    #[test]
    fn texts_are_bounded_in_bytes() {
        assert_eq!(text("  a\nb ", 8), "a\u{fffd}b");
        assert_eq!(text("äöüäöü", 8), "äö…");
        assert!(text(&"😀".repeat(100), NAME).len() <= NAME);
        assert_eq!(some("  ", 8), None);
    }

    #[test]
    fn tokens_are_split_off() {
        assert_eq!(split("  a  b c  d ", 2), (vec!["a", "b"], "c  d"));
        assert_eq!(split("a", 3), (vec!["a"], ""));
    }
}
