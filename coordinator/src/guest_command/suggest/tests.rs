//! Sentences as people write them, the catalogue, and hostile text.

mod catalogue;
mod hostile;
mod reasons;
mod sentences;

use super::*;

/// An issue alone.
fn of(system: GuestSystem, issue: &str) -> Suggestions {
    suggest(&Situation {
        issue,
        system,
        findings: &[],
    })
}

/// `unit-status unit=nginx.service`.
fn line(suggestion: &Suggestion) -> String {
    let mut line = suggestion.command.to_owned();
    for (name, value) in &suggestion.arguments {
        line = format!("{line} {name}={value}");
    }
    line
}

fn lines(suggestions: &Suggestions) -> Vec<String> {
    suggestions.commands.iter().map(line).collect()
}

/// The reasons of a command.
fn reasons<'a>(suggestions: &'a Suggestions, command: &str) -> Vec<&'a str> {
    let mut commands = suggestions.commands.iter();
    let found = commands.find(|suggestion| line(suggestion) == command);
    let reasons = found.map(|suggestion| suggestion.reasons.iter().map(String::as_str));
    reasons.into_iter().flatten().collect()
}
