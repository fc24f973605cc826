//! The registry: every check, one row each.

use super::Check;

/// Every check, in order of the catalogue.
pub const CHECKS: &[Check] = &[];
