//! Facts in plain words, the worst first.

use super::GuestFacts;

impl GuestFacts {
    /// What the output says, a line each, the worst first; at most twelve.
    #[must_use]
    pub fn words(&self) -> Vec<String> {
        Vec::new()
    }
}
