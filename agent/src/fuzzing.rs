//! What fuzzers and benchmarks cannot reach from outside: the conversations over
//! sockets, and the frame around what is kept in files.
//!
//! Everything else is reached through files below a `Host`. This is no part of any
//! package.

use pvelens_proto::agent::v1::{GuestAgent, GuestCommandResult, GuestMonitor};
use serde::de::IgnoredAny;

use crate::{
    collector::{ask_monitor, hear_guest_agent},
    guest,
    guest_socket::{
        facing,
        qga::{self, SyncId},
        qmp::Monitor,
    },
    host::Host,
    probe::{Reply, hear_probe},
    spool::records::frame_of,
};

/// Fewer than a socket takes at once.
const LIMIT: usize = 64 << 10;

/// What is known of a VM whose monitor says this, greeting and all.
#[must_use]
pub fn qmp(said: &[u8]) -> GuestMonitor {
    let mut guest = GuestMonitor::default();
    if let Ok((exchange, _peer)) = facing(bounded(said))
        && let Ok((monitor, greeting)) = Monitor::greeted(exchange)
    {
        // What was understood before it went wrong is kept.
        ask_monitor(monitor, &greeting, &mut guest).ok();
    }
    guest
}

/// What is known of a guest whose agent says this.
#[must_use]
pub fn qga(said: &[u8]) -> Option<GuestAgent> {
    hear_guest_agent(bounded(said), jiff::Timestamp::UNIX_EPOCH)
}

/// What comes of a program when the guest agent says this to the question how it ended:
/// its exit code and what it wrote, as it is given on.
#[must_use]
pub fn guest_exec_status(said: &[u8]) -> GuestCommandResult {
    guest::hear_end(bounded(said))
}

/// Reads a policy of guest commands; false when it is none.
#[must_use]
pub fn guest_policy(text: &str) -> bool {
    guest::is_policy(text)
}

/// Asks the agent of a VM whether it is there, in one conversation; false when not.
#[must_use]
pub fn ping(host: &Host, vmid: u32) -> bool {
    let answer = qga::ask::<IgnoredAny>(host, vmid, SyncId::default(), qga::Command::Ping);
    matches!(answer, Ok(Some(_)))
}

/// The reply of a probe that says this.
#[must_use]
pub fn probe_reply(said: &[u8]) -> Option<Reply> {
    hear_probe(bounded(said), 1 << 20).ok()
}

/// Content as it is in a file of the spool or of the flight recorder: with its length
/// and a checksum that fits.
#[must_use]
pub fn framed(content: &[u8]) -> Vec<u8> {
    frame_of(content)
}

fn bounded(said: &[u8]) -> &[u8] {
    said.get(..LIMIT).unwrap_or(said)
}
