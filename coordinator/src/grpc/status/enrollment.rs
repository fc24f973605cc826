//! Why somebody was not let in, or something about the trust was not changed.

use pvelens_proto::v1::ErrorReason;
use tonic::{Code, Status};
use tracing::error;

use super::{invalid, rich};
use crate::trust::{EnrollError, TrustError};

const NEW_TOKEN: &str = "an administrator makes a new one: `pvelens agents token`";
const LISTED: &str = "ListTokens, ListClients and GetAuthorities say what there is";

/// The coordinator keeps nothing, so it cannot know anybody.
pub(in crate::grpc) fn no_trust() -> Status {
    rich(
        Code::FailedPrecondition,
        ErrorReason::NoTrust,
        "this coordinator keeps nothing on its disk, so it can give no certificates".to_owned(),
        "set directory in the section [store] of its settings, and restart it",
    )
}

/// Renewal needs something to renew.
pub(in crate::grpc) fn no_client_certificate() -> Status {
    rich(
        Code::FailedPrecondition,
        ErrorReason::InvalidArgument,
        "this connection shows no client certificate that could be renewed".to_owned(),
        "call it on port 8441 with the certificate, before its end",
    )
}

/// Why a node may not join. It is told to a stranger.
pub(in crate::grpc) fn enroll(error: &EnrollError) -> Status {
    let text = error.to_string();
    let refused = |reason, hint: &str| rich(Code::PermissionDenied, reason, text.clone(), hint);
    match error {
        EnrollError::Unknown => refused(
            ErrorReason::TokenUnknown,
            "is the line whole, and of this coordinator? `pvelens agents token` makes a new one",
        ),
        EnrollError::Expired(_) => refused(ErrorReason::TokenExpired, NEW_TOKEN),
        EnrollError::Withdrawn => refused(ErrorReason::TokenWithdrawn, NEW_TOKEN),
        EnrollError::Used => refused(
            ErrorReason::TokenUsed,
            "if it was not you who used it, somebody else has it: `pvelens agents tokens` names \
             the nodes, `pvelens agents revoke NODE` turns one out; `pvelens agents token` makes \
             a new one",
        ),
        EnrollError::OtherNode(_) => refused(
            ErrorReason::TokenScope,
            "make one for this node: `pvelens agents token --node NAME`",
        ),
        EnrollError::OtherCluster => refused(
            ErrorReason::TokenScope,
            "make one for the cluster of this node: `pvelens agents token --cluster CLUSTER`",
        ),
        EnrollError::Enrolled(node) => rich(
            Code::AlreadyExists,
            ErrorReason::NodeAlreadyEnrolled,
            text.clone(),
            &format!(
                "make a token for it by name: `pvelens agents token --node {node}`; it replaces \
                 the old certificate"
            ),
        ),
        EnrollError::Request(text) => invalid("node_name, cluster_id", text),
        // What is wrong with the disk is not for strangers.
        EnrollError::Trust(TrustError::Request(text)) => invalid("csr_der", text),
        EnrollError::Trust(error) => {
            error!(error = %chain(error), "a node could not be given a certificate");
            super::internal()
        }
    }
}

/// Why something was not changed. `not_found` is what was looked for. It is told to an
/// administrator.
pub(in crate::grpc) fn trust(error: &TrustError, not_found: ErrorReason) -> Status {
    let text = error.to_string();
    match error {
        TrustError::Wish(_) => rich(
            Code::InvalidArgument,
            ErrorReason::InvalidArgument,
            text,
            "see the fields' descriptions",
        ),
        TrustError::Request(text) => invalid("csr_der", text),
        TrustError::Identity(error) => invalid("name", &error.to_string()),
        TrustError::NotFound(_) => rich(Code::NotFound, not_found, text, LISTED),
        TrustError::InUse(_) => rich(
            Code::FailedPrecondition,
            ErrorReason::InUse,
            text,
            "`pvelens ca show` counts who depends on which authority",
        ),
        _ => {
            let text = chain(error);
            error!(error = text, "the trust could not be changed");
            rich(
                Code::Internal,
                ErrorReason::Internal,
                text,
                "nothing was changed, if it could not be written down; `pvelens doctor` looks at \
                 the disk",
            )
        }
    }
}

/// No node of this name belongs here.
pub(in crate::grpc) fn no_such_node(text: String) -> Status {
    rich(
        Code::NotFound,
        ErrorReason::NotFoundNode,
        text,
        "ListAgents lists those that joined and report; one that uses a socket has no certificate",
    )
}

/// Nodes of several clusters have the name.
pub(in crate::grpc) fn ambiguous_node(text: String) -> Status {
    rich(
        Code::InvalidArgument,
        ErrorReason::AmbiguousNode,
        text,
        "give the cluster too: its name, its id or the beginning of it",
    )
}

fn chain(error: &TrustError) -> String {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
