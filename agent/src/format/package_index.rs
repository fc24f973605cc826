//! Stanzas of packages, as in dpkg's database and in apt's indexes.
//!
//! Such files have megabytes: they are gone through once, and only the fields that
//! are asked for are looked at.

/// What a stanza says of its package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Stanza<'a> {
    pub name: &'a str,
    /// `install ok installed`; only in dpkg's database.
    pub status: &'a str,
    pub version: &'a str,
}

/// The stanzas of a text that have a name.
pub fn stanzas(text: &str) -> impl Iterator<Item = Stanza<'_>> {
    let mut lines = text.lines();
    std::iter::from_fn(move || {
        let mut stanza = Stanza::default();
        for line in lines.by_ref() {
            if line.is_empty() {
                if !stanza.name.is_empty() {
                    return Some(stanza);
                }
            } else if let Some(name) = line.strip_prefix("Package:") {
                stanza.name = name.trim();
            } else if let Some(status) = line.strip_prefix("Status:") {
                stanza.status = status.trim();
            } else if let Some(version) = line.strip_prefix("Version:") {
                stanza.version = version.trim();
            }
        }
        (!stanza.name.is_empty()).then_some(stanza)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn stanzas_are_parted_by_empty_lines() {
        let text = "Package: a\nStatus: install ok installed\nDescription: x\n Package: no\nVersion: 1\n\n\nPackage: b\n";
        let all: Vec<_> = stanzas(text).collect();
        assert_eq!(all.len(), 2);
        assert_eq!((all[0].name, all[0].version), ("a", "1"));
        assert_eq!((all[1].name, all[1].status), ("b", ""));
    }

    proptest! {
        #[test]
        fn any_text_has_stanzas(text in "((Package|Status|Version):? ?\\PC{0,9}\n|\n|\\PC{0,9}\n?){0,9}") {
            prop_assert!(stanzas(&text).all(|stanza| !stanza.name.is_empty()));
        }
    }
}
