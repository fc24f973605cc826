//! `mcp`.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Failure, client};
use crate::{
    grpc,
    mcp::bridge,
    serve::{MCP_OPERATE_SOCKET, MCP_SOCKET},
};

/// Where the sockets are.
const DIRECTORY: &str = "/run/pvelens";

#[derive(Debug, Args)]
pub(super) struct Mcp {
    /// What the client may do: an operator may run commands in guests
    #[arg(long, value_enum, default_value_t = Role::Reader)]
    role: Role,
    /// Socket of the coordinator [default: that of the role in /run/pvelens]
    #[arg(long, value_name = "PATH", env = "PVELENS_MCP_SOCKET")]
    socket: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Role {
    Reader,
    Operator,
}

impl Mcp {
    pub(super) fn run(self) -> Result<u8, Failure> {
        let (role, name) = match self.role {
            Role::Reader => (grpc::Role::Reader, MCP_SOCKET),
            Role::Operator => (grpc::Role::Operator, MCP_OPERATE_SOCKET),
        };
        let socket = self.socket.unwrap_or(Path::new(DIRECTORY).join(name));
        client::runtime()?
            .block_on(bridge::bridge(&socket, role))
            .map_err(|error| Failure::NotAssessed(error.to_string()))?;
        Ok(0)
    }
}
