//! Markdown for chat and tickets, in GitHub's dialect.

use super::block::{Beat, Block, Document, Mark, Table, Tone};
use crate::finding::Severity;

/// Breaks a word for those who link it, without showing.
const BREAK: &str = "&#8203;";
/// Columns of charts: wider ones do not fit where Markdown is read.
const DRAWING_WIDTH: u16 = 90;

pub(super) fn write(document: &Document) -> String {
    let mut out = String::new();
    let mut in_list = false;
    for block in &document.blocks {
        let is_line = matches!(block, Block::Line { .. });
        // A list ends with a blank line, or what follows belongs to its last item.
        if in_list && !is_line {
            blank(&mut out);
        }
        in_list = is_line;
        match block {
            Block::State { tone, word, text } => {
                out.push_str(&format_line(&[
                    "## ",
                    emoji(*tone),
                    " ",
                    &escape(&word.to_uppercase()),
                    ": ",
                    &escape(text),
                ]));
                blank(&mut out);
            }
            Block::Heading(text) => {
                blank(&mut out);
                out.push_str(&format_line(&["### ", &escape(text)]));
                blank(&mut out);
            }
            Block::Note(text) => {
                out.push_str(&format_line(&["*", &escape(text), "*"]));
                blank(&mut out);
            }
            Block::Line { mark, text } => out.push_str(&list_item(*mark, text)),
            Block::Table(table) => {
                write_table(&mut out, table);
                blank(&mut out);
            }
            Block::Output(text) => {
                blank(&mut out);
                write_output(&mut out, text);
                blank(&mut out);
            }
            Block::Drawing(drawing) => {
                blank(&mut out);
                write_output(&mut out, &drawing.text(DRAWING_WIDTH, false));
                blank(&mut out);
            }
            Block::Timeline(beats) => write_timeline(&mut out, beats),
            Block::Gap => blank(&mut out),
        }
    }
    let mut out = out.trim_matches('\n').to_owned();
    out.push('\n');
    out
}

fn write_timeline(out: &mut String, beats: &[Beat]) {
    for beat in beats {
        let line = match beat {
            Beat::Pause(length) => format!("- *{}*\n", escape(length)),
            Beat::Event {
                time,
                tone,
                kind,
                subject,
                text,
            } => {
                let mark = match tone {
                    Tone::Critical | Tone::Warning => format!("{} ", emoji(*tone)),
                    _ => String::new(),
                };
                let (subject, text) = (escape(subject), escape(text));
                format!("- {mark}**{time}** {kind} {subject}: {text}\n")
            }
        };
        out.push_str(&line);
    }
    blank(out);
}

