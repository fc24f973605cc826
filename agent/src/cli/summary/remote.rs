//! One line about what is on other machines.

use pvelens_proto::agent::v1::{NetworkMountState, sample::Payload};

use super::{bytes, count};

pub(super) fn line(payload: &Payload) -> Option<String> {
    match payload {
        Payload::CephState(state) => {
            let space = state.used_bytes.zip(state.total_bytes);
            let space = space.map(|(used, total)| {
                let (used, total) = (bytes(used), bytes(total));
                format!(", {used} of {total} used")
            });
            Some(format!(
                "{}, {}, {}{}",
                state.health_status,
                count(state.checks.len(), "check"),
                count(state.osds.len(), "OSD"),
                space.unwrap_or_default()
            ))
        }
        Payload::NetworkMounts(all) => {
            let of = |state| all.mounts.iter().filter(|m| m.state() == state).count();
            Some(format!(
                "{}: {} answering, {} hanging",
                count(all.mounts.len(), "network mount"),
                of(NetworkMountState::Answers),
                of(NetworkMountState::Hanging)
            ))
        }
        _ => None,
    }
}
