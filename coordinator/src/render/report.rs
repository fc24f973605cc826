//! Reports.

use std::time::Duration;

use jiff::Timestamp;

use super::{
    block::{Block, Describe, Document, Mark, Tone},
    cell::moment,
};
use crate::{
    analysis::Depth,
    figure,
    finding::Severity,
    report::{HealthState, KeptFor, Report},
};

/// A summary fits a terminal at any size of the datacenter.
const PAGE: usize = 40;

impl Describe for Report {
    fn describe(&self) -> Document {
        let mut document = Document {
            page: (self.depth == Depth::Summary).then_some(PAGE),
            ..Document::default()
        };
        if let Some(kept) = &self.kept {
            past(&mut document, self.at, kept);
        }
        document.blocks.push(Block::State {
            tone: tone(self.state),
            word: self.state.as_str().to_owned(),
            text: self.headline.clone(),
        });
        let mut about = vec![format!("{} UTC", moment(self.at))];
        about.extend(self.profiles.iter().cloned());
        document.note(about.join("; "));
        for section in &self.sections {
            document.gap();
            document.heading(&section.title);
            for line in &section.lines {
                let (mark, text) = mark(line);
                document.line(mark, text);
            }
            if section.source != "deterministic" {
                document.note(format!("source: {}", section.source));
            }
        }
        let counts = &self.verdicts;
        if counts.checks == 0 && self.kept.is_some() {
            return document;
        }
        document.gap();
        document.note(format!(
            "{} checks: {} passed, {} failed, {} could not be judged; {} ms",
            counts.checks, counts.passed, counts.failed, counts.unknown, self.duration_milliseconds
        ));
        document
    }
}

pub(super) fn tone(state: HealthState) -> Tone {
    match state {
        HealthState::Healthy => Tone::Good,
        HealthState::Warning => Tone::Warning,
        HealthState::Critical => Tone::Critical,
        HealthState::Unknown => Tone::Dim,
    }
}

/// Says that a report is not about the present, and how well it stands for the time that
/// was asked about.
fn past(document: &mut Document, at: Timestamp, kept: &KeptFor) {
    let age: Duration = kept
        .asked_at
        .duration_since(at)
        .try_into()
        .unwrap_or_default();
    let before = match age.as_secs() {
        0 => String::new(),
        _ => format!(", {} before the time asked about", figure::duration(age)),
    };
    document.line(
        Mark::None,
        format!("kept report of {} UTC{before}", moment(at)),
    );
    if kept.is_outdated {
        let asked = moment(kept.asked_at);
        document.note(format!(
            "note: nothing is known of {asked} UTC: a report is kept at least once a day while \
             the coordinator runs"
        ));
    }
    for note in &kept.notes {
        document.note(format!("note: {note}"));
    }
}

/// Takes apart what [`Section::lines`](crate::report::Section) says in text.
fn mark(line: &str) -> (Mark, &str) {
    if let Some(text) = line.strip_prefix("  ") {
        return (Mark::Below, text);
    }
    for (prefix, severity) in [
        ("critical: ", Severity::Critical),
        ("warning: ", Severity::Warning),
        ("info: ", Severity::Info),
    ] {
        if let Some(text) = line.strip_prefix(prefix) {
            return (Mark::Severity(severity), text);
        }
    }
    match line.split_once(". ") {
        Some((number, text)) => match number.parse() {
            Ok(number) => (Mark::Number(number), text),
            Err(_) => (Mark::None, line),
        },
        None => (Mark::None, line),
    }
}
