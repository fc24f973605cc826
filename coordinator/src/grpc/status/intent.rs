//! Why nothing is stated.

use pvelens_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tracing::error;

use super::{Named, answer, rich};
use crate::{
    answer::{AnswerError, intent::WishError},
    coordinator::Current,
    intent::IntentError,
};

/// Why a statement about `cluster` means nothing.
pub(in crate::grpc) fn wish(error: &WishError, current: &Current, cluster: &str) -> Status {
    let text = error.to_string();
    let (code, reason, hint) = match error {
        WishError::Answer(AnswerError::Invalid(_)) => (
            Code::InvalidArgument,
            ErrorReason::InvalidArgument,
            "the schema describes every field of the request",
        ),
        WishError::Answer(error) => return answer(error, current, cluster, Named::Subject),
        WishError::NoFinding(_) => (
            Code::NotFound,
            ErrorReason::NotFoundFinding,
            "ListFindings lists what is open, with fingerprints",
        ),
        WishError::AmbiguousFinding(_) => (
            Code::InvalidArgument,
            ErrorReason::AmbiguousFinding,
            "give more of the fingerprint",
        ),
        WishError::NoCheck(_) => (
            Code::NotFound,
            ErrorReason::NotFoundCheck,
            "ListFindings says by its id which check found what",
        ),
        WishError::NotSuppressible(_) => (
            Code::FailedPrecondition,
            ErrorReason::NotSuppressible,
            "acknowledge it, or suppress it for less long",
        ),
    };
    rich(code, reason, text, hint)
}

/// Why a statement was not kept or taken back.
pub(in crate::grpc) fn intent(failure: &IntentError) -> Status {
    let text = failure.to_string();
    let (code, reason, hint) = match failure {
        IntentError::NoStore => (
            Code::FailedPrecondition,
            ErrorReason::NoStore,
            "set store.directory and restart it, or write it into intent.toml and reload it",
        ),
        IntentError::NotFound(_) => (
            Code::NotFound,
            ErrorReason::NotFoundStatement,
            "ListStatements lists the statements",
        ),
        IntentError::Declared(_) => (
            Code::FailedPrecondition,
            ErrorReason::InUse,
            "systemctl reload pvelens",
        ),
        IntentError::TooMany => (
            Code::ResourceExhausted,
            ErrorReason::InUse,
            "withdraw what is not needed, or state it of a tag, a pool or *",
        ),
        IntentError::Store(cause) => {
            error!(error = %cause, "a statement could not be kept");
            (
                Code::Internal,
                ErrorReason::StoreFailed,
                "the log of the coordinator says more",
            )
        }
    };
    rich(code, reason, text, hint)
}
