//! Results of tools: Markdown and structured content of one answer, both small.
//!
//! Some hosts show the model only the structured content, some only the text, so
//! both say the same: a summary holds what the Markdown shows, and with
//! `detail = full` the figures beyond the Markdown are in a second text block.

use rmcp::model::{CallToolResult, ContentBlock};
use serde::Serialize;
use serde_json::{Value, json};

use super::{
    arguments::Detail,
    shape::{self, Shape},
};
use crate::{
    answer::{AnswerError, Page},
    coordinator::Current,
    render::Render,
};

/// Bytes of text, and of structured content. Hosts spill longer results to files.
pub(super) const CEILING: usize = 40_000;

/// Markdown before it is cut, so that an answer in full has room for both forms.
const MARKDOWN: usize = CEILING / 2;

const NOTICE: usize = 2_000;

/// How an answer becomes a result.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout<'a> {
    pub(super) shape: &'a Shape,
    pub(super) detail: Detail,
    /// The cluster of each object says nothing when there is only one.
    pub(super) one_cluster: bool,
}

impl<'a> Layout<'a> {
    pub(super) fn new(current: &Current, shape: &'a Shape, detail: Option<Detail>) -> Self {
        Self {
            shape,
            detail: detail.unwrap_or_default(),
            one_cluster: current.view.clusters.len() <= 1,
        }
    }

    /// An answer in one piece.
    ///
    /// # Errors
    /// When it cannot be made small enough.
    pub(super) fn whole<T: Render>(self, answer: &T) -> Result<CallToolResult, AnswerError> {
        self.text(answer, answer.markdown())
    }

    /// An answer in one piece, with Markdown that says more than its own.
    ///
    /// # Errors
    /// When it cannot be made small enough.
    pub(super) fn text<T: Serialize>(
        self,
        answer: &T,
        markdown: String,
    ) -> Result<CallToolResult, AnswerError> {
        self.finish(self.draft(answer, markdown), None)
    }

    /// One page of a list, from an answer and its Markdown; a shorter one than
    /// was asked for when that is too large.
    ///
    /// # Errors
    /// When the question has no answer, or it cannot be made small enough.
    pub(super) fn page<T: Serialize>(
        self,
        mut page: Page,
        ask: impl Fn(&Page) -> Result<(T, String), AnswerError>,
    ) -> Result<CallToolResult, AnswerError> {
        let asked = page.size;
        loop {
            let (answer, markdown) = ask(&page)?;
            let draft = self.draft(&answer, markdown);
            let shown = draft.length(self.shape.list);
            let size = draft.size();
            if size <= CEILING || shown <= 1 {
                let shortened = (page.size < asked)
                    .then(|| format!("{}: {shown} on this page", self.shape.list));
                return self.finish(draft, shortened);
            }
            // Entries differ in size; a tenth of room saves most second tries.
            let fitting = shown * CEILING / size * 9 / 10;
            let fitting = fitting.clamp(1, shown - 1);
            page.size = u32::try_from(fitting).unwrap_or(1);
        }
    }

    fn draft<T: Serialize>(self, answer: &T, markdown: String) -> Draft {
        // Answers are structs with string keys, which always serialise.
        let mut structured = serde_json::to_value(answer).unwrap_or_default();
        let cut = shape::apply(&mut structured, self.shape, self.detail, self.one_cluster);
        Draft {
            markdown,
            structured,
            cut,
            with_json: self.detail == Detail::Full,
        }
    }

    fn finish(
        self,
        mut draft: Draft,
        shortened: Option<String>,
    ) -> Result<CallToolResult, AnswerError> {
        draft.cut.extend(shortened);
        if draft.size() > CEILING {
            cut_lines(&mut draft.markdown, MARKDOWN);
            let room = CEILING
                - NOTICE
                - if draft.with_json {
                    draft.markdown.len()
                } else {
                    0
                };
            let cut = shape::shorten(&mut draft.structured, self.shape, &|value| {
                length(value) <= room
            });
            draft.cut.extend(cut);
        }
        if let (Value::Object(members), false) = (&mut draft.structured, draft.cut.is_empty()) {
            members.insert("truncated".to_owned(), json!(draft.cut));
        }
        if draft.size() > CEILING {
            return Err(AnswerError::Invalid(
                "the answer is too large; ask about one object, or with `detail` = \"summary\""
                    .to_owned(),
            ));
        }
        Ok(draft.result())
    }
}

/// A result that may still be too large.
struct Draft {
    markdown: String,
    structured: Value,
    cut: Vec<String>,
    with_json: bool,
}

impl Draft {
    /// Of the larger of text and structured content.
    fn size(&self) -> usize {
        let structured = length(&self.structured);
        let text = self.markdown.len() + if self.with_json { structured } else { 0 };
        // Whatever is added later: the page token and what was cut.
        let notices: usize = self.cut.iter().map(|cut| cut.len() + 8).sum();
        structured.max(text) + notices
    }

    fn length(&self, list: &str) -> usize {
        let list = self.structured.get(list).and_then(Value::as_array);
        list.map_or(0, Vec::len)
    }

    fn result(self) -> CallToolResult {
        let mut markdown = self.markdown;
        if let Some(token) = self
            .structured
            .get("next_page_token")
            .and_then(Value::as_str)
        {
            let more = format!("\nMore: `page_token` = `{token}`\n");
            markdown.push_str(&more);
        }
        if !self.cut.is_empty() {
            let cut = self.cut.join("; ");
            let notice = format!("\nCut to keep the answer small: {cut}\n");
            markdown.push_str(&notice);
        }
        let mut content = vec![ContentBlock::text(markdown)];
        if self.with_json {
            content.push(ContentBlock::text(self.structured.to_string()));
        }
        let mut result = CallToolResult::success(content);
        result.structured_content = Some(self.structured);
        result
    }
}

/// A failure that the model can act on: the text says how. Without structured
/// content, which would have to match the schema of an answer.
pub(super) fn failure(text: impl Into<String>) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(text.into())])
}

fn length(value: &Value) -> usize {
    let mut counter = Counter(0);
    // Writing to a counter does not fail.
    match serde_json::to_writer(&mut counter, value) {
        Ok(()) => counter.0,
        Err(_) => usize::MAX,
    }
}

struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Keeps whole lines, and says that some are missing.
fn cut_lines(text: &mut String, limit: usize) {
    if text.len() <= limit {
        return;
    }
    let mut end = 0;
    for line in text.split_inclusive('\n') {
        if end + line.len() > limit {
            break;
        }
        end += line.len();
    }
    text.truncate(end);
    text.push_str("\n*More lines were cut; ask about one object for them.*\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_line() {
        let mut text = "äöü\n".repeat(100);
        cut_lines(&mut text, 20);
        assert!(text.starts_with("äöü\näöü\n\n*More lines"), "{text}");
    }
}
