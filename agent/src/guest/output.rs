//! What a program in a guest wrote, as text that can be shown anywhere.
//!
//! Any bytes may come: the guest is not trusted. What is no text in its encoding is
//! replaced visibly and counted; what would control a terminal, turn text around or
//! stay unseen is left out and counted; and what looks like a password or a key is
//! masked, before any of it leaves the node.

use pvelens_proto::agent::v1::GuestCommandOutput;

use crate::format::free_text;

mod escape;
mod secret;

/// Bytes that are looked at to tell UTF-16 from other encodings.
const SNIFFED: usize = 512;

/// Text of `bytes`, at most `limit` bytes of it. `total` is how many there were, when
/// it is more than these.
pub(crate) fn decode(bytes: &[u8], total: u64, limit: usize) -> GuestCommandOutput {
    let received = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let total_bytes = total.max(received);
    let (text, encoding) = text_of(bytes, total_bytes > received);
    let replaced = text.chars().filter(|c| *c == char::REPLACEMENT_CHARACTER);
    let replaced = u64::try_from(replaced.count()).unwrap_or(u64::MAX);
    let (visible, removed) = escape::visible(&text);
    let (mut safe, masked) = secret::masked(&visible);
    let cut = cut(&mut safe, limit);
    GuestCommandOutput {
        text: safe,
        total_bytes,
        truncated: cut || total_bytes > received,
        replaced,
        removed,
        encoding: encoding.to_owned(),
        masked,
    }
}

/// Keeps whole characters.
fn cut(text: &mut String, limit: usize) -> bool {
    let end = text.floor_char_boundary(limit);
    let is_cut = end < text.len();
    text.truncate(end);
    is_cut
}

