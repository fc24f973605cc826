//! The coordinator itself: who may do what, and how it logs.

use super::{
    block::{Describe, Document, Mark},
    cell::moment,
};
use crate::{answer::Access, log::LevelState};

impl Describe for Access {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.line(Mark::None, format!("Your role here: {}", self.role.name()));
        for method in &self.methods {
            document.line(Mark::Below, method.clone());
        }
        document.note(format!(
            "pvelens {}, running since {} UTC",
            self.version,
            moment(self.started_at)
        ));
        document
    }
}

impl Describe for LevelState {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let level = self.level.name();
        document.line(
            Mark::None,
            match self.reverts_at {
                Some(at) => format!(
                    "Log level {level} until {} UTC, then {} again",
                    moment(at),
                    self.configured.name()
                ),
                None => format!("Log level {level}, as configured"),
            },
        );
        document
    }
}
