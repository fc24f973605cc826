//! What is taken of an answer: so many items, and plain text.

use std::{fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, SeqAccess, Visitor},
};

/// The first items of a list.
#[derive(Debug)]
pub(crate) struct Bounded<T, const LIMIT: usize> {
    pub(crate) items: Vec<T>,
    /// There were more.
    pub(crate) truncated: bool,
}

impl<T, const LIMIT: usize> Default for Bounded<T, LIMIT> {
    fn default() -> Self {
        Self {
            items: Vec::new(),
            truncated: false,
        }
    }
}

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Deserialize<'de> for Bounded<T, LIMIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_seq(Items(PhantomData))
    }
}

struct Items<T, const LIMIT: usize>(PhantomData<T>);

impl<'de, T: Deserialize<'de>, const LIMIT: usize> Visitor<'de> for Items<T, LIMIT> {
    type Value = Bounded<T, LIMIT>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
        let mut bounded = Bounded::default();
        while bounded.items.len() < LIMIT {
            match list.next_element()? {
                Some(item) => bounded.items.push(item),
                None => return Ok(bounded),
            }
        }
        while list.next_element::<IgnoredAny>()?.is_some() {
            bounded.truncated = true;
        }
        Ok(bounded)
    }
}

/// A number that counts something. Others, such as the -1 by which QEMU says that
/// it does not know, are absent.
pub(crate) fn natural<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    let number = Option::<serde_json::Number>::deserialize(deserializer)?;
    Ok(number.and_then(|number| number.as_u64()))
}

/// The beginning of a text, so many bytes at most, without characters that control a
/// terminal.
pub(crate) fn text(text: &str, limit: usize) -> String {
    let mut length = 0;
    let visible = text.chars().filter(|letter| !is_unseen(*letter));
    let short = visible.take_while(|letter| {
        length += letter.len_utf8();
        length <= limit
    });
    short.collect()
}

/// Controls, and what turns the direction of the text around it.
fn is_unseen(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_cut_and_says_so() {
        let list: Bounded<u8, 2> = serde_json::from_str("[1,2]").unwrap();
        assert!(!list.truncated);
        let list: Bounded<u8, 2> = serde_json::from_str("[1,2,\"x\",{}]").unwrap();
        assert_eq!((list.items, list.truncated), (vec![1, 2], true));
        serde_json::from_str::<Bounded<u8, 2>>("{}").unwrap_err();
    }

    #[test]
    fn text_is_short_and_visible() {
        assert_eq!(text("a\x1b[31m\u{202e}b\n", 64), "a[31mb");
        assert_eq!(text(&"ä".repeat(1000), 33), "ä".repeat(16));
    }

    #[test]
    fn a_negative_count_is_none() {
        #[derive(Deserialize)]
        struct Counted {
            #[serde(default, deserialize_with = "natural")]
            count: Option<u64>,
        }
        let count = |text| serde_json::from_str::<Counted>(text).map(|counted| counted.count);
        assert_eq!(count(r#"{"count":7}"#).unwrap(), Some(7));
        assert_eq!(count(r#"{"count":-1}"#).unwrap(), None);
        assert_eq!(count(r#"{"count":null}"#).unwrap(), None);
        assert_eq!(count("{}").unwrap(), None);
        count(r#"{"count":"7"}"#).unwrap_err();
    }
}
