//! Pages of short lists, which answers give as a whole.
//!
//! As with longer lists a token says after which object the next page begins,
//! so that objects that come and go meanwhile neither repeat nor hide others.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    answer::{AnswerError, Nodes, Page, Storages},
    render::Render,
};

/// A page of an answer.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Paged<T> {
    #[serde(flatten)]
    pub(super) answer: T,
    /// How many match, on all pages.
    total: u32,
    /// Ask again with it for the next page; absent on the last.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page_token: Option<String>,
}

impl<T: Render> Paged<T> {
    /// The page as Markdown, and how much there is beyond it.
    pub(super) fn markdown(&self) -> String {
        let mut markdown = self.answer.markdown();
        if self.next_page_token.is_some() {
            let note = format!("\nOne page of {} in all.\n", self.total);
            markdown.push_str(&note);
        }
        markdown
    }
}

/// # Errors
/// When the token is not one of this list.
pub(super) fn nodes(mut answer: Nodes, page: &Page) -> Result<Paged<Nodes>, AnswerError> {
    let key = |node: &crate::inventory::NodeSummary| format!("{}/{}", node.cluster, node.name);
    let (total, next_page_token) = cut(&mut answer.nodes, "node", page, key)?;
    Ok(Paged {
        answer,
        total,
        next_page_token,
    })
}

/// # Errors
/// When the token is not one of this list.
pub(super) fn storages(mut answer: Storages, page: &Page) -> Result<Paged<Storages>, AnswerError> {
    let key = |storage: &crate::inventory::StorageSummary| {
        format!("{}/{}", storage.cluster, storage.name)
    };
    let (total, next_page_token) = cut(&mut answer.storages, "storage", page, key)?;
    Ok(Paged {
        answer,
        total,
        next_page_token,
    })
}

/// Leaves one page of a sorted list; returns the length of all of it and the
/// token of the next page.
pub(super) fn cut<T>(
    list: &mut Vec<T>,
    kind: &str,
    page: &Page,
    key: impl Fn(&T) -> String,
) -> Result<(u32, Option<String>), AnswerError> {
    let total = u32::try_from(list.len()).unwrap_or(u32::MAX);
    if !page.token.is_empty() {
        let after = page
            .token
            .strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix(':'))
            .ok_or_else(|| {
                AnswerError::Invalid(
                    "page_token is not one of this list; ask without it to begin again".to_owned(),
                )
            })?;
        let begin = match list.iter().position(|entry| key(entry) == after) {
            Some(position) => position + 1,
            // The object is gone: go on with what came behind it.
            None => list
                .iter()
                .position(|entry| *key(entry) > *after)
                .unwrap_or(list.len()),
        };
        list.drain(..begin);
    }
    let size = usize::try_from(page.size).unwrap_or(usize::MAX);
    let more = list.len() > size;
    list.truncate(size);
    let token = list
        .last()
        .filter(|_| more)
        .map(|last| format!("{kind}:{}", key(last)));
    Ok((total, token))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(size: u32, token: &str) -> Page {
        Page {
            size,
            token: token.to_owned(),
        }
    }

    #[test]
    fn pages_neither_repeat_nor_lose_entries_while_the_list_changes() {
        let key = |entry: &&str| format!("c/{entry}");
        let mut list = vec!["a", "b", "c", "d", "e"];
        let (total, token) = cut(&mut list, "node", &page(2, ""), key).unwrap();
        assert_eq!((list, total), (vec!["a", "b"], 5));
        let token = token.unwrap();
        let mut list = vec!["a", "c", "d", "e"];
        let (_, token) = cut(&mut list, "node", &page(2, &token), key).unwrap();
        assert_eq!(list, ["c", "d"]);
        let mut list = vec!["a", "c", "d", "e"];
        let (_, token) = cut(&mut list, "node", &page(2, &token.unwrap()), key).unwrap();
        assert_eq!((list, token), (vec!["e"], None));
    }

    #[test]
    fn a_token_of_another_list_is_refused() {
        let key = |entry: &&str| (*entry).to_owned();
        for token in ["storage:a", "node", "x"] {
            let mut list = vec!["a"];
            assert!(cut(&mut list, "node", &page(2, token), key).is_err());
        }
    }
}
