//! The agent in a guest, `/run/qemu-server/ID.qga` (`qemu@qga/qapi-schema.json`).
//!
//! QEMU passes bytes between the socket and the guest, where nobody knows of
//! connections: half an object of an earlier client may wait for its end there, and
//! the answer to a client that has gone comes to the next one. So every conversation
//! begins with a byte that ends any half object, and a number to be given back.
//! Numbers below 100 are what PVE takes as stale, should one reach it late
//! (`qemu-server@src/PVE/QMPClient.pm`).

use std::time::{Duration, Instant};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

use super::{Exchange, SKIP_LIMIT, Trouble, parse, text};
use crate::host::Host;

/// For the number to come back.
const SYNC_PATIENCE: Duration = Duration::from_secs(1);
/// For one conversation.
const PATIENCE: Duration = Duration::from_secs(2);
/// Never part of text in UTF-8: the agent drops what came before, and puts one
/// before the number.
const DELIMITER: u8 = 0xff;

/// What is asked without anybody's request. Only `guest.rs` asks anything else, and of
/// its catalogue alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Command {
    Ping,
    Info,
    OsInfo,
    FsInfo,
    Load,
    Interfaces,
}

impl Command {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ping => "guest-ping",
            Self::Info => "guest-info",
            Self::OsInfo => "guest-get-osinfo",
            Self::FsInfo => "guest-get-fsinfo",
            Self::Load => "guest-get-load",
            Self::Interfaces => "guest-network-get-interfaces",
        }
    }
}

/// A number from 1 to 99.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SyncId(u8);

impl Default for SyncId {
    fn default() -> Self {
        Self(1)
    }
}

impl SyncId {
    /// Another one for each conversation.
    pub(crate) fn next(&mut self) -> Self {
        self.0 = self.0 % 99 + 1;
        *self
    }
}

/// Something that is asked.
#[derive(Debug)]
pub(crate) struct Question<'a> {
    pub(crate) name: &'a str,
    pub(crate) arguments: Option<&'a Value>,
    /// Characters that are kept of each string of the answer; all without it.
    pub(crate) longest_string: Option<usize>,
}

impl From<Command> for Question<'_> {
    fn from(command: Command) -> Self {
        Self {
            name: command.name(),
            arguments: None,
            longest_string: None,
        }
    }
}

/// What a guest agent says to a question.
#[derive(Debug)]
pub(crate) enum Answer<T> {
    Returned(T),
    /// It answers with an error.
    Refused(Complaint),
}

/// An error of a guest agent, in its words.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Complaint {
    class: String,
    desc: String,
}

/// Bytes of a complaint that are taken over.
const COMPLAINT_LIMIT: usize = 300;

impl Complaint {
    /// The question is not known there, or is switched off.
    pub(crate) fn is_not_found(&self) -> bool {
        self.class == "CommandNotFound"
    }

    /// The question is known there and switched off, by the guest's administrator or
    /// while file systems are frozen (`qemu@qga/main.c`, `qapi/qmp-dispatch.c`).
    pub(crate) fn is_disabled(&self) -> bool {
        self.is_not_found() && self.desc.contains("disabled")
    }

    pub(crate) fn words(&self) -> String {
        text(&self.desc, COMPLAINT_LIMIT)
    }
}

/// A value, and what of its strings was cut.
#[derive(Debug)]
pub(crate) struct Cut<T> {
    pub(crate) value: T,
    /// Characters of each string that was cut, in the order of the answer.
    pub(crate) lengths: Vec<u64>,
    /// The answer as it was kept.
    pub(crate) line: Vec<u8>,
}

#[derive(Debug, Deserialize)]
struct Returned<T> {
    #[serde(rename = "return")]
    value: T,
}

#[derive(Debug, Deserialize)]
struct Head {
    error: Option<Complaint>,
}

/// Asks one thing in one conversation; `None` when the agent answers with an error.
pub(crate) fn ask<T: DeserializeOwned>(
    host: &Host,
    vmid: u32,
    id: SyncId,
    command: Command,
) -> Result<Option<T>, Trouble> {
    Ok(match question(host, vmid, id, &command.into())? {
        Answer::Returned(Cut { value, .. }) => Some(value),
        Answer::Refused(_) => None,
    })
}