/// Between fences that are longer than any in the text, which therefore cannot end it.
fn write_output(out: &mut String, text: &str) {
    let mut longest = 2;
    let mut run = 0;
    for character in text.chars() {
        run = if character == '`' { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    let fence = "`".repeat(longest + 1);
    let text = text.trim_end_matches('\n');
    out.push_str(&format_line(&[&fence, "text\n", text, "\n", &fence]));
}

fn format_line(parts: &[&str]) -> String {
    parts.concat() + "\n"
}

/// At most one blank line.
fn blank(out: &mut String) {
    if !out.is_empty() && !out.ends_with("\n\n") {
        out.push('\n');
    }
}

fn list_item(mark: Mark, text: &str) -> String {
    // Blanks that align columns in text separate figures here.
    let parts: Vec<&str> = text
        .split("  ")
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect();
    let text = escape(&parts.join(" · "));
    match mark {
        Mark::None => format!("- {text}\n"),
        Mark::Below => format!("  - {text}\n"),
        Mark::State(tone) => format!("- {} {text}\n", emoji(tone)),
        Mark::Detail(word) => format!("  - {word}: {text}\n"),
        Mark::Good => format!("- {} {text}\n", emoji(Tone::Good)),
        Mark::Number(number) => format!("{number}. {text}\n"),
        Mark::Severity(severity) => {
            let (tone, word) = match severity {
                Severity::Critical => (Tone::Critical, "critical"),
                Severity::Warning => (Tone::Warning, "warning"),
                Severity::Info => (Tone::Plain, "info"),
            };
            format!("- {} **{word}** {text}\n", emoji(tone))
        }
    }
}

fn emoji(tone: Tone) -> &'static str {
    match tone {
        Tone::Critical => "🔴",
        Tone::Warning => "🟠",
        Tone::Good => "🟢",
        Tone::Dim => "⚪",
        Tone::Plain | Tone::Bold => "🔵",
    }
}

fn write_table(out: &mut String, table: &Table) {
    let used = table.used();
    let columns: Vec<_> = used
        .iter()
        .filter_map(|column| table.columns.get(*column))
        .collect();
    if columns.is_empty() {
        return;
    }
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    let titles: Vec<String> = columns.iter().map(|column| escape(column.title)).collect();
    out.push_str(&row(&titles));
    let rules: Vec<String> = columns
        .iter()
        .map(|column| if column.right { "---:" } else { "---" }.to_owned())
        .collect();
    out.push_str(&row(&rules));
    for line in &table.rows {
        let cells: Vec<String> = used
            .iter()
            .map(|column| match line.cells.get(*column) {
                Some(Some(cell)) => escape(cell),
                _ => "–".to_owned(),
            })
            .collect();
        out.push_str(&row(&cells));
    }
}

/// Text as it is, whatever characters it has: nothing in it becomes markup, a
/// link, a mention, HTML or a further table cell. Line breaks were taken out
/// when the text became safe to show.
pub(super) fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    let mut previous = None;
    let mut at_start = true;
    for (position, character) in text.char_indices() {
        match character {
            '\\' | '`' | '*' | '_' | '{' | '}' | '[' | ']' | '|' | '~' | '!' | '$' => {
                out.push('\\');
                out.push(character);
            }
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            // Mentions and issue references are found in the rendered text, so
            // that a backslash does not stop them.
            '@' | '#' => {
                out.push(character);
                out.push_str(BREAK);
            }
            '/' if previous == Some(':') => {
                out.push_str(BREAK);
                out.push('/');
            }
            '.' if ends_with_www(text.get(..position)) => {
                out.push_str(BREAK);
                out.push('.');
            }
            // A list or a rule begins only at the start.
            '-' | '+' | '=' if out.trim().is_empty() => {
                out.push('\\');
                out.push(character);
            }
            '.' | ')'
                if at_start
                    && previous.is_some()
                    && matches!(next(text, position), None | Some(' ')) =>
            {
                out.push('\\');
                out.push(character);
            }
            '\n' | '\r' => out.push(' '),
            _ => out.push(character),
        }
        at_start &= character.is_ascii_digit() || character == ' ';
        previous = Some(character);
    }
    out
}

/// What follows the one-byte character at `position`.
fn next(text: &str, position: usize) -> Option<char> {
    text.get(position + 1..)?.chars().next()
}

fn ends_with_www(text: Option<&str>) -> bool {
    text.is_some_and(|text| {
        text.len() >= 3
            && text
                .get(text.len() - 3..)
                .is_some_and(|end| end.eq_ignore_ascii_case("www"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_becomes_markup() {
        for (name, shown) in [
            ("web-1", "web-1"),
            ("a|b", "a\\|b"),
            ("`rm`", "\\`rm\\`"),
            ("[x](http://e.example)", "\\[x\\](http:&#8203;//e.example)"),
            ("<img src=x>", "&lt;img src=x&gt;"),
            ("@admin #1", "@&#8203;admin #&#8203;1"),
            ("www.e.example", "www&#8203;.e.example"),
            ("**b** ~~s~~ $x$", "\\*\\*b\\*\\* \\~\\~s\\~\\~ \\$x\\$"),
            ("- item", "\\- item"),
            ("1. item", "1\\. item"),
            ("2026-11-25 09:46", "2026-11-25 09:46"),
            ("5.0 %", "5.0 %"),
            ("1.ä", "1.ä"),
            ("&lt;", "&amp;lt;"),
            ("\\|", "\\\\\\|"),
        ] {
            assert_eq!(escape(name), shown);
        }
    }
}
