//! The section format of `storage.cfg`, `jobs.cfg`, `ha/*.cfg` and relatives.
//!
//! `type: id` at the start of a line opens a section, indented `key value` lines
//! belong to it, an empty line ends it, `#` opens a comment
//! (`pve-common@src/PVE/SectionConfig.pm`). A line that fits nowhere is reported
//! by number and skipped: PVE itself warns and goes on.

/// A parsed file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SectionConfig<'a> {
    pub sections: Vec<Section<'a>>,
    /// Numbers of lines that are not in the format, counted from 1.
    pub malformed_lines: Vec<u32>,
}

/// One section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section<'a> {
    pub kind: &'a str,
    pub id: &'a str,
    /// In order; array properties repeat their key. A key without value is a
    /// boolean that is set, and its value is `1`.
    pub properties: Vec<(&'a str, &'a str)>,
}

impl<'a> Section<'a> {
    /// The value of a key; the last one counts.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'a str> {
        self.properties
            .iter()
            .rev()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| *value)
    }
}

/// Splits a file into its sections. Never fails: what does not fit is named.
#[must_use]
pub fn parse(text: &str) -> SectionConfig<'_> {
    let mut config = SectionConfig::default();
    let mut open = false;
    for (number, line) in (1..).zip(text.lines()) {
        let content = line.trim();
        if content.starts_with('#') {
            continue;
        }
        if content.is_empty() {
            open = false;
        } else if line.starts_with([' ', '\t']) {
            match config.sections.last_mut().filter(|_| open) {
                Some(section) => {
                    let (key, value) = content
                        .split_once(char::is_whitespace)
                        .map_or((content, "1"), |(key, value)| (key, value.trim()));
                    section.properties.push((key, value));
                }
                None => config.malformed_lines.push(number),
            }
        } else if let Some(section) = header(content) {
            config.sections.push(section);
            open = true;
        } else {
            config.malformed_lines.push(number);
            open = false;
        }
    }
    config
}

fn header(line: &str) -> Option<Section<'_>> {
    let (kind, id) = line.split_once(':')?;
    let (kind, id) = (kind.trim(), id.trim());
    let is_word = |word: &str| !word.is_empty() && !word.contains(char::is_whitespace);
    (is_word(kind) && is_word(id)).then(|| Section {
        kind,
        id,
        properties: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sections_end_at_an_empty_line() {
        let config =
            parse("dir: tank\n\tpath /tank\n\tdisable\n\n# note\nnfs: n1\n  server 10.0.0.1\n");
        assert_eq!(config.sections.len(), 2);
        assert_eq!(config.sections[0].get("path"), Some("/tank"));
        assert_eq!(config.sections[0].get("disable"), Some("1"));
        assert_eq!(config.sections[1].id, "n1");
        assert_eq!(config.malformed_lines, Vec::<u32>::new());
    }

    #[test]
    fn a_line_that_fits_nowhere_is_named_and_skipped() {
        let config = parse("garbage\n\tpath /x\n\ndir: a\n\tpath /a\n");
        assert_eq!(config.malformed_lines, [1, 2]);
        assert_eq!(config.sections.len(), 1);
    }

    proptest! {
        #[test]
        fn any_text_is_split(text in "([a-z]{1,4}: ?[a-z0-9]{0,4}|\t?[a-z]{1,5} ?\\PC{0,9}|#?|\\PC{0,12})(\n([a-z]{1,4}: ?[a-z0-9]{0,4}|\t?[a-z]{1,5} ?\\PC{0,9}|#?)){0,8}") {
            let lines = text.lines().count();
            let config = parse(&text);
            prop_assert!(config.sections.len() + config.malformed_lines.len() <= lines);
        }
    }
}
