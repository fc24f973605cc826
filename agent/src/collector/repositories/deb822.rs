//! Stanzas of a `.sources`: `Types:`, `URIs:`, `Suites:`, `Components:`.

use pvelens_proto::agent::v1::Repository;

use super::{is_false, is_true, located, words};

/// URIs of one stanza.
const URI_LIMIT: usize = 50;

#[derive(Debug, Default)]
struct Stanza<'a> {
    line: u32,
    /// Lower-case key, and the value with its continuation lines.
    fields: Vec<(String, Vec<&'a str>)>,
}

impl Stanza<'_> {
    fn words(&self, key: &str) -> impl Iterator<Item = &str> {
        self.fields
            .iter()
            .filter(move |(name, _)| name == key)
            .flat_map(|(_, lines)| lines)
            .flat_map(|line| line.split_ascii_whitespace())
    }

    fn is(&self, key: &str, test: fn(&str) -> bool) -> bool {
        self.words(key).next().is_some_and(test)
    }
}

/// One repository for each URI of each stanza.
pub(super) fn parse(file: &str, text: &str) -> Vec<Repository> {
    let mut all = Vec::new();
    let mut stanza = Stanza::default();
    for (line, number) in text.lines().zip(1..) {
        if line.starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            all.extend(repositories(file, &stanza));
            stanza = Stanza::default();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, lines)) = stanza.fields.last_mut() {
                lines.push(line);
            }
        } else if let Some((key, value)) = line.split_once(':') {
            if stanza.fields.is_empty() {
                stanza.line = number;
            }
            stanza.fields.push((key.to_ascii_lowercase(), vec![value]));
        }
    }
    all.extend(repositories(file, &stanza));
    all
}

fn repositories(file: &str, stanza: &Stanza<'_>) -> Vec<Repository> {
    let shared = Repository {
        file: file.to_owned(),
        line: stanza.line,
        enabled: !stanza.is("enabled", is_false),
        types: words(stanza.words("types")),
        suites: words(stanza.words("suites")),
        components: words(stanza.words("components")),
        is_trusted_unsigned: stanza.is("trusted", is_true),
        allows_insecure: stanza.is("allow-insecure", is_true),
        // A path, a fingerprint, or the key itself.
        has_signed_by: stanza.words("signed-by").next().is_some(),
        ..Repository::default()
    };
    let uris = stanza.words("uris").take(URI_LIMIT);
    uris.map(|uri| located(uri, shared.clone())).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_uri_of_a_stanza_is_a_repository() {
        let text = "# top\nTypes: deb deb-src\nURIs: http://a.org/x\n  http://b.org/y\n# between\nSuites: s1 s2\nComponents: main\nEnabled: no\nTrusted: yes\nSigned-By:\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n\nTypes: deb\nURIs: file:///srv/x\nSuites: ./\n";
        let all = parse("/f", text);
        assert_eq!(all.len(), 3);
        assert_eq!((all[0].line, all[2].line), (2, 14));
        assert_eq!(all[1].host, "b.org");
        assert_eq!(all[0].suites, ["s1", "s2"]);
        assert!(!all[0].enabled && all[0].has_signed_by && all[0].is_trusted_unsigned);
        assert!(all[2].enabled && !all[2].has_signed_by);
        assert_eq!(
            (all[2].scheme.as_str(), all[2].path.as_str()),
            ("file", "/srv/x")
        );
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((Types|URIs|Enabled|Suites): ?\\PC{0,12}\n| \\PC{0,9}\n|\n|\\PC{0,9}\n){0,9}") {
            drop(parse("/f", &text));
        }
    }
}
