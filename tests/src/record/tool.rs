//! Stands for a tool that a probe starts.
//!
//! The test systems have no ZFS, no corosync and no disks of their own. What those
//! tools write on a node is in the replies of the small node of the agent's tests; a
//! stand-in under the tool's name looks up the command line that the probe made and
//! writes the same. So the menu, the units of the probes, their sockets and the
//! agent's side are real, and only the tool is not.

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::{Context, Result};
use pvelens_agent::probe::{Header, Outcome};

/// Where the test systems have the replies.
const REPLIES: &str = "/usr/lib/pvelens-test/probe";

/// Writes what the tool wrote with these arguments.
///
/// # Errors
/// When there is no such reply.
pub fn stand_in_for(tool: &str, arguments: &[String]) -> Result<ExitCode> {
    for kind in fs::read_dir(REPLIES).context(REPLIES)? {
        for reply in fs::read_dir(kind?.path())? {
            let bytes = fs::read(reply?.path())?;
            let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
                continue;
            };
            let (line, stdout) = bytes.split_at(end);
            let header: Header = serde_json::from_slice(line)?;
            let Some((program, rest)) = header.program.split_first() else {
                continue;
            };
            let is_it = Path::new(program)
                .file_name()
                .is_some_and(|name| name == tool);
            if let Outcome::Exited { exit_status } = header.outcome
                && is_it
                && rest == arguments
            {
                io::stdout().write_all(stdout.strip_prefix(b"\n").unwrap_or(stdout))?;
                io::stderr().write_all(header.stderr.as_bytes())?;
                return Ok(ExitCode::from(u8::try_from(exit_status)?));
            }
        }
    }
    anyhow::bail!("{tool} {}: no reply is recorded", arguments.join(" "))
}
