//! Answers as text for a terminal, as Markdown for chat, or as JSON.
//!
//! Each answer is described once, as a list of blocks; one writer makes text of
//! it and one makes Markdown. So neither form can show what the other hides,
//! and escaping has one place per form.

use serde::Serialize;

mod analyses;
mod block;
mod cell;
mod cluster;
mod coordinator;
mod doctor;
mod enrollment;
pub mod events;
mod finding;
mod guest;
mod guest_command;
mod guest_diagnosis;
mod intent;
mod markdown;
pub mod metrics;
mod node;
pub(crate) mod plot;
mod report;
mod revisions;
mod storage;
#[cfg(test)]
mod tests;
mod text;

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
    /// Columns of the terminal; `None` = sentences end at 100 columns and tables
    /// are as wide as they are.
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

impl<T: block::Describe + Serialize> Render for T {
    fn text(&self, style: &Style) -> String {
        text::write(&self.describe(), style)
    }

    fn markdown(&self) -> String {
        markdown::write(&self.describe())
    }
}
