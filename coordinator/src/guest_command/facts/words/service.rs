//! Words about units, services and containers.

use super::{Said, counted, left_out, names};
use crate::{
    figure::bytes,
    guest_command::facts::{Container, Containers, GuestFacts, Unit, Units},
};

/// Units that are told one by one.
const UNITS: usize = 3;

pub(super) fn say(facts: &GuestFacts, said: &mut Said) {
    if let Some(units) = &facts.units {
        all(units, left_out(facts, "units.failed"), facts.is_cut, said);
    }
    if let Some(containers) = &facts.containers {
        of_containers(containers, said);
    }
    if let Some(writers) = &facts.vss_writers {
        let failed: Vec<String> = writers
            .iter()
            .filter(|writer| writer.failed)
            .map(|writer| {
                let error = writer
                    .last_error
                    .as_ref()
                    .map(|error| format!(" ({error})"))
                    .unwrap_or_default();
                format!("{}{error}", writer.name)
            })
            .collect();
        if failed.is_empty() {
            said.info("No VSS writer failed".to_owned());
        } else {
            said.critical(format!(
                "VSS writers failed, which breaks consistent backups: {}",
                names(&failed, failed.len())
            ));
        }
    }
}

fn all(units: &Units, more: usize, is_cut: bool, said: &mut Said) {
    // Units that were asked for by name are told one by one, with their reasons.
    let is_list = units.is_complete || is_cut || units.units.len() > UNITS;
    if is_list && !units.failed.is_empty() {
        let all = units.failed.len().saturating_add(more);
        let count = u32::try_from(all).unwrap_or(u32::MAX);
        let listed = names(&units.failed, all);
        said.critical(format!("{} failed: {listed}", counted(count, "unit")));
    } else if units.is_complete {
        said.info("No unit failed".to_owned());
    }
    match units.system_state.as_deref() {
        Some("maintenance") => {
            said.critical("The system is in maintenance mode: it did not start".to_owned())
        }
        Some("degraded") => {
            said.warning("The system runs, but some units failed (degraded)".to_owned())
        }
        Some("starting" | "initializing") => {
            said.warning("The system is still starting".to_owned())
        }
        Some("running") => said.info("The system runs, no unit failed".to_owned()),
        Some(state) => said.info(format!("The system is {state}")),
        None => {}
    }
    for unit in units.units.iter().filter(|_| !is_list) {
        one(unit, said);
    }
    if let (Some(running), Some(stopped)) = (units.running, units.stopped)
        && units.is_complete
    {
        said.info(format!(
            "{} running, {stopped} stopped",
            counted(running, "service")
        ));
    }
}

fn one(unit: &Unit, said: &mut Said) {
    let name = &unit.name;
    if unit.load.as_deref() == Some("not-found") {
        said.warning(format!("There is no unit {name}"));
        return;
    }
    if unit.load.as_deref() == Some("masked") {
        said.warning(format!("{name} is masked: it cannot be started"));
    }
    let since = |since: &Option<String>| {
        since
            .as_ref()
            .map(|since| format!(" since {since}"))
            .unwrap_or_default()
    };
    let sub = unit.sub.as_deref().unwrap_or_default();
    match unit.active.as_deref() {
        Some("failed") => said.critical(format!(
            "{name} failed{}{}",
            since(&unit.inactive_since),
            why(unit)
        )),
        Some("activating") if sub == "auto-restart" => {
            said.critical(format!(
                "{name} keeps failing and is started again{}",
                why(unit)
            ));
        }
        Some("active") => {
            let memory = unit
                .memory_bytes
                .map(|memory| format!(", {} memory", bytes(memory)))
                .unwrap_or_default();
            said.info(format!(
                "{name} is active ({sub}){}{memory}",
                since(&unit.active_since)
            ));
        }
        Some("inactive") => said.warning(format!(
            "{name} is not running{}",
            since(&unit.inactive_since)
        )),
        Some(state) => said.warning(format!("{name} is {state} ({sub})")),
        None => {}
    }
    if let Some(restarts) = unit.restarts.filter(|restarts| *restarts >= 3) {
        said.warning(format!("{name} was started again {restarts} times"));
    }
}

fn why(unit: &Unit) -> String {
    let status = unit.exit_status.unwrap_or(0);
    match unit.result.as_deref() {
        Some("oom-kill") => ": killed for want of memory".to_owned(),
        Some("start-limit-hit") => ": it failed too often to be started again".to_owned(),
        Some("timeout") => ": it took too long".to_owned(),
        _ if unit.was_signalled && status != 0 => format!(": ended by signal {status}"),
        _ if status != 0 => format!(": ended with status {status}"),
        Some(result) if result != "success" => format!(": {result}"),
        _ => String::new(),
    }
}

fn of_containers(containers: &Containers, said: &mut Said) {
    let named = |is: &dyn Fn(&Container) -> bool| {
        let all = containers.containers.iter().filter(|one| is(one));
        all.map(|one| one.name.as_str()).collect::<Vec<_>>()
    };
    let restarting = named(&|one| one.state == "restarting");
    if !restarting.is_empty() {
        let listed = names(&restarting, restarting.len());
        said.critical(format!("Containers that keep restarting: {listed}"));
    }
    let unhealthy = named(&|one| one.health.as_deref() == Some("unhealthy"));
    if !unhealthy.is_empty() {
        said.critical(format!(
            "Unhealthy containers: {}",
            names(&unhealthy, unhealthy.len())
        ));
    }
    let failed = named(&|one| {
        one.state == "exited"
            && one
                .exit_code
                .is_some_and(|code| !matches!(code, 0 | 137 | 143))
    });
    if !failed.is_empty() {
        said.warning(format!(
            "Containers that ended with an error: {}",
            names(&failed, failed.len())
        ));
    }
    let killed = named(&|one| one.state == "exited" && one.exit_code == Some(137));
    if !killed.is_empty() {
        let listed = names(&killed, killed.len());
        said.warning(format!(
            "Containers that were killed, by hand or for want of memory: {listed}"
        ));
    }
    said.info(format!(
        "{}, {} of them running",
        counted(containers.total, "container"),
        containers.running
    ));
}
