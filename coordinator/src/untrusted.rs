//! Text that guests, tenants or nodes chose: made safe to show, never obeyed.

use std::borrow::Cow;

/// Characters of a name that are shown.
pub const NAME_LIMIT: usize = 64;

/// One line without control, formatting or direction-changing characters, cut
/// at `limit` characters with an ellipsis.
#[must_use]
pub fn line(text: &str, limit: usize) -> Cow<'_, str> {
    if text.chars().all(is_plain) && text.chars().count() <= limit {
        return Cow::Borrowed(text);
    }
    let mut shown: String = text
        .chars()
        .map(|c| if is_plain(c) { c } else { '\u{fffd}' })
        .take(limit)
        .collect();
    if text.chars().count() > limit {
        shown.pop();
        shown.push('…');
    }
    Cow::Owned(shown)
}

/// Text of several lines, cut at `limit` bytes at the end of a character; says
/// whether it was cut. Tabs and line breaks stay, those of Windows too, as `\n`.
#[must_use]
pub fn lines(text: &str, limit: usize) -> (String, bool) {
    let mut shown = String::with_capacity(text.len().min(limit));
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        let c = match c {
            '\r' if rest.peek() == Some(&'\n') => continue,
            '\n' | '\t' => c,
            c if is_plain(c) => c,
            _ => '\u{fffd}',
        };
        if shown.len() + c.len_utf8() > limit {
            return (shown, true);
        }
        shown.push(c);
    }
    (shown, false)
}

/// A name, at its usual length.
#[must_use]
pub fn name(text: &str) -> Cow<'_, str> {
    line(text, NAME_LIMIT)
}

/// Neither a control character (line breaks and escape sequences begin with
/// one) nor one of the invisible characters that reorder or hide text
/// (Unicode Standard Annex 9; Unicode Technical Report 36).
fn is_plain(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escape_sequences_and_hidden_characters_are_replaced() {
        assert_eq!(line("web-1", 64), "web-1");
        assert_eq!(line("a\x1b[31mb", 64), "a\u{fffd}[31mb");
        assert_eq!(
            line("a\nb\u{202e}c\u{200b}", 64),
            "a\u{fffd}b\u{fffd}c\u{fffd}"
        );
    }

    #[test]
    fn lines_stay_lines() {
        assert_eq!(
            lines("a\tb\r\nc\rd\x1b[2J\n", 99),
            ("a\tb\nc\u{fffd}d\u{fffd}[2J\n".to_owned(), false)
        );
        assert_eq!(lines("äöü", 5), ("äö".to_owned(), true));
        assert_eq!(lines("äöü", 6), ("äöü".to_owned(), false));
    }

    #[test]
    fn long_text_is_cut_at_a_character() {
        assert_eq!(line("äöüäöü", 4), "äöü…");
        assert_eq!(line("äöüä", 4), "äöüä");
    }
}
