//! Reports.

use super::{
    block::{Block, Describe, Document, Mark, Tone},
    cell::moment,
};
use crate::{
    analysis::Depth,
    finding::Severity,
    report::{HealthState, Report},
};

/// A summary fits a terminal at any size of the datacenter.
const PAGE: usize = 40;

impl Describe for Report {
    fn describe(&self) -> Document {
        let (tone, word) = match self.state {
            HealthState::Healthy => (Tone::Good, "healthy"),
            HealthState::Warning => (Tone::Warning, "warning"),
            HealthState::Critical => (Tone::Critical, "critical"),
            HealthState::Unknown => (Tone::Dim, "unknown"),
        };
        let mut document = Document {
            page: (self.depth == Depth::Summary).then_some(PAGE),
            ..Document::default()
        };
        document.blocks.push(Block::State {
            tone,
            word: word.to_owned(),
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
        document.gap();
        document.note(format!(
            "{} checks: {} passed, {} failed, {} could not be judged; {} ms",
            counts.checks, counts.passed, counts.failed, counts.unknown, self.duration_milliseconds
        ));
        document
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
