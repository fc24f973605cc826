//! Numbers that guests print: what cannot be is none.

/// More bytes than this is an error of the guest, not a size: 1 EiB.
const BYTES_LIMIT: u64 = 1 << 60;

/// Larger numbers with decimals have more digits than JSON keeps on every way.
pub(super) const DECIMAL_LIMIT: f64 = 1e12;

/// A whole number that is not negative.
pub(super) fn whole(text: &str) -> Option<u64> {
    // `parse` takes a sign, which no counter has.
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

/// A counter, a size or a time that fits into what JSON numbers carry everywhere;
/// 2^63 and 2^64-1 stand for "none" in many tools.
pub(super) fn total(text: &str) -> Option<u64> {
    whole(text).filter(|value| *value <= BYTES_LIMIT)
}

pub(super) fn small(text: &str) -> Option<u32> {
    whole(text)?.try_into().ok()
}

/// A count of units of `unit` bytes.
pub(super) fn bytes(text: &str, unit: u64) -> Option<u64> {
    sane(whole(text)?.checked_mul(unit)?)
}

/// No size is as large as this.
pub(super) fn sane(bytes: u64) -> Option<u64> {
    (bytes <= BYTES_LIMIT).then_some(bytes)
}

/// A decimal number with a point or a comma; neither infinite nor huge.
pub(super) fn decimal(text: &str) -> Option<f64> {
    let is_number = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'.' | b',' | b'-' | b'+');
    if text.is_empty() || text.len() > 40 || !text.bytes().all(is_number) {
        return None;
    }
    let value: f64 = text.replace(',', ".").parse().ok()?;
    (value.is_finite() && value.abs() <= DECIMAL_LIMIT).then_some(value)
}

/// A decimal number that is not negative.
pub(super) fn positive(text: &str) -> Option<f64> {
    decimal(text).filter(|value| *value >= 0.0)
}

/// 0 to 100, with or without its sign; two decimals.
pub(super) fn percent(text: &str) -> Option<f64> {
    let text = text.strip_suffix('%').unwrap_or(text).trim_end();
    let value = positive(text).filter(|value| *value <= 100.0)?;
    Some(round(value, 2))
}

/// Digits with the thousands separated in any way: `8,191`, `8.191`, `8 191`.
pub(super) fn grouped(text: &str) -> Option<u64> {
    let is_separator = |c: char| {
        matches!(
            c,
            ',' | '.' | '\'' | '’' | ' ' | '\u{a0}' | '\u{202f}' | '\u{fffd}'
        )
    };
    let mut digits = String::new();
    for c in text.trim().chars() {
        match c {
            '0'..='9' if digits.len() < 20 => digits.push(c),
            _ if is_separator(c) && !digits.is_empty() => {}
            _ => return None,
        }
    }
    total(&digits).filter(|_| !digits.is_empty())
}

/// Part of a whole in percent with one decimal; none without a whole or when the part
/// is larger.
pub(super) fn share(part: u64, whole: u64) -> Option<f64> {
    if whole == 0 || part > whole {
        return None;
    }
    crate::figure::share(part, whole).map(|share| round(share * 100.0, 1))
}

/// With so many decimals.
pub(super) fn round(value: f64, decimals: i32) -> f64 {
    let unit = 10_f64.powi(decimals);
    (value * unit).round() / unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_is_none() {
        assert_eq!(whole("18446744073709551615"), Some(u64::MAX));
        assert_eq!(total("18446744073709551615"), None);
        assert_eq!(total("9223372036854775808"), None);
        assert_eq!((whole("+1"), whole(""), whole("-1")), (None, None, None));
        assert_eq!(bytes("9223372036854775807", 1024), None);
        assert_eq!(bytes("4", 1024), Some(4096));
        assert_eq!(decimal("inf"), None);
        assert_eq!(decimal("NaN"), None);
        assert_eq!(decimal("1e9"), None);
        assert_eq!(decimal("0,25"), Some(0.25));
        assert_eq!(decimal("1.000,5"), None);
        assert_eq!((percent("101"), percent("-1")), (None, None));
        assert_eq!((percent("97%"), percent("1,5 %")), (Some(97.0), Some(1.5)));
        assert_eq!(share(2, 1), None);
        assert_eq!(share(1, 3), Some(33.3));
    }

    #[test]
    fn thousands_are_separated_in_many_ways() {
        for text in ["8,191", "8.191", "8 191", "8\u{a0}191", "8'191", "8191"] {
            assert_eq!(grouped(text), Some(8191), "{text}");
        }
        assert_eq!(
            (grouped("-1"), grouped(""), grouped("1x")),
            (None, None, None)
        );
        assert_eq!(grouped(&"9".repeat(50)), None);
    }
}
