//! Building a view from the newest samples.

use jiff::Timestamp;

use super::View;
use crate::store::Store;

/// The view of everything the store holds, as of `at`.
#[must_use]
pub fn build(_store: &Store, at: Timestamp) -> View {
    View {
        at,
        ..View::default()
    }
}
