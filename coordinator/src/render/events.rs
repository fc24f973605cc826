//! What happened, as a list or as a line of time.

use jiff::{SignedDuration, Timestamp, civil::Date, tz::TimeZone};
use serde::Serialize;

use super::{
    block::{Beat, Block, Describe, Document, Mark, Tone},
    cell::{missing, several},
};
use crate::{
    answer::events::{EventEntry, Events},
    chronicle::{EventKind, Level},
    figure,
};

/// A pause that is told.
const PAUSE: SignedDuration = SignedDuration::from_hours(1);

/// Events in a form.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Told {
    pub events: Events,
    /// One line of time, the oldest first.
    #[serde(skip)]
    pub is_timeline: bool,
}

impl Describe for Told {
    fn describe(&self) -> Document {
        describe(&self.events, self.is_timeline)
    }
}

impl Describe for Events {
    fn describe(&self) -> Document {
        describe(self, false)
    }
}

fn describe(events: &Events, is_timeline: bool) -> Document {
    let mut document = Document::default();
    document.line(Mark::None, span(events));
    let clusters = several(events.events.iter().map(|event| &*event.cluster));
    let mut shown: Vec<&EventEntry> = events.events.iter().collect();
    if is_timeline {
        shown.reverse();
    }
    for day in shown.chunk_by(|one, next| date(one.at) == date(next.at)) {
        if let Some(first) = day.first() {
            document.gap();
            document.heading(&first.at.strftime("%A, %Y-%m-%d").to_string());
        }
        let mut beats = Vec::new();
        let mut before: Option<Timestamp> = None;
        for event in day {
            if is_timeline
                && let Some(before) = before
                && let pause = event.at.duration_since(before)
                && pause >= PAUSE
            {
                let pause = pause.try_into().unwrap_or_default();
                beats.push(Beat::Pause(figure::duration(pause)));
            }
            before = Some(event.at);
            beats.push(beat(event, clusters));
        }
        document.blocks.push(Block::Timeline(beats));
    }
    for note in &events.notes {
        document.note(format!("note: {note}"));
    }
    missing(&mut document, &events.coverage);
    document
}

fn span(events: &Events) -> String {
    let moment = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M").to_string();
    let (from, until) = (moment(events.from), moment(events.until));
    let many = match (events.events.len(), events.older_left_out) {
        (0, _) => "nothing is known to have happened".to_owned(),
        (1, false) => "1 event".to_owned(),
        (count, false) => format!("{count} events"),
        (count, true) => format!("the newest {count} events"),
    };
    format!("{from} to {until} UTC: {many}")
}

fn date(at: Timestamp) -> Date {
    at.to_zoned(TimeZone::UTC).date()
}

fn beat(event: &EventEntry, clusters: bool) -> Beat {
    let mut text = event.text.clone();
    if !event.user.is_empty() {
        text = format!("{text}, by {}", event.user);
    }
    let subject = match clusters {
        true => format!("{:.8} {}", event.cluster, event.subject),
        false => event.subject.clone(),
    };
    Beat::Event {
        time: event.at.strftime("%H:%M:%S").to_string(),
        tone: match (event.level, event.kind) {
            (Level::Error, _) => Tone::Critical,
            (Level::Warning, _) => Tone::Warning,
            (Level::Info, EventKind::Finding) if event.text.starts_with("resolved") => Tone::Good,
            (Level::Info, _) => Tone::Plain,
        },
        kind: kind(event.kind),
        subject,
        text,
    }
}

fn kind(kind: EventKind) -> &'static str {
    match kind {
        EventKind::Task => "task",
        EventKind::Log => "log",
        EventKind::Login => "login",
        EventKind::Kernel => "kernel",
        EventKind::Link => "link",
        EventKind::Quorum => "quorum",
        EventKind::Ha => "ha",
        EventKind::Node => "node",
        EventKind::Guest => "guest",
        EventKind::Agent => "agent",
        EventKind::Config => "config",
        EventKind::Finding => "finding",
        EventKind::Intent => "intent",
        EventKind::Audit => "audit",
        EventKind::Health => "health",
    }
}
