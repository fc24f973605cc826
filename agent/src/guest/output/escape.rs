//! Leaves out of a text what a terminal would obey and what nobody would see.

/// Characters of one escape sequence; a longer one is none.
const SEQUENCE_LIMIT: usize = 256;

/// The text with its line ends as `\n`, and how many characters were left out.
pub(super) fn visible(text: &str) -> (String, u64) {
    let mut kept = String::with_capacity(text.len());
    let mut removed = 0_u64;
    let mut rest = text.chars();
    while let Some(letter) = rest.next() {
        match letter {
            '\n' | '\t' => kept.push(letter),
            '\r' if rest.as_str().starts_with('\n') => {}
            '\u{1b}' => {
                let length = sequence(rest.as_str());
                removed = removed.saturating_add(1);
                for _ in rest.by_ref().take(length) {
                    removed = removed.saturating_add(1);
                }
            }
            _ if is_unseen(letter) => removed = removed.saturating_add(1),
            _ => kept.push(letter),
        }
    }
    (kept, removed)
}

/// Characters of the sequence that follows an escape (ECMA-48 §5.4 and §5.6).
fn sequence(text: &str) -> usize {
    let bounded = || text.chars().take(SEQUENCE_LIMIT).enumerate();
    match text.chars().next() {
        Some('[') => bounded()
            .skip(1)
            .find(|(_, c)| !matches!(c, '\u{20}'..='\u{3f}'))
            .map_or(1, |(at, c)| {
                if matches!(c, '\u{40}'..='\u{7e}') {
                    at + 1
                } else {
                    at
                }
            }),
        // A string, to its end: BEL, or an escape of its own.
        Some(']' | 'P' | '_' | '^' | 'X') => bounded()
            .skip(1)
            .find(|(_, c)| matches!(c, '\u{7}' | '\u{1b}' | '\n'))
            .map_or(1, |(at, c)| if c == '\u{7}' { at + 1 } else { at }),
        Some('(' | ')' | '#' | '%' | ' ') => 2,
        Some('\n') | None => 0,
        Some(_) => 1,
    }
}

/// Controls, what turns the direction of the text around it, and what has no width.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(
            letter,
            '\u{ad}'
                | '\u{61c}'
                | '\u{115f}'
                | '\u{1160}'
                | '\u{17b4}'
                | '\u{17b5}'
                | '\u{180b}'..='\u{180f}'
                | '\u{200b}'..='\u{200f}'
                | '\u{2028}'..='\u{202e}'
                | '\u{2060}'..='\u{206f}'
                | '\u{3164}'
                | '\u{feff}'
                | '\u{ffa0}'
                | '\u{fff0}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0000}'..='\u{e0fff}'
        )
}
