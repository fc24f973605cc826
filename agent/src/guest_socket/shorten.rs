//! Cuts long strings out of JSON while it arrives.
//!
//! A guest agent gives the whole output of a program in one line, up to 16 MiB of it
//! for each stream, and who stops to read in the middle leaves the rest to the next
//! client, which is PVE. So the line is read to its end, and of each string only the
//! beginning is kept: what is left is a valid line that is small.

/// Takes bytes of JSON text and gives back those that are kept.
#[derive(Debug)]
pub(crate) struct Shortener {
    /// Units of one string that are kept: characters and escapes.
    limit: usize,
    state: State,
    /// Units of the current string so far.
    length: u64,
    /// Units of the strings that were cut, in order.
    cut: Vec<u64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Outside,
    Inside {
        keeps: bool,
    },
    /// After a backslash.
    Escape {
        keeps: bool,
    },
    /// Digits of `\uXXXX` that are to come.
    Digits {
        keeps: bool,
        left: u8,
    },
}

impl Shortener {
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            state: State::Outside,
            length: 0,
            cut: Vec::new(),
        }
    }

    /// Units of the strings that were cut, in the order in which they came.
    pub(crate) fn cut(&self) -> &[u64] {
        &self.cut
    }

    /// Appends to `kept` what is kept of `bytes`.
    pub(crate) fn pass(&mut self, bytes: &[u8], kept: &mut Vec<u8>) {
        let mut rest = bytes;
        while let [byte, after @ ..] = rest {
            if let Some(plain) = self.plain(rest) {
                let (run, after) = rest.split_at_checked(plain).unwrap_or((rest, &[]));
                let room = self.limit.saturating_sub(natural(self.length));
                kept.extend_from_slice(run.get(..room).unwrap_or(run));
                self.length = self.length.saturating_add(count(run));
                self.state = State::Inside {
                    keeps: !self.is_over(),
                };
                rest = after;
                continue;
            }
            if self.keeps(*byte) {
                kept.push(*byte);
            }
            rest = after;
        }
    }

    /// How many bytes from here on are units of one byte of the same string: nearly all
    /// of a long answer, which others wait behind.
    fn plain(&self, bytes: &[u8]) -> Option<usize> {
        if !matches!(self.state, State::Inside { .. }) {
            return None;
        }
        let end = memchr::memchr3(b'"', b'\\', b'\n', bytes).unwrap_or(bytes.len());
        let run = bytes.get(..end)?;
        (!run.is_empty() && run.is_ascii()).then_some(end)
    }

    fn keeps(&mut self, byte: u8) -> bool {
        // No string goes over the end of a line.
        if byte == b'\n' {
            self.state = State::Outside;
            return true;
        }
        match self.state {
            State::Outside => {
                if byte == b'"' {
                    self.state = State::Inside { keeps: true };
                    self.length = 0;
                }
                true
            }
            State::Inside { keeps } => match byte {
                b'"' => {
                    if self.is_over() {
                        self.cut.push(self.length);
                    }
                    self.state = State::Outside;
                    true
                }
                // The rest of a character in UTF-8.
                0x80..=0xbf => keeps,
                _ => {
                    self.length = self.length.saturating_add(1);
                    let keeps = !self.is_over();
                    self.state = if byte == b'\\' {
                        State::Escape { keeps }
                    } else {
                        State::Inside { keeps }
                    };
                    keeps
                }
            },
            State::Escape { keeps } => {
                self.state = if byte == b'u' {
                    State::Digits { keeps, left: 4 }
                } else {
                    State::Inside { keeps }
                };
                keeps
            }
            State::Digits { keeps, left } => {
                self.state = match left {
                    2.. => State::Digits {
                        keeps,
                        left: left - 1,
                    },
                    _ => State::Inside { keeps },
                };
                keeps
            }
        }
    }

    fn is_over(&self) -> bool {
        natural(self.length) > self.limit
    }
}

fn natural(length: u64) -> usize {
    usize::try_from(length).unwrap_or(usize::MAX)
}

fn count(run: &[u8]) -> u64 {
    u64::try_from(run.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn shortened(limit: usize, text: &str) -> (String, Vec<u64>) {
        let mut shortener = Shortener::new(limit);
        let mut kept = Vec::new();
        // In pieces, as it arrives.
        for piece in text.as_bytes().chunks(3) {
            shortener.pass(piece, &mut kept);
        }
        (String::from_utf8(kept).unwrap(), shortener.cut)
    }

    #[test]
    fn long_strings_are_cut_and_the_line_stays_whole() {
        let line = r#"{"a":"abcdef","b":[1,"x\"yz\u00e4!"],"ä":"äöüäöü"}"#;
        let (text, cut) = shortened(4, line);
        assert_eq!(text, r#"{"a":"abcd","b":[1,"x\"yz"],"ä":"äöüä"}"#);
        assert_eq!(cut, [6, 6, 6]);
        assert_eq!(shortened(6, line), (line.to_owned(), vec![]));
        assert_eq!(shortened(0, "\"a\\\"b\"\n\"\"\n").0, "\"\"\n\"\"\n");
        assert_eq!(shortened(2, r#""a\u00e4b""#).0, r#""a\u00e4""#);
    }

    fn longest(value: &Value) -> usize {
        match value {
            Value::String(text) => text.chars().count(),
            Value::Array(all) => all.iter().map(longest).max().unwrap_or(0),
            Value::Object(all) => all
                .iter()
                .map(|(key, value)| key.chars().count().max(longest(value)))
                .max()
                .unwrap_or(0),
            _ => 0,
        }
    }

    proptest! {
        #[test]
        fn any_json_stays_json(
            text in prop::collection::vec("[\\PC\\n\"\\\\]{0,20}", 1..6),
            limit in 0_usize..12,
        ) {
            let line = Value::from(text).to_string();
            let (short, _) = shortened(limit, &line);
            let value: Value = serde_json::from_str(&short).unwrap();
            prop_assert!(longest(&value) <= limit);
            prop_assert!(short.len() <= line.len());
        }

        /// Runs of plain bytes are taken at once, and are one byte long here and there.
        #[test]
        fn how_it_arrives_does_not_matter(
            text in "[a-c\\PC\n\"\\\\]{0,60}",
            limit in 0_usize..12,
            piece in 2_usize..40,
        ) {
            let passed = |piece: usize| {
                let mut kept = Vec::new();
                let mut shortener = Shortener::new(limit);
                for piece in text.as_bytes().chunks(piece) {
                    shortener.pass(piece, &mut kept);
                }
                (kept, shortener.cut, shortener.length)
            };
            prop_assert_eq!(passed(1), passed(piece));
        }

        #[test]
        fn any_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut kept = Vec::new();
            Shortener::new(3).pass(&bytes, &mut kept);
            prop_assert!(kept.len() <= bytes.len());
        }
    }
}
