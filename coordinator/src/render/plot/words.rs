//! Words of a plot: how wide they are, cut to a width, and in ASCII where needed.

use super::{
    Layout,
    paint::{Tone, paint},
};

/// How words are written.
#[derive(Debug)]
pub(super) struct Words {
    pub(super) width: usize,
    pub(super) color: bool,
    pub(super) unicode: bool,
}

impl Words {
    pub(super) fn new(layout: &Layout) -> Self {
        Self {
            width: usize::from(layout.width),
            color: layout.color,
            unicode: layout.unicode,
        }
    }

    /// A name that somebody else chose.
    pub(super) fn name(&self, name: &str) -> String {
        self.plain(&crate::untrusted::name(name))
    }

    /// A title, which holds names; longer than a name may be.
    pub(super) fn title(&self, title: &str) -> String {
        let title = self.plain(&crate::untrusted::line(title, self.width.max(1)));
        self.cut(&title, self.width)
    }

    /// Our own text, with what ASCII has instead of our symbols.
    pub(super) fn plain(&self, text: &str) -> String {
        if self.unicode {
            return text.to_owned();
        }
        text.chars()
            .filter(|c| *c != '°')
            .map(|c| match c {
                '…' => '~',
                'µ' => 'u',
                c if c.is_ascii() => c,
                _ => '?',
            })
            .collect()
    }

    /// What a band looks like.
    pub(super) fn band(&self) -> char {
        match (self.unicode, self.color) {
            (true, true) => '⢕',
            (true, false) => '░',
            (false, _) => ':',
        }
    }

    /// At most `limit` columns; what is cut ends in an ellipsis.
    pub(super) fn cut(&self, text: &str, limit: usize) -> String {
        if width(text) <= limit {
            return text.to_owned();
        }
        let mut kept = String::new();
        let mut room = limit.saturating_sub(1);
        for c in text.chars() {
            let Some(left) = room.checked_sub(char_width(c)) else {
                break;
            };
            room = left;
            kept.push(c);
        }
        if limit > 0 {
            kept.push(if self.unicode { '…' } else { '~' });
        }
        kept
    }

    /// At the right end of `columns`.
    pub(super) fn right(&self, text: &str, columns: usize) -> String {
        let text = self.cut(&self.plain(text), columns);
        format!("{}{text}", " ".repeat(columns - width(&text)))
    }

    /// At the left end of `columns`.
    pub(super) fn left(&self, text: &str, columns: usize) -> String {
        let text = self.cut(&self.plain(text), columns);
        let blanks = columns - width(&text);
        format!("{text}{}", " ".repeat(blanks))
    }

    /// Writes one line, without blanks at its end and never wider than the plot.
    pub(super) fn line(&self, out: &mut String, pieces: &[(Tone, String)]) {
        let mut room = self.width;
        let mut shown: Vec<(Tone, String)> = Vec::with_capacity(pieces.len());
        for (tone, text) in pieces {
            let text = self.cut(text, room);
            room = room.saturating_sub(width(&text));
            shown.push((*tone, text));
        }
        while let Some((_, text)) = shown.last_mut() {
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                break;
            }
            shown.pop();
        }
        for (tone, text) in shown {
            out.push_str(&paint(&text, tone, self.color));
        }
        out.push('\n');
    }
}

/// Columns of a text; never fewer than a terminal takes.
pub(super) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// Two columns for every character that may take two. Combining ones count as
/// one: a name in such a script may be cut early, but a line is never too wide.
fn char_width(c: char) -> usize {
    match c {
        // No wide character stands before Hangul.
        '\0'..='\u{10ff}'
        // Letters with accents, and Greek ones.
        | '\u{1e00}'..='\u{1fff}'
        // Punctuation to arrows, mathematics, boxes and blocks, Braille.
        | '\u{2010}'..='\u{2027}'
        | '\u{2070}'..='\u{209f}'
        | '\u{2190}'..='\u{2193}'
        | '\u{2200}'..='\u{22ff}'
        | '\u{2500}'..='\u{25fc}'
        | '\u{2800}'..='\u{28ff}'
        | '\u{fffd}' => 1,
        // The one character that is wider: a Khmer sign for et cetera.
        '\u{17d8}' => 3,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(unicode: bool) -> Words {
        Words {
            width: 20,
            color: false,
            unicode,
        }
    }

    #[test]
    fn text_is_cut_at_its_columns() {
        assert_eq!(words(true).cut("web-1", 5), "web-1");
        assert_eq!(words(true).cut("web-12", 5), "web-…");
        assert_eq!(words(true).cut("数据库", 5), "数据…");
        assert_eq!(words(true).cut("数据库", 4), "数…");
        assert_eq!(words(false).cut("web-12", 5), "web-~");
        assert_eq!(words(true).cut("web", 0), "");
    }

    #[test]
    fn ascii_is_ascii() {
        assert_eq!(words(false).plain("41 °C…µ数"), "41 C~u?");
    }

    #[test]
    fn no_character_is_wider_than_counted() {
        for c in '\0'..=char::MAX {
            let known = unicode_width::UnicodeWidthChar::width(c).unwrap_or(0);
            assert!(known <= char_width(c), "{c:?} takes {known}");
        }
    }
}
