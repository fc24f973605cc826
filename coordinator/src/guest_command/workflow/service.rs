//! A service does not run: which, how it ended, and what it said last.

use super::{
    case::{Case, Stop, way},
    disk::full_ones,
    slow::told_by_log,
};
use crate::guest_command::{
    facts::{LogPatternKind, Unit},
    suggest::is_unit,
    system::GuestSystem,
};

pub(super) fn down(case: &mut Case<'_>) -> Result<(), Stop> {
    match case.system()? {
        GuestSystem::Linux => linux(case),
        GuestSystem::Windows => windows(case),
        GuestSystem::Other | GuestSystem::Unknown => {
            case.conclude("Services of this operating system cannot be asked for from here.");
            Ok(())
        }
    }
}

fn linux(case: &mut Case<'_>) -> Result<(), Stop> {
    let unit = match case.service() {
        Some(unit) => Some(unit.to_owned()),
        None => failed(case)?,
    };
    if let Some(unit) = unit {
        one(case, &unit)?;
    } else if case.is_open() {
        case.conclude("No unit has failed, as far as is known.");
        case.advise("Name the unit in question to look at it: it may have been stopped.");
    }
    containers(case)?;
    let why = "a kernel that kills processes for want of memory stops services, too";
    let log = case.read(
        "kernel-log",
        why,
        [way("kernel-log"), way("kernel-log-basic")],
    )?;
    told_by_log(case, log);
    let why = "a service that cannot write does not start";
    let facts = case.read("file-systems", why, [way("fsinfo"), way("disk-usage")])?;
    for one in full_ones(facts).into_iter().take(2) {
        case.conclude(format!(
            "{} is full, which stops services that write there.",
            one.mount
        ));
        case.advise("Free space first: go through the workflow disk-full.");
    }
    Ok(())
}

/// The unit that failed, of systemd or `OpenRC`; the others are told.
fn failed(case: &mut Case<'_>) -> Result<Option<String>, Stop> {
    let why = "which services failed";
    let mut ways = vec![way("failed-units"), way("openrc-status")];
    if case.is_small() {
        ways.reverse();
    }
    let facts = case.read("failed-services", why, ways)?;
    let Some(units) = &facts.units else {
        case.conclude("Which services failed is not known.");
        return Ok(None);
    };
    let failed = &units.failed;
    if failed.len() > 1 {
        let names: Vec<&str> = failed.iter().take(8).map(String::as_str).collect();
        case.conclude(format!(
            "{} services failed: {}.",
            failed.len(),
            names.join(", ")
        ));
    }
    // Services before what they need: mounts and sockets follow from them.
    let service = failed
        .iter()
        .find(|name| name.ends_with(".service"))
        .or(failed.first());
    // What comes from a guest is asked for only as a unit: the node checks that, too.
    Ok(service.filter(|name| is_unit(name)).cloned())
}

fn one(case: &mut Case<'_>, unit: &str) -> Result<(), Stop> {
    let why = format!("how {unit} ended, and how often it was started again");
    let facts = case.read("unit", &why, [way("unit-status").with("unit", unit)])?;
    if let Some(known) = facts.units.as_ref().and_then(|units| units.units.first()) {
        judge(case, unit, known);
    }
    let why = format!("what {unit} said last");
    let log = case.read("unit-log", &why, [way("unit-journal").with("unit", unit)])?;
    said_last(case, unit, log);
    Ok(())
}

fn said_last(case: &mut Case<'_>, unit: &str, facts: &crate::guest_command::facts::GuestFacts) {
    told_by_log(case, facts);
    let patterns = facts.log.iter().flat_map(|log| &log.patterns);
    for pattern in patterns {
        match pattern.kind {
            LogPatternKind::NameResolution | LogPatternKind::NetworkUnreachable => {
                case.conclude(format!("{unit} does not reach the network or a name."));
                case.advise("Go through the workflow no-network.");
            }
            LogPatternKind::OpenFiles => {
                case.conclude(format!("{unit} has too many files open."));
                case.advise("Raise LimitNOFILE= of the unit, or find the leak.");
            }
            LogPatternKind::Certificate => {
                case.conclude(format!("{unit} complains of a certificate."));
                case.advise("Renew the certificate, and see that the clock is right.");
            }
            _ => {}
        }
    }
}

