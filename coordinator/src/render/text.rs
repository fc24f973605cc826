//! Text for a terminal. Words and symbols carry the meaning; colours only help.

use comfy_table::{
    CellAlignment, ColumnConstraint, ContentArrangement, Row as ComfyRow, Table as ComfyTable,
    Width, presets::NOTHING,
};

use super::{
    Style,
    block::{Block, Document, Mark, Table, Tone},
};
use crate::finding::Severity;

mod timeline;

/// Columns of sentences when the terminal does not say.
const DEFAULT_WIDTH: u16 = 100;
/// Narrower than this nothing can be laid out.
const LEAST_WIDTH: u16 = 40;
/// Rows that one line may take while the page has room.
const ROWS_OF_LINE: usize = 4;
/// Shown for what is not known.
const UNKNOWN: &str = "–";
/// Blanks between columns.
const COLUMN_GAP: u16 = 2;
/// Before what a program printed.
const OUTPUT: &str = "  │ ";
/// Stands for a blank that must not become the end of a line.
const KEPT_BLANK: &str = "\u{e000}";

pub(super) fn write(document: &Document, style: &Style) -> String {
    let width = style.width.unwrap_or(DEFAULT_WIDTH).max(LEAST_WIDTH);
    let paragraphs: Vec<Option<Paragraph<'_>>> =
        document.blocks.iter().map(Paragraph::of).collect();
    let rows = rows(document, &paragraphs, width);
    let mut out = String::new();
    let mut unknown = false;
    for ((block, paragraph), rows) in document.blocks.iter().zip(&paragraphs).zip(rows) {
        match (block, paragraph) {
            (_, Some(paragraph)) => paragraph.write(&mut out, width, rows, style.color),
            (Block::Table(table), _) => {
                unknown |= write_table(&mut out, table, style);
            }
            (Block::Output(text), _) => write_output(&mut out, text, style.color),
            (Block::Drawing(drawing), _) => out.push_str(&drawing.text(width, style.color)),
            (Block::Timeline(beats), _) => timeline::write(&mut out, beats, width, style.color),
            _ => out.push('\n'),
        }
    }
    if unknown {
        out.push_str(&paint(
            &format!("  {UNKNOWN} = not known"),
            Tone::Dim,
            style.color,
        ));
        out.push('\n');
    }
    out
}

/// How many rows each paragraph may take. With a page, every line gets one row;
/// what is left goes round from the top, where the most important lines stand.
fn rows(document: &Document, paragraphs: &[Option<Paragraph<'_>>], width: u16) -> Vec<usize> {
    let Some(page) = document.page else {
        return vec![usize::MAX; paragraphs.len()];
    };
    let wanted: Vec<usize> = paragraphs
        .iter()
        .map(|paragraph| {
            paragraph
                .as_ref()
                .map_or(1, |paragraph| paragraph.lines(width, ROWS_OF_LINE).len())
        })
        .collect();
    let mut rows = vec![1; paragraphs.len()];
    let mut spare = page.saturating_sub(paragraphs.len());
    for round in 2..=ROWS_OF_LINE {
        for (rows, wanted) in rows.iter_mut().zip(&wanted) {
            if spare > 0 && *wanted >= round {
                *rows = round;
                spare -= 1;
            }
        }
    }
    rows
}

/// Text that wraps behind a prefix.
#[derive(Debug)]
struct Paragraph<'b> {
    prefix: String,
    /// Columns of the prefix.
    indent: u16,
    prefix_tone: Tone,
    text: &'b str,
    text_tone: Tone,
}

