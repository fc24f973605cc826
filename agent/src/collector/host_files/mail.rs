//! Whether mail of this node leaves it: a relay, an origin, an alias of root.

use pvelens_proto::agent::v1::PostfixSettings;

use super::without_comment;

/// Lines `name = value` that begin at the margin; the last one counts
/// (`postconf(5)`).
pub(super) fn postfix(text: &str) -> PostfixSettings {
    let mut settings = PostfixSettings::default();
    for line in text
        .lines()
        .filter(|line| !line.starts_with([' ', '\t', '#']))
    {
        let Some((name, value)) = line.split_once('=') else {
            continue;
        };
        let is_set = !value.trim().is_empty();
        match name.trim() {
            "relayhost" => settings.has_relay_host = is_set,
            "myorigin" => settings.has_origin = is_set,
            _ => {}
        }
    }
    settings
}

/// A line `root: somebody` (`aliases(5)`).
pub(super) fn has_root_alias(text: &str) -> bool {
    text.lines()
        .filter_map(|line| without_comment(line).split_once(':'))
        .any(|(name, to)| name.trim().eq_ignore_ascii_case("root") && !to.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_empty_relay_is_none() {
        let none = postfix("myorigin = /etc/mailname\nrelayhost =\n# relayhost = canary\n");
        assert!(none.has_origin && !none.has_relay_host);
        assert!(postfix("relayhost = [canary.test]:587\n").has_relay_host);
        assert!(!postfix("a =\n  relayhost = x\n").has_relay_host);
    }

    #[test]
    fn root_has_an_alias_or_not() {
        assert!(has_root_alias(
            "postmaster: root\nRoot: admin@example.test\n"
        ));
        assert!(!has_root_alias("postmaster: root\n# root: x\nroot:\n"));
    }

    proptest! {
        #[test]
        fn any_text_parses(text in "((root|relayhost) ?[:=] ?\\PC{0,9}\n?){0,9}") {
            postfix(&text);
            has_root_alias(&text);
        }
    }
}