fn text_of(bytes: &[u8], is_cut: bool) -> (String, &'static str) {
    if is_utf16(bytes) {
        let bytes = bytes.strip_prefix(&[0xff, 0xfe]).unwrap_or(bytes);
        let (pairs, _) = bytes.as_chunks::<2>();
        let units = pairs.iter().map(|pair| u16::from_le_bytes(*pair));
        let text = char::decode_utf16(units)
            .map(|c| c.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect();
        return (text, "utf-16");
    }
    match str::from_utf8(bytes) {
        Ok(text) => (text.to_owned(), "utf-8"),
        // The last character was cut.
        Err(error) if is_cut && error.error_len().is_none() => {
            let (whole, _) = bytes
                .split_at_checked(error.valid_up_to())
                .unwrap_or_default();
            (String::from_utf8_lossy(whole).into_owned(), "utf-8")
        }
        Err(_) => (String::from_utf8_lossy(bytes).into_owned(), "unknown"),
    }
}

/// Little-endian, as Windows writes it: with its mark, or with most of the upper bytes
/// zero.
fn is_utf16(bytes: &[u8]) -> bool {
    if bytes.starts_with(&[0xff, 0xfe]) {
        return true;
    }
    let looked_at = bytes.get(..SNIFFED).unwrap_or(bytes);
    let (pairs, _) = looked_at.as_chunks::<2>();
    let latin = pairs.iter().filter(|[low, high]| *low != 0 && *high == 0);
    pairs.len() >= 4 && latin.count() * 2 > pairs.len()
}

/// JSON that a guest agent answered, as [`decode`] has text.
pub(crate) fn of_json(
    value: &serde_json::Value,
    was_cut: bool,
    limit: usize,
) -> GuestCommandOutput {
    // A value that was parsed can be written.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    let mut output = decode(text.as_bytes(), 0, limit);
    output.truncated |= was_cut;
    output
}

/// One line of what a guest agent says.
pub(crate) fn line(text: &str, limit: usize) -> String {
    free_text::bounded(text, limit)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn decoded(bytes: &[u8]) -> GuestCommandOutput {
        decode(bytes, 0, 1 << 20)
    }

    #[test]
    fn encodings_are_told_apart() {
        let output = decoded("Größe\tok\r\n".as_bytes());
        assert_eq!((output.text.as_str(), output.replaced), ("Größe\tok\n", 0));
        assert_eq!(output.encoding, "utf-8");
        let wide: Vec<u8> = "\u{feff}Größe\r\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decoded(&wide).text, "Größe\n");
        let unmarked: Vec<u8> = "Name  State"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(decoded(&unmarked).encoding, "utf-16");
        // "ö" in the code page 850 of Windows.
        let output = decoded(b"Gr\x94\xe1e\n");
        assert_eq!((output.encoding.as_str(), output.replaced), ("unknown", 2));
        assert_eq!(output.text, "Gr\u{fffd}\u{fffd}e\n");
        assert_eq!(decoded(b"").encoding, "utf-8");
    }

    #[test]
    fn a_cut_is_told_and_leaves_whole_characters() {
        let output = decode("ää".as_bytes(), 0, 3);
        assert_eq!((output.text.as_str(), output.truncated), ("ä", true));
        let output = decode(b"a\xc3", 100, 10);
        assert_eq!((output.text.as_str(), output.truncated), ("a", true));
        assert_eq!((output.replaced, output.total_bytes), (0, 100));
        assert!(!decode(b"abc", 0, 3).truncated);
    }

    #[test]
    fn what_is_not_seen_is_left_out_and_counted() {
        let output = decoded(b"\x1b[31mred\x1b[0m \x1b]0;title\x07end\x08\x00\n");
        assert_eq!(output.text, "red end\n");
        assert!(output.removed >= 4);
        let turned = "a\u{202e}b\u{2066}c\u{200b}d\u{e0041}e\u{feff}f";
        assert_eq!(decoded(turned.as_bytes()).text, "abcdef");
    }

    #[test]
    fn secrets_do_not_leave_the_node() {
        let key = "x\n-----BEGIN OPENSSH PRIVATE KEY-----\ncanary\n-----END OPENSSH PRIVATE KEY-----\ny\n";
        for text in [
            "run --password canary-x  --id 1\n",
            "DB_PASSWORD=canary\n",
            "  api_key: canary\n",
            "Authorization: Bearer canary\n",
            "get https://user:canary@host/x\n",
            "AKIAIOSFODNN7CANARY0\n",
            "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlc2lnbmF0dXJl\n",
            key,
        ] {
            let output = decoded(text.as_bytes());
            let lower = output.text.to_lowercase();
            assert!(!lower.contains("canary"), "{}", output.text);
            assert!(!lower.contains("eyjzdwiioi"), "{}", output.text);
            assert!(output.masked > 0, "{text}");
        }
        let plain = "UID  PID   CMD\nroot 1     systemd --switched-root\n";
        assert_eq!(decoded(plain.as_bytes()).text, plain);
    }

    #[test]
    fn json_is_bounded_and_clean() {
        let value = json!({"name": "a\u{1b}[31m", "mountpoint": "/"});
        let output = of_json(&value, false, 1000);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&output.text).unwrap(),
            value
        );
        assert!(!output.text.contains('\u{1b}'));
        assert!(of_json(&value, true, 1000).truncated);
        assert!(of_json(&value, false, 10).truncated);
    }

    proptest! {
        #[test]
        fn any_bytes_are_safe_text(bytes in prop::collection::vec(any::<u8>(), 0..300), limit in 0_usize..200) {
            let output = decode(&bytes, 0, limit);
            prop_assert!(output.text.len() <= limit);
            let unsafe_character = |c: char| c.is_control() && c != '\n' && c != '\t';
            prop_assert!(!output.text.contains(unsafe_character));
        }

        #[test]
        fn any_text_is_bounded_by_what_it_was(text in "[\\PC\\n]{0,200}") {
            let output = decode(text.as_bytes(), 0, 10_000);
            // A mask may be longer than what it hides.
            prop_assert!(output.text.len() <= text.len() * 4 + 4);
            let again = decode(output.text.as_bytes(), 0, 10_000);
            prop_assert_eq!(again.removed, 0);
        }
    }
}
