//! Feeding a coordinator with recorded samples, as they would come over the wire.

use std::{collections::BTreeSet, sync::Arc};

use anyhow::Result;
use jiff::Timestamp;
use prost::Message;
use pvelens::{
    check::{Input, Outcome, Params, run_all},
    coordinator::{Coordinator, Current},
    intent::Intent,
    live::Live,
    view,
    windows::Windows,
};
use pvelens_agent::collector::COLLECTORS;
use pvelens_proto::{
    agent::v1::{CollectorDescription, Cursor, DescribeResponse, NodeUpdate},
    timestamp_from_millis,
};

use crate::{
    compare::NodeFacts,
    config::text,
    recordings::{MOMENTS, State},
    replay::Replay,
};

/// A node's fast collectors run each 10 s; each slot of the history is 30 s.
const STEP_SECONDS: f64 = 15.0;
const HALF_AN_HOUR_OF_STEPS: u32 = 128;

/// Feeds both moments of every node of a state to a coordinator.
pub(crate) fn feed(state: &State, nodes: &[NodeFacts<'_>]) -> Result<(Coordinator, Arc<Current>)> {
    let coordinator = Coordinator::new(Params::default());
    let current = feed_to(&coordinator, state, nodes)?;
    Ok((coordinator, current))
}

/// As [`feed`], to a coordinator that is there.
pub(crate) fn feed_to(
    coordinator: &Coordinator,
    state: &State,
    nodes: &[NodeFacts<'_>],
) -> Result<Arc<Current>> {
    let mut current = coordinator.current();
    for moment in 0..MOMENTS.len() {
        let mut newest = Timestamp::UNIX_EPOCH;
        for (node, recorded) in nodes.iter().zip(&state.nodes) {
            let at = seconds(recorded.trees[moment].meta.start + 1.0)?;
            newest = newest.max(at);
            let agent = describe(node, at);
            let update = NodeUpdate {
                cursor: Some(Cursor {
                    epoch: agent.epoch.clone(),
                    sequence: u64::try_from(moment)? + 1,
                }),
                samples: node.moments[moment].samples.clone(),
                ..NodeUpdate::default()
            };
            // As it would come over the wire.
            let update = NodeUpdate::decode(update.encode_to_vec().as_slice())?;
            coordinator.live().connected(&agent, node.node, at);
            coordinator.live().append(&agent, update, at);
        }
        current = coordinator.evaluate(newest);
    }
    Ok(current)
}

/// What half an hour gives in which every node goes on as between t0 and t1.
#[derive(Debug)]
pub(crate) struct HalfAnHour {
    /// Published at its end.
    pub(crate) current: Arc<Current>,
    /// Check and subject of every failure at its end, by the checks alone.
    pub(crate) failed: BTreeSet<(String, String)>,
}

/// Feeds that half an hour to a coordinator, and evaluates at each step.
pub(crate) fn feed_half_an_hour(state: &State, nodes: &[NodeFacts<'_>]) -> Result<HalfAnHour> {
    let coordinator = Coordinator::new(Params::default());
    let mut live = Live::default();
    let mut current = coordinator.current();
    for step in 0..=HALF_AN_HOUR_OF_STEPS {
        let after = f64::from(step) * STEP_SECONDS;
        let mut now = Timestamp::UNIX_EPOCH;
        for (node, recorded) in nodes.iter().zip(&state.nodes) {
            let [first, second] = &recorded.trees;
            let replay = Replay::new(second.meta.start - first.meta.start)?;
            let [earlier, later] = &node.moments;
            let at = seconds(first.meta.start + after + 1.0)?;
            now = now.max(at);
            let agent = describe(node, at);
            let update = NodeUpdate {
                cursor: Some(Cursor {
                    epoch: agent.epoch.clone(),
                    sequence: u64::from(step) + 1,
                }),
                samples: replay.at(&earlier.samples, &later.samples, after)?,
                ..NodeUpdate::default()
            };
            live.append(&agent, update.clone(), at);
            live.heartbeat(&agent, at, at);
            coordinator.live().connected(&agent, node.node, at);
            coordinator.live().append(&agent, update, at);
            coordinator.live().heartbeat(&agent, at, at);
        }
        current = coordinator.evaluate(now);
    }
    let failed = failures(&live, current.view.at);
    Ok(HalfAnHour { current, failed })
}

fn failures(live: &Live, at: Timestamp) -> BTreeSet<(String, String)> {
    let view = view::build(live, at);
    let input = Input {
        view: &view,
        history: live.history(),
        windows: &Windows::default(),
        params: &Params::default(),
        refused: &[],
        store: None,
        intent: &Intent::default(),
        at,
    };
    let mut failed = BTreeSet::new();
    for result in run_all(&input) {
        for verdict in &result.verdicts {
            if matches!(verdict.outcome, Outcome::Fail(_)) {
                failed.insert((result.check.id.to_owned(), verdict.subject.key(&view)));
            }
        }
    }
    failed
}

pub(crate) fn describe(node: &NodeFacts<'_>, at: Timestamp) -> DescribeResponse {
    let host = node.moments[0].values.get("host_identity");
    let collectors = COLLECTORS.iter().map(|collector| CollectorDescription {
        name: collector.name.to_owned(),
        interval_seconds: u32::try_from(collector.interval.as_secs()).unwrap_or(u32::MAX),
        ..CollectorDescription::default()
    });
    DescribeResponse {
        agent_version: "0.1.0".to_owned(),
        node_name: node.node.to_owned(),
        cluster_id: host
            .map(|host| text(host, "root_ca_sha256"))
            .unwrap_or_default(),
        is_pve_node: true,
        epoch: "recording".to_owned(),
        started_at: Some(timestamp_from_millis(at.as_millisecond())),
        collectors: collectors.collect(),
        refused_coordinator: None,
        sends_contents: false,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "milliseconds of this century"
)]
pub(crate) fn seconds(seconds: f64) -> Result<Timestamp> {
    Ok(Timestamp::from_millisecond((seconds * 1000.0) as i64)?)
}