impl<'b> Paragraph<'b> {
    fn of(block: &'b Block) -> Option<Self> {
        let paragraph = |prefix: String, prefix_tone, text, text_tone| {
            // Prefixes are our own words and symbols, one column per character.
            let indent = u16::try_from(prefix.chars().count()).unwrap_or(0);
            Some(Self {
                prefix,
                indent,
                prefix_tone,
                text,
                text_tone,
            })
        };
        match block {
            Block::State { tone, word, text } => paragraph(
                format!("{} {}  ", symbol(*tone), word.to_uppercase()),
                *tone,
                text,
                Tone::Bold,
            ),
            Block::Heading(text) => paragraph(String::new(), Tone::Plain, text, Tone::Bold),
            Block::Note(text) => paragraph("  ".to_owned(), Tone::Dim, text, Tone::Dim),
            Block::Line { mark, text } => match mark {
                Mark::None => paragraph("  ".to_owned(), Tone::Plain, text, Tone::Plain),
                Mark::Below => paragraph(" ".repeat(14), Tone::Plain, text, Tone::Plain),
                Mark::State(tone) => {
                    paragraph(format!("  {} ", symbol(*tone)), *tone, text, Tone::Plain)
                }
                Mark::Detail(word) => {
                    paragraph(format!("      {word}: "), Tone::Dim, text, Tone::Plain)
                }
                Mark::Good => paragraph("  ✔ ".to_owned(), Tone::Good, text, Tone::Plain),
                Mark::Number(number) => {
                    paragraph(format!("  {number}. "), Tone::Bold, text, Tone::Plain)
                }
                Mark::Severity(severity) => {
                    let (tone, word) = match severity {
                        Severity::Critical => (Tone::Critical, "critical"),
                        Severity::Warning => (Tone::Warning, "warning"),
                        Severity::Info => (Tone::Plain, "info"),
                    };
                    paragraph(
                        format!("  {} {word:10}", symbol(tone)),
                        tone,
                        text,
                        Tone::Plain,
                    )
                }
            },
            Block::Table(_)
            | Block::Output(_)
            | Block::Drawing(_)
            | Block::Timeline(_)
            | Block::Gap => None,
        }
    }

    fn lines(&self, width: u16, rows: usize) -> Vec<String> {
        wrap(self.text, width.saturating_sub(self.indent), rows)
    }

    fn write(&self, out: &mut String, width: u16, rows: usize, color: bool) {
        for (number, line) in self.lines(width, rows).iter().enumerate() {
            if number == 0 {
                out.push_str(&paint(&self.prefix, self.prefix_tone, color));
            } else {
                out.push_str(&" ".repeat(usize::from(self.indent)));
            }
            out.push_str(&paint(line, self.text_tone, color));
            out.push('\n');
        }
    }
}

fn symbol(tone: Tone) -> char {
    match tone {
        Tone::Critical => '✖',
        Tone::Warning => '!',
        Tone::Good => '✔',
        Tone::Dim => '?',
        Tone::Plain | Tone::Bold => '·',
    }
}

/// Lines of at most `width` columns, at most `rows` of them; text that is cut
/// ends in an ellipsis. A command between backticks stays in one line where it
/// fits, so that it can be copied. The table crate knows how wide characters are.
fn wrap(text: &str, width: u16, rows: usize) -> Vec<String> {
    let mut table = ComfyTable::new();
    table
        .load_preset(NOTHING)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_truncation_indicator("…")
        .set_width(width.max(1));
    let mut row = ComfyRow::from(vec![keep_commands(text)]);
    if rows != usize::MAX {
        row.max_height(rows.max(1));
    }
    table.add_row(row);
    for column in table.column_iter_mut() {
        column.set_padding((0, 0));
    }
    let mut lines: Vec<String> = table
        .lines()
        .map(|line| line.trim_end().replace(KEPT_BLANK, " "))
        .collect();
    if lines.is_empty() {
        lines.push(String::new());
    }
    lines
}

fn keep_commands(text: &str) -> String {
    let parts = text
        .split('`')
        .enumerate()
        .map(|(number, part)| match number % 2 {
            0 => part.to_owned(),
            _ => part.replace(' ', KEPT_BLANK),
        });
    parts.collect::<Vec<_>>().join("`")
}

/// Each line behind a bar, so that nothing in it can be taken for a line of ours. Not
/// wrapped: columns stay columns.
fn write_output(out: &mut String, text: &str, color: bool) {
    for line in text.lines() {
        out.push_str(&paint(OUTPUT, Tone::Dim, color));
        out.push_str(line);
        out.push('\n');
    }
}

