//! Pages of a list that may change between two questions.
//!
//! A token says after which key the next page begins, so that objects that
//! come and go meanwhile neither repeat nor hide others. It is opaque to the
//! caller: hexadecimal of the list's letter and its key. Offsets were rejected
//! because one deleted guest shifts everything behind it.

use super::{AnswerError, Page};

/// Which list a token belongs to, and how large its pages may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct List {
    pub(super) tag: char,
    pub(super) default: u32,
    pub(super) most: u32,
}

impl List {
    /// Entries of one page.
    pub(super) fn size(self, page: &Page) -> Result<usize, AnswerError> {
        let size = if page.size == 0 {
            self.default
        } else {
            page.size
        };
        if size > self.most {
            return Err(AnswerError::Invalid(format!(
                "page size {size} is out of range: 1 to {}, or 0 for {}",
                self.most, self.default
            )));
        }
        // u32 fits usize on every platform that runs Linux and tokio.
        Ok(size as usize)
    }

    /// The key after which the page begins; absent = at the beginning.
    pub(super) fn position(self, page: &Page) -> Result<Option<String>, AnswerError> {
        if page.token.is_empty() {
            return Ok(None);
        }
        decode(&page.token)
            .and_then(|text| text.strip_prefix(self.tag).map(str::to_owned))
            .map(Some)
            .ok_or_else(malformed)
    }

    pub(super) fn token(self, key: &str) -> String {
        encode(&format!("{}{key}", self.tag))
    }
}

pub(super) fn malformed() -> AnswerError {
    AnswerError::Invalid(
        "the page token is not one of this list; ask without it to begin again".to_owned(),
    )
}

fn encode(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn decode(token: &str) -> Option<String> {
    let digits: Option<Vec<u32>> = token.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes: Option<Vec<u8>> = digits?
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => u8::try_from(high * 16 + low).ok(),
            _ => None,
        })
        .collect();
    String::from_utf8(bytes?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIST: List = List {
        tag: 'x',
        default: 50,
        most: 200,
    };

    proptest! {
        #[test]
        fn tokens_keep_any_key(key in ".*") {
            let page = Page { size: 0, token: LIST.token(&key) };
            prop_assert_eq!(LIST.position(&page).unwrap(), Some(key));
        }

        #[test]
        fn any_text_is_a_key_or_an_error(token in ".*") {
            drop(LIST.position(&Page { size: 0, token }));
        }
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let other = List { tag: 'y', ..LIST };
        let page = Page {
            size: 0,
            token: other.token("k"),
        };
        assert!(matches!(LIST.position(&page), Err(AnswerError::Invalid(_))));
    }

    #[test]
    fn a_size_out_of_range_names_the_limits() {
        let size = |size| {
            LIST.size(&Page {
                size,
                token: String::new(),
            })
        };
        assert_eq!(size(0), Ok(50));
        assert_eq!(size(200), Ok(200));
        assert_eq!(
            size(201).unwrap_err().to_string(),
            "page size 201 is out of range: 1 to 200, or 0 for 50"
        );
    }
}
