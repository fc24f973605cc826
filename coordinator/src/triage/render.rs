//! The page: at most 25 lines of at most 100 columns.
//!
//! The first lines are the fault and its beginning. Every part has its share of
//! the lines, so no list, however long, can push another off the page.

use super::{
    Source, State, Triage, Trouble,
    words::{self, COLUMNS},
};
use crate::finding::Severity;

/// Lines of the page.
pub(super) const LINES: usize = 25;
/// Columns of the words at the left edge.
const LABEL: usize = 9;
/// Columns beside them.
const ROOM: usize = COLUMNS - LABEL;

/// Rows that a sentence of the head may take.
const SENTENCE: usize = 2;

#[derive(Clone, Copy)]
enum Tone {
    Bad,
    Warn,
    Good,
    Bold,
    Dim,
}

/// Rows beside one label.
struct Part {
    label: &'static str,
    tone: Tone,
    /// Each fits its line.
    rows: Vec<String>,
    /// Rows that it gets in any case.
    share: usize,
    /// Says how many rows are not shown; what is to be copied does not.
    counts: bool,
}

/// The page as text, with ANSI colours if wanted.
#[must_use]
pub fn text(triage: &Triage, color: bool) -> String {
    let mut parts = head(triage);
    if !triage.troubles.is_empty() {
        parts.push(part("ALSO", Tone::Bold, also(triage), 3));
        let events = triage.timeline.iter();
        let events = events.map(|event| {
            let at = words::time(event.at, triage.at);
            vec![format!("{at}  {}", event.what)]
        });
        parts.push(part("BEFORE", Tone::Bold, events.collect(), 5));
    }
    let single = |lines: &[String]| lines.iter().map(|line| vec![line.clone()]).collect();
    parts.push(part("WORKS", Tone::Good, single(&triage.still_works), 4));
    parts.push(part("DO NOT", Tone::Bad, single(&triage.do_not), 4));
    let look = part("LOOK", Tone::Bold, single(&triage.look_next), 3);
    parts.push(Part {
        counts: false,
        ..look
    });
    if !triage.not_seen.is_empty() {
        let notes = words::wrap(&triage.not_seen.join("; "), ROOM, 3);
        parts.push(part("UNSEEN", Tone::Dim, vec![notes], 1));
    }
    let mut spare = LINES.saturating_sub(parts.iter().map(Part::least).sum());
    // What could not be seen may turn everything else over, so it goes first.
    for part in parts.iter_mut().rev() {
        let more = part.rows.len().saturating_sub(part.share).min(spare);
        part.share += more;
        spare -= more;
    }
    parts.iter().map(|part| part.text(color)).collect()
}

/// A part of lines that each have one or more rows.
fn part(label: &'static str, tone: Tone, lines: Vec<Vec<String>>, share: usize) -> Part {
    let rows = lines.into_iter().flatten();
    Part {
        label,
        tone,
        rows: rows
            .map(|row| words::line(row.trim(), ROOM))
            .filter(|row| !row.is_empty())
            .collect(),
        share,
        counts: label != "UNSEEN",
    }
}

/// What is broken and since when, or that nothing is.
fn head(triage: &Triage) -> Vec<Part> {
    let sentence = |label, tone, text: &str| {
        let rows = words::wrap(text, ROOM, SENTENCE);
        part(label, tone, vec![rows], SENTENCE)
    };
    if let Some(first) = triage.troubles.first() {
        let (label, tone) = match first.severity {
            Severity::Critical => ("BROKEN", Tone::Bad),
            _ => ("WARNING", Tone::Warn),
        };
        let what = format!("{}.", first.what.trim_end_matches('.'));
        let onset = format!("{} {}", first.since.words(triage.at), first.impact);
        return vec![sentence(label, tone, &what), sentence("", tone, &onset)];
    }
    let node = &triage.node;
    vec![if triage.state == State::Unknown {
        let text = format!("{node}: what would show whether it is well could not be read");
        sentence("UNKNOWN", Tone::Warn, &text)
    } else {
        let text = format!(
            "{node}: nothing is broken that this node can see, at {} UTC{}",
            words::time(triage.at, triage.at),
            looked_back(&triage.source)
        );
        sentence("FINE", Tone::Good, &text)
    }]
}

fn looked_back(source: &Source) -> String {
    match source {
        Source::Agent { history_seconds } if *history_seconds >= 60 => {
            let seconds = u64::try_from(*history_seconds).unwrap_or_default();
            let span = crate::figure::duration(std::time::Duration::from_secs(seconds));
            format!(" and {span} back")
        }
        _ => String::new(),
    }
}

/// What else is wrong, each kind once.
fn also(triage: &Triage) -> Vec<Vec<String>> {
    let mut kinds: Vec<(&Trouble, usize)> = Vec::new();
    for trouble in &triage.troubles {
        match kinds.iter_mut().find(|(one, _)| one.check == trouble.check) {
            Some((_, count)) => *count = count.saturating_add(1),
            None => kinds.push((trouble, 1)),
        }
    }
    let line = |(position, (trouble, count)): (usize, &(&Trouble, usize))| {
        let what = trouble.what.trim_end_matches('.');
        // The sentence of what is urgent is read to its end.
        let rows = match trouble.severity {
            Severity::Critical => 2,
            _ => 1,
        };
        let more = count.saturating_sub(1);
        match (position, more) {
            (0, 0) => None,
            (0, _) => Some(vec![format!("{more} more like it")]),
            (_, 0) => Some(words::wrap(what, ROOM, rows)),
            _ => {
                let more = format!(" (and {more} more like it)");
                Some(vec![
                    words::line(what, ROOM.saturating_sub(more.len())) + &more,
                ])
            }
        }
    };
    kinds.iter().enumerate().filter_map(line).collect()
}

impl Part {
    /// Rows that it takes at least.
    fn least(&self) -> usize {
        self.rows.len().min(self.share)
    }

    /// Its rows; of too many the first, of what happened the last.
    fn text(&self, color: bool) -> String {
        let hidden = self.rows.len().saturating_sub(self.share);
        let from = if self.label == "BEFORE" { hidden } else { 0 };
        let rows = self.rows.iter().skip(from).take(self.share);
        let mut text = String::new();
        for (number, row) in rows.enumerate() {
            let label = if number == 0 { self.label } else { "" };
            let label = painted(&format!("{label:LABEL$}"), self.tone, color);
            let is_last = number + 1 == self.share;
            let row = if is_last && hidden > 0 && self.counts && from == 0 {
                let note = format!(" (+{hidden} more)");
                words::line(row, ROOM.saturating_sub(note.len())) + &note
            } else {
                row.clone()
            };
            let row = match self.tone {
                Tone::Dim => painted(&row, Tone::Dim, color),
                _ if matches!(self.label, "BROKEN" | "WARNING") => painted(&row, Tone::Bold, color),
                _ => row,
            };
            let line = format!("{label}{row}");
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

fn painted(text: &str, tone: Tone, color: bool) -> String {
    let code = match tone {
        Tone::Bad => "1;31",
        Tone::Warn => "33",
        Tone::Good => "32",
        Tone::Bold => "1",
        Tone::Dim => "2",
    };
    if color && !text.trim().is_empty() {
        format!("\x1b[{code}m{text}\x1b[0m")
    } else {
        text.to_owned()
    }
}
