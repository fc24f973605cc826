//! Values in the JSON of tools, which write a number as one, or as text, or as text
//! with a unit, by tool and version. Whatever is not there, `-` or `none` is `None`.

use serde_json::Value;

/// Characters of a name or word that is kept.
const TEXT_LIMIT: usize = 256;

/// The whole number of a key.
#[must_use]
pub fn number(object: &Value, key: &str) -> Option<u64> {
    whole(object.get(key)?)
}

/// A whole number, written as one or as text.
fn whole(value: &Value) -> Option<u64> {
    match value {
        Value::Number(number) => number.as_u64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// A whole number that fits.
#[must_use]
pub fn small(object: &Value, key: &str) -> Option<u32> {
    number(object, key)?.try_into().ok()
}

/// A finite number, without the `%` or `x` behind it.
#[must_use]
pub fn decimal(object: &Value, key: &str) -> Option<f64> {
    match object.get(key)? {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => decimal_text(text),
        _ => None,
    }
    .filter(|number| number.is_finite())
}

/// As [`decimal`], of text.
#[must_use]
pub fn decimal_text(text: &str) -> Option<f64> {
    let digits = text.trim().trim_end_matches(['%', 'x']);
    digits
        .parse()
        .ok()
        .filter(|number: &f64| number.is_finite())
}

/// Percent as a part of 1.
#[must_use]
pub fn ratio(object: &Value, key: &str) -> Option<f64> {
    decimal(object, key).map(|percent| percent / 100.0)
}

/// The text of a key, cut to a bound; empty when there is none.
#[must_use]
pub fn text(object: &Value, key: &str) -> String {
    match object.get(key) {
        Some(Value::String(text)) => short(text),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// A bounded part of a text, trimmed.
#[must_use]
pub fn short(text: &str) -> String {
    text.trim().chars().take(TEXT_LIMIT).collect()
}

/// The entries of a list; none when it is not one.
#[must_use]
pub fn list<'a>(object: &'a Value, key: &str) -> &'a [Value] {
    object
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_are_numbers_however_they_are_written() {
        let object = json!({"a": 7, "b": "7", "c": "12.50%", "d": "-", "e": "1.00x", "f": -1, "g": null, "h": "NaN"});
        assert_eq!(
            (number(&object, "a"), number(&object, "b")),
            (Some(7), Some(7))
        );
        assert_eq!(ratio(&object, "c"), Some(0.125));
        assert_eq!(decimal(&object, "e"), Some(1.0));
        for key in ["d", "f", "g", "x"] {
            assert_eq!(number(&object, key), None, "{key}");
        }
        assert_eq!(decimal(&object, "h"), None);
        assert_eq!(text(&object, "x"), "");
    }
}
