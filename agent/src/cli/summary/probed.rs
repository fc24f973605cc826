//! One line about what the other probes answer.

use pvelens_proto::agent::v1::{CorosyncLinkState, sample::Payload};

use super::{count, size};

pub(super) fn line(payload: &Payload) -> Option<String> {
    match payload {
        Payload::CorosyncState(state) => {
            let down = state
                .local_links
                .iter()
                .filter(|link| link.state() == CorosyncLinkState::Disconnected)
                .count();
            let quorum = match &state.quorum {
                Some(quorum) if quorum.is_quorate => "quorate",
                Some(_) => "not quorate",
                None => "quorum unknown",
            };
            let peers = count(state.peers.len(), "peer");
            Some(format!("{quorum}, {peers}, {} down", count(down, "link")))
        }
        Payload::Units(units) => Some(format!(
            "{}, {} failed",
            count(units.units.len(), "unit"),
            units.failed_units.len()
        )),
        Payload::JournalEvents(events) => {
            let messages = events.groups.iter().map(|group| size(group.count)).sum();
            Some(format!(
                "{} in {}",
                count(messages, "message"),
                count(events.groups.len(), "group")
            ))
        }
        Payload::TimeSync(time) => Some(
            match time.is_synchronized {
                Some(true) => "synchronised",
                Some(false) => "not synchronised",
                None => "unknown",
            }
            .to_owned(),
        ),
        Payload::SshdConfig(sshd) => Some(count(sshd.settings.len(), "setting")),
        _ => None,
    }
}
