//! Words about log lines.

use super::{Said, counted, names};
use crate::guest_command::facts::{GuestFacts, LogPattern, LogPatternKind as Kind};

pub(super) fn say(facts: &GuestFacts, said: &mut Said) {
    let Some(log) = &facts.log else {
        return;
    };
    for pattern in &log.patterns {
        said.say(pattern.severity, sentence(pattern));
    }
    let span = match (&log.from, &log.to) {
        (Some(from), Some(to)) => format!(" from {from} to {to}"),
        _ => String::new(),
    };
    match (log.lines, log.patterns.is_empty()) {
        (0, _) => said.info("The log has no such lines".to_owned()),
        (lines, true) => said.info(format!(
            "{}{span}, no known trouble in them",
            counted(lines, "line")
        )),
        (lines, false) => said.info(format!("{}{span}", counted(lines, "line"))),
    }
    if let Some(source) = log.sources.first().filter(|source| source.count > 1) {
        said.info(format!(
            "Most lines are of {}: {}",
            source.name, source.count
        ));
    }
}

fn sentence(pattern: &LogPattern) -> String {
    let about = match pattern.about.as_slice() {
        [] => String::new(),
        about => format!(": {}", names(about, about.len())),
    };
    let last = pattern
        .last
        .as_ref()
        .map(|last| format!(", last at {last}"))
        .unwrap_or_default();
    format!(
        "{}{about} ({}{last})",
        words(pattern.kind),
        counted(pattern.count, "line")
    )
}

fn words(kind: Kind) -> &'static str {
    match kind {
        Kind::OutOfMemory => "The log tells that memory ran out",
        Kind::IoError => "The log tells of disk errors",
        Kind::ReadOnly => "The log tells of a file system that became read-only",
        Kind::FileSystemError => "The log tells of a damaged file system",
        Kind::DiskFull => "The log tells that no space was left",
        Kind::HungTask => "The log tells of programs that hang",
        Kind::LockUp => "The log tells of processors that did not get on",
        Kind::KernelPanic => "The log tells of a crash of the kernel",
        Kind::HardwareError => "The log tells of hardware errors",
        Kind::Segfault => "The log tells of programs that crashed",
        Kind::LinkDown => "The log tells of a lost network link",
        Kind::ConntrackFull => "The log tells that the firewall's table was full",
        Kind::OpenFiles => "The log tells of too many open files",
        Kind::NameResolution => "The log tells of names that did not resolve",
        Kind::NetworkUnreachable => "The log tells of an unreachable network",
        Kind::Authentication => "The log tells of failed logins",
        Kind::ServiceFailed => "The log tells of services that failed",
        Kind::Clock => "The log tells of a wrong clock",
        Kind::Certificate => "The log tells of a certificate that is not valid",
        Kind::UncleanShutdown => "The log tells of a start after an unclean end",
        Kind::BootTrouble => "The log tells of a start that stopped",
        Kind::Other => "The log tells of trouble",
    }
}
