//! Who calls, in the extensions of each request: put there before all services, by the
//! listener that took the connection.

use std::sync::Arc;

use tonic::{Request, Status, transport::server::UdsConnectInfo};

use super::{Role, status};
use crate::{
    guest_command::call::{Asked, By},
    untrusted,
};

/// Who calls, as far as the connection says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Caller {
    pub(super) role: Role,
    /// In the certificate; a socket says nothing but the role.
    pub(super) client: Option<Arc<str>>,
}

impl Caller {
    /// Whoever may use the socket of a role.
    pub(super) fn of_socket(role: Role) -> Self {
        Self { role, client: None }
    }

    /// Who made a request.
    ///
    /// # Errors
    /// When nobody put it there, which is a defect.
    pub(super) fn of<T>(request: &Request<T>) -> Result<Self, Status> {
        let caller = request.extensions().get::<Self>().cloned();
        caller.ok_or_else(status::internal)
    }

    /// The name, for the log.
    pub(super) fn name(&self) -> &str {
        self.client.as_deref().unwrap_or_default()
    }

    /// What gives this role, in words.
    pub(super) fn place(&self) -> String {
        match &self.client {
            None => self.role.socket().to_owned(),
            Some(name) => format!("the certificate of {name}"),
        }
    }

    /// How to come to a higher role from here.
    pub(super) fn way_to(&self, needed: Role) -> String {
        match self.client {
            None => format!("call it on {}: {}", needed.socket(), needed.how_to_get()),
            Some(_) => format!(
                "an administrator gives a certificate of that role: `pvelens client issue NAME --role {}`",
                needed.name()
            ),
        }
    }
}

/// Who makes or withdraws a statement, in words: what the connection says, never what
/// the client claims.
///
/// # Errors
/// As [`Caller::of`].
pub(super) fn author<T>(request: &Request<T>) -> Result<String, Status> {
    let Asked { role, by } = asked(request)?;
    Ok(match by {
        By::Client(name) => format!("client {name}"),
        By::Uid(uid) => match user(uid) {
            Some(name) => format!("{name} (uid {uid})"),
            None => format!("uid {uid}"),
        },
        By::Unknown => format!("somebody at {}", role.socket()),
    })
}

/// The name of a user of this machine. Those of a directory service have only numbers
/// here.
fn user(uid: u32) -> Option<String> {
    let users = std::fs::read_to_string("/etc/passwd").ok()?;
    let name = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, _, number) = (fields.next()?, fields.next()?, fields.next()?);
        (number.parse() == Ok(uid)).then_some(name)
    });
    name.map(|name| untrusted::name(name).into_owned())
}

/// Who asks for a guest command.
///
/// # Errors
/// As [`Caller::of`].
pub(super) fn asked<T>(request: &Request<T>) -> Result<Asked, Status> {
    let caller = Caller::of(request)?;
    let uid = || {
        // As the kernel says.
        let connection = request.extensions().get::<UdsConnectInfo>()?;
        Some(connection.peer_cred?.uid())
    };
    let by = match caller.client {
        Some(name) => By::Client(name),
        None => uid().map_or(By::Unknown, By::Uid),
    };
    Ok(Asked {
        role: caller.role,
        by,
    })
}
