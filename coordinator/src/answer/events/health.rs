//! Reports whose cluster is in another state than before.

use super::{EventEntry, TEXT};
use crate::{
    analysis::kept::Header,
    chronicle::{EventKind, Level},
    report::{AnalysisKind, HealthState},
    store::row::NewRecord,
    untrusted,
};

/// None = it tells no event.
pub(super) fn level(record: &NewRecord) -> Option<Level> {
    turn(record).map(|(_, state, _)| level_of(state))
}

/// The state before, the state since, and the headline of a report whose cluster is in
/// another state than before.
fn turn(record: &NewRecord) -> Option<(HealthState, HealthState, String)> {
    let header = Header::read(&record.body)?;
    let (was, state) = (header.was()?, header.state());
    let is_turn = header.is_of(AnalysisKind::ClusterHealth) && was != state;
    is_turn.then_some((was, state, header.headline))
}

fn level_of(state: HealthState) -> Level {
    match state {
        HealthState::Healthy => Level::Info,
        HealthState::Warning | HealthState::Unknown => Level::Warning,
        HealthState::Critical => Level::Error,
    }
}

pub(super) fn event(record: &NewRecord) -> Option<EventEntry> {
    let (was, state, headline) = turn(record)?;
    let text = format!("{} → {}: {headline}", was.as_str(), state.as_str());
    Some(EventEntry {
        cluster: record.cluster.to_string(),
        subject: record.subject.to_string(),
        at: record.at,
        ended_at: None,
        kind: EventKind::Health,
        level: level_of(state),
        node: String::new(),
        text: untrusted::line(&text, TEXT).into_owned(),
        user: String::new(),
    })
}