/// Writes the table; says whether a cell was not known.
fn write_table(out: &mut String, table: &Table, style: &Style) -> bool {
    let mut columns = table.used();
    let mut laid_out = lay_out(table, &columns);
    if let Some(width) = style.width {
        let width = width.max(LEAST_WIDTH);
        while natural_width(&laid_out) > width
            && let Some(spare) = columns
                .iter()
                .copied()
                .filter(|column| table.columns.get(*column).is_some_and(|c| c.spare > 0))
                .max_by_key(|column| table.columns.get(*column).map(|c| c.spare))
        {
            columns.retain(|column| *column != spare);
            laid_out = lay_out(table, &columns);
        }
        if natural_width(&laid_out) > width {
            fit(&mut laid_out, table, &columns, width);
        }
    }
    let tones = std::iter::once(Tone::Bold).chain(table.rows.iter().map(|row| row.tone));
    // Every row has one line, so that tones and lines go together.
    for (line, tone) in laid_out.lines().zip(tones) {
        out.push_str(&paint(&format!("  {}", line.trim_end()), tone, style.color));
        out.push('\n');
    }
    table.rows.iter().any(|row| {
        columns
            .iter()
            .any(|column| matches!(row.cells.get(*column), Some(None)))
    })
}

fn lay_out(table: &Table, columns: &[usize]) -> ComfyTable {
    let mut laid_out = ComfyTable::new();
    laid_out
        .load_preset(NOTHING)
        .set_truncation_indicator("…")
        .set_content_arrangement(ContentArrangement::Disabled);
    let titles = columns
        .iter()
        .filter_map(|column| table.columns.get(*column))
        .map(|column| column.title);
    let mut header = ComfyRow::from(titles.collect::<Vec<_>>());
    header.max_height(1);
    laid_out.set_header(header);
    for row in &table.rows {
        let cells = columns
            .iter()
            .map(|column| match row.cells.get(*column) {
                Some(Some(cell)) => cell.as_str(),
                _ => UNKNOWN,
            })
            .collect::<Vec<_>>();
        let mut row = ComfyRow::from(cells);
        row.max_height(1);
        laid_out.add_row(row);
    }
    for (place, column) in columns.iter().enumerate() {
        let right = table
            .columns
            .get(*column)
            .is_some_and(|column| column.right);
        if let Some(laid) = laid_out.column_mut(place) {
            laid.set_padding((0, COLUMN_GAP));
            if right {
                laid.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    laid_out
}

/// With the indent of tables and the gaps between the columns.
fn natural_width(table: &ComfyTable) -> u16 {
    table
        .column_max_content_widths()
        .iter()
        .map(|width| width.saturating_add(COLUMN_GAP))
        .fold(2_u16, u16::saturating_add)
        .saturating_sub(COLUMN_GAP)
}

/// Takes what is too much from the elastic columns, the widest first.
fn fit(laid_out: &mut ComfyTable, table: &Table, columns: &[usize], width: u16) {
    const LEAST: u16 = 6;
    let mut widths = laid_out.column_max_content_widths();
    let mut excess = natural_width(laid_out).saturating_sub(width);
    while excess > 0 {
        let widest = widths
            .iter_mut()
            .zip(columns)
            .filter(|(width, column)| {
                **width > LEAST && table.columns.get(**column).is_some_and(|c| c.elastic)
            })
            .max_by_key(|(width, _)| **width);
        let Some((widest, _)) = widest else { break };
        *widest -= 1;
        excess -= 1;
    }
    laid_out.set_content_arrangement(ContentArrangement::Dynamic);
    laid_out.set_width(u16::MAX);
    for (place, width) in widths.iter().enumerate() {
        if let Some(column) = laid_out.column_mut(place) {
            column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(
                width.saturating_add(COLUMN_GAP),
            )));
        }
    }
}

fn paint(text: &str, tone: Tone, color: bool) -> String {
    let code = match tone {
        Tone::Plain => return text.to_owned(),
        Tone::Good => "32",
        Tone::Warning => "33",
        Tone::Critical => "1;31",
        Tone::Dim => "2",
        Tone::Bold => "1",
    };
    if color && !text.trim().is_empty() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
