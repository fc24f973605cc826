//! `mcp`.

use std::path::PathBuf;

use clap::Args;

use super::{Failure, client};
use crate::mcp::bridge;

#[derive(Debug, Args)]
pub(super) struct Mcp {
    /// Socket of the coordinator
    #[arg(
        long,
        value_name = "PATH",
        env = "PVELENS_MCP_SOCKET",
        default_value = "/run/pvelens/mcp.sock"
    )]
    socket: PathBuf,
}

impl Mcp {
    pub(super) fn run(self) -> Result<u8, Failure> {
        client::runtime()?
            .block_on(bridge::bridge(&self.socket))
            .map_err(|error| Failure::NotAssessed(error.to_string()))?;
        Ok(0)
    }
}
