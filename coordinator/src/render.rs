//! Answers as text for a terminal, as Markdown for chat, or as JSON.

use serde::Serialize;

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Format {
    #[default]
    Text,
    Json,
    Markdown,
}

/// How to lay an answer out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Style {
    pub format: Format,
    /// Columns of the terminal; `None` = no limit.
    pub width: Option<u16>,
    /// ANSI colours, in text only.
    pub color: bool,
}

/// An answer that people read.
pub trait Render: Serialize {
    fn text(&self, style: &Style) -> String;
    fn markdown(&self) -> String;
}

/// The answer in the asked format, ending with a newline.
#[must_use]
pub fn render<T: Render>(answer: &T, style: &Style) -> String {
    match style.format {
        Format::Text => answer.text(style),
        Format::Markdown => answer.markdown(),
        // Answers are structs with string keys, which always serialise.
        Format::Json => serde_json::to_string_pretty(answer).unwrap_or_default() + "\n",
    }
}
