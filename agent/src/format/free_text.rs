//! Text that programs and people wrote into logs, made fit to carry.

/// Words that name what must not be carried.
const SECRET: &[&str] = &[
    "passwd",
    "password",
    "secret",
    "apikey",
    "api_key",
    "api-key",
    "token",
    "fingerprint",
    "private_key",
    "authorization",
];
/// Characters of a line that are looked at.
const LINE_LIMIT: usize = 20_000;
/// Stands for what is not told.
pub(crate) const MASK: &str = "***";

/// One line of at most `limit` characters: without control characters, without
/// the value that follows a word like `password`, and without the user part of
/// addresses.
#[must_use]
pub fn bounded(text: &str, limit: usize) -> String {
    let mut words = Vec::new();
    let mut left = limit;
    let mut mask_next = false;
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if left == 0 {
            break;
        }
        // Checked before the cut, so that no part of a value is left.
        let word = if std::mem::take(&mut mask_next) {
            MASK.to_owned()
        } else {
            mask_next = announces_value(word);
            mask(word)
        };
        let word: String = word.chars().take(left).collect();
        left = left.saturating_sub(word.chars().count().saturating_add(1));
        words.push(word);
    }
    words.join(" ")
}

/// As [`bounded`], and of a longer text begin and end: an error often names a
/// long command first, and how it ended last.
#[must_use]
pub fn shortened(text: &str, limit: usize) -> String {
    const GAP: &str = " ... ";
    let flat = bounded(text, LINE_LIMIT);
    let length = flat.chars().count();
    if length <= limit {
        return flat;
    }
    let kept = limit.saturating_sub(GAP.len());
    let end = kept.saturating_mul(2) / 5;
    flat.chars()
        .take(kept.saturating_sub(end))
        .chain(GAP.chars())
        .chain(flat.chars().skip(length.saturating_sub(end)))
        .take(limit)
        .collect()
}

/// `--password`, `password:`, `token=`: the value is the next word.
pub(crate) fn announces_value(word: &str) -> bool {
    let bare = word.trim_matches(['\'', '"', '(']);
    names_secret(bare)
        && (bare.starts_with('-') || bare.ends_with([':', '=']))
        && value_at(bare).is_none()
}

/// A word without the secret that it may have after a `=`, a `:` or a `://`.
pub(crate) fn mask(word: &str) -> String {
    if let Some(at) = value_at(word).filter(|at| names_secret(word.get(..*at).unwrap_or_default()))
    {
        return format!("{}{MASK}", word.get(..at).unwrap_or_default());
    }
    match word.split_once("://") {
        Some((scheme, rest)) => match rest.rsplit_once('@') {
            Some((_, host)) => format!("{scheme}://{host}"),
            None => word.to_owned(),
        },
        None => word.to_owned(),
    }
}

/// Where the value in `key=value` or `key:value` begins.
fn value_at(word: &str) -> Option<usize> {
    let at = word.find(['=', ':'])?.checked_add(1)?;
    (at < word.len()).then_some(at)
}

fn names_secret(word: &str) -> bool {
    let lower = word.to_ascii_lowercase();
    SECRET.iter().any(|secret| lower.contains(secret))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn secrets_are_masked() {
        for text in [
            "run --password canary-x --id 1",
            "failed: password=canary-x",
            "failed: Password: canary-x",
            "got 'apitoken:canary-x'",
            "get https://user:canary-x@host/x",
        ] {
            assert!(!bounded(text, 200).contains("canary"), "{text}");
        }
        assert_eq!(bounded("get https://u:p@host/x", 200), "get https://host/x");
        let plain = "user root@pam!token, no space left: tar.zst";
        assert_eq!(bounded(plain, 200), plain);
    }

    #[test]
    fn lines_are_cut_and_flat() {
        assert_eq!(bounded("a\u{1b}[31m\tb\nc", 200), "a [31m b c");
        assert_eq!(bounded("äöü äöü", 5), "äöü ä");
    }

    #[test]
    fn begin_and_end_of_a_long_text_are_kept() {
        let text = format!("command 'x {}' failed: exit code 2", "y".repeat(300));
        let out = shortened(&text, 100);
        assert_eq!(out.chars().count(), 100);
        assert!(out.starts_with("command 'x y") && out.ends_with("failed: exit code 2"));
        assert_eq!(shortened("short", 100), "short");
    }

    proptest! {
        #[test]
        fn any_text_is_bounded(text in "\\PC{0,80}", limit in 0_usize..40) {
            let out = bounded(&text, limit);
            prop_assert!(out.chars().count() <= limit);
            prop_assert!(!out.contains(char::is_control));
            prop_assert!(shortened(&text, limit).chars().count() <= limit);
        }
    }
}
