//! Who may call what: the role that a connection gives, and the one a method needs.
//!
//! A socket is a role: its group and mode say who may connect, and user namespaces blur
//! what the kernel says of a peer. Over TCP the certificate says the role; without one
//! there is none, and one method. The check stands before every service, so that a
//! method without a row cannot be called at all.

use pvelens_proto::{identity::ClientRole, v1 as message};
use schemars::JsonSchema;
use serde::Serialize;
use tonic::Status;

use super::{caller::Caller, status};
use crate::serve::{ADMIN_SOCKET, OPERATE_SOCKET, READ_SOCKET};

/// What a client may do. Ordered: each role includes those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Role {
    Reader,
    Operator,
    Admin,
}

/// What may be called by whoever has no certificate yet.
const OPEN: &str = "pvelens.v1.EnrollmentService/Enroll";

/// The only list of who may call what, sorted by method.
const METHODS: &[(&str, Role)] = &[
    ("grpc.health.v1.Health/Check", Role::Reader),
    ("grpc.health.v1.Health/Watch", Role::Reader),
    (
        "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Role::Reader,
    ),
    (
        "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Role::Reader,
    ),
    ("pvelens.v1.AdminService/GetLogLevel", Role::Admin),
    ("pvelens.v1.AdminService/SetLogLevel", Role::Admin),
    ("pvelens.v1.AnalysisService/Analyze", Role::Reader),
    ("pvelens.v1.EnrollmentService/BackUpAuthority", Role::Admin),
    ("pvelens.v1.EnrollmentService/CreateToken", Role::Admin),
    // Also without any role.
    (OPEN, Role::Reader),
    ("pvelens.v1.EnrollmentService/GetAuthorities", Role::Reader),
    ("pvelens.v1.EnrollmentService/IssueClient", Role::Admin),
    ("pvelens.v1.EnrollmentService/ListClients", Role::Admin),
    ("pvelens.v1.EnrollmentService/ListTokens", Role::Admin),
    ("pvelens.v1.EnrollmentService/RenewClient", Role::Reader),
    ("pvelens.v1.EnrollmentService/RetireAuthority", Role::Admin),
    ("pvelens.v1.EnrollmentService/RevokeAgent", Role::Admin),
    ("pvelens.v1.EnrollmentService/RevokeClient", Role::Admin),
    ("pvelens.v1.EnrollmentService/RotateAuthority", Role::Admin),
    ("pvelens.v1.EnrollmentService/WithdrawToken", Role::Admin),
    ("pvelens.v1.FindingService/ListFindings", Role::Reader),
    ("pvelens.v1.FindingService/Recheck", Role::Operator),
    ("pvelens.v1.FleetService/GetAccess", Role::Reader),
    ("pvelens.v1.FleetService/GetStore", Role::Reader),
    ("pvelens.v1.FleetService/ListAgents", Role::Reader),
    (
        "pvelens.v1.GuestCommandService/GetWorkflowStep",
        Role::Reader,
    ),
    (
        "pvelens.v1.GuestCommandService/ListGuestCommands",
        Role::Reader,
    ),
    (
        "pvelens.v1.GuestCommandService/RunGuestCommand",
        Role::Operator,
    ),
    (
        "pvelens.v1.GuestCommandService/SuggestGuestCommands",
        Role::Reader,
    ),
    ("pvelens.v1.HistoryService/GetAnalysis", Role::Reader),
    ("pvelens.v1.HistoryService/GetConfiguration", Role::Reader),
    ("pvelens.v1.HistoryService/ListAnalyses", Role::Reader),
    ("pvelens.v1.HistoryService/ListEvents", Role::Reader),
    ("pvelens.v1.HistoryService/ListMetrics", Role::Reader),
    ("pvelens.v1.HistoryService/ListRevisions", Role::Reader),
    ("pvelens.v1.HistoryService/QueryMetrics", Role::Reader),
    ("pvelens.v1.IntentService/ListStatementEvents", Role::Reader),
    ("pvelens.v1.IntentService/ListStatements", Role::Reader),
    ("pvelens.v1.IntentService/MakeStatement", Role::Operator),
    ("pvelens.v1.IntentService/WithdrawStatement", Role::Operator),
    ("pvelens.v1.InventoryService/GetClusterStatus", Role::Reader),
    ("pvelens.v1.InventoryService/GetGuest", Role::Reader),
    ("pvelens.v1.InventoryService/GetNode", Role::Reader),
    ("pvelens.v1.InventoryService/ListGuests", Role::Reader),
    ("pvelens.v1.InventoryService/ListNodes", Role::Reader),
    ("pvelens.v1.InventoryService/ListStorages", Role::Reader),
];

