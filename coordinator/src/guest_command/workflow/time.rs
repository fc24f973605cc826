//! The clock is wrong: how much, and why it is not put right.

use super::{
    case::{Case, Next, way},
    slow::told_by_log,
};
use crate::guest_command::system::GuestSystem;

/// A difference that certificates, tickets and databases mind.
const OFF_SECONDS: f64 = 1.0;

pub(super) fn drift(case: &mut Case<'_>) -> Result<(), Next> {
    let system = case.system()?;
    let why = "the guest's time beside that of its node, without a program";
    let facts = case.read("clock", why, [way("guest-time")])?;
    let guest = facts
        .clock
        .as_ref()
        .and_then(|clock| clock.unix_nanoseconds);
    if let (Some(guest), Some(node)) = (guest, case.answered_at("guest-time")) {
        compare(case, guest, node);
    }
    match system {
        GuestSystem::Linux => linux(case)?,
        GuestSystem::Windows => windows(case)?,
        GuestSystem::Other | GuestSystem::Unknown => {}
    }
    if case.is_open() {
        case.conclude("How far off the clock is, and whether it follows a server, is not known.");
    }
    Ok(())
}

/// The moment of the answer is known to some tenths of a second.
fn compare(case: &mut Case<'_>, guest_nanoseconds: i64, node: jiff::Timestamp) {
    let Ok(guest) = jiff::Timestamp::from_nanosecond(i128::from(guest_nanoseconds)) else {
        return;
    };
    let off = guest.duration_since(node).as_secs_f64();
    if off.abs() >= OFF_SECONDS * 2.0 {
        let direction = if off > 0.0 { "ahead" } else { "behind" };
        case.conclude(format!(
            "The guest's clock is about {:.0} seconds {direction} of when it answered, by the \
             coordinator's clock.",
            off.abs()
        ));
        if (off.abs() % 3600.0) < 60.0 || (off.abs() % 3600.0) > 3540.0 {
            case.conclude("That is whole hours: a time zone is taken for the time.");
            case.advise(
                "Windows wants the hardware clock in local time (`localtime: 1` of the VM, as \
                 with ostype win*), Linux in UTC.",
            );
        }
    } else {
        case.conclude("The guest's clock agrees with that of the coordinator.");
    }
}

fn linux(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "whether the clock follows a server";
    let facts = case.read("synchronisation", why, [way("time-status")])?;
    let clock = facts.clock.clone().unwrap_or_default();
    if clock.ntp_enabled == Some(false) {
        case.conclude("No time service is switched on.");
        case.advise(
            "Switch one on in the guest: `timedatectl set-ntp true`, or install chrony. \
             `set-ntp false` takes it back.",
        );
    } else if clock.synchronised == Some(false) {
        case.conclude("A time service is on, but the clock does not follow a server.");
        case.advise("See whether its servers are reached: UDP port 123 out, and names.");
    }
    if clock.rtc_in_local_time == Some(true) {
        case.conclude("The hardware clock is taken as local time, which PVE gives in UTC.");
        case.advise("`timedatectl set-local-rtc 0` in the guest; `1` takes it back.");
    }
    let why = "how far off it is, by the time service itself";
    let ways = [way("chrony-tracking"), way("ntp-peers")];
    let facts = case.read("tracking", why, ways)?;
    let offset = facts.clock.as_ref().and_then(|clock| clock.offset_seconds);
    if let Some(offset) = offset.filter(|offset| offset.abs() >= OFF_SECONDS) {
        case.conclude(format!(
            "The time service knows that it is {:.1} seconds off.",
            offset.abs()
        ));
        case.advise(
            "chrony puts it right slowly; `chronyc makestep` in the guest does it at once, which \
             databases and logs notice.",
        );
    }
    let why = "whether the clock jumped, and why";
    let log = case.read(
        "kernel-log",
        why,
        [way("kernel-log"), way("kernel-log-basic")],
    )?;
    told_by_log(case, log);
    Ok(())
}

fn windows(case: &mut Case<'_>) -> Result<(), Next> {
    let why = "whether the clock follows a server, and which";
    let facts = case.read("synchronisation", why, [way("windows-time")])?;
    let clock = facts.clock.clone().unwrap_or_default();
    if clock.synchronised == Some(false) {
        case.conclude("Windows Time follows no server.");
        case.advise(
            "`w32tm /resync` in the guest; in a domain, look at the domain controller with the \
             role PDC.",
        );
    }
    if let Some(offset) = clock
        .offset_seconds
        .filter(|offset| offset.abs() >= OFF_SECONDS)
    {
        case.conclude(format!(
            "Windows Time knows that it is {:.1} seconds off.",
            offset.abs()
        ));
    }
    let why = "which servers it has";
    case.read("servers", why, [way("windows-time-peers")])?;
    let why = "whether the service runs at all";
    let service = way("windows-service").with("service", "W32Time");
    let facts = case.read("service", why, [service])?;
    let unit = facts.units.as_ref().and_then(|units| units.units.first());
    if unit.is_some_and(|unit| unit.active.as_deref() == Some("inactive")) {
        case.conclude("The service W32Time is stopped.");
        case.advise("Set W32Time to start automatically, and start it.");
    }
    Ok(())
}
