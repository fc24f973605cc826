//! What `doctor` found.

use super::block::{Describe, Document, Mark, Tone};
use crate::cli::doctor::{Diagnosis, State};

impl Describe for Diagnosis {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        for section in &self.sections {
            document.heading(section.title);
            for item in &section.items {
                document.line(Mark::State(tone(item.state)), &*item.what);
                for (word, text) in [("why", &item.why), ("fix", &item.fix)] {
                    if !text.is_empty() {
                        document.line(Mark::Detail(word), &**text);
                    }
                }
            }
            document.gap();
        }
        document.line(Mark::State(tone(self.state)), &*self.conclusion);
        document
    }
}

fn tone(state: State) -> Tone {
    match state {
        State::Ok => Tone::Good,
        State::Unknown => Tone::Dim,
        State::Warning => Tone::Warning,
        State::Problem => Tone::Critical,
    }
}
