//! Text that others wrote, made short and printable.

/// At most `limit` characters without control characters.
#[must_use]
pub fn short(text: &str, limit: usize) -> String {
    text.trim()
        .chars()
        .filter(|character| !character.is_control())
        .take(limit)
        .collect()
}

/// A name of few kinds of characters, as packages, releases of the kernel and
/// suites have; `None` for anything else.
#[must_use]
pub fn name(text: &str) -> Option<&str> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"+-._~:/".contains(&byte);
    let text = text.trim();
    ((1..=200).contains(&text.len()) && text.bytes().all(is_plain)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_and_has_no_control_characters() {
        assert_eq!(short(" a\u{1b}[1mü\n", 5), "a[1mü");
        assert_eq!(short("abc", 2), "ab");
    }

    #[test]
    fn a_name_holds_no_white_space() {
        assert_eq!(name(" 6.17.2-1-pve\n"), Some("6.17.2-1-pve"));
        for text in ["", "a b", "a\u{7}", "ä", &"x".repeat(201)] {
            assert_eq!(name(text), None, "{text}");
        }
    }
}
