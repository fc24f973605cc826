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
        for byte in bytes {
            if self.keeps(*byte) {
                kept.push(*byte);
            }
        }
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
        usize::try_from(self.length).is_ok_and(|length| length > self.limit)
    }
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

        #[test]
        fn any_bytes_pass(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut kept = Vec::new();
            Shortener::new(3).pass(&bytes, &mut kept);
            prop_assert!(kept.len() <= bytes.len());
        }
    }
}
