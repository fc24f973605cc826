//! What operating system a guest says that it runs. It can lie, and gains nothing: a
//! command for another system is one of the same catalogue.

use std::sync::Mutex;

use serde::Deserialize;

use super::{
    catalogue::{Command, Rpc, System},
    execute,
    resolve::Guest,
    rule::{Refusal, Rule, Rules},
};
use crate::{
    guest_socket::{
        Remembered, Trouble,
        qga::{self, Answer, Cut, Question, SyncId},
        text,
    },
    host::Host,
};

const NAME_LIMIT: usize = 128;

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct OsInfo {
    id: String,
    pretty_name: String,
    kernel_version: String,
}

/// What was told before by this start of the VM.
pub(super) fn known(host: &Host, guest: &Guest) -> Option<System> {
    let told = host.guest_agents().system(guest.vmid, guest.process)?;
    Some(of_id(&told.id))
}

/// Its name for people; empty when it is not known.
pub(super) fn name(host: &Host, guest: &Guest) -> String {
    let told = host.guest_agents().system(guest.vmid, guest.process);
    told.map(|told| {
        if told.name.is_empty() {
            told.id
        } else {
            told.name
        }
    })
    .unwrap_or_default()
}

/// Refuses a command for another system than the one that is known.
///
/// # Errors
/// When it is for another.
pub(super) fn check(
    command: &Command,
    system: Option<System>,
    rules: Rules,
) -> Result<(), Refusal> {
    match system {
        Some(_) => check_known(command, system, rules),
        None => Ok(()),
    }
}

/// As [`check`], where a system that is not known is another one, too.
///
/// # Errors
/// When it is for another.
pub(super) fn check_known(
    command: &Command,
    system: Option<System>,
    rules: Rules,
) -> Result<(), Refusal> {
    let fits = system.is_some_and(|system| command.systems.contains(&system));
    rules.refuse_if(!fits, Rule::WrongSystem, || match system {
        Some(system) => format!("{} is not for a guest with {}", command.id, system.name()),
        None => format!(
            "{} is not for every system, and the guest does not tell its own",
            command.id
        ),
    })
}

/// Asks the guest agent. `None` when it does not tell.
///
/// # Errors
/// When there is no answer.
pub(super) fn ask(
    host: &Host,
    guest: &Guest,
    ids: &Mutex<SyncId>,
) -> Result<Option<System>, Trouble> {
    let question = Question {
        name: Rpc::OsInfo.name(),
        arguments: None,
        longest_string: Some(NAME_LIMIT),
    };
    let id = execute::next_id(ids);
    match qga::question::<OsInfo>(host, guest.vmid, id, &question) {
        Ok(Answer::Returned(Cut { value, .. })) => {
            let system = Remembered {
                process: guest.process,
                id: system_id(&value),
                name: text(&value.pretty_name, NAME_LIMIT),
            };
            let kind = of_id(&system.id);
            host.guest_agents().remember_system(guest.vmid, system);
            Ok(Some(kind))
        }
        Ok(Answer::Refused(_)) => Ok(None),
        Err(trouble) => Err(trouble),
    }
}

/// A Linux without `/etc/os-release` tells its kernel alone.
fn system_id(told: &OsInfo) -> String {
    if told.id.is_empty() && told.kernel_version.starts_with('#') {
        return "linux".to_owned();
    }
    text(&told.id, NAME_LIMIT)
}

/// By `id` of `guest-get-osinfo`: `mswindows`, or that of `/etc/os-release`.
fn of_id(id: &str) -> System {
    match id {
        "mswindows" => System::Windows,
        "" => System::Other,
        id if [
            "bsd",
            "dragonfly",
            "darwin",
            "macos",
            "solaris",
            "illumos",
            "omnios",
        ]
        .iter()
        .any(|other| id.contains(other)) =>
        {
            System::Other
        }
        _ => System::Linux,
    }
}
