//! What an answer consists of, before it is text or Markdown.

use super::plot::{self, Layout, Plot};
use crate::finding::Severity;

/// An answer that says what it shows.
pub(super) trait Describe {
    fn describe(&self) -> Document;
}

/// The blocks of an answer, from top to bottom.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) blocks: Vec<Block>,
    /// Rows that the text may take; a longer one cuts its longest lines.
    pub(super) page: Option<usize>,
}

#[derive(Debug)]
pub(super) enum Block {
    /// The first line of a report: how it is, in a word and a sentence.
    State {
        tone: Tone,
        word: String,
        text: String,
    },
    Heading(String),
    Line {
        mark: Mark,
        text: String,
    },
    Table(Table),
    /// Less important: sources, counts, legends.
    Note(String),
    /// Lines as a program printed them, apart from our own.
    Output(String),
    Drawing(Drawing),
    Timeline(Vec<Beat>),
    Gap,
}

/// One row of a line of time.
#[derive(Debug)]
pub(super) enum Beat {
    Event {
        /// `18:02:11`
        time: String,
        tone: Tone,
        kind: &'static str,
        subject: String,
        text: String,
    },
    /// So long nothing happened.
    Pause(String),
}

/// Charts, which are as wide as the page.
#[derive(Debug)]
pub(super) struct Drawing {
    pub(super) plot: Plot,
    /// Of one chart.
    pub(super) rows: u16,
    /// No characters but those of ASCII.
    pub(super) ascii: bool,
}

/// What stands before a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    None,
    Severity(Severity),
    /// Nothing to complain about.
    Good,
    Number(u32),
    /// Belongs to the line before.
    Below,
    /// How something is that was looked at.
    State(Tone),
    /// A word about the line before, and what follows it.
    Detail(&'static str),
}

/// How good or bad something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Tone {
    #[default]
    Plain,
    Good,
    Warning,
    Critical,
    Dim,
    Bold,
}

#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Figures, aligned to the right.
    pub(super) right: bool,
    /// May be cut when space is short.
    pub(super) elastic: bool,
    /// Left out when space is short, the highest first; 0 = never.
    pub(super) spare: u8,
}

#[derive(Debug)]
pub(super) struct Row {
    pub(super) tone: Tone,
    /// Absent = not known.
    pub(super) cells: Vec<Option<String>>,
}

/// A column of words.
pub(super) fn words(title: &'static str) -> Column {
    Column {
        title,
        right: false,
        elastic: false,
        spare: 0,
    }
}

/// A column of names, which may be cut.
pub(super) fn names(title: &'static str) -> Column {
    Column {
        elastic: true,
        ..words(title)
    }
}

/// A column of figures.
pub(super) fn figures(title: &'static str) -> Column {
    Column {
        right: true,
        ..words(title)
    }
}

impl Column {
    pub(super) fn spare(self, order: u8) -> Self {
        Self {
            spare: order,
            ..self
        }
    }
}

impl Drawing {
    pub(super) fn text(&self, width: u16, color: bool) -> String {
        let layout = Layout {
            width,
            height: self.rows,
            color,
            unicode: !self.ascii,
        };
        plot::text(&self.plot, &layout)
    }
}

impl Table {
    pub(super) fn new(columns: &[Column]) -> Self {
        Self {
            columns: columns.to_vec(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row(&mut self, tone: Tone, cells: Vec<Option<String>>) {
        self.rows.push(Row { tone, cells });
    }

    /// Positions of columns that have something to show. A column that is
    /// unknown or empty in every row says nothing.
    pub(super) fn used(&self) -> Vec<usize> {
        (0..self.columns.len())
            .filter(|position| {
                self.rows.iter().any(|row| {
                    row.cells
                        .get(*position)
                        .is_some_and(|cell| cell.as_ref().is_some_and(|cell| !cell.is_empty()))
                })
            })
            .collect()
    }
}

impl Document {
    pub(super) fn heading(&mut self, text: &str) {
        self.blocks.push(Block::Heading(text.to_owned()));
    }

    pub(super) fn line(&mut self, mark: Mark, text: impl Into<String>) {
        self.blocks.push(Block::Line {
            mark,
            text: text.into(),
        });
    }

    pub(super) fn note(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Note(text.into()));
    }

    pub(super) fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    pub(super) fn gap(&mut self) {
        self.blocks.push(Block::Gap);
    }
}