/// Asks one question in one conversation, when it is our turn.
pub(crate) fn question<T: DeserializeOwned>(
    host: &Host,
    vmid: u32,
    id: SyncId,
    question: &Question<'_>,
) -> Result<Answer<Cut<T>>, Trouble> {
    let until = Instant::now() + PATIENCE;
    let _turn = host.guest_turns().take(vmid, until).ok_or(Trouble::Busy)?;
    let path = format!("/run/qemu-server/{vmid}.qga");
    converse(Exchange::open(host, &path, SYNC_PATIENCE)?, id, question)
}

pub(crate) fn converse<T: DeserializeOwned>(
    mut exchange: Exchange,
    id: SyncId,
    question: &Question<'_>,
) -> Result<Answer<Cut<T>>, Trouble> {
    synchronise(&mut exchange, id)?;
    exchange.be_patient(PATIENCE);
    if let Some(limit) = question.longest_string {
        exchange.shorten(limit);
    }
    let asked = match question.arguments {
        Some(arguments) => json!({"execute": question.name, "arguments": arguments}),
        None => json!({"execute": question.name}),
    };
    exchange.send(format!("{asked}\n").as_bytes())?;
    let line = exchange.line()?;
    if let Some(complaint) = parse::<Head>(&line)?.error {
        return Ok(Answer::Refused(complaint));
    }
    let Returned { value } = parse(&line)?;
    Ok(Answer::Returned(Cut {
        value,
        lengths: exchange.cut().to_vec(),
        line,
    }))
}

/// Drops everything up to the answer with our number.
fn synchronise(exchange: &mut Exchange, SyncId(id): SyncId) -> Result<(), Trouble> {
    let command =
        format!("{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{id}}}}}\n");
    exchange.send(&[&[DELIMITER], command.as_bytes()].concat())?;
    for _ in 0..SKIP_LIMIT {
        let line = exchange.line()?;
        // Whatever came before belongs to somebody else, also the complaint of the
        // agent about our first byte.
        let mut parts = line.rsplit(|byte| *byte == DELIMITER);
        let (last, before) = (parts.next(), parts.next());
        let answer = before.and(last).map(parse::<Returned<u64>>);
        if let Some(Ok(Returned { value })) = answer
            && value == u64::from(id)
        {
            return Ok(());
        }
    }
    Err(Trouble::Malformed)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::guest_socket::facing;

    fn asked(bytes: &[u8]) -> Result<Option<u64>, Trouble> {
        let (exchange, _peer) = facing(bytes).unwrap();
        let answer = converse(exchange, SyncId(42), &Command::Ping.into())?;
        Ok(match answer {
            Answer::Returned(Cut { value, .. }) => Some(value),
            Answer::Refused(_) => None,
        })
    }

    #[test]
    fn only_what_follows_our_number_is_the_answer() {
        let synced =
            b"{\"return\": 5}\n{\"error\": {}}\n\xff{\"return\": 41}\n\"half\xff{\"return\": 42}\n";
        let with = |answer: &str| asked(&[synced.as_slice(), answer.as_bytes()].concat());
        assert_eq!(with("{\"return\": 7}\n").unwrap(), Some(7));
        assert_eq!(with("{\"error\": {\"class\": \"x\"}}\n").unwrap(), None);
        assert!(matches!(with("{}\n"), Err(Trouble::Malformed)));
        assert!(matches!(with("{\"return\": 7}"), Err(Trouble::Closed)));
        // The number without the byte before it is not it.
        let unmarked = asked(b"{\"return\": 42}\n{\"return\": 7}\n");
        assert!(matches!(unmarked, Err(Trouble::Closed)), "{unmarked:?}");
    }

    proptest! {
        #[test]
        fn any_bytes_are_an_answer_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            drop(asked(&bytes));
            drop(asked(&[b"\xff{\"return\": 42}\n".as_slice(), &bytes].concat()));
        }
    }

    #[test]
    fn numbers_stay_where_pve_takes_them_as_stale() {
        let mut id = SyncId::default();
        for _ in 0..500 {
            let before = id;
            assert!((1..=99).contains(&id.next().0));
            assert_ne!(id, before);
        }
    }
}
