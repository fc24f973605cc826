//! Why there are no values over time, or nothing of the past.

use pvelens_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tracing::error;

use super::{Named, answer, rich};
use crate::{
    answer::{AnswerError, past::PastError},
    coordinator::Current,
};

/// Why a question about values in `cluster` has no answer.
pub(in crate::grpc) fn past(error: &PastError, current: &Current, cluster: &str) -> Status {
    let text = error.to_string();
    match error {
        PastError::Answer(AnswerError::Invalid(_)) => rich(
            Code::InvalidArgument,
            ErrorReason::InvalidArgument,
            text,
            "the schema describes every field of the request",
        ),
        PastError::Answer(error) => answer(error, current, cluster, Named::Subject),
        PastError::NoMetric(_) => rich(
            Code::NotFound,
            ErrorReason::NotFoundMetric,
            text,
            "ListMetrics lists the metrics",
        ),
        PastError::NothingKept(_) => rich(
            Code::NotFound,
            ErrorReason::NotFoundAnalysis,
            text,
            "ListAnalyses lists what is kept",
        ),
        PastError::NoStore => rich(
            Code::FailedPrecondition,
            ErrorReason::NoStore,
            text,
            "restart it after that; values are kept from then on",
        ),
        PastError::Store(failure) => {
            error!(error = %failure, "the store could not be read");
            rich(
                Code::Internal,
                ErrorReason::StoreFailed,
                text,
                "the log of the coordinator says more; the present state is served without it",
            )
        }
    }
}