fn judge(case: &mut Case<'_>, name: &str, unit: &Unit) {
    let load = unit.load.as_deref().unwrap_or_default();
    let active = unit.active.as_deref().unwrap_or_default();
    let result = unit.result.as_deref().unwrap_or_default();
    match (load, active) {
        ("not-found", _) => {
            case.conclude(format!("There is no unit {name}."));
            case.advise("Compare its name with `timers` and `failed-units`, or install it.");
            return;
        }
        ("masked", _) => {
            case.conclude(format!(
                "{name} is masked: somebody switched it off for good."
            ));
            case.advise(format!(
                "If that is not wanted: `systemctl unmask {name}` in the guest."
            ));
            return;
        }
        (_, "active") => case.conclude(format!("{name} runs.")),
        (_, "inactive") => {
            case.conclude(format!("{name} is stopped, and did not fail."));
            case.advise(format!(
                "Start it in the guest (`systemctl start {name}`), and enable it if it is to start \
                 by itself. `systemctl stop` takes that back."
            ));
        }
        (_, active) if !active.is_empty() => case.conclude(format!("{name} is {active}.")),
        _ => {}
    }
    let status = unit.exit_status.unwrap_or_default();
    match result {
        "oom-kill" => {
            case.conclude(format!("{name} was killed for want of memory."));
            case.advise("Go through the workflow high-memory.");
        }
        "exit-code" => case.conclude(format!("{name} ended by itself with status {status}.")),
        "signal" | "core-dump" => case.conclude(format!("{name} was ended by signal {status}.")),
        "timeout" => case.conclude(format!("{name} did not start or stop in time.")),
        "start-limit-hit" => {
            case.conclude(format!("{name} failed too often and is not started again."));
            case.advise(format!(
                "Mend the cause, then `systemctl reset-failed {name}` and start it in the guest."
            ));
        }
        _ => {}
    }
    if unit.restarts.is_some_and(|restarts| restarts > 5) {
        let restarts = unit.restarts.unwrap_or_default();
        case.conclude(format!(
            "{name} was started again {restarts} times: it keeps failing."
        ));
    }
}

fn containers(case: &mut Case<'_>) -> Result<(), Stop> {
    let why = "the service may be in a container";
    let facts = case.read("containers", why, [way("docker-ps"), way("podman-ps")])?;
    let trouble = facts.containers.iter().flat_map(|all| &all.containers);
    let is_bad = |state: &str, health: Option<&str>| {
        state == "restarting" || state == "dead" || health == Some("unhealthy")
    };
    for one in trouble
        .filter(|one| is_bad(&one.state, one.health.as_deref()))
        .take(3)
    {
        case.conclude(format!(
            "The container {} is in trouble: {}.",
            one.name, one.status
        ));
        case.advise("Look at its last lines with `docker-logs`.");
    }
    Ok(())
}

fn windows(case: &mut Case<'_>) -> Result<(), Stop> {
    if let Some(service) = case.service() {
        let why = "the state of the service, and how it ended";
        let facts = case.read(
            "service",
            why,
            [way("windows-service").with("service", service)],
        )?;
        if let Some(unit) = facts.units.as_ref().and_then(|units| units.units.first()) {
            judge_windows(case, unit);
        }
    } else {
        let why = "which services ended with an error";
        let facts = case.read("failed-services", why, [way("windows-services")])?;
        let units = facts.units.clone().unwrap_or_default();
        let failed: Vec<&str> = units.failed.iter().take(8).map(String::as_str).collect();
        case.conclude(match failed.is_empty() {
            true => "No service ended with an error, as far as is known.".to_owned(),
            false => format!("Ended with an error: {}.", failed.join(", ")),
        });
    }
    let why = "what Windows wrote down about it";
    case.read("events", why, [way("windows-events").with("log", "system")])?;
    let why = "what the program itself wrote down";
    case.read(
        "program-events",
        why,
        [way("windows-events").with("log", "application")],
    )?;
    case.advise("Start the service in the guest once the cause of its last error is mended.");
    Ok(())
}

fn judge_windows(case: &mut Case<'_>, unit: &Unit) {
    let state = unit
        .sub
        .as_deref()
        .or(unit.active.as_deref())
        .unwrap_or("in an unknown state");
    case.conclude(format!("{} is {state}.", unit.name));
    if let Some(status) = unit.exit_status.filter(|status| *status != 0) {
        case.conclude(format!("It ended with error {status}."));
    }
}
