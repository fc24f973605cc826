//! `wevtutil qe ... /f:text`: blocks that begin with `Event[0]:`.

use super::{
    super::{
        log::{Entry, Tally},
        number,
        output::{LINE, NAME, Output, some},
    },
    event_kind,
};
use crate::guest_command::facts::GuestFacts;

/// One event.
#[derive(Debug, Clone, Copy, Default)]
struct Event<'a> {
    source: &'a str,
    date: &'a str,
    id: Option<u32>,
    /// In the language of Windows.
    level: &'a str,
    description: &'a str,
}

pub(in super::super) fn read(output: &Output<'_>, facts: &mut GuestFacts) {
    let events = events(output);
    if events.is_empty() && !output.is_empty() {
        return;
    }
    let lines: Vec<String> = events.iter().map(line).collect();
    let mut tally = Tally::default();
    // The newest come first; a log is told from the oldest on.
    for (event, line) in events.iter().zip(&lines).rev() {
        let entry = Entry {
            line,
            stamp: Some(event.date).filter(|date| !date.is_empty()),
            source: Some(event.source).filter(|source| !source.is_empty()),
            severity: severity(event.level),
        };
        tally.count(&entry);
        if let Some(kind) = event.id.and_then(|id| event_kind::find(event.source, id)) {
            tally.note(&entry, kind, None);
        }
    }
    tally.finish(facts);
}

fn events<'a>(output: &Output<'a>) -> Vec<Event<'a>> {
    let mut events: Vec<Event<'a>> = Vec::new();
    let mut is_description = false;
    for line in output.filled() {
        if is_heading(line) {
            events.push(Event::default());
            is_description = false;
            continue;
        }
        let Some(event) = events.last_mut() else {
            continue;
        };
        if is_description {
            // Its first line says the most.
            if event.description.is_empty() {
                event.description = line.trim();
            }
            continue;
        }
        let Some((key, value)) = line.split_once(':') else {
            continue;
        };
        let value = value.trim();
        match key.trim() {
            "Source" => event.source = value,
            "Date" => event.date = value,
            "Event ID" => event.id = number::small(value),
            "Level" => event.level = value,
            "Description" => {
                is_description = true;
                event.description = value;
            }
            _ => {}
        }
    }
    // The last one may lack what tells it from others.
    if output.is_cut
        && events
            .last()
            .is_some_and(|event| event.description.is_empty())
    {
        events.pop();
    }
    events.retain(|event| event.id.is_some());
    events
}

/// `Event[0]:`, without the colon since Windows 10.
fn is_heading(line: &str) -> bool {
    let number = line.strip_prefix("Event[").and_then(|rest| {
        let rest = rest.trim_end().trim_end_matches(':');
        rest.strip_suffix(']')
    });
    number.and_then(number::small).is_some()
}

/// As a line of a log: `2024-05-01T10:00:00 disk 153: The IO operation ...`.
fn line(event: &Event<'_>) -> String {
    let id = event.id.unwrap_or(0);
    let source = some(event.source, NAME).unwrap_or_default();
    let text = format!("{} {source} {id}: {}", event.date, event.description);
    some(&text, LINE).unwrap_or_default()
}

/// Levels are translated; those that are not known stay uncounted.
fn severity(level: &str) -> Option<&'static str> {
    match level {
        "Critical" | "Kritisch" | "Critique" | "Crítico" => Some("critical"),
        "Error" | "Fehler" | "Erreur" => Some("error"),
        "Warning" | "Warnung" | "Avertissement" | "Advertencia" => Some("warning"),
        _ => None,
    }
}
