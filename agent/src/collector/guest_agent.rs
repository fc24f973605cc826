//! Whether the guest agents of the VMs that run here answer, what systems they run
//! on, their addresses and load, and how full their file systems are.
//!
//! One command per connection, and the next only after a ping was answered. An agent
//! that does not answer is left alone for a while, and what changes rarely is not
//! asked each time: [`Host::guest_agents`] remembers that, the collector itself
//! keeps nothing.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use jiff::{SignedDuration, Timestamp};
use pvelens_proto::{
    agent::v1::{CollectionClass, GuestAgent, GuestAgents, GuestSocketOutcome},
    timestamp_from_millis,
};
use serde::de::IgnoredAny;

use super::{CollectError, Collector, Payload, Reading, running_vm, running_vm::RunningVm};
use crate::{
    guest_socket::{
        Due, Known, Trouble, each,
        qga::{self, Command},
    },
    host::Host,
};

mod answers;

/// For all agents of one run.
const TIME: Duration = Duration::from_secs(20);
/// Between two answers of one kind.
const OS_PAUSE: SignedDuration = SignedDuration::from_hours(1);
const FILESYSTEMS_PAUSE: SignedDuration = SignedDuration::from_mins(5);
/// After one that did not come: a dead network file system holds the whole agent.
const TROUBLE_PAUSE: SignedDuration = SignedDuration::from_mins(15);

pub(super) const COLLECTOR: Collector = Collector {
    name: "guest_agent",
    summary: "liveness, operating system, addresses, load and file systems, as guest agents say",
    class: CollectionClass::State,
    interval: Duration::from_secs(60),
    // A conversation that began at the end of the time, and those after it.
    deadline: Duration::from_secs(30),
    paths: &[
        "/etc/pve/local",
        "/etc/pve/nodes/*/qemu-server/*.conf",
        "/proc/*/stat",
        "/run/qemu-server/*.pid",
        "/run/qemu-server/*.qga",
    ],
    probes: &[],
    collect,
};

fn collect(reading: &mut Reading<'_>) -> Result<Payload, CollectError> {
    let vms = running_vm::running(reading)?;
    let configs = running_vm::configs(reading);
    let now = reading.now();
    let mut remembered = reading.host().guest_agents().take();
    let mut known = BTreeMap::new();
    let mut guests = Vec::new();
    let mut jobs = Vec::new();
    for vm in vms {
        let settings = configs
            .as_deref()
            .and_then(|directory| running_vm::settings(reading, directory, vm.vmid));
        let one = recall(remembered.remove(&vm.vmid), vm);
        let Some(settings) = settings else {
            // Whether there is an agent is not known.
            known.insert(vm.vmid, one);
            continue;
        };
        if settings.agent_enabled != Some(true) {
            continue;
        }
        if !settings.lock.is_empty() {
            guests.push(fact(&one, now, Some(GuestSocketOutcome::Locked)));
            known.insert(vm.vmid, one);
        } else if one.next.is_over(now) {
            jobs.push(one);
        } else {
            guests.push(fact(&one, now, None));
            known.insert(vm.vmid, one);
        }
    }
    // Whoever waited longest comes first.
    jobs.sort_by_key(|one| one.asked);
    let host = reading.host();
    let answers = each(&jobs, TIME, |one| ask(host, one.clone(), now));
    for (before, answer) in jobs.into_iter().zip(answers) {
        let (one, failure) = match answer {
            Some((one, failure)) => {
                guests.push(fact(&one, now, None));
                (one, failure)
            }
            None => {
                guests.push(fact(&before, now, Some(GuestSocketOutcome::NotReached)));
                (before, None)
            }
        };
        known.insert(one.agent.vmid, one);
        if let Some(failure) = failure.and_then(Trouble::failure) {
            reading.fail(failure);
        }
    }
    reading.host().guest_agents().put(known);
    guests.sort_by_key(|guest| guest.vmid);
    Ok(Payload::GuestAgents(GuestAgents { guests }))
}

/// What is known of this start of the VM.
fn recall(known: Option<Known>, vm: RunningVm) -> Known {
    let process = (vm.pid, vm.start_ticks);
    known
        .filter(|known| known.process == process)
        .unwrap_or_else(|| Known {
            process,
            agent: GuestAgent {
                vmid: vm.vmid,
                start_ticks: Some(vm.start_ticks),
                ..GuestAgent::default()
            },
            ..Known::default()
        })
}

fn fact(known: &Known, now: Timestamp, instead: Option<GuestSocketOutcome>) -> GuestAgent {
    let mut agent = known.agent.clone();
    agent.asked_at = known.asked.map(stamp);
    if !known.next.is_over(now) {
        agent.next_attempt_at = known.next.at().map(stamp);
    }
    if let Some(outcome) = instead {
        agent.set_outcome(outcome);
    }
    agent
}

