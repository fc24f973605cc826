//! What may be shown of a line of the journal.

/// Characters of a sample.
const TEXT_LIMIT: usize = 200;
/// Ends of words whose value is not shown.
const SECRET: &[&str] = &[
    "auth",
    "authorization",
    "cookie",
    "credential",
    "credentials",
    "key",
    "pass",
    "passphrase",
    "passwd",
    "password",
    "pin",
    "pwd",
    "secret",
    "ticket",
    "token",
];
/// Words that stand apart from their value, in `password is x` or `Bearer x`. `key`
/// and `token` are not: SCSI has a `Sense Key : Medium Error`, corosync a `Token`.
const SECRET_ALONE: &[&str] = &[
    "authorization",
    "bearer",
    "passphrase",
    "passwd",
    "password",
    "secret",
    "ticket",
];
const MASK: &str = "***";

/// A short text of one line. From the first word that names a secret on, nothing is
/// shown: where its value ends cannot be told.
pub(super) fn sample(message: &str) -> String {
    let plain: String = message
        .chars()
        .take(4 * TEXT_LIMIT)
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut shown = String::new();
    for word in plain.split_whitespace() {
        if !shown.is_empty() {
            shown.push(' ');
        }
        match hide(word) {
            Some(rest) => {
                shown.push_str(rest);
                shown.push_str(MASK);
                break;
            }
            None => shown.push_str(word),
        }
    }
    shown.chars().take(TEXT_LIMIT).collect()
}

/// What stays of a word that holds a secret or is followed by one.
fn hide(word: &str) -> Option<&str> {
    // A ticket, and a password in an address.
    if word.contains("PVE:")
        || word.contains("PMG:")
        || (word.contains("://") && word.contains('@'))
    {
        return Some("");
    }
    for (at, _) in word.match_indices(['=', ':']) {
        let (name, rest) = word.split_at_checked(at)?;
        let name = name.trim_end_matches(|c: char| !c.is_alphanumeric());
        if ends(name, SECRET) {
            // The separator is one byte.
            return word.get(..word.len() - rest.len() + 1);
        }
    }
    let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
    SECRET_ALONE
        .iter()
        .any(|secret| bare.eq_ignore_ascii_case(secret))
        .then_some(word)
}

fn ends(name: &str, secrets: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    secrets.iter().any(|secret| name.ends_with(secret))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn no_secret_is_shown() {
        for line in [
            "mount failed password=canary-journal vers=3",
            "x pass: canary-journal",
            "x \"token\":\"canary-journal\"",
            "PVEAPIToken=root@pam!a=canary-journal",
            "a.b:password='one canary-journal'",
            "smb://user:canary-journal@host/share",
            "ticket PVE:root@pam:canary-journal",
            "Authorization: Bearer canary-journal",
            "the password = canary-journal",
            "secret\tcanary-journal",
            "api_key=canary-journal",
        ] {
            let shown = sample(line);
            assert!(!shown.contains("canary"), "{shown}");
        }
    }

    #[test]
    fn what_is_no_secret_is_shown_in_one_line() {
        assert_eq!(sample("a\u{1b}[31m\nb"), "a [31m b");
        let sense = "sd 0:0:0:0: [sda] tag#3 Sense Key : Medium Error [current]";
        assert_eq!(sample(sense), sense);
        let totem = "[TOTEM ] Token has not been received in 2250 ms";
        assert_eq!(sample(totem), totem);
    }

    proptest! {
        #[test]
        fn any_line_is_shown_short(line in "\\PC{0,300}") {
            let shown = sample(&line);
            prop_assert!(shown.chars().count() <= TEXT_LIMIT && !shown.contains(char::is_control));
        }
    }
}
