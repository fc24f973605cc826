//! The guest does not start properly: how far it came, and what it missed.

use super::{
    case::{Case, Next, way},
    disk::full_ones,
    slow::told_by_log,
};
use crate::guest_command::{
    facts::{GuestFacts, LogPatternKind},
    system::GuestSystem,
};

pub(super) fn fails(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "a guest agent that answers means that the guest came far";
    if case.look("guest-agent", why, [way("ping")])?.is_none() {
        case.conclude("The guest agent does not answer: nothing inside the guest can be asked.");
        case.advise(
            "Look at the console of the VM: boot menu, emergency shell, file system check, login. \
             A black screen after the logo is often a missing disk or a changed bootdisk.",
        );
        case.advise(
            "Look at the node: did the VM's process start (task log), is its storage there, did \
             its configuration change since the last good start (disks, controller, machine, \
             bios, CPU type)?",
        );
        case.advise("If it starts and only the agent is missing: install and start it.");
        return Ok(());
    }
    match case.system()? {
        GuestSystem::Linux => linux(case)?,
        GuestSystem::Windows => windows(case)?,
        GuestSystem::Other | GuestSystem::Unknown => {}
    }
    if case.is_open() {
        case.conclude("The guest agent answers, and what can be asked shows no trouble.");
    }
    Ok(())
}

fn linux(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "whether the start came to its end";
    let facts = case.read("system-state", why, [way("system-state")])?;
    let state = facts
        .units
        .as_ref()
        .and_then(|units| units.system_state.as_deref());
    match state {
        Some("running") => case.conclude("The start came to its end, and no unit failed."),
        Some("degraded") => case.conclude("The start came to its end, and units failed."),
        Some("maintenance") => {
            case.conclude("The guest is in the rescue or emergency shell.");
            case.advise(
                "Log in at the console of the VM; `systemctl default` goes on with the start.",
            );
        }
        Some("starting" | "initializing") => {
            case.conclude("The start still goes on: something is waited for.");
        }
        _ => {}
    }
    let why = "which units failed";
    let facts = case.read(
        "failed-services",
        why,
        [way("failed-units"), way("openrc-status")],
    )?;
    units(case, facts);
    let why = "what went wrong since the start, worst first";
    let errors = way("journal").with("priority", "error");
    let log = case.read(
        "log",
        why,
        [errors, way("kernel-log"), way("kernel-log-basic")],
    )?;
    boot_log(case, log);
    let why = "how the start before ended: properly, or by a crash or a loss of power";
    let log = case.read("log-before", why, [way("previous-boot-journal")])?;
    boot_log(case, log);
    let why = "whether a file system went read-only";
    let facts = case.read("mounts", why, [way("mounts")])?;
    let stuck = facts
        .file_systems
        .iter()
        .find(|one| one.mount == "/" && one.read_only == Some(true) && !one.is_pseudo);
    if stuck.is_some() {
        case.conclude("The root file system is read-only.");
        case.advise(
            "Take a backup of the VM, then check the file system from a rescue system. A check \
             can delete damaged files.",
        );
    }
    let why = "a full file system stops a start half-way";
    let facts = case.read("file-systems", why, [way("fsinfo"), way("disk-usage")])?;
    for one in full_ones(facts).into_iter().take(2) {
        case.conclude(format!("{} is full.", one.mount));
        case.advise("Free space first: go through the workflow disk-full.");
    }
    Ok(())
}

fn units(case: &mut Case<'_>, facts: &GuestFacts) {
    let failed = facts.units.iter().flat_map(|units| &units.failed);
    let names: Vec<&str> = failed.take(8).map(String::as_str).collect();
    if names.is_empty() {
        return;
    }
    case.conclude(format!("Failed: {}.", names.join(", ")));
    if names
        .iter()
        .any(|name| name.ends_with(".mount") || name.ends_with(".swap"))
    {
        case.conclude("A file system or swap could not be mounted.");
        case.advise(
            "Compare /etc/fstab in the guest with its disks: a disk that was removed or has another \
             UUID stops the start. `nofail` lets it go on without.",
        );
    } else {
        case.advise("Go through the workflow service-down for the first of them.");
    }
}

fn boot_log(case: &mut Case<'_>, facts: &GuestFacts) {
    told_by_log(case, facts);
    let patterns = facts.log.iter().flat_map(|log| &log.patterns);
    for pattern in patterns {
        match pattern.kind {
            LogPatternKind::KernelPanic => {
                case.conclude("The kernel gave up (panic).");
                case.advise(
                    "Start the kernel before in the boot menu. Look at what changed: kernel, \
                     drivers, CPU type or machine of the VM.",
                );
            }
            LogPatternKind::UncleanShutdown => {
                case.conclude("The guest was not shut down properly before.");
            }
            LogPatternKind::BootTrouble => {
                case.conclude("The start stopped for a file system or in the emergency shell.");
                case.advise("Compare /etc/fstab in the guest with its disks.");
            }
            _ => {}
        }
    }
}

fn windows(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "what went wrong since the start";
    case.read("events", why, [way("windows-events").with("log", "system")])?;
    let why = "which services that start by themselves did not";
    let facts = case.read("failed-services", why, [way("windows-services")])?;
    let failed = facts.units.iter().flat_map(|units| &units.failed);
    let names: Vec<&str> = failed.take(8).map(String::as_str).collect();
    if !names.is_empty() {
        case.conclude(format!(
            "Services that ended with an error: {}.",
            names.join(", ")
        ));
    }
    let why = "whether a drive wants to be checked";
    case.read("drive", why, [way("windows-disk-dirty").with("drive", "c")])?;
    let why = "what the boot manager starts";
    case.read("boot-manager", why, [way("windows-boot")])?;
    case.advise(
        "If Windows hangs with a driver: start it in the safe mode from its recovery menu, and \
         compare the drivers of VirtIO with the hardware of the VM.",
    );
    Ok(())
}
