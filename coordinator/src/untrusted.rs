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
    fn long_text_is_cut_at_a_character() {
        assert_eq!(line("äöüäöü", 4), "äöü…");
        assert_eq!(line("äöüä", 4), "äöüä");
    }
}
