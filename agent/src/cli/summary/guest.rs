//! One line about QEMU and its guest agent, and about what containers mount.

use pvelens_proto::agent::v1::{ContainerFilesystemState, GuestSocketOutcome, sample::Payload};

use super::count;

pub(super) fn line(payload: &Payload) -> Option<String> {
    match payload {
        Payload::GuestMonitors(all) => {
            let stopped = all
                .guests
                .iter()
                .filter(|guest| guest.running == Some(false));
            let stopped = match stopped.count() {
                0 => String::new(),
                stopped => format!(", {stopped} with stopped CPUs"),
            };
            let outcomes = all.guests.iter().map(|guest| guest.outcome());
            Some(format!("{}{stopped}", answered("VM", outcomes)))
        }
        Payload::GuestAgents(all) => {
            let outcomes = all.guests.iter().map(|guest| guest.outcome());
            Some(answered("guest agent", outcomes))
        }
        Payload::ContainerFilesystems(all) => {
            let filesystems = || all.containers.iter().flat_map(|one| &one.filesystems);
            let of = |state| filesystems().filter(|one| one.state() == state).count();
            Some(format!(
                "{}: {}, {} measured, {} hanging",
                count(all.containers.len(), "container"),
                count(filesystems().count(), "file system"),
                of(ContainerFilesystemState::Measured),
                of(ContainerFilesystemState::Hanging)
            ))
        }
        _ => None,
    }
}

fn answered(what: &str, outcomes: impl ExactSizeIterator<Item = GuestSocketOutcome>) -> String {
    let all = count(outcomes.len(), what);
    let answered = outcomes.filter(|outcome| *outcome == GuestSocketOutcome::Answered);
    format!("{all}, {} answered", answered.count())
}
