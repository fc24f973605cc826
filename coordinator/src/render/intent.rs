//! What operators state.

use jiff::Timestamp;

use super::{
    block::{Describe, Document, Mark, Table, Tone, names, words},
    cell::known,
};
use crate::{
    answer::intent::{
        StatementEvents, StatementMade, StatementState, StatementSummary, StatementWithdrawn,
        Statements,
    },
    intent::Became,
};

impl Describe for Statements {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.statements.is_empty() {
            document.line(Mark::None, "Nothing is stated.");
            return document;
        }
        let mut table = Table::new(&[
            words("ID"),
            words("WHAT"),
            words("STATE"),
            names("ABOUT"),
            words("ENDS (UTC)"),
            words("FINDINGS").spare(3),
            names("AUTHOR").spare(2),
            names("REASON").spare(1),
        ]);
        for statement in &self.statements {
            let (tone, state) = match statement.state {
                Some(StatementState::InEffect) => (Tone::Plain, "holds"),
                Some(StatementState::Waiting) => (Tone::Dim, "waits"),
                Some(StatementState::Ended) => (Tone::Dim, "ended"),
                None => (Tone::Plain, ""),
            };
            table.row(
                tone,
                vec![
                    Some(statement.id.clone()),
                    Some(statement.kind.as_str().to_owned()),
                    Some(state.to_owned()),
                    Some(about(statement)),
                    Some(statement.until.map_or("never".to_owned(), minute)),
                    Some(statement.findings.to_string()),
                    known(&author(statement)),
                    known(&statement.reason),
                ],
            );
        }
        document.table(table);
        document
    }
}

impl Describe for StatementEvents {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        if self.events.is_empty() {
            document.line(Mark::None, "No statement was made yet.");
            return document;
        }
        let mut table = Table::new(&[
            words("AT (UTC)"),
            words("ID"),
            words("BECAME"),
            names("BY").spare(2),
            words("WHAT"),
            names("ABOUT"),
            names("REASON").spare(1),
        ]);
        for event in &self.events {
            let statement = &event.statement;
            let (change, reason) = match event.change {
                Became::Made => ("made", &statement.reason),
                Became::Withdrawn => ("withdrawn", &event.why),
                Became::Ended => ("ended", &event.why),
            };
            table.row(
                Tone::Plain,
                vec![
                    Some(minute(event.at)),
                    Some(statement.id.clone()),
                    Some(change.to_owned()),
                    known(&event.by),
                    Some(statement.kind.as_str().to_owned()),
                    Some(about(statement)),
                    known(reason),
                ],
            );
        }
        document.table(table);
        document
    }
}

impl Describe for StatementMade {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let statement = &self.statement;
        document.line(
            Mark::Good,
            format!(
                "{}: {} for {}{}",
                statement.id,
                statement.kind.as_str(),
                about(statement),
                span(statement)
            ),
        );
        document.line(
            Mark::Below,
            format!("by {}: {}", author(statement), statement.reason),
        );
        let findings = match statement.findings {
            0 => "no finding is under it now".to_owned(),
            1 => "1 finding is under it now".to_owned(),
            count => format!("{count} findings are under it now"),
        };
        document.note(format!(
            "{findings}; `pvelens intent withdraw {}` takes it back",
            statement.id
        ));
        document
    }
}

impl Describe for StatementWithdrawn {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        let statement = &self.statement;
        document.line(
            Mark::Good,
            format!(
                "{} holds no more: {} for {}",
                statement.id,
                statement.kind.as_str(),
                about(statement)
            ),
        );
        document
    }
}

/// What it is about, and what it says of that.
fn about(statement: &StatementSummary) -> String {
    let mut text = statement.objects.join(", ");
    if !statement.cluster.is_empty() {
        let cluster: String = statement.cluster.chars().take(8).collect();
        text = format!("{text} of {cluster}");
    }
    if !statement.check.is_empty() {
        text = format!("{} on {text}", statement.check);
    }
    if !statement.calendar.is_empty() {
        text = format!("{text} ({})", statement.calendar);
    }
    if let Some(days) = statement.every_days {
        text = format!("{text} (up to {days} days)");
    }
    text
}

fn author(statement: &StatementSummary) -> String {
    match statement.on_behalf_of.as_str() {
        "" => statement.author.clone(),
        whom => format!("{} for {whom}", statement.author),
    }
}

fn span(statement: &StatementSummary) -> String {
    let from = match (statement.state, statement.from) {
        (Some(StatementState::Waiting), Some(from)) => format!(" from {}", minute(from)),
        _ => String::new(),
    };
    let until = statement
        .until
        .map(|until| format!(" until {}", minute(until)));
    match until {
        Some(until) => format!("{from}{until} UTC"),
        None => from,
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M").to_string()
}
