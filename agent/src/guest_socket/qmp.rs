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
        Self::greeted(Exchange::open(host, &path, PATIENCE)?)
    }

    pub(crate) fn greeted(mut exchange: Exchange) -> Result<(Self, Greeting), Trouble> {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::guest_socket::facing;

    const GREETING: &str = r#"{"QMP": {"version": {"qemu": {"micro": 2, "minor": 1, "major": 10}, "package": "p"}, "capabilities": ["oob"]}}"#;

    fn asked(answers: &str) -> Result<Option<u64>, Trouble> {
        let (exchange, _peer) = facing(format!("{GREETING}\r\n{answers}").as_bytes()).unwrap();
        let (mut monitor, greeting) = Monitor::greeted(exchange)?;
        assert_eq!(greeting.version.qemu.major, 10);
        monitor.begin()?;
        monitor.ask(Query::Status)
    }

    #[test]
    fn an_answer_is_told_by_its_id() {
        let begun = r#"{"return": {}, "id": 1}"#;
        let event = r#"{"event": "STOP", "data": {"id": 2, "return": 5}}"#;
        let other = r#"{"return": 6, "id": 9}"#;
        let answer = r#"{"return": 7, "id": 2}"#;
        let lines = [event, begun, event, other, answer, ""].join("\n");
        assert_eq!(asked(&lines).unwrap(), Some(7));
        let refused = r#"{"id": 2, "error": {"class": "CommandNotFound", "desc": "no"}}"#;
        assert_eq!(asked(&[begun, refused, ""].join("\n")).unwrap(), None);
        for wrong in [
            r#"{"return": "7", "id": 2}"#,
            r#"{"id": 2}"#,
            r#"{"id": "2", "return": 7}"#,
            "[]",
            "",
        ] {
            let asked = asked(&[begun, wrong, ""].join("\n"));
            assert!(
                matches!(asked, Err(Trouble::Malformed)),
                "{wrong}: {asked:?}"
            );
        }
        // Without end, and without a beginning.
        assert!(matches!(asked(begun), Err(Trouble::Closed)));
        assert!(matches!(asked(refused), Err(Trouble::Closed)));
        let events = format!("{event}\n").repeat(SKIP_LIMIT);
        let late = asked(&format!("{events}{begun}\n{answer}\n"));
        assert!(matches!(late, Err(Trouble::Malformed)), "{late:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (exchange, _peer) = facing(&bytes).unwrap();
            drop(Monitor::greeted(exchange));
            drop(asked(&String::from_utf8_lossy(&bytes)));
        }
    }
}
