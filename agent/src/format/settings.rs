//! Files of `key: value` lines, as `datacenter.cfg` and `vzdump.conf`.
//!
//! `#` opens a line of notes (`pve-common@src/PVE/JSONSchema.pm`, parse_config).
//! A line that fits nowhere is reported by number and skipped, as PVE does.

/// A parsed file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings<'a> {
    /// In order.
    pub pairs: Vec<(&'a str, &'a str)>,
    /// Whether a `#` line says something.
    pub has_notes: bool,
    /// Numbers of lines that are not in the format, counted from 1.
    pub malformed_lines: Vec<u32>,
}

impl<'a> Settings<'a> {
    /// The value of a key; the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        last(&self.pairs, key)
    }

    #[must_use]
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// The value of a key, or nothing.
    #[must_use]
    pub fn text(&self, key: &str) -> String {
        self.get(key).unwrap_or_default().to_owned()
    }
}

/// The last value of a key.
#[must_use]
pub fn last<'a>(pairs: &[(&str, &'a str)], key: &str) -> Option<&'a str> {
    let mut newest_first = pairs.iter().rev();
    newest_first
        .find(|(name, _)| *name == key)
        .map(|(_, value)| *value)
}

/// Splits a file into its settings. Never fails: what does not fit is named.
#[must_use]
pub fn parse(text: &str) -> Settings<'_> {
    let mut settings = Settings::default();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(note) = line.strip_prefix('#') {
            settings.has_notes |= !note.trim().is_empty();
        } else if let Some((key, value)) = pair(line) {
            settings.pairs.push((key, value));
        } else if !line.is_empty() {
            settings.malformed_lines.push(number);
        }
    }
    settings
}

fn pair(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(':')?;
    let is_word = !key.is_empty() && !key.contains(char::is_whitespace);
    is_word.then(|| (key, value.trim()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_last_value_of_a_key_counts_and_a_value_may_hold_colons() {
        let settings = parse("# note\nfencing: watchdog\n\nmac_prefix: BC:24:11\nfencing: both\n");
        assert!(settings.has_notes);
        assert_eq!(settings.get("fencing"), Some("both"));
        assert_eq!(settings.get("mac_prefix"), Some("BC:24:11"));
        assert_eq!(settings.get("console"), None);
        assert_eq!(settings.malformed_lines, Vec::<u32>::new());
    }

    #[test]
    fn a_line_that_fits_nowhere_is_named_and_skipped() {
        let settings = parse("no colon\n: no key\ntwo words: x\nok: \n");
        assert_eq!(settings.malformed_lines, [1, 2, 3]);
        assert_eq!(settings.pairs, [("ok", "")]);
        assert!(!settings.has_notes);
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in "([a-z]{0,4}:? ?\\PC{0,9}\n?|#|\n){0,9}") {
            let settings = parse(&text);
            let lines = text.lines().count();
            prop_assert!(settings.pairs.len() + settings.malformed_lines.len() <= lines);
        }
    }
}
