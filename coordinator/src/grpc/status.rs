//! Errors as `Status` with a reason that stays and a hint how to go on.

use std::collections::HashMap;

use pvelens_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt};

use super::{Role, caller::Caller};
use crate::{
    answer::{AnswerError, select},
    coordinator::Current,
    guest_command::target::TargetError,
    untrusted,
};

mod enrollment;
mod history;
mod intent;

pub(super) use enrollment::{
    ambiguous_node, enroll, no_client_certificate, no_such_node, no_trust, trust,
};
pub(super) use history::past;
pub(super) use intent::{intent, wish};

const DOMAIN: &str = "pvelens";

/// What a request names beside the cluster.
#[derive(Debug, Clone, Copy)]
pub(super) enum Named {
    /// Nothing.
    Cluster,
    Node,
    Guest,
    /// One of several, by the scope of an analysis.
    Scope,
    /// What has values over time.
    Subject,
}

impl Named {
    fn not_found(self) -> ErrorReason {
        match self {
            Self::Cluster => ErrorReason::NotFoundCluster,
            Self::Node => ErrorReason::NotFoundNode,
            Self::Guest => ErrorReason::NotFoundGuest,
            Self::Scope => ErrorReason::NotFoundScope,
            Self::Subject => ErrorReason::NotFoundSubject,
        }
    }

    fn ambiguous(self) -> ErrorReason {
        match self {
            Self::Cluster => ErrorReason::AmbiguousCluster,
            Self::Node => ErrorReason::AmbiguousNode,
            Self::Guest => ErrorReason::AmbiguousGuest,
            Self::Scope => ErrorReason::AmbiguousScope,
            Self::Subject => ErrorReason::AmbiguousSubject,
        }
    }

    fn hint(self) -> &'static str {
        match self {
            Self::Cluster => "GetClusterStatus without a cluster lists the clusters",
            Self::Node => "ListNodes lists the nodes",
            Self::Guest => "ListGuests lists the guests; a VMID is never ambiguous in a cluster",
            Self::Scope => "an empty scope covers everything",
            Self::Subject => "ListNodes, ListGuests and ListStorages list what there is",
        }
    }
}

/// Why there is no answer to a question about `named` in `cluster`.
pub(super) fn answer(
    error: &AnswerError,
    current: &Current,
    cluster: &str,
    named: Named,
) -> Status {
    // The answer does not say which of two names it did not find.
    let named = match select::clusters(&current.view, cluster) {
        Ok(_) => named,
        Err(_) => Named::Cluster,
    };
    let text = error.to_string();
    match error {
        AnswerError::NotFound(_) => rich(Code::NotFound, named.not_found(), text, named.hint()),
        AnswerError::Ambiguous(_) => {
            rich(Code::InvalidArgument, named.ambiguous(), text, named.hint())
        }
        AnswerError::Invalid(_) => rich(
            Code::InvalidArgument,
            ErrorReason::InvalidArgument,
            text,
            "a page token is good for the same question only; ask again without it",
        ),
    }
}

/// Why there is no guest to ask something of.
pub(super) fn target(error: &TargetError, current: &Current, cluster: &str) -> Status {
    let text = error.to_string();
    match error {
        TargetError::Answer(error) => answer(error, current, cluster, Named::Guest),
        TargetError::NotAVm(_) => rich(
            Code::InvalidArgument,
            ErrorReason::NotAVm,
            text,
            "ListGuests with the kind GUEST_KIND_QEMU lists the VMs",
        ),
        TargetError::NodeUnreachable(_) => rich(
            Code::FailedPrecondition,
            ErrorReason::NodeUnreachable,
            text,
            "ListAgents says why an agent is not connected",
        ),
    }
}

/// A field of the request has a value that means nothing.
pub(super) fn invalid(field: &str, text: &str) -> Status {
    let mut details = details(ErrorReason::InvalidArgument, "see the field's description");
    details.add_bad_request_violation(field, text);
    Status::with_error_details(Code::InvalidArgument, format!("{field}: {text}"), details)
}

/// No workflow has this name; the text lists them.
pub(super) fn no_such_workflow(text: &str) -> Status {
    rich(
        Code::NotFound,
        ErrorReason::NotFoundWorkflow,
        text.to_owned(),
        "SuggestGuestCommands says which workflows fit a trouble",
    )
}

/// No check has this id.
pub(super) fn no_such_check(id: &str) -> Status {
    rich(
        Code::NotFound,
        ErrorReason::NotFoundCheck,
        format!("no check {:?}", untrusted::name(id)),
        "ListFindings says by its id which check found what",
    )
}

/// The connection does not give the role that a method needs.
pub(super) fn role_too_low(method: &str, needed: Role, given: &Caller) -> Status {
    rich(
        Code::PermissionDenied,
        ErrorReason::RoleTooLow,
        format!(
            "{method} needs the role {}, and {} gives the role {}",
            needed.name(),
            given.place(),
            given.role.name()
        ),
        &given.way_to(needed),
    )
}

/// The client showed no certificate.
pub(super) fn no_certificate(method: &str) -> Status {
    rich(
        Code::Unauthenticated,
        ErrorReason::RoleTooLow,
        format!("{method} needs a client certificate, and none was shown"),
        "an administrator gives one: `pvelens client issue NAME --role reader`",
    )
}

/// A defect of ours.
pub(super) fn internal() -> Status {
    rich(
        Code::Internal,
        ErrorReason::Internal,
        "the question could not be answered; this is a defect of pvelens".to_owned(),
        "the log of the coordinator says more",
    )
}

fn rich(code: Code, reason: ErrorReason, text: String, hint: &str) -> Status {
    Status::with_error_details(code, text, details(reason, hint))
}

fn details(reason: ErrorReason, hint: &str) -> ErrorDetails {
    let hint = HashMap::from([("hint".to_owned(), hint.to_owned())]);
    ErrorDetails::with_error_info(name(reason), DOMAIN, hint)
}

/// The reason as it travels: the name in the schema without its prefix.
fn name(reason: ErrorReason) -> &'static str {
    let name = reason.as_str_name();
    name.strip_prefix("ERROR_REASON_").unwrap_or(name)
}
