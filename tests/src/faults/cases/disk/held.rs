//! What an agent still holds, and what is in the file of the store.

use std::{collections::BTreeSet, path::Path, sync::Arc, time::Duration};

use anyhow::{Context, Result};
use jiff::Timestamp;
use pvelens::{
    check::Params,
    coordinator::Coordinator,
    metric::Metric,
    store::{
        FILE, Store,
        block::SeriesKey,
        query::{self, Span},
        sqlite,
        tier::Tier,
    },
};
use pvelens_proto::{
    agent::v1::{
        DescribeRequest, DescribeResponse, NodeUpdate,
        node_agent_service_client::NodeAgentServiceClient, sample::Payload, watch_response::Event,
    },
    timestamp_to_millis,
};
use tokio::time::timeout;

use crate::{faults::node::watch, rig::coordinator::channel};

/// What comes within this time is what there is.
const QUIET: Duration = Duration::from_millis(700);

/// One value that an agent still has.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    pub(super) sequence: u64,
    pub(super) at_millis: i64,
}

/// What an agent holds of one collector, oldest first.
pub(super) async fn held(socket: &Path) -> Result<Vec<Held>> {
    let mut held = Vec::new();
    let mut stream = watch(socket, None).await?;
    while let Ok(message) = timeout(QUIET, stream.message()).await {
        let Some(message) = message? else { break };
        if let Some(Event::Update(update)) = message.event {
            held.extend(of_memory(&update));
        }
    }
    Ok(held)
}

fn of_memory(update: &NodeUpdate) -> Option<Held> {
    let cursor = update.cursor.as_ref().filter(|_| !update.baseline)?;
    let mut samples = update.samples.iter();
    let memory = samples.find(|sample| matches!(sample.payload, Some(Payload::Memory(_))))?;
    Some(Held {
        sequence: cursor.sequence,
        at_millis: timestamp_to_millis(memory.observed_at.as_ref()?),
    })
}

pub(super) async fn describe(socket: &Path) -> Result<DescribeResponse> {
    let mut client = NodeAgentServiceClient::new(channel(socket).await?);
    Ok(client.describe(DescribeRequest {}).await?.into_inner())
}

/// Up to where a coordinator that starts with this store has the stream of an agent.
pub(super) fn acknowledged(state: &Path, agent: &DescribeResponse) -> Result<u64> {
    let coordinator = Coordinator::new(Params::default());
    let store = Arc::new(Store::open(state, 1 << 30, Timestamp::UNIX_EPOCH)?);
    coordinator.keep_in(store, Timestamp::UNIX_EPOCH)?;
    let resumed = coordinator.live().resume(agent);
    let cursor = resumed
        .cursor
        .context("the store does not know the agent")?;
    Ok(cursor.sequence)
}

/// When the values were measured that are in the file.
pub(super) fn kept(state: &Path, node: &str) -> Result<BTreeSet<i64>> {
    let mut reader = sqlite::open_reader(&state.join(FILE))?;
    let mut keys = BTreeSet::new();
    for object in reader.objects_named(node)? {
        for row in reader.series(Some(object.id))? {
            if row.metric == Metric::MemoryAvailableBytes.number() {
                keys.insert(SeriesKey {
                    metric: row.metric,
                    series: row.id,
                });
            }
        }
    }
    let span = Span {
        from: Timestamp::UNIX_EPOCH,
        until: Timestamp::MAX,
        tier: Tier::Raw,
    };
    let found = query::values(&mut *reader, &keys, &span)?;
    let values = found.series.into_values().flat_map(|values| values.buckets);
    Ok(values.map(|value| value.index).collect())
}
