//! Run states of VMs that need a person.

use std::time::Duration;

use pvelens_proto::agent::v1::GuestKind;

use super::{Check, Failure, Input, Remedy, Scope, Timing, Verdicts, gate, words};
use crate::{
    finding::{Category, Evidence, Risk, Severity},
    view::{Guest, GuestStatus, Subject},
};

pub(super) const IO_ERROR: Check = Check {
    id: "guest.state.io_error",
    title: "A VM has stopped working",
    category: Category::Health,
    severity: Severity::Critical,
    scope: Scope::Guest,
    timing: Timing::T1 {
        hold: Duration::from_secs(60),
        clear: Duration::from_secs(60),
    },
    floor: true,
    mappings: &["OPS"],
    remediation: Remedy {
        diagnose: &["qm status {id} --verbose"],
        fix: "Free space on the storage or repair it, then let the VM go on: qm resume {id}.",
        impact: "The VM repeats the requests that failed and goes on.",
        risk: Risk::Medium,
        way_back: "qm suspend {id}",
    },
    run: io_error,
    ..Check::HEALTH
};

fn io_error(input: &Input<'_>, verdicts: &mut Verdicts<'_>) {
    for (index, guest) in input.view.guests() {
        let subject = Subject::Guest(index);
        if guest.kind == GuestKind::Lxc {
            verdicts.not_applicable(subject, gate::NOT_A_VM);
            continue;
        }
        if let Err(outcome) = gate::running(input, guest) {
            verdicts.push(subject, outcome);
            continue;
        }
        let GuestStatus::Other(state) = &guest.status else {
            verdicts.pass(subject);
            continue;
        };
        if lock(guest).is_some_and(|lock| !lock.is_empty()) {
            verdicts.not_applicable(subject, "a backup, snapshot or migration holds it");
            continue;
        }
        let failure = match &**state {
            "io-error" => failed(input, guest, "a disk request failed"),
            "internal-error" => failed(input, guest, "QEMU met an internal error"),
            "guest-panicked" => failed(input, guest, "its operating system crashed"),
            "paused" => Failure {
                hold: Some(input.params.limits.guest_paused),
                ..Failure::new(
                    Severity::Warning,
                    format!("{} is paused, and nothing holds it.", words::guest(guest)),
                )
            },
            _ => {
                verdicts.pass(subject);
                continue;
            }
        };
        let seen = Evidence::new("state", &**state, "pvestatd").seen(
            &input.view.node(guest.node).name,
            guest.figures.at.unwrap_or(input.at),
        );
        verdicts.fail(subject, failure.proof([seen]));
    }
}

fn failed(input: &Input<'_>, guest: &Guest, why: &str) -> Failure {
    Failure::new(
        Severity::Critical,
        format!(
            "{} on {} is stopped: {why}.",
            words::guest(guest),
            words::node(input.view, guest.node)
        ),
    )
}

/// The operation that holds the guest.
fn lock(guest: &Guest) -> Option<&str> {
    guest
        .config
        .as_ref()
        .and_then(|config| config.settings.as_ref())
        .map(|settings| settings.lock.as_str())
}

#[cfg(test)]
mod tests;
