//! Two settings of `apt.conf`. No other one is looked at: proxies there may hold
//! passwords.

use pvelens_proto::agent::v1::Repositories;

use super::is_true;

/// Reads `Key "value";`, also in nested blocks (apt.conf(5)). The full name of a
/// nested key is not put together: what its last part says is the same everywhere.
pub(super) fn parse(text: &str, found: &mut Repositories) {
    for statement in without_comments(text).split([';', '{', '}']) {
        let Some((key, value)) = statement.trim().split_once(char::is_whitespace) else {
            continue;
        };
        let value = is_true(value.trim().trim_matches('"'));
        let key = key.rsplit("::").next().unwrap_or_default();
        if key.eq_ignore_ascii_case("AllowUnauthenticated") {
            found.allows_unauthenticated = value;
        } else if key.eq_ignore_ascii_case("AllowInsecureRepositories") {
            found.allows_insecure_repositories = value;
        }
    }
}

/// Drops `/* … */`, and `//` and `#` with the rest of the line, where they are not
/// quoted (`apt@apt-pkg/contrib/configuration.cc`, `ReadConfigFile`).
fn without_comments(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut characters = text.chars().peekable();
    let mut is_quoted = false;
    while let Some(character) = characters.next() {
        let next = characters.peek().copied();
        match (character, next) {
            // A quote does not span lines.
            ('\n', _) => is_quoted = false,
            ('"', _) => is_quoted = !is_quoted,
            ('/', Some('*')) if !is_quoted => {
                characters.next();
                let mut last = ' ';
                for character in characters.by_ref() {
                    if (last, character) == ('*', '/') {
                        break;
                    }
                    last = character;
                }
                continue;
            }
            ('/', Some('/')) | ('#', _) if !is_quoted => {
                // Up to the newline, which parts nothing.
                for _ in characters.by_ref().take_while(|c| *c != '\n') {}
                continue;
            }
            _ => {}
        }
        kept.push(character);
    }
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> (bool, bool) {
        let mut found = Repositories::default();
        parse(text, &mut found);
        (
            found.allows_unauthenticated,
            found.allows_insecure_repositories,
        )
    }

    #[test]
    fn settings_are_found_flat_and_nested() {
        assert_eq!(
            parsed("APT::Get::AllowUnauthenticated \"1\";"),
            (true, false)
        );
        assert_eq!(
            parsed("Acquire { AllowInsecureRepositories \"true\"; };"),
            (false, true)
        );
        assert_eq!(
            parsed("APT { Get {\n allowunauthenticated yes;\n}\n}"),
            (true, false)
        );
        // The last one holds.
        let twice = "APT::Get::AllowUnauthenticated true;\nAPT::Get::AllowUnauthenticated false;\n";
        assert_eq!(parsed(twice), (false, false));
    }

    #[test]
    fn comments_set_nothing() {
        assert_eq!(
            parsed("/* * AllowUnauthenticated true; */ A \"/* //\"; AllowInsecureRepositories 1;"),
            (false, true)
        );
        assert_eq!(parsed("/* AllowUnauthenticated true;"), (false, false));
        assert_eq!(
            parsed(
                "// APT::Get::AllowUnauthenticated true;\n# APT::Get::AllowUnauthenticated true;"
            ),
            (false, false)
        );
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((APT::Get::)?AllowUnauthenticated \\PC{0,9};?\n?|\\PC{0,9}[{};]){0,6}") {
            let _ = parsed(&text);
        }
    }
}
