//! Rules of sudo that allow everything without a password.

use pvelens_proto::agent::v1::SudoersFile;

use super::{FILE_LIMIT, Reading, SUDOERS, SUDOERS_D, joined_lines, texts, without_comment};
use crate::format::plain;

const NAME_LIMIT: usize = 100;

pub(super) fn collect(reading: &mut Reading<'_>) -> Vec<SudoersFile> {
    let file = |name: &str, text: &str| SudoersFile {
        name: plain::short(name, NAME_LIMIT),
        passwordless_all_rules: count(text),
    };
    let first = reading.read_optional(SUDOERS, FILE_LIMIT);
    let beside = texts(reading, SUDOERS_D, is_read);
    first
        .iter()
        .map(|text| file("sudoers", text))
        .chain(beside.iter().map(|(name, text)| file(name, text)))
        .collect()
}

/// sudo skips names with a dot or a tilde at the end (`sudoers(5)`).
fn is_read(name: &str) -> bool {
    !name.contains('.') && !name.ends_with('~')
}

fn count(text: &str) -> u32 {
    let rules = joined_lines(text)
        .iter()
        .filter(|line| allows_all(without_comment(line)))
        .count();
    u32::try_from(rules).unwrap_or(u32::MAX)
}

/// `%admin ALL=(ALL:ALL) NOPASSWD: ALL`: a tag holds for the commands behind it,
/// until its opposite.
fn allows_all(rule: &str) -> bool {
    let mut is_free = false;
    rule.split_once('=').is_some_and(|(_, commands)| {
        commands.split(',').any(|command| {
            let mut rest = command.trim();
            if let Some((_, behind)) = rest.split_once(')').filter(|_| rest.starts_with('(')) {
                rest = behind.trim();
            }
            while let Some((tag, behind)) = rest.split_once(':').filter(|(tag, _)| is_tag(tag)) {
                match tag.trim() {
                    "NOPASSWD" => is_free = true,
                    "PASSWD" => is_free = false,
                    _ => {}
                }
                rest = behind.trim();
            }
            is_free && rest == "ALL"
        })
    })
}

fn is_tag(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty()
        && text
            .bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_rules_for_every_command_count() {
        for rule in [
            "alice ALL=(ALL:ALL) NOPASSWD: ALL",
            "%wheel ALL=(ALL) NOPASSWD:ALL",
            "bob ALL = NOPASSWD: SETENV: ALL",
            "bob ALL=(root) NOPASSWD: /bin/ls, ALL",
            "bob \\\n ALL=(ALL) \\\n NOPASSWD: ALL",
        ] {
            assert_eq!(count(rule), 1, "{rule}");
        }
        for rule in [
            "root ALL=(ALL:ALL) ALL",
            "# alice ALL=(ALL:ALL) NOPASSWD: ALL canary",
            "zabbix ALL=(root) NOPASSWD: /usr/sbin/smartctl",
            "bob ALL=(root) NOPASSWD: /bin/ls, PASSWD: ALL",
            "Defaults env_reset",
            "@includedir /etc/sudoers.d",
        ] {
            assert_eq!(count(rule), 0, "{rule}");
        }
        assert!(is_read("ops") && !is_read("ops.bak") && !is_read("ops~"));
    }

    proptest! {
        #[test]
        fn any_text_is_counted(text in "([a-z]{0,3} ?ALL=\\(?[A-Z]{0,3}\\)? ?(NOPASSWD:|PASSWD:|,)?{0,4}\\PC{0,9}\\\\?\n?){0,9}") {
            count(&text);
        }
    }
}
