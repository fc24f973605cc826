//! Lines of a `.list`: `deb [option=value …] URI suite component…`.

use pvelens_proto::agent::v1::Repository;

use super::{is_true, located, words};

/// The repositories of a file; what is no source is a comment.
pub(super) fn parse(file: &str, text: &str) -> Vec<Repository> {
    text.lines()
        .zip(1..)
        .filter_map(|(line, number)| {
            let line = line.trim();
            let (enabled, line) = match line.strip_prefix('#') {
                // A source that was commented out; prose is no URI.
                Some(rest) => (false, rest.trim_start_matches([' ', '\t', '#'])),
                None => (true, line),
            };
            source(line, enabled).map(|repository| Repository {
                file: file.to_owned(),
                line: number,
                ..repository
            })
        })
        .collect()
}

fn source(line: &str, enabled: bool) -> Option<Repository> {
    let (kind, rest) = line.split_once([' ', '\t'])?;
    if !matches!(kind, "deb" | "deb-src") {
        return None;
    }
    let mut repository = Repository {
        enabled,
        types: vec![kind.to_owned()],
        ..Repository::default()
    };
    let mut rest = rest.trim_start();
    if let Some(bracketed) = rest.strip_prefix('[') {
        let (options, after) = bracketed.split_once(']')?;
        for option in options.split_ascii_whitespace() {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name.trim_end_matches(['+', '-']) {
                "trusted" => repository.is_trusted_unsigned = is_true(value),
                "allow-insecure" => repository.allows_insecure = is_true(value),
                "signed-by" => repository.has_signed_by = !value.is_empty(),
                _ => {}
            }
        }
        rest = after;
    }
    let rest = rest.split_once('#').map_or(rest, |(source, _)| source);
    let mut fields = rest.split_ascii_whitespace();
    let uri = fields.next().filter(|uri| uri.contains(':'))?;
    repository.suites = words(fields.next().into_iter());
    repository.components = words(fields);
    Some(located(uri, repository))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn options_stand_before_the_uri() {
        let all = parse(
            "/f",
            "\n deb [ arch=amd64 signed-by=/k.gpg trusted=yes ] https://e.org/a stable main extra # why\n",
        );
        assert_eq!(all.len(), 1);
        let it = &all[0];
        assert_eq!((it.line, it.file.as_str(), it.enabled), (2, "/f", true));
        assert_eq!(
            (it.scheme.as_str(), it.host.as_str(), it.path.as_str()),
            ("https", "e.org", "/a")
        );
        assert_eq!(
            (it.suites.join(" "), it.components.join(" ")),
            ("stable".into(), "main extra".into())
        );
        assert!(it.has_signed_by && it.is_trusted_unsigned && !it.allows_insecure);
    }

    #[test]
    fn prose_is_no_source() {
        let text = "# deb packages come from here\n# see the wiki\n#deb http://a/ b c\ndeb\ndeb [x\nrpm http://a/ b\n";
        let all = parse("/f", text);
        assert_eq!(all.len(), 1);
        assert!(!all[0].enabled);
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((# ?)?deb(-src)? (\\[[a-z= ]{0,9}\\]?)? ?[a-z:/@?]{0,12} \\PC{0,9}\n|\\PC{0,20}\n){0,5}") {
            drop(parse("/f", &text));
        }
    }
}
