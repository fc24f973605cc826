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
#[cfg(test)]
pub(super) const LINES: usize = 25;
/// Columns of the words at the left edge.
const LABEL: usize = 9;

/// Lines of each part; together a page.
const FAULT: usize = 2;
const ONSET: usize = 2;
const ALSO: usize = 3;
const BEFORE: usize = 6;
const WORKS: usize = 4;
const DO_NOT: usize = 4;
const LOOK: usize = 3;
const UNSEEN: usize = 1;

#[derive(Clone, Copy)]
enum Tone {
    Bad,
    Warn,
    Good,
    Bold,
    Dim,
}

struct Page {
    text: String,
    color: bool,
}

/// The page as text, with ANSI colours if wanted.
#[must_use]
pub fn text(triage: &Triage, color: bool) -> String {
    let mut page = Page {
        text: String::new(),
        color,
    };
    head(triage, &mut page);
    let also = also(triage);
    page.part("ALSO", Tone::Bold, &also, ALSO);
    let events: Vec<String> = triage
        .timeline
        .iter()
        .map(|event| format!("{}  {}", words::time(event.at, triage.at), event.what))
        .collect();
    // Of too many the newest.
    let from = events.len().saturating_sub(BEFORE);
    if !triage.troubles.is_empty() {
        let events = events.get(from..).unwrap_or_default();
        page.part("BEFORE", Tone::Bold, events, BEFORE);
    }
    page.part("WORKS", Tone::Good, &triage.still_works, WORKS);
    page.part("DO NOT", Tone::Bad, &triage.do_not, DO_NOT);
    page.part("LOOK", Tone::Bold, &triage.look_next, LOOK);
    if !triage.not_seen.is_empty() {
        let notes = triage.not_seen.join("; ");
        page.rows(
            "UNSEEN",
            Tone::Dim,
            &words::wrap(&notes, COLUMNS - LABEL, UNSEEN),
        );
    }
    page.text
}

fn head(triage: &Triage, page: &mut Page) {
    let Some(first) = triage.troubles.first() else {
        let (label, tone, text) = match triage.state {
            State::Unknown => (
                "UNKNOWN",
                Tone::Warn,
                format!(
                    "{}: what would show whether it is well could not be read",
                    triage.node
                ),
            ),
            _ => (
                "FINE",
                Tone::Good,
                format!(
                    "{}: nothing is broken as far as this node can see, at {} UTC{}",
                    triage.node,
                    words::time(triage.at, triage.at),
                    looked_back(&triage.source)
                ),
            ),
        };
        page.rows(label, tone, &words::wrap(&text, COLUMNS - LABEL, FAULT));
        return;
    };
    let (label, tone) = match first.severity {
        Severity::Critical => ("BROKEN", Tone::Bad),
        _ => ("WARNING", Tone::Warn),
    };
    let what = format!("{}.", first.what.trim_end_matches('.'));
    page.rows(label, tone, &words::wrap(&what, COLUMNS - LABEL, FAULT));
    let onset = format!("{} {}", first.since.words(triage.at), first.impact);
    page.rows("", tone, &words::wrap(&onset, COLUMNS - LABEL, ONSET));
}

fn looked_back(source: &Source) -> String {
    match source {
        Source::Agent { history_seconds } if *history_seconds >= 60 => {
            let seconds = u64::try_from(*history_seconds).unwrap_or_default();
            let span = crate::figure::duration(std::time::Duration::from_secs(seconds));
            format!(" and in the {span} before")
        }
        _ => String::new(),
    }
}

/// What else is wrong, one line for each kind.
fn also(triage: &Triage) -> Vec<String> {
    let mut kinds: Vec<(&Trouble, usize)> = Vec::new();
    for trouble in &triage.troubles {
        match kinds.iter_mut().find(|(one, _)| one.check == trouble.check) {
            Some((_, count)) => *count += 1,
            None => kinds.push((trouble, 1)),
        }
    }
    let line = |(position, (trouble, count)): (usize, &(&Trouble, usize))| {
        let more = count - 1;
        let what = trouble.what.trim_end_matches('.');
        match (position, more) {
            (0, 0) => None,
            (0, _) => Some(format!("{} more like it", more)),
            (_, 0) => Some(what.to_owned()),
            _ => Some(format!(
                "{} (and {more} more like it)",
                words::line(what, 66)
            )),
        }
    };
    kinds.iter().enumerate().filter_map(line).collect()
}

impl Page {
    /// Lines below each other beside a label; of too many the first, and how many
    /// are not shown.
    fn part(&mut self, label: &str, tone: Tone, lines: &[String], most: usize) {
        let room = COLUMNS - LABEL;
        let more = lines.len().saturating_sub(most);
        let mut rows: Vec<String> = lines
            .iter()
            .take(most)
            .map(|text| words::line(text, room))
            .collect();
        if more > 0
            && let Some(last) = rows.last_mut()
        {
            let note = format!(" (+{more} more)");
            *last = words::line(last, room - note.len()) + &note;
        }
        self.rows(label, tone, &rows);
    }

    fn rows(&mut self, label: &str, tone: Tone, rows: &[String]) {
        for (number, row) in rows.iter().enumerate() {
            let label = if number == 0 { label } else { "" };
            let label = format!("{label:LABEL$}");
            let label = self.painted(&label, tone);
            let is_head = matches!(label.trim(), "BROKEN" | "WARNING");
            let row = match tone {
                Tone::Dim => self.painted(row, Tone::Dim),
                _ if is_head => self.painted(row, Tone::Bold),
                _ => row.clone(),
            };
            let line = format!("{label}{row}");
            self.text.push_str(line.trim_end());
            self.text.push('\n');
        }
    }

    fn painted(&self, text: &str, tone: Tone) -> String {
        let code = match tone {
            Tone::Bad => "1;31",
            Tone::Warn => "33",
            Tone::Good => "32",
            Tone::Bold => "1",
            Tone::Dim => "2",
        };
        if self.color && !text.trim().is_empty() {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
