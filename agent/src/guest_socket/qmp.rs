//! The monitor of QEMU, `/run/qemu-server/ID.qmp` (`qemu@docs/interop/qmp-spec.rst`).
//!
//! It serves one client. Another one connects all the same and waits for the
//! greeting, and what it sends before that is executed later, even when it has gone
//! (`qemu-server@src/PVE/QMPClient.pm`): so nothing is sent before the greeting, and
//! one command after the other.

use std::time::Duration;

use serde::{
    Deserialize,
    de::{DeserializeOwned, IgnoredAny},
};

use super::{Exchange, SKIP_LIMIT, Trouble, parse};
use crate::host::Host;

/// For one conversation.
const PATIENCE: Duration = Duration::from_secs(1);

/// Everything that is ever sent to a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Query {
    Status,
    Balloon,
    Block,
    BlockStats,
}

impl Query {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Status => "query-status",
            Self::Balloon => "query-balloon",
            Self::Block => "query-block",
            Self::BlockStats => "query-blockstats",
        }
    }
}

/// Makes the monitor take commands. It changes nothing.
const BEGIN: &str = "qmp_capabilities";

#[derive(Debug, Deserialize)]
struct Hello {
    #[serde(rename = "QMP")]
    greeting: Greeting,
}

/// What QEMU says of itself when it has time for a client.
#[derive(Debug, Deserialize)]
pub(crate) struct Greeting {
    pub(crate) version: Version,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) qemu: Triple,
    #[serde(default)]
    pub(crate) package: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Triple {
    pub(crate) major: u32,
    pub(crate) minor: u32,
    pub(crate) micro: u32,
}

/// What kind of line it is.
#[derive(Debug, Deserialize)]
struct Head {
    id: Option<u64>,
    event: Option<IgnoredAny>,
    error: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct Returned<T> {
    #[serde(rename = "return")]
    value: T,
}

/// A conversation with one monitor.
#[derive(Debug)]
pub(crate) struct Monitor {
    exchange: Exchange,
    id: u64,
}

impl Monitor {
    /// Connects and waits to be greeted.
    pub(crate) fn open(host: &Host, vmid: u32) -> Result<(Self, Greeting), Trouble> {
        let path = format!("/run/qemu-server/{vmid}.qmp");
        let mut exchange = Exchange::open(host, &path, PATIENCE)?;
        let Hello { greeting } = parse(&exchange.line()?)?;
        Ok((Self { exchange, id: 0 }, greeting))
    }

    /// Makes it take queries.
    pub(crate) fn begin(&mut self) -> Result<(), Trouble> {
        let done: Option<IgnoredAny> = self.execute(BEGIN)?;
        done.map(drop).ok_or(Trouble::Malformed)
    }

    /// Asks; `None` when QEMU answers with an error.
    pub(crate) fn ask<T: DeserializeOwned>(&mut self, query: Query) -> Result<Option<T>, Trouble> {
        self.execute(query.name())
    }

    fn execute<T: DeserializeOwned>(&mut self, name: &str) -> Result<Option<T>, Trouble> {
        self.id += 1;
        let command = format!("{{\"execute\":\"{name}\",\"id\":{}}}\n", self.id);
        self.exchange.send(command.as_bytes())?;
        for _ in 0..SKIP_LIMIT {
            let line = self.exchange.line()?;
            let head: Head = parse(&line)?;
            if head.event.is_some() || head.id != Some(self.id) {
                continue;
            }
            return if head.error.is_some() {
                Ok(None)
            } else {
                parse(&line).map(|Returned { value }| Some(value))
            };
        }
        Err(Trouble::Malformed)
    }
}