/// Asks one agent whatever is due.
fn ask(host: &Host, mut known: Known, now: Timestamp) -> (Known, Option<Trouble>) {
    let begun = Instant::now();
    let ping = converse::<IgnoredAny>(host, &mut known, Command::Ping);
    known.agent.answer_seconds = None;
    if let Err(trouble) = ping {
        known.agent.set_outcome(trouble.outcome());
        match trouble {
            Trouble::Unreachable(_) => {}
            Trouble::Busy => known.asked = Some(now),
            _ => {
                known.asked = Some(now);
                let failures = known.agent.consecutive_failures.saturating_add(1);
                known.agent.consecutive_failures = failures;
                known.next = Due::after_failures(now, failures);
            }
        }
        return (known, Some(trouble));
    }
    known.asked = Some(now);
    known.next = Due::default();
    known.agent.set_outcome(GuestSocketOutcome::Answered);
    known.agent.answer_seconds = Some(begun.elapsed().as_secs_f64());
    known.agent.answered_at = Some(stamp(now));
    known.agent.consecutive_failures = 0;
    let trouble = ask_more(host, &mut known, now).err();
    (known, trouble)
}

/// What is not asked each time. The first that gets no answer is the last.
fn ask_more(host: &Host, known: &mut Known, now: Timestamp) -> Result<(), Trouble> {
    if known.next_os.is_over(now) {
        known.next_os = Due::after(now, TROUBLE_PAUSE);
        ask_what_it_is(host, known, now)?;
        known.next_os = Due::after(now, OS_PAUSE);
    }
    if known.next_filesystems.is_over(now) {
        known.next_filesystems = Due::after(now, TROUBLE_PAUSE);
        if let Some(answer) = converse::<answers::FsInfo>(host, known, Command::FsInfo)? {
            known.agent.filesystems = Some(answers::filesystems(answer, stamp(now)));
        }
        if known.has_load
            && let Some(answer) = converse::<answers::Load>(host, known, Command::Load)?
        {
            known.agent.load = Some(answer.into_fact(stamp(now)));
        }
        known.next_filesystems = Due::after(now, FILESYSTEMS_PAUSE);
    }
    Ok(())
}

/// Its version and what it can do, its system and its addresses. Commands that not
/// every agent has are sent to those alone that say so.
fn ask_what_it_is(host: &Host, known: &mut Known, now: Timestamp) -> Result<(), Trouble> {
    if let Some(info) = converse::<answers::Info>(host, known, Command::Info)? {
        known.agent.version = info.version();
        known.has_load = info.has(Command::Load);
        known.has_interfaces = info.has(Command::Interfaces);
    }
    if let Some(answer) = converse::<answers::OsInfo>(host, known, Command::OsInfo)? {
        known.agent.operating_system = Some(answer.into_fact(stamp(now)));
    }
    if known.has_interfaces
        && let Some(answer) = converse::<answers::Interfaces>(host, known, Command::Interfaces)?
    {
        (known.agent.addresses, known.agent.addresses_truncated) = answers::addresses(answer);
    }
    Ok(())
}

/// Asks one thing, and keeps in mind whether the agent refuses it.
fn converse<T: serde::de::DeserializeOwned>(
    host: &Host,
    known: &mut Known,
    command: Command,
) -> Result<Option<T>, Trouble> {
    let id = known.sync_id.next();
    let answer = qga::ask(host, known.agent.vmid, id, command)?;
    let refused = &mut known.agent.refused_commands;
    refused.retain(|name| name != command.name());
    if answer.is_none() {
        refused.push(command.name().to_owned());
    }
    Ok(answer)
}

/// What is made of the answers of a guest agent that said all this.
#[cfg(feature = "fuzzing")]
pub(crate) fn hear(said: &[u8], now: Timestamp) -> Option<GuestAgent> {
    heard::<IgnoredAny>(said, Command::Ping)?;
    let mut agent = GuestAgent::default();
    if let Some(answer) = heard::<answers::OsInfo>(said, Command::OsInfo) {
        agent.operating_system = Some(answer.into_fact(stamp(now)));
    }
    if let Some(answer) = heard::<answers::FsInfo>(said, Command::FsInfo) {
        agent.filesystems = Some(answers::filesystems(answer, stamp(now)));
    }
    Some(agent)
}

#[cfg(feature = "fuzzing")]
fn heard<T: serde::de::DeserializeOwned>(said: &[u8], command: Command) -> Option<T> {
    let (exchange, _peer) = crate::guest_socket::facing(said).ok()?;
    match qga::converse(exchange, qga::SyncId::default(), &command.into()) {
        Ok(qga::Answer::Returned(qga::Cut { value, .. })) => Some(value),
        Ok(qga::Answer::Refused(_)) | Err(_) => None,
    }
}

fn stamp(time: Timestamp) -> pvelens_proto::Timestamp {
    timestamp_from_millis(time.as_millisecond())
}
