//! Times as arguments.

use jiff::Timestamp;
use pvelens_proto::timestamp_from_millis;

use super::Failure;
use crate::moment::{self, moment};

/// The time that an argument names, if it is given.
pub(super) fn at(
    argument: &str,
    text: Option<&str>,
    now: Timestamp,
) -> Result<Option<pvelens_proto::Timestamp>, Failure> {
    let Some(text) = text else { return Ok(None) };
    let at = moment(text, now)
        .ok_or_else(|| Failure::Usage(format!("{argument} {text:?}: give {}", moment::FORMS)))?;
    Ok(Some(timestamp_from_millis(at.as_millisecond())))
}

pub(super) fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "lengths of time are those before the clock of this command"
    )]
    Timestamp::now()
}
