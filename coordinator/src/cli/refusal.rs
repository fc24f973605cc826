//! Why the coordinator did not change something.

use tonic::{Code, Status};

use super::{
    Failure,
    client::{hint, refused},
};

/// Says how to go on, too. Something that is in the way is a failure of the command, not
/// of its usage.
pub(super) fn refusal(status: Status) -> Failure {
    let text = match hint(&status) {
        Some(hint) => format!("{}; {hint}", status.message()),
        None => status.message().to_owned(),
    };
    match status.code() {
        Code::FailedPrecondition | Code::AlreadyExists => Failure::Failed(text),
        _ => refused(&status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_in_the_way_is_no_matter_of_usage() {
        for (status, expected) in [
            (Status::failed_precondition("in use"), 1),
            (Status::not_found("no token"), 2),
            (Status::internal("the disk is full"), 3),
        ] {
            assert_eq!(refusal(status).status(), expected);
        }
    }
}
