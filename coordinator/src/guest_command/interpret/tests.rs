//! What interpreters make of the outputs of real systems, and of hostile ones.

mod disk;
mod fixtures;
mod hostile;
mod load;
mod logs;
mod network;
mod services;
mod windows;

use super::*;

/// Facts of a whole output.
fn whole(reads: &str, text: &str) -> GuestFacts {
    let facts = interpret(reads, text, false);
    assert!(facts.understood, "{reads}: {text}");
    facts
}

/// Facts of which all lines were understood.
fn all(reads: &str, text: &str) -> GuestFacts {
    let facts = whole(reads, text);
    assert_eq!(facts.unread_lines, 0, "{reads}");
    facts
}
