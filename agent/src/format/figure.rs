//! Figures and words of JSON that Perl wrote.
//!
//! Perl has one scalar: the same figure comes as number or as string, a flag as
//! `1`, `"1"` or `""`, and a missing one as `null` or not at all. What is neither
//! figure nor word is absent here, so that one odd value costs only itself.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

/// One scalar, as far as it is a number.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Figure(Option<Number>);

#[derive(Debug, Clone, Copy, PartialEq)]
enum Number {
    Whole(u64),
    Fraction(f64),
}

impl Figure {
    /// From text; `U` and whatever is no finite number is absent.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        Self(match text.parse::<u64>() {
            Ok(whole) => Some(Number::Whole(whole)),
            Err(_) => text
                .parse()
                .ok()
                .filter(|fraction: &f64| fraction.is_finite())
                .map(Number::Fraction),
        })
    }

    #[must_use]
    pub fn float(self) -> Option<f64> {
        #[expect(
            clippy::cast_precision_loss,
            reason = "whoever asks for a fraction has one"
        )]
        self.0.map(|number| match number {
            Number::Whole(whole) => whole as f64,
            Number::Fraction(fraction) => fraction,
        })
    }

    /// Rounded; absent when negative or beyond the range.
    #[must_use]
    pub fn whole(self) -> Option<u64> {
        match self.0? {
            Number::Whole(whole) => Some(whole),
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the range is checked; 2^63 is far above any figure of a node"
            )]
            Number::Fraction(fraction) => (0.0..9.2e18)
                .contains(&fraction)
                .then(|| fraction.round() as u64),
        }
    }

    #[must_use]
    pub fn small(self) -> Option<u32> {
        self.whole().and_then(|whole| u32::try_from(whole).ok())
    }

    /// Perl's truth: set and not zero.
    #[must_use]
    pub fn flag(self) -> bool {
        self.float().is_some_and(|value| value != 0.0)
    }
}

impl<'de> Deserialize<'de> for Figure {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Scalar).map(|text| text.0)
    }
}

/// One scalar, as text; absent text is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Word(pub String);

impl<'de> Deserialize<'de> for Word {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(Scalar)
            .map(|scalar| Self(scalar.1))
    }
}

struct Scalar;

impl<'de> Visitor<'de> for Scalar {
    type Value = (Figure, String);

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
        let text = if value { "1" } else { "0" };
        Ok((Figure::parse(text), text.to_owned()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok((Figure(Some(Number::Whole(value))), value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Self::Value, E> {
        self.visit_str(&value.to_string())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
        Ok((Figure::parse(value), value.to_owned()))
    }

    fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
        Ok(Self::Value::default())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        while list.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Self::Value::default())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn figure(json: &str) -> Figure {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn a_number_is_a_number_also_in_quotes() {
        assert_eq!(figure("\"2147483648\"").whole(), Some(1 << 31));
        assert_eq!(figure("18446744073709551615").whole(), Some(u64::MAX));
        assert_eq!(figure("16022006.0").whole(), Some(16_022_006));
        assert_eq!(figure("\"0.5\"").float(), Some(0.5));
        assert!(figure("\"1\"").flag() && figure("true").flag() && !figure("\"\"").flag());
    }

    #[test]
    fn what_is_no_number_is_absent() {
        for json in [
            "null",
            "\"U\"",
            "\"nan\"",
            "\"inf\"",
            "[1]",
            "{\"a\":[2]}",
            "\"\"",
        ] {
            assert_eq!(figure(json).float(), None, "{json}");
        }
        assert_eq!(figure("-1").whole(), None);
        assert_eq!(figure("1e300").whole(), None);
        assert_eq!(serde_json::from_str::<Word>("7").unwrap().0, "7");
        assert_eq!(serde_json::from_str::<Word>("[]").unwrap().0, "");
    }

    proptest! {
        #[test]
        fn any_text_is_a_figure_or_absent(text in "\\PC{0,20}") {
            let figure = Figure::parse(&text);
            prop_assert_eq!(figure.float().is_none(), figure.0.is_none());
            let _ = (figure.whole(), figure.small(), figure.flag());
        }

        #[test]
        fn whole_numbers_come_back(number: u64) {
            prop_assert_eq!(Figure::parse(&number.to_string()).whole(), Some(number));
        }
    }
}
