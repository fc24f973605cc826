//! Commands in guests: what there is, and what came of one.

use super::{
    block::{Block, Describe, Document, Mark, Table, Tone, names, words},
    cell::missing,
};
use crate::{
    figure,
    guest_command::{
        catalogue::{Command, Listing, Parameter},
        outcome::{Outcome, Output, Word},
        refusal::Refusal,
        target::Target,
    },
};

/// Reasons that a list explains.
const REASONS: usize = 4;

impl Describe for Listing {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.heading(&format!("Commands in {}", place(&self.guest)));
        if let Some(refusal) = &self.refusal {
            let text = format!("Nothing runs there now: {}", refusal.words());
            document.line(Mark::State(Tone::Warning), text);
        }
        if self.commands.is_empty() {
            document.line(Mark::None, "No command matches.");
        } else {
            let mut table = Table::new(&[
                words("ID"),
                words("GROUP").spare(2),
                names("TITLE").spare(1),
                words("RUNS"),
                names("PARAMETERS"),
            ]);
            for command in &self.commands {
                table.row(
                    if command.allowed {
                        Tone::Plain
                    } else {
                        Tone::Dim
                    },
                    vec![
                        Some(command.id.clone()),
                        Some(command.group.clone()),
                        Some(command.title.clone()),
                        Some(runs(command)),
                        Some(parameters(&command.parameters)),
                    ],
                );
            }
            document.table(table);
        }
        reasons(&mut document, &self.commands);
        let profile = match &*self.policy_profile {
            "" => String::new(),
            profile => format!("; policy of the node: {profile}"),
        };
        document.note(format!(
            "{} of {} commands would run{profile}",
            self.allowed, self.total
        ));
        missing(&mut document, &self.coverage);
        document
    }
}

fn runs(command: &Command) -> String {
    match &command.refusal {
        _ if command.allowed => "yes".to_owned(),
        Some(refusal) => format!("no: {}", refusal.rule.replace('_', " ")),
        None => "no".to_owned(),
    }
}

/// `unit=UNIT lines=100`.
fn parameters(parameters: &[Parameter]) -> String {
    let parameters = parameters.iter().map(|parameter| {
        let name = &parameter.name;
        match &parameter.default_value {
            Some(value) => format!("{name}={value}"),
            None => format!("{name}={}", name.to_uppercase()),
        }
    });
    parameters.collect::<Vec<_>>().join(" ")
}

/// Each reason once.
fn reasons(document: &mut Document, commands: &[Command]) {
    let mut told: Vec<&Refusal> = Vec::new();
    for refusal in commands
        .iter()
        .filter_map(|command| command.refusal.as_ref())
    {
        if told.len() < REASONS && !told.iter().any(|known| known.rule == refusal.rule) {
            let rule = refusal.rule.replace('_', " ");
            document.note(format!("{rule}: {}", refusal.words()));
            told.push(refusal);
        }
    }
}

impl Describe for Outcome {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.blocks.push(Block::State {
            tone: match self.outcome {
                Word::Completed if self.is_success() => Tone::Good,
                Word::Completed => Tone::Warning,
                _ => Tone::Critical,
            },
            word: self.outcome.name().replace('_', " "),
            text: format!("{} in {}{}", self.command, place(&self.guest), end(self)),
        });
        if self.outcome != Word::Completed {
            let words = self.outcome.words();
            let why = match (&self.refusal, &*self.detail) {
                (Some(refusal), _) => refusal.words(),
                (None, "") => words.to_owned(),
                (None, detail) => format!("{words}: {detail}"),
            };
            document.line(Mark::None, why);
        } else if !self.detail.is_empty() {
            document.line(Mark::None, self.detail.clone());
        }
        for sentence in &self.says {
            document.line(Mark::State(Tone::Plain), sentence);
        }
        output(
            &mut document,
            "Output, as the guest wrote it",
            self.output.as_ref(),
        );
        output(
            &mut document,
            "Standard error, as the guest wrote it",
            self.errors.as_ref(),
        );
        let trace = trace(self);
        if !trace.is_empty() {
            document.note(trace);
        }
        document
    }
}

/// How the program ended.
fn end(outcome: &Outcome) -> String {
    match (outcome.exit_code, outcome.signal) {
        (_, Some(signal)) => format!(", ended by signal {signal}"),
        (Some(0), None) if outcome.is_success() => String::new(),
        (Some(code), None) if outcome.succeeded == Some(false) => {
            format!(", exit code {code}, which is no success")
        }
        (Some(code), None) => format!(", exit code {code}"),
        (None, None) => String::new(),
    }
}

fn output(document: &mut Document, title: &str, output: Option<&Output>) {
    let Some(output) = output else { return };
    document.heading(title);
    document.blocks.push(Block::Output(output.text.clone()));
    let mut notes = Vec::new();
    if output.truncated {
        let shown = u64::try_from(output.text.len()).unwrap_or(u64::MAX);
        notes.push(match output.total_bytes > shown {
            true => format!("cut: {} in all", figure::bytes(output.total_bytes)),
            false => "cut: something is missing at the end".to_owned(),
        });
    }
    if output.masked > 0 {
        notes.push(format!(
            "{} values that look secret are not shown",
            output.masked
        ));
    }
    if output.replaced + output.removed > 0 {
        let count = output.replaced + output.removed;
        notes.push(format!("bytes or characters that cannot be shown: {count}"));
    }
    if !notes.is_empty() {
        document.note(notes.join("; "));
    }
}

/// What ran, for how long, and where it is written down.
fn trace(outcome: &Outcome) -> String {
    let mut parts = Vec::new();
    if !outcome.argv.is_empty() {
        parts.push(format!("ran `{}`", outcome.argv.join(" ")));
    }
    if outcome.elapsed_seconds > 0.0 {
        parts.push(figure::latency(outcome.elapsed_seconds));
    }
    if let Some(pid) = outcome.guest_pid {
        parts.push(format!("process {pid} of the guest"));
    }
    if let Some(sequence) = outcome.audit_sequence {
        let node = &outcome.guest.node;
        parts.push(format!("entry {sequence} in the audit record of {node}"));
    } else if outcome.outcome == Word::Refused {
        parts.push("the node was not asked".to_owned());
    }
    parts.join("; ")
}

/// `100 (web) on pve1`.
pub(super) fn place(guest: &Target) -> String {
    let system = match &*guest.operating_system {
        "" => String::new(),
        system => format!(", {system}"),
    };
    format!("{} on {}{system}", guest.label(), guest.node)
}
