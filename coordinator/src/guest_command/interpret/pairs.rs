//! Lists of `key=value`.

use super::output::Output;

/// `KEY="value" KEY="value"` on one line, as `lsblk -P` writes it, which escapes odd
/// bytes as `\x20`. Nothing for a line of another shape.
pub(super) fn quoted(line: &str) -> Option<Vec<(&str, String)>> {
    let mut pairs = Vec::new();
    let mut rest = line.trim();
    while !rest.is_empty() {
        let (key, after) = rest.split_once("=\"")?;
        let (value, after) = after.split_once('"')?;
        pairs.push((key.trim(), unescaped(value)));
        rest = after.trim_start();
    }
    Some(pairs).filter(|pairs| !pairs.is_empty())
}

/// Bytes written as `\x20` as characters; what is no such escape stays.
fn unescaped(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        let digits = after.split_at_checked(2);
        match digits.and_then(|(digits, rest)| Some((u8::from_str_radix(digits, 16).ok()?, rest))) {
            Some((byte, after)) => {
                bytes.push(byte);
                rest = after;
            }
            None => {
                bytes.extend_from_slice(b"\\x");
                rest = after;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A pair on each line; lines without one are not given.
pub(super) fn lines<'a>(
    output: &Output<'a>,
    sign: char,
) -> impl Iterator<Item = (&'a str, &'a str)> {
    output.filled().filter_map(move |line| {
        let (key, value) = line.split_once(sign)?;
        Some((key.trim(), value.trim()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted() {
        let pairs = quoted(r#"NAME="sda" LABEL="a\x20b=\xc3\xa4" RO="0""#).unwrap();
        assert_eq!(pairs.len(), 3);
        assert_eq!(pairs[1], ("LABEL", "a b=ä".to_owned()));
        assert_eq!(quoted(r#"NAME="sda" RO="#), None);
        assert_eq!(quoted(""), None);
        assert_eq!(unescaped("a\\x\\xzz\\x4"), "a\\x\\xzz\\x4");
    }
}