impl Role {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Reader => "reader",
            Self::Operator => "operator",
            Self::Admin => "admin",
        }
    }

    /// File name of the socket that gives it.
    #[must_use]
    pub fn socket(self) -> &'static str {
        match self {
            Self::Reader => READ_SOCKET,
            Self::Operator => OPERATE_SOCKET,
            Self::Admin => ADMIN_SOCKET,
        }
    }

    /// How a person comes to use that socket.
    #[must_use]
    pub fn how_to_get(self) -> &'static str {
        match self {
            Self::Reader => {
                "become a member of the group it belongs to, by default pvelens-users, and log in \
                 again"
            }
            Self::Operator => {
                "become a member of the group it belongs to, by default pvelens-operators, and \
                 log in again"
            }
            Self::Admin => "only root may use it, or whoever runs a coordinator without systemd",
        }
    }

    /// What it may call, sorted.
    pub fn methods(self) -> impl Iterator<Item = &'static str> {
        METHODS
            .iter()
            .filter(move |(_, needed)| *needed <= self)
            .map(|(method, _)| *method)
    }
}

impl From<ClientRole> for Role {
    fn from(role: ClientRole) -> Self {
        match role {
            ClientRole::Reader => Self::Reader,
            ClientRole::Operator => Self::Operator,
            ClientRole::Admin => Self::Admin,
        }
    }
}

impl From<Role> for message::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Reader => Self::Reader,
            Role::Operator => Self::Operator,
            Role::Admin => Self::Admin,
        }
    }
}

/// Lets a request of this caller through, or says why not. The services find the
/// caller in its extensions.
pub(super) fn check<B>(
    caller: Option<Caller>,
    mut request: http::Request<B>,
) -> Result<http::Request<B>, Status> {
    let path = request.uri().path();
    let method = path.strip_prefix('/').unwrap_or(path);
    let Some((method, needed)) = METHODS.iter().find(|(known, _)| *known == method) else {
        return Err(Status::unimplemented("no such method"));
    };
    let Some(caller) = caller else {
        return if *method == OPEN {
            Ok(request)
        } else {
            Err(status::no_certificate(method))
        };
    };
    if *needed > caller.role {
        return Err(status::role_too_low(method, *needed, &caller));
    }
    request.extensions_mut().insert(caller);
    Ok(request)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use prost::Message;
    use prost_types::FileDescriptorSet;

    use super::*;

    fn described(package: &str) -> BTreeSet<String> {
        let files = FileDescriptorSet::decode(pvelens_proto::FILE_DESCRIPTOR_SET).unwrap();
        let files = files.file.iter().filter(|file| file.package() == package);
        files
            .flat_map(|file| &file.service)
            .flat_map(|service| {
                let methods = service.method.iter();
                methods.map(move |method| format!("{package}.{}/{}", service.name(), method.name()))
            })
            .collect()
    }

    #[test]
    fn every_method_of_the_api_has_a_row_and_every_row_a_method() {
        let rows: BTreeSet<String> = METHODS
            .iter()
            .map(|(method, _)| (*method).to_owned())
            .filter(|method| method.starts_with("pvelens."))
            .collect();
        assert_eq!(rows, described("pvelens.v1"));
        assert!(METHODS.is_sorted());
    }

    #[test]
    fn a_higher_role_may_what_a_lower_one_may() {
        let of = |role: Role| role.methods().collect::<BTreeSet<_>>();
        let (reader, operator, admin) = (of(Role::Reader), of(Role::Operator), of(Role::Admin));
        assert!(reader.is_subset(&operator) && operator.is_subset(&admin));
        assert!(reader.len() < operator.len() && operator.len() < admin.len());
        assert_eq!(admin.len(), METHODS.len());
    }
}
