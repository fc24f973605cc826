//! What to ask a guest next.

use super::{
    block::{Describe, Document, Mark, Tone},
    cell::missing,
    guest_command::place,
};
use crate::{
    guest_command::{
        catalogue::Argument,
        diagnosis::{Step, Suggested, Suggestion, Worked},
        refusal::Refusal,
    },
    untrusted,
};

impl Describe for Suggested {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.heading(&format!("Worth asking in {}", place(&self.guest)));
        for (number, one) in (1..).zip(&self.suggestions) {
            suggestion(&mut document, number, one);
        }
        if !self.workflows.is_empty() {
            document.heading("Workflows that fit");
            for one in &self.workflows {
                let text = format!("{}: {}", one.workflow, one.title);
                document.line(Mark::State(Tone::Plain), text);
                document.line(Mark::Below, one.reasons.join("; "));
            }
        }
        document.note("Nothing was run.");
        missing(&mut document, &self.coverage);
        document
    }
}

fn suggestion(document: &mut Document, number: u32, one: &Suggestion) {
    let command = words(&one.command, &one.arguments);
    document.line(Mark::Number(number), format!("{command}: {}", one.title));
    document.line(Mark::Below, one.reasons.join("; "));
    not_allowed(document, one.allowed, one.refusal.as_ref());
}

impl Describe for Worked {
    fn describe(&self) -> Document {
        let mut document = Document::default();
        document.heading(&format!("{}: {}", place(&self.guest), self.title));
        for lesson in &self.lessons {
            document.line(
                Mark::State(Tone::Plain),
                format!("{}: {}", lesson.command, lesson.says),
            );
        }
        if !self.conclusions.is_empty() {
            document.heading(match self.next {
                Some(_) => "So far",
                None => "Conclusion",
            });
            for conclusion in &self.conclusions {
                document.line(Mark::State(Tone::Bold), conclusion);
            }
        }
        if !self.advice.is_empty() {
            document.heading("What to do, by hand");
            for (number, advice) in (1..).zip(&self.advice) {
                document.line(Mark::Number(number), advice);
            }
        }
        match &self.next {
            Some(step) => next(&mut document, self, step),
            None => document.note("The workflow is at its end. After half an hour it begins anew."),
        }
        missing(&mut document, &self.coverage);
        document
    }
}

fn next(document: &mut Document, worked: &Worked, step: &Step) {
    document.heading("Next");
    let command = words(&step.command, &step.arguments);
    document.line(Mark::Number(1), format!("{command}: {}", step.title));
    document.line(Mark::Below, format!("why: {}", step.reason));
    not_allowed(document, step.allowed, step.refusal.as_ref());
    let guest = worked.guest.vmid;
    document.note(format!(
        "Nothing was run. `pvelens run {guest} {command}` runs it, `pvelens workflow {guest} {} \
         --run` runs it and goes on; what was found counts for half an hour.",
        worked.workflow
    ));
}

fn not_allowed(document: &mut Document, allowed: bool, refusal: Option<&Refusal>) {
    if let (false, Some(refusal)) = (allowed, refusal) {
        document.line(Mark::Below, format!("would not run: {}", refusal.words()));
    }
}

/// `unit-status unit=nginx.service`.
fn words(command: &str, arguments: &[Argument]) -> String {
    let mut words = vec![command.to_owned()];
    for argument in arguments {
        words.push(format!(
            "{}={}",
            argument.name,
            untrusted::name(&argument.value)
        ));
    }
    words.join(" ")
}
