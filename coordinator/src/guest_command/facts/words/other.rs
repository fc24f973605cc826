//! Words about the clock, updates, logins and the guest itself.

use std::time::Duration;

use super::{Said, counted, left_out, names};
use crate::{
    figure,
    guest_command::facts::{Clock, GuestAgent, GuestFacts, Identity, Updates},
};

pub(super) fn say(facts: &GuestFacts, said: &mut Said) {
    if let Some(clock) = &facts.clock {
        of_clock(clock, said);
    }
    if let Some(updates) = &facts.updates {
        of_updates(updates, left_out(facts, "updates.packages"), said);
    }
    if let Some(identity) = &facts.identity {
        of_identity(identity, said);
    }
    if let Some(sessions) = &facts.sessions {
        let users: Vec<String> = sessions
            .iter()
            .map(|session| {
                let from = session
                    .from
                    .as_ref()
                    .map(|from| format!(" from {from}"))
                    .unwrap_or_default();
                format!("{}{from}", session.user)
            })
            .collect();
        match users.as_slice() {
            [] => said.info("Nobody is logged in".to_owned()),
            users => {
                let all = users.len().saturating_add(left_out(facts, "sessions"));
                said.info(format!("Logged in: {}", names(users, all)));
            }
        }
    }
    if let Some(agent) = &facts.agent {
        of_agent(agent, said);
    }
    if facts.frozen == Some(false) {
        said.info("The file systems are not frozen".to_owned());
    }
    if !facts.drivers.is_empty() {
        let drivers: Vec<String> = facts
            .drivers
            .iter()
            .map(|driver| {
                format!(
                    "{} {}",
                    driver.name,
                    driver.version.as_deref().unwrap_or("")
                )
                .trim_end()
                .to_owned()
            })
            .collect();
        said.info(format!("Drivers: {}", names(&drivers, drivers.len())));
    }
}

fn of_clock(clock: &Clock, said: &mut Said) {
    if clock.synchronised == Some(false) {
        said.warning("The clock follows no server (not synchronised)".to_owned());
    }
    if clock.ntp_enabled == Some(false) {
        said.warning("No time service is switched on".to_owned());
    }
    let source = clock
        .source
        .as_ref()
        .map(|source| format!(" {source}"))
        .unwrap_or_default();
    match clock.offset_seconds {
        Some(offset) if offset.abs() >= 1.0 => {
            let size = figure::number(offset.abs(), "seconds");
            let sentence = format!("The clock is off by {size} against its server{source}");
            if offset.abs() >= 60.0 {
                said.critical(sentence)
            } else {
                said.warning(sentence)
            }
        }
        Some(offset) => {
            let size = offset.abs() * 1000.0;
            said.info(format!(
                "The clock is off by {size:.1} ms against its server{source}"
            ));
        }
        None if clock.synchronised == Some(true) => {
            said.info("The clock is synchronised".to_owned())
        }
        None => {}
    }
    let at = clock.unix_nanoseconds.map(i128::from);
    if let Some(Ok(at)) = at.map(jiff::Timestamp::from_nanosecond) {
        said.info(format!(
            "Its clock says {}",
            at.strftime("%Y-%m-%d %H:%M:%S UTC")
        ));
    }
    if clock.rtc_in_local_time == Some(true) {
        said.info("The hardware clock runs in local time".to_owned());
    }
}

fn of_updates(updates: &Updates, more: usize, said: &mut Said) {
    if updates.reboot_required == Some(true) {
        said.warning("A restart is needed to finish updates".to_owned());
    } else if updates.reboot_required == Some(false) {
        said.info("No flag asks for a restart".to_owned());
    }
    let Some(pending) = updates.pending else {
        return;
    };
    let all = updates.packages.len().saturating_add(more);
    match (pending, updates.security.unwrap_or(0)) {
        (0, _) => said.info("No update waits".to_owned()),
        (_, 0) => said.info(format!(
            "{}: {}",
            counted(pending, "update"),
            names(&updates.packages, all)
        )),
        (_, security) => said.warning(format!(
            "{}, {security} of them for security: {}",
            counted(pending, "update"),
            names(&updates.packages, all)
        )),
    }
    if let Some(held) = updates.held_back.filter(|held| *held > 0) {
        said.info(format!("{} held back", counted(held, "package")));
    }
}

fn of_identity(identity: &Identity, said: &mut Said) {
    let name = identity
        .pretty_name
        .clone()
        .or_else(|| identity.os_name.clone());
    let version = identity
        .version
        .as_ref()
        .filter(|_| identity.pretty_name.is_none());
    let kernel = identity
        .kernel
        .as_ref()
        .map(|kernel| format!("kernel {kernel}"));
    let parts: Vec<String> = [
        name.map(|name| match version {
            Some(version) => format!("{name} {version}"),
            None => name,
        }),
        identity
            .hostname
            .as_ref()
            .map(|name| format!("named {name}")),
        kernel,
        identity
            .uptime_seconds
            .map(|seconds| format!("up {}", figure::duration(Duration::from_secs(seconds)))),
        identity
            .booted
            .as_ref()
            .map(|when| format!("started {when}")),
        identity
            .time_zone
            .as_ref()
            .map(|zone| format!("time zone {zone}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !parts.is_empty() {
        said.info(parts.join(", "));
    }
}

fn of_agent(agent: &GuestAgent, said: &mut Said) {
    let version = agent
        .version
        .as_ref()
        .map(|version| format!(" {version}"))
        .unwrap_or_default();
    said.info(format!("The guest agent{version} answers"));
    if agent.can_exec == Some(false) {
        said.warning("The guest does not let its agent start programs (guest-exec)".to_owned());
    }
    if !agent.disabled_commands.is_empty() {
        let count = agent.disabled_commands.len();
        said.info(format!(
            "Blocked in the guest: {}",
            names(&agent.disabled_commands, count)
        ));
    }
}
